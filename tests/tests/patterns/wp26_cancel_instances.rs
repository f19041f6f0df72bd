//! All iterations are ended.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn every_iteration_is_cancelled() {
    let played = play(
        26,
        r#"
input: {}
tasks: {long: {after: 2h}, after: {}}
signals: [{name: stop, after: 1s}]
"#,
    )
    .await;
    assert_eq!(
        played.order(),
        "stop+ long[0]+ long[1]+ long[2]+ stop. long[0]× long[1]× long[2]× after+ after."
    );
}
