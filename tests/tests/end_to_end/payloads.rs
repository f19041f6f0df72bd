//! Payloads kept elsewhere: from a worker, through expressions, to another worker, and away with the run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use oarlock_broker::embedded::Embedded;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::{Clock, Settings};
use oarlock_payloads::{Limits, Objects, Payloads};
use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::PayloadReference;
use oarlock_protocol::{Json, Span, Timestamp};
use oarlock_worker::{Running, TaskContext, TaskError};
use serde_json::json;

use super::system::{Parts, System, TENANT, eventually, request, settings};

/// What is larger goes into the store.
const OFFLOAD_BYTES: usize = 2_000;
const LARGEST_BYTES: usize = 4_000_000;

/// A directory of payloads, which can go away and come back.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.here()).unwrap();
        folder
    }

    fn here(&self) -> PathBuf {
        self.0.path().join("payloads")
    }

    fn away(&self) -> PathBuf {
        self.0.path().join("away")
    }

    fn unmount(&self) {
        std::fs::rename(self.here(), self.away()).unwrap();
        std::fs::create_dir(self.here()).unwrap();
    }

    fn mount(&self) {
        std::fs::remove_dir(self.here()).unwrap();
        std::fs::rename(self.away(), self.here()).unwrap();
    }

    fn payloads(&self) -> Payloads {
        let url = format!("file://{}", self.here().display());
        let limits = Limits { offload_bytes: OFFLOAD_BYTES, largest_bytes: LARGEST_BYTES };
        Payloads::new(Arc::new(Objects::open(&url, LARGEST_BYTES as u64).unwrap()), limits)
    }

    fn settings(&self) -> Settings {
        Settings { payloads: Some(self.payloads()), ..settings() }
    }

    async fn system(&self) -> System {
        System::over(Arc::new(Embedded::new()), Arc::new(Memory::new()), self.settings()).await
    }

    /// A worker whose task `make` answers as many lines as it is asked for, `count` how many lines it is given, and `echo` its
    /// input.
    async fn worker(&self, system: &System) -> Running {
        let worker = system.worker().payloads(self.payloads());
        let worker = worker.task("make", make).task("count", count).task("echo", echo);
        worker.build().unwrap().start().await.unwrap()
    }

    /// The payloads in the store.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.here(), &mut files);
        files.retain(|file| file.file_name().unwrap() != "oarlock-payloads");
        files
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

fn lines(count: u64) -> Json {
    (0..count).map(|number| json!({"number": number, "text": "x".repeat(20)})).collect()
}

async fn make(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    let count = input["count"].as_u64().unwrap_or_default();
    Ok(json!({"lines": lines(count), "count": count}))
}

async fn count(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(json!({"counted": input["lines"].as_array().map(Vec::len)}))
}

async fn echo(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input)
}

fn is_reference(value: &Json) -> bool {
    PayloadReference::of(value).is_some()
}

fn output(run: &WorkflowInstance) -> &Json {
    assert_eq!(run.status, WorkflowStatus::Completed, "{run:#?}");
    run.output.as_ref().unwrap()
}

fn failure(run: &WorkflowInstance) -> (&str, &str) {
    let error = run.error.as_ref().unwrap_or_else(|| panic!("{run:#?}"));
    (&error.code, &error.message)
}

/// Passes a large output on whole and in part, and looks into it in every kind of place.
const THROUGH: &str = r#"
id: through
version: 1
variables: {all: null, first: null, many: false}
tasks:
  - id: made
    task: make
    inputMappings: {count: "${ input.count }"}
    variableMappings:
      - {type: DIRECT, source: lines, target: all}
      - {type: DIRECT, source: "lines[0].number", target: first}
      - {type: EXPRESSION, target: many, expression: "size(taskOutput.lines) > 10"}
  - id: counted
    task: count
    condition: made.output.count > 3
    inputMappings: {lines: "${ made.output.lines }"}
  - id: whole
    task: echo
    inputMappings: {made: "${ made.output }"}
output: {first: "${ variables.first }", many: "${ variables.many }", counted: "${ tasks.counted.output.counted }", whole: "${ tasks.whole.output.made.count }", text: "${ tasks.made.output.count } lines"}
"#;

#[tokio::test]
async fn a_large_output_is_passed_on_by_reference_and_looked_into_by_expressions() {
    let folder = Folder::new();
    let system = folder.system().await;
    system.register(THROUGH).await;
    let _worker = folder.worker(&system).await;
    let run = system.run("through", json!({"count": 500})).await;
    let expected = json!({"first": 0, "many": true, "counted": 500, "whole": 500, "text": "500 lines"});
    assert_eq!(output(&run), &expected);
    let [made, _, whole] = &run.task_instances[..] else { panic!("{run:#?}") };
    let kept = made.output.as_ref().unwrap();
    assert!(is_reference(&kept["lines"]) && kept["count"] == 500, "{made:#?}");
    assert_eq!(whole.input.as_ref().unwrap()["made"], *made.output.as_ref().unwrap(), "passed on untouched");
    let shown = system.node.with_payloads(&run).await.unwrap();
    assert_eq!(shown["taskInstances"][0]["output"], json!({"lines": lines(500), "count": 500}));
}

