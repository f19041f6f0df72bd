//! Runs that operators pause, resume and explain, through any node and by messages of an inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oarlock_broker::Message;
use oarlock_broker::parking::Parked;
use oarlock_broker::topology;
use oarlock_orchestrator::node::{Error, Filter};
use oarlock_protocol::instance::{TaskMetrics, WorkflowStatus};
use oarlock_protocol::message::{
    AttemptAddress, CompleteMessage, Completion, Kind, Operation, OperationMessage, Outcome, ResultMessage,
    SignalMessage, TaskMessage,
};
use oarlock_protocol::{ErrorDetails, FORMAT, Json, RunId, RunKey, WorkerId, code::Code};
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

const APPROVED: &str =
    "{id: approved, version: 1, tasks: [{id: a, wait: {signal: approval}}, {id: b, task: later}],
    output: '${ tasks.a.output }'}";

#[tokio::test]
async fn a_signal_counts_once_whichever_node_is_told() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(APPROVED).await;
    let mut start = request("approved", json!({}));
    start.workflow_instance_id = run_owned_by(&two);
    let run = one.node.start_run(start).await.unwrap().run;
    assert!(!one.node.signal(signal(&run)).await.unwrap(), "it is new");
    for node in [&one.node, &two.node] {
        assert!(node.signal(signal(&run)).await.unwrap(), "it was there before");
    }
    // Named by nobody, the attempt is that which is open.
    let done = Completion::Completed { output: json!(7) };
    let complete = CompleteMessage { task_path: "/b".into(), completion: done, ..failure(&run) };
    assert!(!one.node.complete(complete.clone()).await.unwrap());
    assert_eq!(one.end(&run).await.output, Some(json!({"approved": true})));
    let Err(Error::Refused(error)) = two.node.complete(complete).await else { panic!("it is done already") };
    assert_eq!(error.code, "CONFLICT", "{error:?}");
}

#[tokio::test]
async fn a_run_is_paused_and_retried_through_any_node() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register("{id: w, version: 1, tasks: [{id: a, task: held}, {id: b, task: held}]}").await;
    let mut start = request("w", json!({}));
    start.workflow_instance_id = run_owned_by(&two);
    let run = one.node.start_run(start).await.unwrap().run;
    let operation = |operation| OperationMessage { operation, ..resume(&run) };
    assert!(!one.node.operate(operation(Operation::Pause)).await.unwrap());
    assert!(two.node.operate(operation(Operation::Pause)).await.unwrap(), "it was paused before");
    assert!(!one.node.operate(operation(Operation::Resume)).await.unwrap());
    assert!(two.node.operate(operation(Operation::Resume)).await.unwrap(), "it goes on already");
    assert!(!one.node.complete(failure(&run)).await.unwrap());
    assert_eq!(one.end(&run).await.status, WorkflowStatus::Failed);
    assert!(!one.node.operate(operation(Operation::Retry)).await.unwrap());
    assert!(two.node.operate(operation(Operation::Retry)).await.unwrap(), "it is under way already");
    let _worker = worker(&two, &Arc::new(AtomicBool::new(true))).await;
    let ended = one.end(&run).await;
    assert_eq!((ended.status, ended.error), (WorkflowStatus::Completed, None));
    for (status, listed) in [(WorkflowStatus::Failed, 0), (WorkflowStatus::Completed, 1)] {
        let filter = Filter {
            tenant: TENANT.to_owned(),
            status: Some(status),
            definition: None,
            limit: 10,
            after: None,
        };
        assert_eq!(one.node.list(&filter).await.unwrap().runs.len(), listed, "{status:?}");
    }
}

#[tokio::test]
async fn a_task_that_its_worker_hands_on_is_completed_by_somebody_else() {
    let system = System::start().await;
    system.register("{id: w, version: 1, tasks: [{id: a, task: hand}], output: '${ tasks.a.output }'}").await;
    let run = system.begin("w", json!({})).await;
    let message = system.take("oarlock.tasks.hand").await;
    let task: TaskMessage = serde_json::from_slice(&message.body).unwrap();
    let execution_id = task.execution_context.execution_id;
    let handed = ResultMessage {
        format: FORMAT,
        address: AttemptAddress {
            run: run.clone(),
            task_path: "/a".into(),
            execution_id: execution_id.unwrap(),
        },
        worker_id: WorkerId::fresh("by-hand"),
        outcome: Outcome::Accepted,
        metrics: TaskMetrics::default(),
        deliveries: 1,
    };
    system.tell_inbox(Kind::Result.as_str(), body(&handed)).await;
    let told = || async {
        let explained = system.node.explain(&run).await.unwrap().unwrap();
        explained.waits[0].text.contains("lasts until somebody completes it").then_some(())
    };
    eventually("it lasts until somebody completes it", told).await;
    let done = Completion::Completed { output: json!("by hand") };
    let complete = CompleteMessage { execution_id, completion: done, ..failure(&run) };
    assert!(!system.node.complete(complete.clone()).await.unwrap());
    assert_eq!(system.end(&run).await.output, Some(json!("by hand")));
    assert!(system.node.complete(complete).await.unwrap(), "the same had ended it before");
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
