//! The first wins, the others are ended.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_wins_and_the_other_is_cancelled() {
    let played = play(
        29,
        r#"
input: {}
tasks: {near: {after: 1s}, far: {after: 2h}, after: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "near+ far+ near. far× after+ after.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_does_not_win() {
    let played = play(
        29,
        r#"
input: {}
tasks: {near: {after: 1s, fail: {code: GONE}}, far: {after: 9s}, after: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "near+ far+ near! far. after+ after.");
}
