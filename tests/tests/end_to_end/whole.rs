//! The whole language in one run, from its start to what an operator does with it; and a run of which everything is undone.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oarlock_orchestrator::node::{Error, Filter};
use oarlock_protocol::instance::{InstanceKind, TaskStatus, WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::{CompleteMessage, Completion, Operation, OperationMessage, SignalMessage};
use oarlock_protocol::{FORMAT, Json, RunKey};
use oarlock_worker::{Answer, Builder, Running, Secrets, TaskContext, TaskError};
use serde_json::json;

use super::system::{Parts, System, TENANT, eventually, settings};

const SECRET: &str = "swordfish-9";

/// What the worker of the tests remembers.
#[derive(Default)]
struct Seen {
    mended: AtomicBool,
    shaken: AtomicU32,
    signed: Mutex<Json>,
    undone: Mutex<Vec<Json>>,
}

async fn multiply(input: Json, context: TaskContext) -> Result<Json, TaskError> {
    let (Some(n), Some(by)) = (input["n"].as_i64(), input["by"].as_i64()) else {
        return Err(TaskError::new("NO_NUMBER", "the schema lets none of it through"));
    };
    if n == 17 {
        return Err(TaskError::new("UNLUCKY", format!("attempt {}", context.attempt())).not_retryable());
    }
    Ok(json!({"n": n * by}))
}

async fn hang(_: Json, context: TaskContext) -> Result<Json, TaskError> {
    context.cancelled().await;
    Err(TaskError::new("CANCELLED", "ended as told"))
}

async fn poll(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    let n = input["n"].as_u64().unwrap();
    Ok(json!({"done": n == 2, "n": n}))
}

async fn broken(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    Err(TaskError::new("BROKEN", "as always"))
}

/// Begins at the first look, and finds it done at the second.
async fn look(_: Json, context: TaskContext) -> Result<Answer<Json>, TaskError> {
    match context.state() {
        None => Ok(Answer::again(Duration::from_millis(20), json!({"job": 7}))),
        Some(state) => Ok(Answer::Completed(json!([state["job"], context.attempt()]))),
    }
}

async fn hand_on(_: Json, _: TaskContext) -> Result<Answer<Json>, TaskError> {
    Ok(Answer::Accepted)
}

/// A task that fails until the worker is mended.
fn until_mended(seen: Arc<Seen>) -> impl Fn(Json, TaskContext) -> Ready<Result<Json, TaskError>> {
    move |_, _| {
        let mended = seen.mended.load(Ordering::Relaxed);
        let answer = if mended { Ok(json!("mended")) } else { Err(TaskError::new("BROKEN", "not yet")) };
        ready(answer)
    }
}

fn tasks(builder: Builder, seen: &Arc<Seen>) -> Builder {
    let (signs, shakes, undoes) = (seen.clone(), seen.clone(), seen.clone());
    let sign = move |input: Json, _: TaskContext| {
        let header = input["header"].clone();
        *signs.signed.lock().unwrap() = input;
        async move { Ok::<_, TaskError>(json!({"signed": header})) }
    };
    let shaky = move |input: Json, _: TaskContext| {
        let often = shakes.shaken.fetch_add(1, Ordering::Relaxed);
        async move {
            match often {
                0 | 1 => Err(TaskError::new("SHAKEN", "once more")),
                _ => Ok(json!({"own": input["own"], "name": "  ada "})),
            }
        }
    };
    let undo = move |input: Json, context: TaskContext| {
        // The first attempt of the first compensation fails, so that its retry is seen too.
        let mut undone = undoes.undone.lock().unwrap();
        let fails = undone.is_empty() && context.attempt() == 1;
        if !fails {
            undone.push(input);
        }
        async move { if fails { Err(TaskError::new("BUSY", "once more")) } else { Ok(Json::Null) } }
    };
    let builder = builder.task("multiply", multiply).task("hang", hang).task("poll", poll);
    let builder = builder.task("broken", broken).task("look", look).task("hand_on", hand_on);
    let builder =
        builder.task("held", until_mended(seen.clone())).task("once_broken", until_mended(seen.clone()));
    builder.task("sign", sign).task("shaky", shaky).task("undo", undo)
}

async fn system(parts: &Parts) -> System {
    let mut settings = settings();
    settings.partitions = 4;
    let system = parts.node("alone", settings).await;
    system.register(include_str!("part.yaml")).await;
    system
}

async fn worker(system: &System, seen: &Arc<Seen>) -> Running {
    let builder = tasks(system.worker(), seen).secrets(Secrets::of([("token", SECRET)]));
    builder.build().unwrap().start().await.unwrap()
}

fn signal(run: &RunKey, payload: Json) -> SignalMessage {
    SignalMessage {
        format: FORMAT,
        run: run.clone(),
        signal_id: format!("s-{payload}"),
        name: "approval-from-a-test".to_owned(),
        payload,
    }
}

async fn operate(system: &System, run: &RunKey, operation: Operation) {
    let by = "ada".to_owned();
    let message = OperationMessage { format: FORMAT, run: run.clone(), operation, requested_by: by };
    assert!(!system.node.operate(message).await.unwrap(), "{operation:?} is new");
}

async fn stands(system: &System, run: &RunKey, path: &str, status: TaskStatus) {
    let there = || async {
        let run = system.node.get(run).await.unwrap().unwrap();
        assert!(run.error.is_none(), "{run:#?}");
        (statuses(&run).get(path) == Some(&status)).then_some(())
    };
    eventually(&format!("{path} is {status:?}"), there).await;
}

async fn is(system: &System, run: &RunKey, status: WorkflowStatus) {
    let there = || async { (system.node.get(run).await.unwrap().unwrap().status == status).then_some(()) };
    eventually(&format!("the run is {status:?}"), there).await;
}

fn statuses(run: &WorkflowInstance) -> BTreeMap<String, TaskStatus> {
    let steps = run.task_instances.iter();
    steps.map(|step| (step.execution_context.task_path.to_string(), step.status)).collect()
}

/// The approval: one that does not fit is refused; a paused run takes one, and goes on when it is resumed.
async fn approve(system: &System, run: &RunKey) {
    stands(system, run, "/approval", TaskStatus::Running).await;
    let refused = system.node.signal(signal(run, json!({"by": 7}))).await;
    let Err(Error::Refused(error)) = refused else { panic!("it does not fit: {refused:?}") };
    assert_eq!(error.code, "SCHEMA_VIOLATION");
    operate(system, run, Operation::Pause).await;
    assert!(!system.node.signal(signal(run, json!({"by": "grace"}))).await.unwrap());
    is(system, run, WorkflowStatus::Paused).await;
    operate(system, run, Operation::Resume).await;
}

/// Somebody else does what the worker handed on.
async fn complete_by_hand(system: &System, run: &RunKey) {
    let handed = || async {
        let explained = system.node.explain(run).await.unwrap().unwrap();
        explained.waits.iter().any(|wait| wait.text.contains("until somebody completes it")).then_some(())
    };
    eventually("by_hand lasts until somebody completes it", handed).await;
    let complete = CompleteMessage {
        format: FORMAT,
        run: run.clone(),
        task_path: "/by_hand".into(),
        execution_id: None,
        completion: Completion::Completed { output: json!("stamped") },
        requested_by: "ada".to_owned(),
    };
    assert!(!system.node.complete(complete).await.unwrap());
}

#[tokio::test]
async fn every_kind_of_step_works_in_one_run() {
    let parts = Parts::fresh().await;
    let system = system(&parts).await;
    system.register(include_str!("whole.yaml")).await;
    let seen = Arc::new(Seen::default());
    let _worker = worker(&system, &seen).await;
    let run = system.begin("whole", json!({"numbers": [1, 2, 15, 4, 5]})).await;
    approve(&system, &run).await;
    complete_by_hand(&system, &run).await;
    // Its last attempt failed, and the run waits for somebody: it is resumed when the worker is mended.
    is(&system, &run, WorkflowStatus::Paused).await;
    seen.mended.store(true, Ordering::Relaxed);
    operate(&system, &run, Operation::Resume).await;
    let ended = system.end(&run).await;
    assert_eq!((ended.status, &ended.error), (WorkflowStatus::Completed, &None), "{ended:#?}");
    let output = ended.output.clone().unwrap();
    assert_eq!(
        output,
        json!({
            "rate": 2, "raced": 10, "total": 11, "name": "ADA", "notes": ["cheap", "a", "b", "reminded", "BROKEN"],
            "each": [2, 6, null, 14, 18], "pairs": [3, 19, 5], "named": {"a": "a1", "b": "b2"},
            "rounds": {"rounds": 3}, "last": {"done": true, "n": 2}, "approved": "grace", "either": "duration",
            "late": "TIMED_OUT", "below": 33, "risky": "FAILED", "skipped": "SKIPPED", "looked": [7, 2],
            "byHand": "stamped", "held": "mended",
        })
    );
    told_well(&ended);
    assert_eq!(*seen.signed.lock().unwrap(), json!({"header": format!("Bearer {SECRET}"), "plain": SECRET}));
    the_child_beside_ended_too(&system).await;
}

/// Every place, how it ended, and what was spent on it; and no secret anywhere.
fn told_well(run: &WorkflowInstance) {
    let statuses = statuses(run);
    let rows = [
        ("/race/slow", TaskStatus::Cancelled),
        ("/route/cheap", TaskStatus::Completed),
        ("/each[2]", TaskStatus::Failed),
        ("/each[4]/each_done", TaskStatus::Completed),
        ("/pairs[2]/pair_noted", TaskStatus::Completed),
        ("/late", TaskStatus::TimedOut),
        ("/late:onTimeout/remind", TaskStatus::Completed),
        ("/risky:onError/mended", TaskStatus::Completed),
        ("/ignored", TaskStatus::Failed),
        ("/skipped", TaskStatus::Skipped),
    ];
    for (path, status) in rows {
        assert_eq!(statuses.get(path), Some(&status), "{path}: {statuses:#?}");
    }
    for path in ["/never_reached", "/route/dear", "/rounds[0]/polled", "/rounds[1]/polled"] {
        assert!(matches!(statuses.get(path), None | Some(TaskStatus::Skipped)), "{path}: {statuses:#?}");
    }
    let attempts = |id: &str| {
        let at = |path: &str| path.rsplit('/').next() == Some(id);
        let step = run.task_instances.iter().find(|step| at(step.execution_context.task_path.as_str()));
        step.unwrap().attempts.len()
    };
    assert_eq!(["sign", "down", "looked", "by_hand", "held"].map(attempts), [1, 3, 2, 1, 2]);
    let text = serde_json::to_string(run).unwrap();
    assert!(!text.contains(SECRET) && text.contains("Bearer ***") && text.contains("$secret"), "{text}");
}

async fn the_child_beside_ended_too(system: &System) {
    let parts = Filter {
        tenant: TENANT.to_owned(),
        status: Some(WorkflowStatus::Completed),
        definition: Some("part".to_owned()),
        limit: 10,
        after: None,
    };
    let both = || async { (system.node.list(&parts).await.unwrap().runs.len() == 2).then_some(()) };
    eventually("both children have ended", both).await;
}

#[tokio::test]
async fn a_failed_run_goes_on_where_it_failed_when_it_is_retried() {
    let parts = Parts::fresh().await;
    let system = system(&parts).await;
    system
        .register(
            "{id: again, version: 1, tasks: [{id: each, forEach: {items: [1, 2, 3], collect: '${ one.output.n }'}, tasks: [
                {id: one, task: multiply, inputMappings: {n: '${ item }', by: 2}}]},
                {id: below, workflow: {id: part}, inputMappings: {n: 4}}, {id: last, task: once_broken}],
                output: ['${ tasks.each.output }', '${ tasks.below.output }', '${ tasks.last.output }']}",
        )
        .await;
    let seen = Arc::new(Seen::default());
    let _worker = worker(&system, &seen).await;
    let run = system.begin("again", json!({})).await;
    let failed = system.end(&run).await;
    assert_eq!((failed.status, failed.error.unwrap().code.as_str()), (WorkflowStatus::Failed, "BROKEN"));
    seen.mended.store(true, Ordering::Relaxed);
    operate(&system, &run, Operation::Retry).await;
    let ended = system.end(&run).await;
    assert_eq!(
        (ended.status, ended.output.clone()),
        (WorkflowStatus::Completed, Some(json!([[2, 4, 6], 12, "mended"])))
    );
    for step in &ended.task_instances {
        let path = step.execution_context.task_path.as_str();
        let works = matches!(step.kind, InstanceKind::Task | InstanceKind::Workflow);
        let expected = if path == "/last" { 2 } else { usize::from(works) };
        assert_eq!(step.attempts.len(), expected, "{path}: what was done is not done again");
    }
}