/// Goes over its input and looks into it before anything was begun.
const OVER: &str = r#"
id: over
version: 1
variables: {seen: false}
tasks:
  - id: enough
    condition: size(input.items) > 2
    set: {seen: true}
  - id: each
    forEach: {items: "${ input.items }", as: line, concurrency: 20, collect: "${ one.output.number }"}
    tasks:
      - {id: one, task: echo, inputMappings: {number: "${ line.number }", index: "${ index }"}}
  - id: more
    condition: input.more[99].number == 99
    set: {seen: "${ input.more.size() == 100 }"}
output: {collected: "${ tasks.each.output }", other: "${ input.other }", seen: "${ variables.seen }"}
"#;

#[tokio::test]
async fn a_large_input_is_kept_by_fields_and_gone_over_where_it_lies() {
    let folder = Folder::new();
    let system = folder.system().await;
    system.register(OVER).await;
    let _worker = folder.worker(&system).await;
    // Of so many steps a run is not copied before each decision.
    let run = system.run("over", json!({"items": lines(150), "more": lines(100), "other": "small"})).await;
    assert_eq!(output(&run)["collected"], (0..150).map(Json::from).collect::<Json>());
    assert_eq!((&output(&run)["other"], &output(&run)["seen"]), (&json!("small"), &json!(true)));
    assert!(is_reference(&run.input["items"]) && run.input["other"] == "small", "{}", run.input);
    let each =
        run.task_instances.iter().find(|task| task.execution_context.task_path.as_str() == "/each").unwrap();
    assert!(is_reference(each.input.as_ref().unwrap()), "the items stay where they are");
}

#[tokio::test]
async fn a_start_that_is_sent_again_is_the_same_start() {
    let folder = Folder::new();
    let system = folder.system().await;
    system.register(THROUGH).await;
    let mut first = request("through", json!({"count": 1, "unused": lines(200)}));
    first.workflow_instance_id = oarlock_protocol::RunId::keyed(TENANT, "through", "order-7");
    assert!(!system.node.start_run(first.clone()).await.unwrap().existing);
    assert!(system.node.start_run(first.clone()).await.unwrap().existing);
    first.input["unused"] = lines(201);
    assert!(system.node.start_run(first).await.unwrap_err().to_string().contains("different request"));
}

