//! One trace for each run: what orchestrators and workers tell a collector of it, joined through the messages between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oarlock_broker::Message;
use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::{Kind, Operation, OperationMessage, StartMessage};
use oarlock_protocol::{FORMAT, Json, RunKey, SpanId, TraceId, TraceParent};
use oarlock_telemetry::{Settings, Telemetry};
use oarlock_test_collector::{Collector, Span};
use oarlock_worker::{Running, TaskContext, TaskError};
use serde_json::json;

use super::system::{Parts, System, TENANT, eventually, request, settings};

/// A task that fails once, and a run that this one starts.
const OUTER: &str = "{id: outer, version: 1, tasks: [
    {id: first, task: shaky}, {id: second, workflow: {id: inner}}],
    taskDefinitions: [{id: shaky, retryPolicy: {maxRetries: 1, initialDelay: 10ms}}]}";
const INNER: &str =
    "{id: inner, version: 1, tasks: [{id: only, task: steady}], output: '${ tasks.only.output }'}";
const FAILS: &str = "{id: fails, version: 1, tasks: [{id: first, task: late}]}";
const QUEUED: &str = "{id: queued, version: 1, taskDefinitions: [{id: slow, concurrencyLimit: 1}],
    tasks: [{id: all, parallel: [{id: one, task: slow}, {id: two, task: slow}]}]}";
const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// The kinds of spans, as OTLP counts them.
const INTERNAL: i32 = 1;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

/// A node and a worker that tell a collector what they do, each by itself, as two processes would.
struct Traced {
    system: System,
    worker: Running,
    told: [Telemetry; 2],
}

async fn shaky(_: Json, context: TaskContext) -> Result<(), TaskError> {
    if context.attempt() == 1 { Err(TaskError::new("BUSY", "try later")) } else { Ok(()) }
}

async fn steady(_: Json, context: TaskContext) -> Result<Option<String>, TaskError> {
    Ok(context.traceparent().map(|trace| trace.to_string()))
}

impl Traced {
    async fn over(parts: &Parts, endpoint: &str, sample_ratio: f64) -> Self {
        let start = |service: &str| {
            Telemetry::start(&Settings { sample_ratio, ..Settings::new(endpoint, service) }).unwrap()
        };
        let told = ["orchestrator", "worker"].map(start);
        let mut settings = settings();
        // The run that another starts lies elsewhere, most often.
        settings.partitions = 4;
        settings.telemetry = told[0].clone();
        let system = parts.node("alone", settings).await;
        for definition in [OUTER, INNER, FAILS] {
            system.register(definition).await;
        }
        let worker = system.worker().telemetry(told[1].clone()).task("shaky", shaky).task("steady", steady);
        let calls = Arc::new(AtomicU32::new(0));
        let late = move |_: Json, _: TaskContext| {
            let is_first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            async move { if is_first { Err(TaskError::new("EARLY", "once more")) } else { Ok(()) } }
        };
        let worker = worker.task("late", late).build().unwrap().start().await.unwrap();
        Self { system, worker, told }
    }

    async fn run(&self, workflow: &str, traceparent: Option<&str>) -> WorkflowInstance {
        let traceparent = traceparent.map(|text| text.parse().unwrap());
        let request = StartMessage { traceparent, ..request(workflow, json!({})) };
        let started = self.system.node.start_run(request).await.unwrap();
        self.system.end(&started.run).await
    }

    /// Stops all in order; how many spans were dropped.
    async fn stop(self) -> u64 {
        self.worker.drain(Duration::from_secs(10)).await;
        self.system.node.stop().await;
        for telemetry in &self.told {
            telemetry.end(Duration::from_secs(10)).await;
        }
        self.told.iter().map(Telemetry::dropped).sum()
    }
}

fn one<'a>(spans: &'a [Span], name: &str, attempt: &str) -> &'a Span {
    let found: Vec<_> =
        spans.iter().filter(|span| span.name == name && span.get("oarlock.attempt") == attempt).collect();
    assert_eq!(found.len(), 1, "{name} {attempt}: {spans:#?}");
    found[0]
}

