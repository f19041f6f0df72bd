//! A workflow starts itself.

use serde_json::json;

use crate::pattern::play;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_starts_the_same_workflow_until_its_input_says_enough() {
    let case = "input: {n: 3}\ntasks: {one: {}, rest: {output: {depth: 2}}}\nexpect: {output: {depth: 3}}";
    let played = play(22, case).await;
    assert_eq!(played.order(), "one+ one. rest+ rest.");
    assert_eq!(played.embedded.output, Some(json!({"depth": 3})), "three runs, each below the other");
}