#[tokio::test]
async fn what_a_failed_run_had_done_is_undone_in_the_reverse_order() {
    let parts = Parts::fresh().await;
    let system = system(&parts).await;
    system.register(include_str!("undone.yaml")).await;
    let seen = Arc::new(Seen::default());
    let _worker = worker(&system, &seen).await;
    let run = system.begin("undone", json!({})).await;
    let ended = system.end(&run).await;
    let error = ended.error.clone().unwrap();
    assert_eq!((ended.status, error.message.as_str()), (WorkflowStatus::Failed, "no more than 1"));
    assert_eq!(ended.variables["told"], "no more than 1", "onError comes last");
    assert_eq!(
        json!(*seen.undone.lock().unwrap()),
        json!([
            {"was": "tried", "gave": null}, {"was": 20, "gave": 40}, {"was": 10, "gave": 20},
            {"was": "child", "gave": 15}, {"was": 1, "gave": 1},
        ])
    );
    let undoing = ended.task_instances.iter().filter(|step| step.kind == InstanceKind::Compensation);
    let undoing: Vec<_> = undoing
        .map(|step| (step.execution_context.task_path.to_string(), step.status, step.attempts.len()))
        .collect();
    assert_eq!(undoing.len(), 5, "{undoing:?}");
    assert!(
        undoing.iter().all(|(path, status, attempts)| {
            let expected = if path == "/tried:compensate" { 2 } else { 1 };
            *status == TaskStatus::Completed && *attempts == expected
        }),
        "{undoing:?}"
    );
    let retry = OperationMessage {
        format: FORMAT,
        run: run.clone(),
        operation: Operation::Retry,
        requested_by: "ada".to_owned(),
    };
    let Err(Error::Refused(refused)) = system.node.operate(retry).await else { panic!("it was undone") };
    assert_eq!(refused.code, "CONFLICT", "{refused:?}");
}
