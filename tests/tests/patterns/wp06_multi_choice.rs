//! Any number of branches is taken.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn the_branches_whose_conditions_hold_are_taken() {
    let played = play(
        6,
        r#"
input: {channels: [mail, call]}
tasks: {mail: {after: 1s}, call: {after: 2s}}
"#,
    )
    .await;
    assert_eq!(played.order(), "letter~ mail+ call+ mail. call.");
}

#[tokio::test(flavor = "multi_thread")]
async fn none_may_be_taken() {
    let played = play(
        6,
        r#"
input: {channels: []}
tasks: {}
"#,
    )
    .await;
    assert_eq!(played.order(), "mail~ letter~ call~");
}
