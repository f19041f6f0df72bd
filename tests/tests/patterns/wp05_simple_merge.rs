//! The branch that was taken is all that is waited for.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_one_branch_begins_once() {
    let played = play(
        5,
        r#"
input: {express: true}
tasks: {work: {after: 1s}}
"#,
    )
    .await;
    assert_eq!(played.order(), "express+ express. after+ after.");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_the_other_branch_begins_once() {
    let played = play(
        5,
        r#"
input: {express: false}
tasks: {work: {after: 1s}}
"#,
    )
    .await;
    assert_eq!(played.order(), "usual+ usual. after+ after.");
}
