//! A step ends the run.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_cancelled_and_the_run_is_completed() {
    let played = play(
        43,
        r#"
input: {}
tasks: {slow: {after: 2h}, check: {after: 1s}}
expect: {status: COMPLETED, output: enough}
"#,
    )
    .await;
    assert_eq!(played.order(), "slow+ check+ check. stop. slow×");
}
