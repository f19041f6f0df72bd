//! Traces and JSON logs of processes: what they send to a collector, and what their log lines are told with.

use oarlock_test_collector::{Collector, Span};
use rustix::process::Signal;
use serde_json::Value as Json;
use tokio::runtime::Runtime;

use crate::fleet::Fleet;
use crate::harness::{Folder, Process};
use crate::server::Server;

const WORKFLOW: &str = "id: one\nversion: 1\ntasks:\n  - {id: a, task: a}\noutput: ${ tasks.a.output }\n";
/// A command that answers with the span it was given.
const COMMAND: &str = "printf '\"%s\"' \"${TRACEPARENT-none}\"";
const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A collector, on a runtime of its own.
struct Receiver {
    runtime: Runtime,
    collector: Collector,
}

impl Receiver {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let collector = runtime.block_on(Collector::start());
        Self { runtime, collector }
    }

    fn endpoint(&self) -> &str {
        self.collector.endpoint()
    }

    /// Waits for so many spans; each by its name.
    fn spans(&self, count: usize) -> Vec<Span> {
        let enough = |spans: &[Span]| spans.len() >= count;
        let spans = self.runtime.block_on(self.collector.spans_when("spans", enough));
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"))
}

#[test]
fn run_sends_its_spans_before_it_ends_and_joins_the_trace_of_its_caller() {
    let (receiver, folder) = (Receiver::start(), Folder::with(WORKFLOW, &[("a", COMMAND)]));
    let mut command = folder.command(&["run", "workflow.yaml"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint());
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b").env("TRACEPARENT", GIVEN);
    let ended = Process::start(&mut command).end().exits(0);
    let spans = receiver.collector.spans();
    assert_eq!(spans.len(), 3, "{spans:#?}");
    assert!(receiver.collector.requests().iter().all(|headers| headers["x-key"] == "a b"));
    assert!(spans.iter().all(|span| (span.trace.as_str(), span.service.as_str())
        == ("4bf92f3577b34da6a3ce929d0e0e4736", "oarlock")));
    assert_eq!(named(&spans, "run one").parent.as_deref(), Some("00f067aa0ba902b7"));
    let execution = &named(&spans, "execute a").id;
    assert_eq!(ended.json(), format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{execution}-01").as_str());
}

#[test]
fn a_collector_that_is_away_costs_a_run_nothing_and_a_wrong_address_is_told() {
    let folder = Folder::with(WORKFLOW, &[("a", COMMAND)]);
    let run = |name: &str, value: &str| {
        let mut command = folder.command(&["run", "workflow.yaml"]);
        Process::start(command.env("TRACEPARENT", GIVEN).env(name, value)).end()
    };
    // Nobody listens there.
    run("OARLOCK_TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:1").exits(0).says(&["3", "spans were dropped"]);
    // What is set for every program keeps none from working, what is set for this one does.
    let ended = run("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4317").exits(0);
    assert_eq!(ended.json(), GIVEN, "nothing is told, so what was given is handed on");
    ended.says(&["OTEL_EXPORTER_OTLP_ENDPOINT cannot be used"]);
    run("OARLOCK_TELEMETRY__OTLP_ENDPOINT", "127.0.0.1:4317").exits(2).says(&["telemetry.otlp_endpoint"]);
    run("OARLOCK_TELEMETRY__SAMPLE_RATIO", "2").exits(0);
    let ratio = "[telemetry]\notlp_endpoint = \"http://127.0.0.1:1\"\nsample_ratio = 2\n";
    folder.write("oarlock.toml", ratio);
    let arguments = ["run", "workflow.yaml", "--config", "oarlock.toml"];
    folder.oarlock(&arguments).exits(2).says(&["telemetry.sample_ratio is 2"]);
    let secret = "[telemetry]\notlp_endpoint = \"http://127.0.0.1:1\"\nheaders = {\"a b\" = \"secret\"}\n";
    folder.write("oarlock.toml", secret);
    let ended = folder.oarlock(&arguments).exits(2).says(&["'a b'"]);
    assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
}

#[test]
fn the_processes_of_a_fleet_tell_one_trace() {
    let (receiver, folder, mut fleet) =
        (Receiver::start(), Folder::with(WORKFLOW, &[("a", COMMAND)]), Fleet::new());
    fleet.set("OARLOCK_TELEMETRY__OTLP_ENDPOINT", receiver.endpoint());
    fleet.set("OARLOCK_TELEMETRY__HEADERS", "authorization=Bearer x");
    let server = fleet.orchestrator(&folder, &["workflow.yaml"]);
    let worker = fleet.worker(&folder, &[]);
    let body = br#"{"workflow": "one"}"#;
    let traceparent = format!("traceparent: {GIVEN}");
    let headers = ["content-type: application/json", &traceparent];
    let (status, started) = server.http("POST", "/v1/runs", &headers, body).unwrap();
    assert_eq!(status, 201, "{started}");
    let spans = receiver.spans(3);
    assert!(receiver.collector.requests().iter().all(|headers| headers["authorization"] == "Bearer x"));
    let [run, attempt, execution] = ["run one", "attempt a", "execute a"].map(|name| named(&spans, name));
    assert!(spans.iter().all(|span| span.trace == "4bf92f3577b34da6a3ce929d0e0e4736"), "{spans:#?}");
    assert_eq!(run.parent.as_deref(), Some("00f067aa0ba902b7"));
    assert_eq!((&attempt.parent, &execution.parent), (&Some(run.id.clone()), &Some(attempt.id.clone())));
    assert_eq!(
        [run, attempt, execution].map(|span| span.service.as_str()),
        ["oarlock-orchestrator", "oarlock-orchestrator", "oarlock-worker"]
    );
    let found = server.json(&folder, &["get", started["id"].as_str().unwrap()]);
    assert_eq!(found["traceparent"], GIVEN);
    // A trace that is told wrongly is no reason to refuse a start: the run has one of its own.
    let headers = ["content-type: application/json", "traceparent: 00-1-2-01"];
    let (status, started) = server.http("POST", "/v1/runs", &headers, body).unwrap();
    let own = started["id"].as_str().unwrap().replace('-', "");
    assert_eq!((status, receiver.spans(6).iter().filter(|span| span.trace == own).count()), (201, 3));
    // At the end the last ones are sent at once.
    worker.signal(Signal::TERM);
    worker.end().exits(0);
    server.stop().exits(0);
}

#[test]
fn an_orchestrators_line_about_a_run_names_it_and_its_trace_in_json() {
    let folder = Folder::with(WORKFLOW, &[]);
    let mut command = folder.command(&["dev", "--listen", "127.0.0.1:0", "--log", "info", "workflow.yaml"]);
    let server = Server::start_by(command.env("OARLOCK_LOG__JSON", "true")).unwrap();
    let mut start = folder.command(&["start", "one", "--json", "--server", &server.url()]);
    let started = Process::start(start.env("TRACEPARENT", GIVEN)).end().exits(0).json();
    let run = started["id"].as_str().unwrap();
    server.oarlock(&folder, &["pause", run]).exits(0);
    let log = server.stop().exits(0).stderr;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let told = lines.filter(|line| line["fields"]["message"] == "an operator changed a run");
    let told: Vec<Json> = told.collect();
    assert_eq!(told.len(), 1, "{log}");
    assert_eq!(told[0]["fields"]["run"], format!("default/{run}"));
    assert_eq!(told[0]["fields"]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(told[0]["span"]["partition"].is_number(), "{}", told[0]);
}
