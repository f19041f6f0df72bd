//! `/metrics` of a busy orchestrator and its worker, over real servers: what it tells, whether Prometheus takes it, and whether
//! docs/metrics.md knows it.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use oarlock_test_servers::programs;

use crate::fleet::Fleet;
use crate::harness::{Folder, eventually};
use crate::server::{Server, request};

/// A task that ends well, and one that fails after a second try.
const WORKFLOW: &str = "
id: shop
version: 1
tasks:
  - {id: pay, task: shop.pay}
  - {id: ship, task: shop.ship, condition: '${ input.ship }'}
taskDefinitions:
  - {id: shop.ship, retryPolicy: {maxRetries: 1, initialDelay: 10ms}}
";

/// An orchestrator and a worker that have done something; and what each tells.
struct Busy {
    node: String,
    worker: String,
}

fn scrape(address: &str) -> String {
    let (status, body) = request(address, "GET", "/metrics", &[], b"").expect("it answers");
    assert_eq!(status, 200);
    body.as_str().unwrap().to_owned()
}

impl Busy {
    fn new() -> Self {
        let commands = [("shop.pay", "echo '{}'"), ("shop.ship", "exit 1")];
        let (folder, fleet) = (Folder::with(WORKFLOW, &commands), Fleet::new());
        let server = fleet.orchestrator(&folder, &["workflow.yaml"]);
        let worker = fleet.worker(&folder, &["--http-health", "127.0.0.1:0"]);
        let health = worker.said.lines().find_map(|line| line.strip_prefix("health on http://"));
        for ship in ["false", "false", "true"] {
            let input = format!("{{\"ship\": {ship}}}");
            let ended = server.oarlock(&folder, &["start", "shop", "--input", &input, "--wait"]);
            ended.exits(if ship == "true" { 1 } else { 0 });
        }
        // The last attempt is confirmed a moment after the run has ended.
        eventually("the worker holds nothing", || {
            value(&scrape(health.unwrap()), "oarlock_worker_open_attempts") == Some(0.0)
        });
        Self { node: scrape(server.address()), worker: scrape(health.unwrap()) }
    }
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// The names of all metrics that are told.
fn names(text: &str) -> BTreeSet<String> {
    let help = text.lines().filter_map(|line| line.strip_prefix("# HELP "));
    help.filter_map(|rest| rest.split_once(' ')).map(|(name, _)| name.to_owned()).collect()
}

/// What promtool says of it; it has to be content.
fn check(text: &str) {
    let mut command = Command::new(programs::promtool().unwrap_or_else(|error| panic!("{error}")));
    let piped = command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut promtool = piped.stderr(Stdio::piped()).spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && told.is_empty(), "{}\n{text}", String::from_utf8_lossy(&told));
}

#[test]
fn a_busy_orchestrator_and_its_worker_tell_what_they_did_and_promtool_takes_it() {
    let Busy { node, worker } = Busy::new();
    let told = |series: &str| value(&node, series).unwrap_or_else(|| panic!("{series} is missing:\n{node}"));
    for (series, expected) in [
        ("oarlock_attempts_completed_total{queue=\"shop.pay\"}", 3.0),
        ("oarlock_attempts_failed_total{queue=\"shop.ship\"}", 2.0),
        ("oarlock_attempts_retried_total{queue=\"shop.ship\"}", 1.0),
        ("oarlock_queue_arrived_tasks_total{queue=\"shop.ship\"}", 2.0),
        ("oarlock_queue_ready_tasks{queue=\"shop.pay\"}", 0.0),
        ("oarlock_attempt_execution_seconds_count{queue=\"shop.pay\"}", 3.0),
        ("oarlock_runs_total{workflow=\"shop\",status=\"RUNNING\"}", 3.0),
        ("oarlock_runs_total{workflow=\"shop\",status=\"COMPLETED\"}", 2.0),
        ("oarlock_runs_total{workflow=\"shop\",status=\"FAILED\"}", 1.0),
        ("oarlock_run_duration_seconds_count{workflow=\"shop\"}", 3.0),
        ("oarlock_partitions_owned", 16.0),
        ("oarlock_store_up", 1.0),
        ("oarlock_broker_up", 1.0),
        ("oarlock_takeovers_total", 16.0),
    ] {
        assert_eq!(told(series), expected, "{series}:\n{node}");
    }
    assert!(told("oarlock_commit_seconds_count") > 3.0 && told("oarlock_process_open_fds") > 3.0);
    assert!(told("oarlock_process_resident_memory_bytes") > 1_000_000.0);
    for (series, expected) in [
        ("oarlock_worker_attempts_completed_total{task=\"shop.pay\"}", 3.0),
        ("oarlock_worker_attempts_failed_total{task=\"shop.ship\"}", 2.0),
        ("oarlock_worker_attempt_execution_seconds_count{task=\"shop.ship\"}", 2.0),
        ("oarlock_worker_slots", 8.0),
    ] {
        assert_eq!(value(&worker, series), Some(expected), "{series}:\n{worker}");
    }
    check(&node);
    check(&worker);
    every_metric_is_in_the_page(&node, &worker);
}

/// Those of docs/metrics.md are those that are told, each with its type, and no other.
fn every_metric_is_in_the_page(node: &str, worker: &str) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md")).unwrap();
    for (headings, text) in [(["orchestrator", "both"], node), (["worker", "both"], worker)] {
        let sections = page.split("\n## ").filter(|section| {
            let heading = section.lines().next().unwrap_or_default();
            headings.iter().any(|of| heading.starts_with("Of") && heading.ends_with(of))
        });
        let mut documented = BTreeSet::new();
        for line in sections.flat_map(str::lines).filter(|line| line.starts_with("| `oarlock_")) {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let name = cells.next().unwrap().trim_matches('`').to_owned();
            let kind = cells.next().unwrap();
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is told as a {kind}:\n{text}");
            documented.insert(name);
        }
        assert_eq!(documented, names(text), "docs/metrics.md, and what is told");
    }
}

#[test]
fn dev_tells_them_too_and_in_the_newer_form_where_that_is_asked_for() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    check(&scrape(server.address()));
    let newer = ["accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"];
    let (status, body) = server.http("GET", "/metrics", &newer, b"").unwrap();
    assert_eq!(status, 200);
    assert!(body.as_str().unwrap().ends_with("# EOF\n"), "{body}");
    server.stop().exits(0);
}
