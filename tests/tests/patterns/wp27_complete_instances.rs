//! A condition completes the step.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn two_offers_are_enough_and_the_rest_is_cancelled() {
    let played = play(27, r#"
input: {offers: [a, b, c, d]}
tasks: {'/each[0]/ask': {after: 2h}, '/each[1]/ask': {after: 1s}, '/each[2]/ask': {after: 5s}, '/each[3]/ask': {after: 2h}, after: {}}
"#)
    .await;
    assert_eq!(
        played.order(),
        "ask[0]+ ask[1]+ ask[2]+ ask[3]+ ask[1]. ask[2]. ask[0]× ask[3]× after+ after."
    );
}
