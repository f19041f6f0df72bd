//! After k of n the others are ended.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_are_enough_and_the_third_is_cancelled() {
    let played = play(
        32,
        r#"
input: {}
tasks: {ada: {after: 1s}, ben: {after: 2h}, cy: {after: 5s}, after: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "ada+ ben+ cy+ ada. cy. ben× after+ after.");
}
