//! K iterations go ahead, the others go on.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_begins_after_two_of_three_iterations() {
    let played = play(34, r#"
input: {}
tasks: {'/each[0]/ask': {after: 40s}, '/each[1]/ask': {after: 1s}, '/each[2]/ask': {after: 5s}, after: {after: 1s}}
"#)
    .await;
    assert_eq!(played.order(), "ask[0]+ ask[1]+ ask[2]+ ask[1]. ask[2]. after+ after. ask[0].");
}
