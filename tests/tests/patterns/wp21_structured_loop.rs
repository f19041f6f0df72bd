//! Steps run again until a condition holds.

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_run_until_the_condition_holds() {
    let played = play(21, r#"
input: {}
tasks: {'/poll[0]/look': {output: {done: false}}, '/poll[1]/look': {output: {done: false}}, '/poll[2]/look': {output: {done: true}}, after: {}}
"#)
    .await;
    assert_eq!(played.order(), "look[0]+ look[0]. look[1]+ look[1]. look[2]+ look[2]. after+ after.");
}
