//! K of n go ahead, the others go on.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_begins_after_two_of_three() {
    let played = play(
        30,
        r#"
input: {}
tasks: {ada: {after: 1s}, ben: {after: 5s}, cy: {after: 40s}, after: {after: 1s}}
"#,
    )
    .await;
    assert_eq!(played.order(), "ada+ ben+ cy+ ada. ben. after+ after. cy.");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_two_cannot_complete_the_step_fails() {
    let played = play(
        30,
        r#"
input: {}
tasks: {ada: {fail: {code: REFUSED}}, ben: {after: 5s, fail: {code: REFUSED}}, cy: {after: 2h}, after: {}}
expect: {status: FAILED, error: JOIN_NOT_MET}
"#,
    )
    .await;
    assert_eq!(played.order(), "ada+ ben+ cy+ ada! ben! cy×");
}
