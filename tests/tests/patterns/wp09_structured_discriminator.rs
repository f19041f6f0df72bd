//! The first goes ahead, the others go on.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_begins_after_the_first_and_the_run_ends_after_the_last() {
    let played = play(
        9,
        r#"
input: {}
tasks: {near: {after: 1s}, far: {after: 20s}, after: {after: 2s}}
"#,
    )
    .await;
    assert_eq!(played.order(), "near+ far+ near. after+ after. far.");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failure_of_the_last_does_not_matter() {
    let played = play(
        9,
        r#"
input: {}
tasks: {near: {after: 1s}, far: {after: 20s, fail: {code: GONE}}, after: {after: 2s}}
"#,
    )
    .await;
    assert_eq!(played.order(), "near+ far+ near. after+ after. far!");
}
