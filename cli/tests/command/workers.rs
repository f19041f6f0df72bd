//! `oarlock worker` over real servers: what runs when it is told to end, and what becomes of it.

use rustix::process::Signal;

use crate::fleet::Fleet;
use crate::harness::{Folder, eventually, task};

const WORKFLOW: &str =
    "id: slow\nversion: 1\ntasks:\n  - {id: wait, task: wait}\noutput: ${ tasks.wait.output }\n";
/// Waits until the test writes a file.
const WAIT: &str = "echo >> begun; while [ ! -f go ]; do sleep 0.05; done; echo '\"done\"'";

#[test]
fn sigterm_lets_a_running_task_end() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[("wait", WAIT)]), Fleet::new());
    let server = fleet.orchestrator(&folder, &["workflow.yaml"]);
    let mut worker = fleet.worker(&folder, &[]);
    let run = server.start_run(&folder, &["slow"]);
    eventually("the task runs", || folder.join("begun").is_file());
    worker.signal(Signal::TERM);
    // Nothing new is taken: a second run stays where it is.
    let second = server.start_run(&folder, &["slow"]);
    eventually("the second waits", || {
        let found = server.json(&folder, &["get", &second]);
        task(&found, "/wait")["status"] == "SCHEDULED"
    });
    assert!(worker.is_alive());
    folder.write("go", "");
    worker.end().exits(0).says(&["ending: 1 tasks run on, 20s at most"]);
    let found = server.json(&folder, &["get", &run]);
    assert_eq!((&found["status"], &found["output"]), (&"COMPLETED".into(), &"done".into()));
    assert_eq!(folder.read("begun").lines().count(), 1, "it was executed once");
    assert_eq!(task(&server.json(&folder, &["get", &second]), "/wait")["status"], "SCHEDULED");
    server.stop().exits(0);
}

#[test]
fn what_does_not_end_within_the_grace_goes_to_another() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[("wait", WAIT)]), Fleet::new());
    let server = fleet.orchestrator(&folder, &["workflow.yaml"]);
    let worker = fleet.worker(&folder, &["--grace", "100ms"]);
    let run = server.start_run(&folder, &["slow"]);
    eventually("the task runs", || folder.join("begun").is_file());
    worker.signal(Signal::TERM);
    worker.end().exits(0);
    folder.write("go", "");
    let other = fleet.worker(&folder, &[]);
    eventually("another has done it", || server.json(&folder, &["get", &run])["status"] == "COMPLETED");
    assert_eq!(folder.read("begun").lines().count(), 2);
    other.signal(Signal::TERM);
    other.end().exits(0);
    server.stop().exits(0);
}

#[test]
fn a_second_signal_leaves_at_once() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[("wait", WAIT)]), Fleet::new());
    let server = fleet.orchestrator(&folder, &["workflow.yaml"]);
    let mut worker = fleet.worker(&folder, &["--grace", "1h"]);
    server.start_run(&folder, &["slow"]);
    eventually("the task runs", || folder.join("begun").is_file());
    worker.signal(Signal::TERM);
    let second = server.start_run(&folder, &["slow"]);
    eventually("the first signal is heard: nothing is taken", || {
        task(&server.json(&folder, &["get", &second]), "/wait")["status"] == "SCHEDULED"
    });
    assert!(worker.is_alive());
    worker.signal(Signal::TERM);
    worker.end().exits(0);
    server.stop().exits(0);
}

#[test]
fn its_health_is_told_where_it_is_asked_for() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[("wait", WAIT)]), Fleet::new());
    let worker = fleet.worker(&folder, &["--http-health", "127.0.0.1:0"]);
    let address = worker.said.lines().find_map(|line| line.strip_prefix("health on ")).unwrap();
    folder.oarlock(&["ready", "--server", address]).exits(0);
    let list = folder.oarlock(&["list", "--server", address]).exits(2);
    list.says(&["there is no /v1/runs here"]);
}

#[test]
fn a_worker_with_nothing_to_do_says_so() {
    let (folder, fleet) = (Folder::new(), Fleet::new());
    fleet.run(&folder, &["worker"]).exits(2).says(&[
        "nothing to execute",
        "--config",
        "--exec NAME='COMMAND'",
    ]);
    folder.write("worker.toml", "slots = 2\n");
    fleet.run(&folder, &["worker"]).exits(2).says(&["worker.toml names no task"]);
}
