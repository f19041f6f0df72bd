//! An early signal is kept.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_early_waits_for_the_step() {
    let played = play(
        24,
        r#"
input: {}
tasks: {prepare: {after: 20s}, ship: {}}
signals: [{name: paid, after: 1s}]
"#,
    )
    .await;
    assert_eq!(played.order(), "prepare+ prepare. paid+ paid. ship+ ship.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_comes_late_is_waited_for() {
    let played = play(
        24,
        r#"
input: {}
tasks: {prepare: {}, ship: {}}
signals: [{name: paid, after: 20s}]
"#,
    )
    .await;
    assert_eq!(played.order(), "prepare+ prepare. paid+ paid. ship+ ship.");
}
