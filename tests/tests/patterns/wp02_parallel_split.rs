//! Several steps start at once.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn both_branches_begin_before_either_ends() {
    let played = play(
        2,
        r#"
input: {}
tasks: {before: {after: 1s}, left: {after: 2s}, right: {after: 1s}}
"#,
    )
    .await;
    assert_eq!(played.order(), "before+ before. left+ right+ right. left.");
}
