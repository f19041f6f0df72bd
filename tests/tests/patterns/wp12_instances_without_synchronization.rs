//! Runs are started, and nobody waits for them.

use oarlock_protocol::instance::WorkflowStatus;

use crate::pattern::play_beside;

/// What is started: it would last for ever.
const INVOICE: &str = "{id: invoice, version: 1, tasks: [{id: paid, wait: {signal: paid}}]}";

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_started_for_each_and_none_is_waited_for() {
    let case = "input: {customers: [ada, ben]}\ntasks: {invoice: {output: {workflowInstanceId: x}}}";
    let played = play_beside(12, case, &[INVOICE]).await;
    assert_eq!(played.order(), "invoice[0]+ invoice[1]+ invoice[0]. invoice[1].");
    assert_eq!(played.embedded.status, WorkflowStatus::Completed);
    let output = played.embedded.output.unwrap();
    let runs = output["runs"].as_array().unwrap();
    assert!(runs.len() == 2 && runs[0] != runs[1], "{output}");
    assert!(runs.iter().all(|run| run.as_str().is_some_and(|id| id.len() == 36)), "{output}");
}
