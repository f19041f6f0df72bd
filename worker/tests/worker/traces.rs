//! The trace that a worker's executions are in, and what every line of its log is told with.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oarlock_protocol::{Json, TraceId, TraceParent};
use oarlock_telemetry::{Settings, Telemetry};
use oarlock_test_collector::Collector;
use oarlock_worker::{Exec, TaskContext, TaskError};
use serde_json::json;

use crate::harness::{Partition, envelope, stop, task, within};

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

async fn place(_: Json, context: TaskContext) -> Result<Option<String>, TaskError> {
    Ok(context.traceparent().map(|trace| trace.to_string()))
}

async fn refuse(_: Json, _: TaskContext) -> Result<(), TaskError> {
    Err(TaskError::new("BUSY", "try later"))
}

/// A worker of three tasks, which tells of them where `telemetry` goes.
async fn bench(telemetry: Telemetry) -> (Partition, oarlock_worker::Running) {
    let partition = Partition::with(&["place", "refuse", "command"]).await;
    let command = Exec::new(r#"printf '"%s"' "${TRACEPARENT-none}""#, PathBuf::from("."));
    let worker = partition.worker().telemetry(telemetry).task("place", place).task("refuse", refuse);
    let worker = worker.handler("command", "command", Arc::new(command)).build().unwrap();
    (partition, worker.start().await.unwrap())
}

/// Sends a task with this header; what it answers where it completes, else the code of its failure.
async fn ask(partition: &mut Partition, name: &str, traceparent: Option<&str>) -> Json {
    let message = task(name, Json::Null);
    let mut sent = envelope(&message);
    sent.headers.extend(traceparent.map(|text| ("traceparent".to_owned(), text.to_owned())));
    partition.publish(oarlock_broker::topology::tasks(name), sent).await;
    let result = partition.result(message.execution_context.execution_id.unwrap()).await;
    serde_json::to_value(result.outcome).unwrap()
}

#[tokio::test]
async fn an_execution_is_a_span_below_the_attempt_and_hands_its_own_on() {
    let collector = Collector::start().await;
    let telemetry = Telemetry::start(&Settings::new(collector.endpoint(), "oarlock-worker")).unwrap();
    let (mut partition, worker) = bench(telemetry.clone()).await;
    let told = ask(&mut partition, "place", Some(GIVEN)).await["output"].clone();
    let by_command = ask(&mut partition, "command", Some(GIVEN)).await["output"].clone();
    let failed = ask(&mut partition, "refuse", Some(GIVEN)).await;
    assert_eq!(failed["error"]["code"], "BUSY");
    stop(worker).await;
    telemetry.end(Duration::from_secs(10)).await;

    let spans = collector.spans();
    assert_eq!(spans.len(), 3, "{spans:#?}");
    let given: TraceParent = GIVEN.parse().unwrap();
    for span in &spans {
        assert_eq!(span.trace, given.trace.to_string());
        assert_eq!(span.parent, Some(given.span.to_string()));
        // A consumer, as OTLP counts the kinds.
        assert_eq!((span.kind, span.service.as_str()), (5, "oarlock-worker"));
        assert_eq!((span.get("oarlock.task.path"), span.get("oarlock.attempt")), ("/step", "1"));
        assert!(span.start_ns <= span.end_ns && span.start_ns > 1_700_000_000_000_000_000, "{span:?}");
    }
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let below = |id: &str| json!(format!("00-{}-{id}-01", given.trace));
    assert_eq!(told, below(&named("execute place").id));
    assert_eq!(by_command, below(&named("execute command").id));
    assert_eq!(named("execute place").error, None);
    assert_eq!(named("execute refuse").error.as_deref(), Some("BUSY: try later"));
    assert_eq!(named("execute refuse").get("error.type"), "BUSY");
}

#[tokio::test]
async fn what_is_not_recorded_is_not_told_and_its_trace_handed_on_as_it_was_given() {
    let collector = Collector::start().await;
    let telemetry = Telemetry::start(&Settings::new(collector.endpoint(), "oarlock-worker")).unwrap();
    let (mut partition, worker) = bench(telemetry.clone()).await;
    assert_eq!(ask(&mut partition, "place", Some(NOT_SAMPLED)).await["output"], NOT_SAMPLED);
    assert_eq!(ask(&mut partition, "place", None).await["output"], Json::Null);
    assert_eq!(ask(&mut partition, "place", Some("00-1-2-01")).await["output"], Json::Null);
    assert_eq!(ask(&mut partition, "command", None).await["output"], "none");
    stop(worker).await;
    telemetry.end(Duration::from_secs(10)).await;
    assert_eq!(collector.spans(), []);

    // A worker that tells nothing has no span of its own to belong to.
    let (mut partition, _worker) = bench(Telemetry::default()).await;
    assert_eq!(ask(&mut partition, "place", Some(GIVEN)).await["output"], GIVEN);
    assert_eq!(ask(&mut partition, "command", Some(GIVEN)).await["output"], GIVEN);
}

#[cfg(feature = "http")]
#[tokio::test]
async fn a_request_carries_the_trace_unless_its_input_names_another() {
    use oarlock_worker::Http;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = async move {
        let mut heads = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                head.push(char::from(stream.read_u8().await.unwrap()));
            }
            heads.push(head);
            stream.write_all(b"HTTP/1.1 204 X\r\nConnection: close\r\n\r\n").await.unwrap();
        }
        heads
    };
    let server = tokio::spawn(server);
    let mut partition = Partition::with(&["http.request"]).await;
    let http = Http::new(vec![format!("127.0.0.1:{port}").parse().unwrap()]).unwrap();
    let worker = partition.worker().handler("http.request", "http.request", Arc::new(http)).build().unwrap();
    let _worker = worker.start().await.unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    for input in [json!({"url": url}), json!({"url": url, "headers": {"traceparent": NOT_SAMPLED}})] {
        let message = task("http.request", input);
        let mut sent = envelope(&message);
        sent.headers.push(("traceparent".to_owned(), GIVEN.to_owned()));
        partition.publish(oarlock_broker::topology::tasks("http.request"), sent).await;
        partition.output(message.execution_context.execution_id.unwrap()).await;
    }
    let heads = within(server).await.unwrap();
    let sent = |head: &String, value: &str| head.contains(&format!("traceparent: {value}\r\n"));
    assert!(sent(&heads[0], GIVEN) && sent(&heads[1], NOT_SAMPLED), "{heads:?}");
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn every_line_about_an_attempt_names_it_and_its_trace_in_json() {
    async fn warns(_: Json, _: TaskContext) -> Result<(), TaskError> {
        tracing::warn!("said by the task itself");
        Err(TaskError::new("BUSY", "try later"))
    }
    let log = Log::default();
    let writer = log.clone();
    // At this level the spans of Oarlock have to be there too.
    let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::WARN);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    let mut partition = Partition::with(&["warns", "other"]).await;
    let worker = partition.worker().task("warns", warns).task("other", refuse).build().unwrap();
    let worker = worker.start().await.unwrap();
    let message = task("warns", Json::Null);
    partition.send(&message).await;
    let id = message.execution_context.execution_id.unwrap();
    assert_eq!(partition.failure(id).await.code, "BUSY");
    // One that no handler is for is refused before anything runs.
    let mut unknown = task("unknown", Json::Null);
    unknown.execution_context.workflow_instance_id = message.execution_context.workflow_instance_id;
    partition.publish(oarlock_broker::topology::tasks("other"), envelope(&unknown)).await;
    partition.result(unknown.execution_context.execution_id.unwrap()).await;
    stop(worker).await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Json> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let run = message.execution_context.workflow_instance_id;
    for (told, id) in [
        ("said by the task itself", id),
        (
            "refused a task that this worker has no handler for",
            unknown.execution_context.execution_id.unwrap(),
        ),
    ] {
        let line = lines.iter().find(|line| line["fields"]["message"] == told);
        let line = line.unwrap_or_else(|| panic!("{told}: {log}"));
        let expected = json!({
            "name": "attempt", "workflow.id": run.to_string(), "tenant": "acme", "task.path": "/step", "attempt": 1,
            "execution.id": id.to_string(), "trace_id": TraceId::of_run(run).to_string(),
        });
        assert_eq!(line["span"], expected, "{told}");
    }
}