/// Checks that the spans are those of the run OUTER, with `parent` above the root.
fn assert_is_the_trace(spans: &[Span], trace: TraceId, parent: Option<&str>) {
    assert_eq!(spans.len(), 9, "{spans:#?}");
    assert!(spans.iter().all(|span| span.trace == trace.to_string()), "{spans:#?}");
    let root = one(spans, "run outer", "");
    assert_eq!(
        (root.parent.as_deref(), root.kind, root.service.as_str()),
        (parent, INTERNAL, "orchestrator")
    );
    assert_eq!((root.get("oarlock.status"), root.get("oarlock.tenant.id")), ("COMPLETED", TENANT));
    let below = |span: &Span, above: &Span| {
        assert_eq!(span.parent.as_ref(), Some(&above.id), "{span:#?} is not below {above:#?}");
    };
    let step = one(spans, "attempt inner", "1");
    let child = one(spans, "run inner", "");
    below(step, root);
    below(child, step);
    assert_eq!((step.kind, step.get("oarlock.task.path")), (INTERNAL, "/second"));
    for (task, number, above) in [("shaky", "1", root), ("shaky", "2", root), ("steady", "1", child)] {
        let attempt = one(spans, &format!("attempt {task}"), number);
        let execution = one(spans, &format!("execute {task}"), number);
        below(attempt, above);
        below(execution, attempt);
        assert_eq!((attempt.kind, attempt.service.as_str()), (PRODUCER, "orchestrator"));
        assert_eq!((execution.kind, execution.service.as_str()), (CONSUMER, "worker"));
        assert_eq!((attempt.get("oarlock.queue"), execution.get("oarlock.task")), (task, task));
        assert_eq!(attempt.get("oarlock.worker.id"), execution.get("oarlock.worker.id"));
        let failed = (task, number) == ("shaky", "1");
        for span in [attempt, execution] {
            assert_eq!(span.error.as_deref(), failed.then_some("BUSY: try later"), "{span:#?}");
        }
        let outcome = if failed { "FAILED" } else { "COMPLETED" };
        assert_eq!(execution.get("oarlock.outcome"), outcome, "{execution:#?}");
        let events: Vec<_> = attempt.events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(events, ["scheduled", "started"]);
        assert!(above.start_ns <= attempt.start_ns && attempt.end_ns <= above.end_ns, "{spans:#?}");
    }
}

#[tokio::test]
async fn a_run_is_one_trace_over_orchestrator_worker_and_the_runs_it_starts() {
    let collector = Collector::start().await;
    let parts = Parts::fresh().await;
    let traced = Traced::over(&parts, collector.endpoint(), 1.0).await;
    let run = traced.run("outer", None).await;
    assert_eq!((run.status, run.traceparent), (WorkflowStatus::Completed, None));
    assert_eq!(traced.stop().await, 0);
    let spans = collector.spans();
    assert_is_the_trace(&spans, TraceId::of_run(run.id), None);
    // By these names others find them, also after a take-over.
    assert_eq!(one(&spans, "run outer", "").id, SpanId::of_run(run.id, 0).to_string());
    let child: TraceParent =
        run.task_instances[1].output.as_ref().unwrap().as_str().unwrap().parse().unwrap();
    assert_eq!(
        child.span.to_string(),
        one(&spans, "execute steady", "1").id,
        "what a task calls is below its span"
    );
    let first = run.task_instances[0].attempts[0].execution_id;
    assert_eq!(one(&spans, "attempt shaky", "1").id, SpanId::of_attempt(first).to_string());
}

#[tokio::test]
async fn the_span_of_an_attempt_begins_when_it_is_ready_and_notes_when_it_is_let_out() {
    let collector = Collector::start().await;
    let parts = Parts::fresh().await;
    let traced = Traced::over(&parts, collector.endpoint(), 1.0).await;
    let slow = async |_: Json, _: TaskContext| {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok::<_, TaskError>(())
    };
    let worker = traced.system.worker().slots(2).task("slow", slow).build().unwrap().start().await.unwrap();
    // Both are ready at once; a limit lets one after the other out.
    traced.system.register(QUEUED).await;
    assert_eq!(traced.run("queued", None).await.status, WorkflowStatus::Completed);
    worker.drain(Duration::from_secs(10)).await;
    traced.stop().await;
    let spans = collector.spans();
    let attempts = spans.iter().filter(|span| span.name == "attempt slow");
    let waited = attempts.map(|span| (span.events[0].1 - span.start_ns) / 1_000_000);
    let longest = waited.max();
    assert!(longest >= Some(150), "{spans:#?}");
}

#[tokio::test]
async fn a_run_joins_the_trace_of_whoever_starts_it() {
    let collector = Collector::start().await;
    let parts = Parts::fresh().await;
    let traced = Traced::over(&parts, collector.endpoint(), 0.0).await;
    // What the settings would not record is recorded, for its trace is.
    let run = traced.run("outer", Some(GIVEN)).await;
    let given: TraceParent = GIVEN.parse().unwrap();
    assert_eq!(run.traceparent, Some(given));
    assert_eq!(traced.stop().await, 0);
    assert_is_the_trace(&collector.spans(), given.trace, Some("00f067aa0ba902b7"));
}