#[tokio::test]
async fn a_start_that_is_refused_leaves_nothing() {
    let folder = Folder::new();
    let system = folder.system().await;
    let refused = system.node.start_run(request("unknown", json!({"items": lines(200)}))).await;
    assert!(refused.is_err());
    eventually("nothing is left", async || folder.files().is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_payload_that_was_changed_fails_the_step_that_looks_into_it() {
    let folder = Folder::new();
    let system = folder.system().await;
    let definition = "{id: fails, version: 1, variables: {seen: false}, tasks: [{id: made, task: make, inputMappings: {count: 300}}, {id: gate, \
        wait: {signal: go}}, {id: looks, set: {seen: true}, condition: 'size(made.output.lines) > 1'}]}";
    system.register(definition).await;
    let _worker = folder.worker(&system).await;
    let run = system.begin("fails", json!({})).await;
    eventually("it waits for the signal", async || {
        let run = system.node.get(&run).await.unwrap().unwrap();
        run.task_instances
            .iter()
            .any(|task| task.execution_context.task_path.as_str() == "/gate")
            .then_some(())
    })
    .await;
    let file = folder.files().pop().expect("the output is kept");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    signal(&system, &run).await;
    let ended = system.end(&run).await;
    let (code, message) = failure(&ended);
    assert!(code == "PAYLOAD_UNAVAILABLE" && message.contains("SHA-256"), "{code}: {message}");
}

#[tokio::test]
async fn what_claims_to_be_another_tenants_payload_is_not_read() {
    let folder = Folder::new();
    let system = folder.system().await;
    system
        .register("{id: claims, version: 1, variables: {seen: false}, tasks: [{id: a, set: {seen: true}, condition: 'input.claim.a == 1'}]}")
        .await;
    let theirs = oarlock_protocol::RunKey::new("other", oarlock_protocol::RunId::random());
    let claim = folder.payloads().keep(&theirs, &json!({"a": 1})).await.unwrap();
    let run = system.run("claims", json!({"claim": claim})).await;
    assert_eq!(failure(&run).0, "PAYLOAD_UNAVAILABLE");
}

async fn signal(system: &System, run: &oarlock_protocol::RunKey) {
    let message = oarlock_protocol::message::SignalMessage {
        format: oarlock_protocol::FORMAT,
        run: run.clone(),
        signal_id: "s".to_owned(),
        name: "go".to_owned(),
        payload: Json::Null,
    };
    let kind = oarlock_protocol::message::Kind::Signal.as_str();
    system.tell_inbox(kind, serde_json::to_vec(&message).unwrap()).await;
}

#[tokio::test]
async fn while_the_store_is_away_its_runs_wait_and_others_go_on() {
    let folder = Folder::new();
    let system = folder.system().await;
    system.register("{id: looks, version: 1, variables: {seen: false}, tasks: [{id: a, set: {seen: true}, condition: 'size(input.items) == 200'}, {id: b, task: echo}]}")
        .await;
    system.register("{id: small, version: 1, tasks: [{id: a, task: echo}]}").await;
    let _worker = folder.worker(&system).await;
    let kept = {
        let run = oarlock_protocol::RunKey::new(TENANT, oarlock_protocol::RunId::random());
        folder.payloads().keep(&run, &lines(200)).await.unwrap()
    };
    folder.unmount();
    let starting = {
        let start = system.node.start_run(request("looks", json!({"items": kept})));
        tokio::pin!(start);
        let missed = eventually("the store is missed", async || system.node.payloads().unwrap().problem());
        tokio::select! {
            started = &mut start => panic!("started without its payload: {started:?}"),
            problem = missed => assert!(problem.contains("is not there"), "{problem}"),
        }
        assert!(system.node.readiness().problems.iter().any(|problem| problem.contains("payload store")));
        assert_eq!(system.run("small", json!({})).await.status, WorkflowStatus::Completed);
        folder.mount();
        start.await.unwrap()
    };
    assert_eq!(system.end(&starting.run).await.status, WorkflowStatus::Completed);
    assert!(system.node.is_ready(), "{:?}", system.node.readiness());
}

#[tokio::test]
async fn what_waits_for_a_payload_outlives_its_owner() {
    let folder = Folder::new();
    let parts = Parts::fresh().await;
    let first = parts.node("first", folder.settings()).await;
    let definition = "{id: survives, version: 1, variables: {n: 0}, tasks: [{id: gate, wait: {signal: go}}, \
        {id: looks, set: {n: '${ size(input.items) }'}}], output: '${ variables.n }'}";
    first.register(definition).await;
    let run = first.begin("survives", json!({"items": lines(200)})).await;
    folder.unmount();
    // Sent once: what the first owner does not acknowledge, the second gets.
    signal(&first, &run).await;
    eventually("its decision waits", async || first.node.payloads().unwrap().problem()).await;
    first.node.stop().await;
    drop(first);
    folder.mount();
    let second = parts.node("second", folder.settings()).await;
    assert_eq!(output(&second.end(&run).await), &json!(200));
}

#[tokio::test]
async fn a_forgotten_run_leaves_no_payload_and_takes_none_of_another() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.engine.retention = Span::from_millis(1);
    let system = System::over(Arc::new(Embedded::new()), Arc::new(Memory::new()), settings).await;
    system.register(THROUGH).await;
    let _worker = folder.worker(&system).await;
    let other = oarlock_protocol::RunKey::new(TENANT, oarlock_protocol::RunId::random());
    folder.payloads().keep(&other, &json!(1)).await.unwrap();
    let kept = folder.files();
    let run = system.begin("through", json!({"count": 500})).await;
    is_forgotten(&system, &run).await;
    eventually("nothing but another run's is left", async || (folder.files() == kept).then_some(())).await;
}

#[tokio::test]
async fn payloads_of_a_forgotten_run_are_removed_once_the_store_is_back() {
    let folder = Folder::new();
    let mut settings = folder.settings();
    settings.engine.retention = Span::from_millis(1);
    let ahead_ms = Arc::new(AtomicI64::new(0));
    let clock = {
        let (ahead_ms, system) = (ahead_ms.clone(), Clock::system());
        Clock::of(move || Timestamp::from_millis(system.now().as_millis() + ahead_ms.load(Ordering::SeqCst)))
    };
    let parts = (Arc::new(Embedded::new()), Arc::new(Memory::new()));
    let system = System::with_clock(parts.0, parts.1, settings, clock).await;
    system.register("{id: unused, version: 1, tasks: [{id: gate, wait: {signal: go}}]}").await;
    let run = system.begin("unused", json!({"items": lines(200)})).await;
    assert_eq!(folder.files().len(), 1);
    folder.unmount();
    signal(&system, &run).await;
    is_forgotten(&system, &run).await;
    let failed = || system.node.counters().failed_removals.load(Ordering::Relaxed);
    eventually("the removal failed", async || (failed() > 0).then_some(())).await;
    folder.mount();
    assert_eq!(folder.files().len(), 1);
    ahead_ms.store(61_000, Ordering::SeqCst);
    // Whatever comes wakes the partition, which sees what its clock says.
    signal(&system, &run).await;
    eventually("it is removed", async || folder.files().is_empty().then_some(())).await;
}

async fn is_forgotten(system: &System, run: &oarlock_protocol::RunKey) {
    eventually("the run is forgotten", async || system.node.get(run).await.unwrap().is_none().then_some(()))
        .await;
}
