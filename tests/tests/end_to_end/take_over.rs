//! An owner that is gone in the middle of iterations, of a loop's pause, of waits and of a compensation: another goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use oarlock_orchestrator::watch::Changed;
use oarlock_protocol::instance::{TaskInstance, WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::SignalMessage;
use oarlock_protocol::{FORMAT, Json, RunKey, Span};
use oarlock_worker::{Running, TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::system::{Parts, System, eventually, settings};

const ITEMS: usize = 500;
/// So many items are done when the owner is gone; as many as run at once are under way then.
const DONE: usize = 200;

const MANY: &str = "{id: many, version: 1, tasks: [{id: all,
    forEach: {items: '${ input.items }', concurrency: 100, collect: '${ one.output }'},
    tasks: [{id: one, task: slow, inputMappings: {n: '${ item }'}}]}], output: '${ tasks.all.output }'}";
const ROUNDS: &str = "{id: rounds, version: 1, tasks: [{id: again,
    loop: {until: 'index == 2', delay: 2s, keep: 10, output: '${ round.output }'},
    tasks: [{id: round, task: quick, inputMappings: {n: '${ index }'}}]}], output: '${ tasks.again.output }'}";
const WAITS: &str = "{id: waits, version: 1, tasks: [{id: both, parallel: [
    {id: early, wait: {signal: early}}, {id: told, wait: {signal: told}}, {id: timed, wait: {duration: 3s}}]}],
    output: ['${ tasks.early.output }', '${ tasks.told.output }']}";
const UNDONE: &str = "{id: undone, version: 1, tasks: [
    {id: a, task: quick, inputMappings: {n: 1}, compensateWith: {task: undo_slowly, inputMappings: {n: 1}}},
    {id: b, task: quick, inputMappings: {n: 2}, compensateWith: {task: quick, inputMappings: {n: 3}}},
    {id: end, terminate: {status: FAILED, message: enough}}]}";

async fn quick(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input["n"].clone())
}

/// What holds the tasks back: each item and each undoing takes a permit of its gate.
struct Gates {
    items: Semaphore,
    undoing: Semaphore,
    undoing_began: Semaphore,
}

async fn worker(system: &System, gates: &Arc<Gates>) -> Running {
    let (items, undoing) = (gates.clone(), gates.clone());
    let slow = move |input: Json, _: TaskContext| {
        let gates = items.clone();
        async move {
            gates.items.acquire().await.unwrap().forget();
            Ok::<_, TaskError>(input["n"].clone())
        }
    };
    let undo_slowly = move |_: Json, _: TaskContext| {
        let gates = undoing.clone();
        async move {
            gates.undoing_began.add_permits(1);
            gates.undoing.acquire().await.unwrap().forget();
            Ok::<_, TaskError>(Json::Null)
        }
    };
    // Wide enough that items which hang keep nobody else waiting, even where they were handed out twice.
    let worker = system.worker().slots(400).task("slow", slow).task("quick", quick);
    worker.task("undo_slowly", undo_slowly).build().unwrap().start().await.unwrap()
}

/// How often each step of each run was told to have ended, by every owner.
type Ends = Arc<Mutex<BTreeMap<(RunKey, String), usize>>>;

fn count_ends(system: &System, ends: &Ends) -> JoinHandle<()> {
    let (mut changes, ends) = (system.node.watch().subscribe(), ends.clone());
    tokio::spawn(async move {
        while let Ok(change) = changes.recv().await {
            let path = match change.what {
                Changed::Task { path, status, .. } if status.is_terminal() => path.to_string(),
                Changed::Run { status } if status.is_terminal() => "/".to_owned(),
                Changed::Task { .. } | Changed::Run { .. } => continue,
            };
            *ends.lock().unwrap().entry((change.run, path)).or_default() += 1;
        }
    })
}

fn signal(run: &RunKey, name: &str) -> SignalMessage {
    let (signal_id, name, payload) = (format!("s-{name}"), name.to_owned(), json!(name));
    SignalMessage { format: FORMAT, run: run.clone(), signal_id, name, payload }
}

fn ended(run: &WorkflowInstance) -> impl Iterator<Item = &TaskInstance> {
    run.task_instances.iter().filter(|step| step.status.is_terminal())
}

