//! A step waits for several branches.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_waits_for_both() {
    let played = play(
        3,
        r#"
input: {}
tasks: {left: {after: 5s}, right: {after: 1s}, after: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "left+ right+ right. left. after+ after.");
}
