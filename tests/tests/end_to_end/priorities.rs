//! How urgent a run is: of the runs of a tenant that wait, those that were started with a greater priority go first.

use std::sync::{Arc, Mutex};

use oarlock_broker::{Message, topology};
use oarlock_orchestrator::Settings;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::{Kind, StartMessage, StartRequest};
use oarlock_protocol::{FORMAT, Json, RunId, RunKey};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Semaphore;

use super::system::{Parts, System, TENANT, eventually, request, settings};

/// A task that is as urgent as its run, one whose step has a priority of its own, and a run that starts one of the first.
const WORKFLOWS: [&str; 3] = [
    "{id: plain, version: 1, tasks: [{id: a, task: step, inputMappings: {name: '${ input.name }'}}]}",
    "{id: own, version: 1, tasks: [{id: a, task: step, priority: 2, inputMappings: {name: '${ input.name }'}}]}",
    "{id: above, version: 1, tasks: [{id: a, workflow: {id: plain}, inputMappings: {name: '${ input.name }'}}]}",
];

async fn begin(system: &System, workflow: &str, name: &str, priority: Option<u8>) -> RunKey {
    let start = StartMessage { priority, ..request(workflow, json!({"name": name})) };
    system.node.start_run(start).await.unwrap().run
}

/// Asks for a run over the broker, as a producer does.
async fn ask(system: &System, name: &str, priority: u8) -> RunKey {
    let start = StartRequest {
        format: FORMAT,
        workflow: "plain".to_owned(),
        version: None,
        input: json!({"name": name}),
        key: Some(name.to_owned()),
        correlation_id: None,
        priority: Some(priority),
    };
    let body = serde_json::to_vec(&start).unwrap().into();
    let message = Message { body, kind: Kind::Start.as_str().to_owned(), ..Message::default() };
    system.publish(topology::START, message).await;
    RunKey::new(TENANT, RunId::keyed(TENANT, "plain", name))
}

async fn until_waiting(system: &System, tasks: usize) {
    let wait = || async { (system.node.waiting("step") == tasks).then_some(()) };
    eventually(&format!("{tasks} tasks wait"), wait).await;
}

#[tokio::test]
async fn what_is_urgent_is_executed_before_what_was_started_earlier_and_can_wait() {
    let parts = Parts::fresh().await;
    let system = parts.node("alone", Settings { window: 1, ..settings() }).await;
    for workflow in WORKFLOWS {
        system.register(workflow).await;
    }
    let (executed, open) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
    let (names, gate) = (executed.clone(), open.clone());
    let step = move |input: Json, _: TaskContext| {
        names.lock().unwrap().push(input["name"].as_str().unwrap().to_owned());
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok::<_, TaskError>(Json::Null)
        }
    };
    let _worker = system.worker().slots(1).task("step", step).build().unwrap().start().await.unwrap();
    let mut runs = vec![begin(&system, "plain", "busy", None).await];
    let busy = || async { (executed.lock().unwrap().len() == 1).then_some(()) };
    eventually("the only slot is busy", busy).await;
    for (name, priority) in [("low 1", Some(1)), ("low 2", Some(1)), ("low 3", Some(1)), ("usual", None)] {
        runs.push(begin(&system, "plain", name, priority).await);
    }
    // The step's own comes before that of the run.
    runs.push(begin(&system, "own", "own", Some(9)).await);
    runs.push(begin(&system, "above", "below", Some(7)).await);
    runs.push(ask(&system, "asked", 8).await);
    until_waiting(&system, 7).await;
    runs.push(begin(&system, "plain", "urgent", Some(9)).await);
    until_waiting(&system, 8).await;
    open.add_permits(runs.len());
    for run in &runs {
        assert_eq!(system.end(run).await.status, WorkflowStatus::Completed);
    }
    let order = executed.lock().unwrap().clone();
    assert_eq!(
        order,
        ["busy", "urgent", "asked", "below", "usual", "own", "low 1", "low 2", "low 3"],
        "greater first, among equals the earlier"
    );
    let shown = system.node.get(runs.last().unwrap()).await.unwrap().unwrap();
    assert_eq!(shown.priority, Some(9));
}

#[tokio::test]
async fn a_producer_that_names_no_priority_of_the_range_is_told_it() {
    let system = System::start().await;
    let body = br#"{"format":1,"workflow":"plain","priority":10}"#;
    let message = Message { body: body.to_vec().into(), ..Message::default() };
    system.publish(topology::START, message).await;
    let parked = system.take(topology::PARKED).await;
    let told = &parked.headers.iter().find(|(name, _)| name == "x-reason").unwrap().1;
    assert!(told.contains(oarlock_protocol::priority::WANTED), "{told}");
}
