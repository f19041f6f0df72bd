//! After k iterations the others are ended.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_iterations_are_enough_and_the_third_is_cancelled() {
    let played = play(
        35,
        r#"
input: {}
tasks: {'/each[0]/ask': {after: 2h}, '/each[1]/ask': {after: 1s}, '/each[2]/ask': {after: 5s}, after: {}}
"#,
    )
    .await;
    assert_eq!(played.order(), "ask[0]+ ask[1]+ ask[2]+ ask[1]. ask[2]. ask[0]× after+ after.");
}
