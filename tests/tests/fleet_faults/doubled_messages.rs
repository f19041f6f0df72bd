//! Every start, task, result and sign of life comes twice: runs end as if each had come once.

use std::sync::atomic::Ordering;

use oarlock_broker::{Broker, Message, Publication, topology};
use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::{Kind, StartRequest};
use oarlock_protocol::{FORMAT, Json, RunId, RunKey};
use oarlock_worker::{Running, TaskContext, TaskError, Worker};
use serde_json::json;

use super::fleet::{Fleet, TENANT, eventually, register};
use super::servers::{Places, Servers};

const WORKFLOWS: [(&str, &str); 5] = [
    (
        "retried",
        "{id: retried, version: 1, taskDefinitions: [{id: flaky, retryPolicy: {maxRetries: 2, initialDelay: 50ms}}],
        variables: {sum: 0},
        tasks: [{id: a, task: flaky, variableMappings: [
            {type: EXPRESSION, target: sum, expression: variables.sum + taskOutput}]}],
        output: '${ variables.sum }'}",
    ),
    (
        "recovered",
        "{id: recovered, version: 1, tasks: [{id: a, task: bad, onError: [{id: note, set: {why: '${ error.code }'}}]},
            {id: b, task: good, inputMappings: {n: 1}}], output: '${ tasks.b.output }'}",
    ),
    (
        "parallel",
        "{id: parallel, version: 1, tasks: [{id: all, parallel: [{id: a, task: good, inputMappings: {n: 1}},
            {id: b, task: good, inputMappings: {n: 2}}, {id: c, task: good, inputMappings: {n: 3}}]},
            {id: d, task: good, inputMappings: {n: '${ tasks.a.output.n + tasks.c.output.n }'}}], output: '${ tasks.d.output }'}",
    ),
    ("lasting", "{id: lasting, version: 1, tasks: [{id: a, task: lasts, timeouts: {heartbeat: 3s}}], output: '${ tasks.a.output }'}"),
    ("cancelled", "{id: cancelled, version: 1, tasks: [{id: a, task: endless}, {id: b, task: good}]}"),
];

async fn flaky(_: Json, context: TaskContext) -> Result<Json, TaskError> {
    if context.attempt() == 1 {
        return Err(TaskError::new("BUSY", "not now"));
    }
    Ok(json!(7))
}

async fn bad(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    Err(TaskError::new("BROKEN", "never"))
}

async fn good(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input)
}

async fn lasts(_: Json, context: TaskContext) -> Result<Json, TaskError> {
    for percent in [30, 60, 90] {
        context.heartbeat(json!({"percent": percent}));
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    }
    Ok(json!("done"))
}

async fn endless(_: Json, context: TaskContext) -> Result<Json, TaskError> {
    context.cancelled().await;
    Ok(Json::Null)
}

async fn second_worker(places: &Places) -> Running {
    let worker = Worker::builder(places.broker()).task("flaky", flaky).task("bad", bad).task("good", good);
    worker.task("lasts", lasts).task("endless", endless).build().unwrap().start().await.unwrap()
}

fn key(workflow: &str) -> RunKey {
    RunKey::new(TENANT, RunId::keyed(TENANT, workflow, "once"))
}

/// Asks for a run over the broker, as a producer does.
async fn ask(broker: &dyn Broker, workflow: &str) {
    let request = StartRequest {
        format: FORMAT,
        workflow: workflow.to_owned(),
        version: None,
        input: json!({}),
        key: Some("once".to_owned()),
        correlation_id: None,
        priority: None,
    };
    let message = Message {
        body: serde_json::to_vec(&request).unwrap().into(),
        message_id: format!("start-{workflow}"),
        kind: Kind::Start.as_str().to_owned(),
        ..Message::default()
    };
    let start = Publication { queue: topology::START.to_owned(), message };
    broker.publish(vec![start]).await.into_iter().for_each(|published| published.unwrap());
}

/// Runs each of the workflows; the runs as they ended, and how many events changed nothing.
async fn run_all(servers: &Servers, places: &Places) -> (Vec<WorkflowInstance>, u64) {
    let fleet = Fleet::start(places).await;
    for (_, yaml) in WORKFLOWS {
        register(&fleet.nodes[0], yaml).await;
    }
    let worker = second_worker(places).await;
    let producer = places.broker();
    let mut ended = Vec::new();
    for (workflow, _) in WORKFLOWS {
        ask(&*producer, workflow).await;
    }
    let endless = key("cancelled");
    eventually("the endless task runs", || async {
        let run = fleet.nodes[0].get(&endless).await.unwrap();
        let runs = run.as_ref().is_some_and(|run| run.task_instances[0].start_time.is_some());
        runs.then_some(()).ok_or_else(|| format!("{run:?}"))
    })
    .await;
    assert_eq!(fleet.nodes[1].cancel(endless, "enough".to_owned()).await.unwrap(), Some(true));
    for (workflow, _) in WORKFLOWS {
        let end = || async {
            let run = fleet.nodes[0].get(&key(workflow)).await.unwrap();
            run.filter(|run| run.status.is_terminal()).ok_or_else(|| workflow.to_owned())
        };
        ended.push(eventually("the run ends", end).await);
    }
    servers.until_nothing_is_left_at(places).await;
    drop(worker);
    let stale = fleet.nodes.iter().map(|node| node.counters().stale_events.load(Ordering::Relaxed)).sum();
    (ended, stale)
}

/// Blanks what no two runs have in common: times, durations, who did it, how often it was handed out.
fn blank(value: &mut Json) {
    const DIFFER: [&str; 7] = [
        "workerId",
        "deliveries",
        "memoryBytes",
        "totalMemoryBytes",
        "criticalPath",
        "createdAt",
        "updatedAt",
    ];
    match value {
        Json::Object(fields) => {
            for (name, field) in fields {
                let differs = ["Time", "At", "TimeMs", "WaitMs"].iter().any(|end| name.ends_with(end));
                if differs || DIFFER.contains(&name.as_str()) {
                    *field = json!("blank");
                } else {
                    blank(field);
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(blank),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn blanked(run: &WorkflowInstance) -> Json {
    let mut run = serde_json::to_value(run).unwrap();
    blank(&mut run);
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_whose_messages_all_come_twice_end_as_if_they_came_once() {
    let servers = Servers::start();
    let places = servers.places();
    let (once, stale) = run_all(&servers, &places).await;
    let (twice, doubled) =
        run_all(&servers, &Places { doubles: true, prefix: "twice".to_owned(), ..places }).await;
    println!("events that changed nothing: {stale}, and {doubled} where messages came twice");
    assert!(doubled >= stale + 10, "the copies came");
    // The same keys give the same ids, of runs, of tasks and of attempts: those are compared, too.
    for (once, twice) in once.iter().zip(&twice) {
        let [once, twice] = [once, twice].map(blanked);
        assert_eq!(once, twice, "{once:#}\n{twice:#}");
    }
    for run in &twice {
        println!("{}: {:?} {:?}", run.workflow_definition_id, run.status, run.error);
    }
    let ends = twice.iter().map(|run| run.status);
    let completed = WorkflowStatus::Completed;
    assert!(ends.eq([completed, completed, completed, completed, WorkflowStatus::Cancelled]));
    assert_eq!(twice[0].output, Some(json!(7)));
    assert_eq!(twice[0].task_instances[0].attempts.len(), 2);
}
