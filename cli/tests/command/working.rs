//! `oarlock workers`: who works, as a table and as JSON.

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::fleet::Fleet;
use crate::harness::{Folder, eventually};
use crate::server::Server;

const WORKFLOW: &str = "id: one\nversion: 1\ntasks:\n  - {id: a, task: greet}\n";

/// The workers as JSON, once there are so many.
fn workers(server: &Server, folder: &Folder, count: usize) -> Vec<Json> {
    let mut found = Vec::new();
    eventually("they are known", || {
        found = server.json(folder, &["workers"])["workers"].as_array().unwrap().clone();
        found.len() == count
    });
    found
}

#[test]
fn a_newcomer_sees_the_worker_of_dev() {
    let folder = Folder::with(WORKFLOW, &[("greet", "echo 1"), ("other", "echo 2")]);
    let server = Server::start(&folder, &["workflow.yaml"]);
    let found = workers(&server, &folder, 1).remove(0);
    assert_eq!(
        (&found["state"], &found["open"], &found["marks"]),
        (&"IDLE".into(), &0.into(), &Json::Array(vec![]))
    );
    assert_eq!(found["queues"], serde_json::json!(["greet", "other"]));

    let table = server.oarlock(&folder, &["workers"]).exits(0).stdout;
    let heading = table.lines().next().unwrap();
    for column in ["WORKER", "HOST", "VERSION", "QUEUES", "SLOTS", "OPEN", "LAST BEAT", "STATE"] {
        assert!(heading.contains(column), "{table}");
    }
    let row = table.lines().nth(1).unwrap();
    assert!(row.starts_with(found["worker"].as_str().unwrap()), "{table}");
    assert!(row.contains("greet, other") && row.contains(" ago ") && row.ends_with("idle"), "{table}");

    let queue = |name| server.oarlock(&folder, &["workers", "--queue", name]).exits(0).stdout;
    assert_eq!(queue("greet").lines().count(), 2);
    let nobody = queue("gre");
    assert!(nobody.contains("no worker that takes tasks from the queue 'gre' is known"), "{nobody}");
    server.stop().exits(0);
}

#[test]
fn without_workers_it_says_so() {
    let folder = Folder::with(WORKFLOW, &[]);
    let server = Server::start(&folder, &["--exec", "greet=echo 1"]);
    // `dev` has one; of a fleet that has none it is told.
    workers(&server, &folder, 1);
    let fleet = Fleet::new();
    let alone = fleet.orchestrator(&folder, &["workflow.yaml"]);
    let told = alone.oarlock(&folder, &["workers"]).exits(0).stdout;
    assert!(told.starts_with("no worker is known"), "{told}");
    assert_eq!(alone.json(&folder, &["workers"])["workers"], Json::Array(vec![]));
}

#[test]
fn a_worker_of_a_fleet_is_gone_when_it_has_ended() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[("greet", "echo 1")]), Fleet::new());
    let server = fleet.orchestrator(&folder, &["workflow.yaml"]);
    let worker = fleet.worker(&folder, &[]);
    let found = workers(&server, &folder, 1).remove(0);
    assert!(worker.said.contains(found["worker"].as_str().unwrap()), "{}", worker.said);
    worker.signal(Signal::TERM);
    worker.end().exits(0);
    // Long before its beats would be missed.
    let began = std::time::Instant::now();
    workers(&server, &folder, 0);
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    server.stop().exits(0);
}
