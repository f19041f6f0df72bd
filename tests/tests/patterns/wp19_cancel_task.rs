//! One step is ended, the rest goes on.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn the_task_is_cancelled_and_what_follows_begins() {
    let played = play(
        19,
        r#"
input: {}
tasks: {slow: {after: 2h}, after: {}}
signals: [{name: withdrawn, after: 1s}]
"#,
    )
    .await;
    assert_eq!(played.order(), "withdrawn+ slow+ withdrawn. slow× after+ after.");
}
