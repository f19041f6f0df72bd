//! Queues and definitions that are held back: nothing of them is let out, at whichever node, until they are resumed.

use std::time::Duration;

use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::message::PauseSubject;
use oarlock_protocol::{Json, RunKey};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::nodes::{pair, run_owned_by};
use super::system::{Parts, System, TENANT, eventually, request};

const WORK: &str = "{id: work, version: 1, taskDefinitions: [{id: step, timeouts: {queue: 1500ms}}], \
                    tasks: [{id: a, task: step}]}";
const OTHER: &str = "{id: other, version: 1, tasks: [{id: a, task: free}]}";

async fn step(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(Json::Null)
}

fn subjects() -> [PauseSubject; 3] {
    let (tenant, of) = (TENANT.to_owned(), TENANT.to_owned());
    [
        PauseSubject::Queue { queue: "step".to_owned() },
        PauseSubject::Task { tenant_id: tenant, task: "step".to_owned() },
        PauseSubject::Workflow { tenant_id: of, workflow: "work".to_owned() },
    ]
}

async fn begin_at(system: &System, owner: &System) -> RunKey {
    let mut start = request("work", json!({}));
    start.workflow_instance_id = run_owned_by(owner);
    system.node.start_run(start).await.unwrap().run
}

/// What the run waits for, once it is held back at the node that owns it.
async fn held(system: &System, run: &RunKey) -> oarlock_orchestrator::explain::Waiting {
    let told = || async {
        let mut explained = system.node.explain(run).await.unwrap()?;
        let waiting = explained.waits.pop()?;
        (waiting.status == TaskStatus::Ready && waiting.text.contains("held back")).then_some(waiting)
    };
    eventually("the task is held back", told).await
}

/// It learns of a pause within seconds, or where it is asked.
async fn knows(system: &System) {
    let there = || async { (system.node.pauses().await.unwrap().len() == 1).then_some(()) };
    eventually("the other node knows of the pause", there).await;
}

#[tokio::test]
async fn what_is_paused_is_let_out_by_no_node_and_no_new_owner() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(WORK).await;
    one.register(OTHER).await;
    let worker = one.worker().task("step", step).task("free", step).build().unwrap();
    let _worker = worker.start().await.unwrap();
    for subject in subjects() {
        assert!(!one.node.pause(subject.clone(), "the provider is down", "ada").await.unwrap());
        assert!(two.node.pause(subject.clone(), "again", "grace").await.unwrap(), "it is paused already");
        knows(&two).await;
        let runs = [begin_at(&one, &one).await, begin_at(&one, &two).await];
        for (run, owner) in runs.iter().zip([&one, &two]) {
            let waiting = held(owner, run).await;
            assert!(waiting.text.contains("by ada (the provider is down)"), "{waiting:?}");
            assert!(waiting.commands[0].starts_with("oarlock resume --"), "{waiting:?}");
        }
        assert_eq!(one.run("other", json!({})).await.status, WorkflowStatus::Completed, "nothing else waits");
        // Longer than the task may wait in a queue.
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        held(&one, &runs[0]).await;
        assert!(!two.node.resume(subject.clone(), "grace").await.unwrap());
        assert!(one.node.resume(subject, "grace").await.unwrap(), "it is not paused any more");
        for run in &runs {
            assert_eq!(one.end(run).await.status, WorkflowStatus::Completed);
        }
    }
    let [queue, ..] = subjects();
    one.node.pause(queue.clone(), "", "ada").await.unwrap();
    knows(&two).await;
    let run = begin_at(&one, &two).await;
    held(&one, &run).await;
    two.node.stop().await;
    let taken = || async { (one.node.readiness().partitions_owned.len() == 8).then_some(()) };
    eventually("the other node owns all", taken).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    held(&one, &run).await;
    one.node.resume(queue, "ada").await.unwrap();
    assert_eq!(one.end(&run).await.status, WorkflowStatus::Completed);
}