fn at<'r>(run: &'r WorkflowInstance, path: &str) -> Option<&'r TaskInstance> {
    run.task_instances.iter().find(|step| step.execution_context.task_path.as_str() == path)
}

/// Begins the runs, and leaves each in its middle. The runs as they stand then.
async fn begin(system: &System, gates: &Gates) -> Vec<(RunKey, WorkflowInstance)> {
    for definition in [MANY, ROUNDS, WAITS, UNDONE] {
        system.register(definition).await;
    }
    let items: Vec<usize> = (0..ITEMS).collect();
    let many = system.begin("many", json!({"items": items})).await;
    let waits = system.begin("waits", json!({})).await;
    system.node.signal(signal(&waits, "early")).await.unwrap();
    let undone = system.begin("undone", json!({})).await;
    gates.undoing_began.acquire().await.unwrap().forget();
    let is_done = |run: &WorkflowInstance| {
        ended(run).filter(|step| step.execution_context.task_path.as_str().ends_with("/one")).count() == DONE
    };
    let rounds = system.begin("rounds", json!({})).await;
    // The pause after the first round is longer than all that is still to be seen here.
    let paused =
        |run: &WorkflowInstance| at(run, "/again[0]").is_some_and(|round| round.status.is_terminal());
    let mut stand = Vec::new();
    for (run, is_there) in [
        (many, &is_done as &(dyn Fn(&WorkflowInstance) -> bool + Sync)),
        (waits, &|run| at(run, "/both/early").is_some_and(|step| step.status.is_terminal())),
        (undone, &|run| run.status == WorkflowStatus::Compensating),
        (rounds, &paused),
    ] {
        let look = || async { system.node.get(&run).await.unwrap().filter(is_there) };
        let now = eventually("the run is in its middle", look).await;
        stand.push((run, now));
    }
    assert!(at(&stand[3].1, "/again[1]").is_none(), "the loop is in its pause");
    stand
}

#[tokio::test]
async fn pain_13_runs_end_once_when_their_owner_is_gone_in_the_middle_of_everything() {
    let parts = Parts::fresh().await;
    let settings = oarlock_orchestrator::Settings { lease: Span::from_secs(1), ..settings() };
    let gates =
        Gates { items: Semaphore::new(DONE), undoing: Semaphore::new(0), undoing_began: Semaphore::new(0) };
    let (gates, ends) = (Arc::new(gates), Ends::default());
    let first = parts.node("first", settings.clone()).await;
    let first_counts = count_ends(&first, &ends);
    let _worker = worker(&first, &gates).await;
    let before = begin(&first, &gates).await;
    // Dropped as by a crash: nothing is flushed. Some of what was under way is answered to nobody.
    drop(first);
    first_counts.await.unwrap();
    gates.items.add_permits(50);
    let second = parts.node("second", settings).await;
    let second_counts = count_ends(&second, &ends);
    gates.items.add_permits(2 * ITEMS);
    gates.undoing.add_permits(10);
    second.node.signal(signal(&before[1].0, "told")).await.unwrap();
    let items: Vec<usize> = (0..ITEMS).collect();
    let outputs = [Some(json!(items)), Some(json!(["early", "told"])), None, Some(json!(2))];
    for ((run, before), output) in before.iter().zip(outputs) {
        let after = second.end(run).await;
        let failed = if output.is_some() { WorkflowStatus::Completed } else { WorkflowStatus::Failed };
        assert_eq!((after.status, &after.output), (failed, &output), "{}", after.workflow_definition_id);
        for step in ended(before) {
            let path = step.execution_context.task_path.as_str();
            assert_eq!(at(&after, path), Some(step), "what had ended stays as it was");
        }
        for step in &after.task_instances {
            let (path, attempts) = (&step.execution_context.task_path, step.attempts.len());
            assert!(attempts <= 1 && step.retry_count == 0, "{path}: no attempt was lost or made twice");
        }
    }
    second.node.stop().await;
    drop(second);
    second_counts.await.unwrap();
    let ends = ends.lock().unwrap();
    let twice: Vec<_> = ends.iter().filter(|(_, times)| **times > 1).collect();
    // The second owner had ended some before it could be watched.
    assert!(twice.is_empty() && ends.len() > ITEMS, "{} ends, twice: {twice:?}", ends.len());
}
