//! The run ends when nothing is left.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn the_run_ends_with_its_last_step() {
    let played = play(
        11,
        r#"
input: {}
tasks: {left: {after: 1s}, right: {after: 9s}, behind_left: {after: 1s}}
"#,
    )
    .await;
    assert_eq!(played.order(), "left+ right+ left. behind_left+ behind_left. right.");
}
