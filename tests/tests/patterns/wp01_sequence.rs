//! A step waits for the one before it.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn a_step_begins_when_the_one_before_it_has_completed() {
    let played = play(
        1,
        r#"
input: {}
tasks: {first: {after: 2s}, second: {after: 1s}}
"#,
    )
    .await;
    assert_eq!(played.order(), "first+ first. second+ second.");
}
