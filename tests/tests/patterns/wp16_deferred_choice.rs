//! The first event decides.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_signal_decides_and_the_second_changes_nothing() {
    let played = play(
        16,
        r#"
input: {}
tasks: {work: {after: 5s}}
signals: [{name: refused, after: 1s}, {name: approved, after: 2s}]
"#,
    )
    .await;
    assert_eq!(played.order(), "answer+ answer. tell+ tell.");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_signal_decides_otherwise() {
    let played = play(
        16,
        r#"
input: {}
tasks: {work: {after: 1s}}
signals: [{name: approved, after: 1s}]
"#,
    )
    .await;
    assert_eq!(played.order(), "answer+ answer. ship+ ship.");
}
