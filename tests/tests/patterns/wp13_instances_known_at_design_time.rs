//! A fixed number of iterations.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn three_begin_at_once_and_what_follows_waits_for_all() {
    let played = play(13, r#"
input: {}
tasks: {'/three[0]/count': {after: 1s}, '/three[1]/count': {after: 3s}, '/three[2]/count': {after: 2s}, after: {}}
"#)
    .await;
    assert_eq!(played.order(), "count[0]+ count[1]+ count[2]+ count[0]. count[2]. count[1]. after+ after.");
}
