//! A group is ended, the rest goes on.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn the_region_is_cancelled_and_what_is_outside_goes_on() {
    let played = play(
        25,
        r#"
input: {}
tasks: {long: {after: 2h}, elsewhere: {after: 60s}}
signals: [{name: stop, after: 1s}]
"#,
    )
    .await;
    assert_eq!(played.order(), "stop+ elsewhere+ long+ stop. long× elsewhere.");
}