#[tokio::test]
async fn a_producer_hands_its_trace_on_in_a_header() {
    let collector = Collector::start().await;
    let parts = Parts::fresh().await;
    let traced = Traced::over(&parts, collector.endpoint(), 1.0).await;
    for (id, header) in [("right", GIVEN), ("wrong", "00-1-2-01")] {
        let message = Message {
            body: br#"{"format": 1, "workflow": "inner"}"#.to_vec().into(),
            message_id: id.to_owned(),
            kind: Kind::Start.as_str().to_owned(),
            headers: vec![("traceparent".to_owned(), header.to_owned())],
            ..Message::default()
        };
        traced.system.publish("oarlock.start", message).await;
    }
    let ended = |spans: &[Span]| spans.iter().filter(|span| span.name == "run inner").count() == 2;
    let spans = collector.spans_when("the spans of two runs", ended).await;
    let joined = |span: &&Span| span.trace == "4bf92f3577b34da6a3ce929d0e0e4736";
    let joined: Vec<_> = spans.iter().filter(joined).filter(|span| span.name == "run inner").collect();
    assert_eq!(joined.len(), 1, "{spans:#?}");
    assert_eq!(joined[0].parent.as_deref(), Some("00f067aa0ba902b7"));
    traced.stop().await;
}

#[tokio::test]
async fn what_is_not_sampled_is_told_to_nobody() {
    let collector = Collector::start().await;
    let parts = Parts::fresh().await;
    let traced = Traced::over(&parts, collector.endpoint(), 1.0).await;
    let not_sampled = GIVEN.replace("-01", "-00");
    let run = traced.run("inner", Some(&not_sampled)).await;
    let told: TraceParent = run.output.unwrap().as_str().unwrap().parse().unwrap();
    // Whoever the task calls is to know that it need not record anything.
    assert_eq!((told.trace, told.sampled), (not_sampled.parse::<TraceParent>().unwrap().trace, false));
    assert_eq!(traced.run("outer", Some(&not_sampled)).await.status, WorkflowStatus::Completed);
    assert_eq!(traced.stop().await, 0);
    assert_eq!((collector.spans(), collector.requests().len()), (Vec::new(), 0));

    let parts = Parts::fresh().await;
    let traced = Traced::over(&parts, collector.endpoint(), 0.0).await;
    assert_eq!(traced.run("outer", None).await.status, WorkflowStatus::Completed);
    traced.stop().await;
    assert_eq!(collector.spans(), []);
}

#[tokio::test]
async fn where_nothing_is_told_what_was_given_is_handed_on_as_it_is() {
    let system = System::start().await;
    system.register(INNER).await;
    let worker = system.worker().task("steady", steady).build().unwrap();
    let _worker = worker.start().await.unwrap();
    let message = StartMessage { traceparent: GIVEN.parse().ok(), ..request("inner", json!({})) };
    let run = system.node.start_run(message).await.unwrap().run;
    assert_eq!(system.end(&run).await.output, Some(json!(GIVEN)));
    // No trace is an output of `null`, which is none.
    assert_eq!(system.run("inner", json!({})).await.output, None);
}

#[tokio::test]
async fn a_collector_that_is_away_disturbs_no_run() {
    // Nobody listens there any more.
    let endpoint = Collector::start().await.endpoint().to_owned();
    let parts = Parts::fresh().await;
    let traced = Traced::over(&parts, &endpoint, 1.0).await;
    assert_eq!(traced.run("outer", None).await.status, WorkflowStatus::Completed);
    assert_eq!(traced.stop().await, 9);
}

#[tokio::test]
async fn a_run_that_is_opened_again_has_a_span_for_that_below_the_first() {
    let collector = Collector::start().await;
    let parts = Parts::fresh().await;
    let traced = Traced::over(&parts, collector.endpoint(), 1.0).await;
    // No policy tries it again: the run fails.
    let run = traced.run("fails", None).await;
    assert_eq!(run.status, WorkflowStatus::Failed);
    let key = RunKey::new(TENANT, run.id);
    let retry = OperationMessage {
        format: FORMAT,
        run: key.clone(),
        operation: Operation::Retry,
        requested_by: "ada".to_owned(),
    };
    assert!(!traced.system.node.operate(retry).await.unwrap());
    let completed = || async {
        let run = traced.system.node.get(&key).await.unwrap()?;
        (run.status == WorkflowStatus::Completed).then_some(())
    };
    eventually("it completes the second time", completed).await;
    traced.stop().await;
    let spans = collector.spans();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let [first, again] = named("run fails")[..] else { panic!("{spans:#?}") };
    assert_eq!((first.parent.as_ref(), first.error.is_some()), (None, true));
    assert_eq!((again.parent.as_ref(), again.error.as_ref()), (Some(&first.id), None));
    assert!(again.start_ns >= first.end_ns, "it begins when it was opened again: {spans:#?}");
    let [failed, done] = named("attempt late")[..] else { panic!("{spans:#?}") };
    assert_eq!((failed.parent.as_ref(), done.parent.as_ref()), (Some(&first.id), Some(&again.id)));
    assert!(spans.iter().all(|span| span.trace == TraceId::of_run(run.id).to_string()));
}
