//! What follows waits for what was taken.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn both_are_waited_for_where_both_were_taken() {
    let played = play(
        7,
        r#"
input: {mail: true, call: true}
tasks: {mail: {after: 3s}, call: {after: 1s}, after: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "mail+ call+ call. mail. after+ after.");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_alone_is_waited_for_where_the_other_was_skipped() {
    let played = play(
        7,
        r#"
input: {mail: false, call: true}
tasks: {call: {after: 1s}, after: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "mail~ call+ call. after+ after.");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_waited_for_where_all_were_skipped() {
    let played = play(
        7,
        r#"
input: {mail: false, call: false}
tasks: {after: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "mail~ call~ after+ after.");
}
