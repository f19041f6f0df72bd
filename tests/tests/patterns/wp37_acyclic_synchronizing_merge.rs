//! A step waits for the branches that were taken.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn both_branches_are_waited_for() {
    let played = play(
        37,
        r#"
input: {a: true, b: true}
tasks: {begin: {}, a: {after: 1s}, b: {after: 9s}, behind_a: {after: 1s}, merge: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "begin+ begin. a+ b+ a. behind_a+ behind_a. b. merge+ merge.");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_branch_alone_is_waited_for() {
    let played = play(
        37,
        r#"
input: {a: false, b: true}
tasks: {begin: {}, b: {after: 9s}, merge: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "begin+ begin. a~ behind_a~ b+ b. merge+ merge.");
}
