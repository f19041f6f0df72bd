//! The run is ended from outside.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_cancelled_and_nothing_more_begins() {
    let played = play(
        20,
        r#"
input: {}
tasks: {left: {after: 2h}}
cancelAfter: 1s
expect: {status: CANCELLED}
"#,
    )
    .await;
    assert_eq!(played.order(), "right+ left+ right× left×");
}
