//! Runs that operators pause, resume and explain, through any node and by messages of an inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oarlock_broker::Message;
use oarlock_broker::parking::Parked;
use oarlock_broker::topology;
use oarlock_orchestrator::node::Error;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::{
    CompleteMessage, Completion, Kind, Operation, OperationMessage, SignalMessage,
};
use oarlock_protocol::{ErrorDetails, FORMAT, Json, RunId, RunKey, code::Code};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::nodes::{pair, run_owned_by};
use super::system::{Parts, System, TENANT, eventually, request, settings};

const HELD: &str = "{id: held, version: 1, tasks: [{id: a, task: held}],
    taskDefinitions: [{id: held, retryPolicy: {maxRetries: 0, onExhausted: PAUSE}}]}";

/// A worker whose task fails until this is true.
async fn worker(system: &System, mended: &Arc<AtomicBool>) -> oarlock_worker::Running {
    let mended = mended.clone();
    let held = move |input: Json, _: TaskContext| {
        let mended = mended.load(Ordering::Relaxed);
        async move { if mended { Ok(input) } else { Err(TaskError::new("BROKEN", "not yet")) } }
    };
    system.worker().task("held", held).build().unwrap().start().await.unwrap()
}

fn resume(run: &RunKey) -> OperationMessage {
    OperationMessage {
        format: FORMAT,
        run: run.clone(),
        operation: Operation::Resume,
        requested_by: "ada".to_owned(),
    }
}

fn signal(run: &RunKey) -> SignalMessage {
    SignalMessage {
        format: FORMAT,
        run: run.clone(),
        signal_id: "s-1".to_owned(),
        name: "approval".to_owned(),
        payload: json!({"approved": true}),
    }
}

fn failure(run: &RunKey) -> CompleteMessage {
    CompleteMessage {
        format: FORMAT,
        run: run.clone(),
        task_path: "/a".into(),
        execution_id: None,
        completion: Completion::Failed { error: ErrorDetails::system(Code::Cancelled, "given up") },
        requested_by: "ada".to_owned(),
    }
}

async fn is_paused(system: &System, run: &RunKey) {
    let paused = || async {
        let run = system.node.get(run).await.unwrap().unwrap();
        (run.status == WorkflowStatus::Paused).then_some(())
    };
    eventually("it is paused", paused).await;
}

#[tokio::test]
async fn a_paused_run_is_explained_and_resumed_through_any_node() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(HELD).await;
    let mended = Arc::new(AtomicBool::new(false));
    let _worker = worker(&two, &mended).await;
    let mut start = request("held", json!({}));
    start.workflow_instance_id = run_owned_by(&two);
    let run = one.node.start_run(start).await.unwrap().run;
    is_paused(&one, &run).await;
    let explained = one.node.explain(&run).await.unwrap().unwrap();
    assert!(explained.waits[0].text.contains("BROKEN: not yet"), "{explained:#?}");
    mended.store(true, Ordering::Relaxed);
    assert!(!one.node.operate(resume(&run)).await.unwrap(), "it is new");
    assert_eq!(one.end(&run).await.status, WorkflowStatus::Completed);
}

#[tokio::test]
async fn what_is_told_to_a_run_that_is_not_there_is_not_found_at_any_node() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(HELD).await;
    let mended = Arc::new(AtomicBool::new(false));
    let _worker = worker(&two, &mended).await;
    let run = one.begin("held", json!({})).await;
    is_paused(&one, &run).await;
    let foreign = RunKey::new("other", run.run);
    for missing in [foreign, RunKey::new(TENANT, run_owned_by(&one)), RunKey::new(TENANT, run_owned_by(&two))]
    {
        let answers = [
            one.node.operate(resume(&missing)).await,
            one.node.signal(signal(&missing)).await,
            one.node.complete(failure(&missing)).await,
        ];
        for answer in answers {
            let Err(Error::Refused(error)) = answer else { panic!("{missing}: {answer:?}") };
            assert_eq!(error.code, "NOT_FOUND", "{missing}: {error:?}");
        }
        assert_eq!(one.node.explain(&missing).await.unwrap(), None);
    }
    let status = one.node.get(&run).await.unwrap().unwrap().status;
    assert_eq!(status, WorkflowStatus::Paused, "nobody of another tenant moved it");
}

fn body(message: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap()
}

async fn parked(system: &System) -> String {
    Parked::read(system.take(topology::PARKED).await, None).reason
}

#[tokio::test]
async fn an_inbox_takes_what_a_run_is_told_and_parks_what_it_refuses() {
    let system = System::start().await;
    system.register(HELD).await;
    let mended = Arc::new(AtomicBool::new(false));
    let _worker = worker(&system, &mended).await;
    let run = system.begin("held", json!({})).await;
    is_paused(&system, &run).await;
    let missing = RunKey::new(TENANT, RunId::random());
    let nameless = SignalMessage { name: String::new(), ..signal(&run) };
    let nowhere = CompleteMessage { task_path: "a".into(), ..failure(&run) };
    let rows = [
        (Kind::Operation, body(&resume(&missing)), "NOT_FOUND"),
        (Kind::Signal, body(&signal(&missing)), "NOT_FOUND"),
        (Kind::Complete, body(&failure(&missing)), "NOT_FOUND"),
        (Kind::Signal, body(&nameless), "INVALID_REQUEST"),
        (Kind::Complete, body(&nowhere), "INVALID_REQUEST"),
        (Kind::Signal, b"{\"format\": 1}".to_vec(), "cannot be read"),
        (Kind::Complete, b"{\"format\": 99}".to_vec(), "newer release"),
        (Kind::Operation, b"{}".to_vec(), "cannot be read"),
    ];
    for (kind, body, reason) in rows {
        system.tell_inbox(kind.as_str(), body).await;
        let told = parked(&system).await;
        assert!(told.contains(reason), "{kind:?}: {told}");
    }
    mended.store(true, Ordering::Relaxed);
    system.tell_inbox(Kind::Operation.as_str(), body(&resume(&run))).await;
    assert_eq!(system.end(&run).await.status, WorkflowStatus::Completed);
}

#[tokio::test]
async fn only_orchestrators_may_tell_a_run_something() {
    let parts = Parts::fresh().await;
    let mut settings = settings();
    settings.orchestrators = Some("orchestrators".to_owned());
    let system = parts.node("strict", settings).await;
    let run = RunKey::new(TENANT, RunId::random());
    let rows = [
        (Kind::Operation, body(&resume(&run))),
        (Kind::Signal, body(&signal(&run))),
        (Kind::Complete, body(&failure(&run))),
    ];
    for (kind, body) in rows {
        system.tell_inbox(kind.as_str(), body).await;
        let told = parked(&system).await;
        assert!(told.contains("only orchestrators"), "{kind:?}: {told}");
    }
    // Nor by the queue on which producers ask for runs.
    let message = Message {
        kind: Kind::Signal.as_str().to_owned(),
        body: body(&signal(&run)).into(),
        ..Message::default()
    };
    system.publish(topology::START, message).await;
    let told = parked(&system).await;
    assert!(told.contains("is not oarlock.start"), "{told}");
}
