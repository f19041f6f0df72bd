//! `oarlock orchestrator` over real servers: runs work, hands over, and clients go on with another.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value as Json, json};

use crate::example;
use crate::fleet::{Fleet, readiness};
use crate::harness::{Folder, Process, eventually};

/// Waits until a file is there, which the test writes.
const SLOW: &str =
    "id: slow\nversion: 1\ntasks:\n  - {id: wait, task: wait}\noutput: ${ tasks.wait.output }\n";
const WAIT: &str = "echo >> begun; while [ ! -f go ]; do sleep 0.05; done; echo '\"done\"'";

fn owned(readiness: &Json) -> usize {
    readiness["partitionsOwned"].as_array().map_or(0, Vec::len)
}

#[test]
fn the_example_runs_over_the_servers() {
    let (folder, fleet) = (example::copy(), Fleet::new());
    let server = fleet.begin(&folder, &["examples/access-log/workflow.yaml"]);
    let place = folder.join("examples/access-log");
    let worker = fleet.worker_in(&folder, &place, &[]);
    assert!(worker.said.contains("takes tasks from log.alarm, log.check"), "{}", worker.said);
    eventually("the definition is registered", || readiness(&server)["status"] == "READY");
    let start = ["start", "access_log", "--input", "@examples/access-log/input.json", "--wait"];
    eventually("the example has run", || server.oarlock(&folder, &start).code == Some(0));
    assert!(folder.read("examples/access-log/report.txt").contains("requests"));
    worker.signal(Signal::TERM);
    // It came before its queues, of which the AMQP library would make much ado; and it would log messages whole.
    let told = worker.end().exits(0).says(&["waiting for the queue"]).stderr;
    assert!(!told.contains("Channel closed"), "{told}");
    server.stop().exits(0).says(&["handing over", "partition taken", "partition handed over"]);
}

#[test]
fn sigterm_hands_the_partitions_over() {
    let (folder, fleet) = (Folder::new(), Fleet::new());
    let first = fleet.orchestrator(&folder, &[]);
    let second = fleet.orchestrator(&folder, &[]);
    eventually("they share", || {
        let (one, other) = (readiness(&first), readiness(&second));
        owned(&one) > 0 && owned(&other) > 0 && owned(&one) + owned(&other) == 16 && one["status"] == "READY"
    });
    first.signal(Signal::TERM);
    let told = Instant::now();
    eventually("the other owns all", || owned(&readiness(&second)) == 16);
    assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
    first.end().exits(0);
    second.stop().exits(0);
}

#[test]
fn a_client_that_waits_goes_on_with_another_orchestrator() {
    let (folder, fleet) = (Folder::with(SLOW, &[("wait", WAIT)]), Fleet::new());
    let first = fleet.orchestrator(&folder, &["workflow.yaml"]);
    let second = fleet.orchestrator(&folder, &[]);
    let worker = fleet.worker(&folder, &[]);
    let servers = format!("{},{}", first.url(), second.url());
    let client = folder.start(&["--server", &servers, "start", "slow", "--wait"]);
    eventually("the task runs", || folder.join("begun").is_file());
    first.kill();
    folder.write("go", "");
    let ended = client.end().exits(0);
    assert_eq!(ended.json(), json!("done"));
    // And what does not wait asks the one that is there.
    let list = folder.oarlock(&["--server", &servers, "list", "--json"]).exits(0).json();
    assert_eq!(list["runs"][0]["status"], "COMPLETED");
    drop(worker);
    second.stop().exits(0);
}

#[test]
fn a_definition_that_is_refused_ends_it() {
    let (folder, fleet) = (Folder::with(SLOW, &[]), Fleet::new());
    fleet.orchestrator(&folder, &["workflow.yaml"]).stop().exits(0);
    folder.write(
        "workflow.yaml",
        &SLOW.replace("id: wait,", "id: other,").replace("tasks.wait", "tasks.other"),
    );
    let server = fleet.begin(&folder, &["workflow.yaml"]);
    server.end().exits(2).says(&["slow version 1 is refused", "CONFLICT"]);
}

#[test]
fn a_login_that_is_refused_is_told_and_tried_again() {
    let (folder, mut fleet) = (Folder::with(SLOW, &[("wait", WAIT)]), Fleet::new());
    let good = fleet.vhost.uri();
    fleet.set("OARLOCK_BROKER__NODES", &good.replace("guest:guest", "guest:not-this"));
    let server = fleet.begin(&folder, &[]);
    eventually("readiness tells", || {
        let problems = readiness(&server)["problems"].to_string();
        problems.contains("refused the login of user 'guest': wrong name or password")
    });
    let mut command = fleet.command(&folder, &["worker"]);
    let mut worker = Process::start(&mut command);
    eventually("its health is asked", || {
        let ready = folder.oarlock(&["ready", "--server", &server.url()]);
        ready.code == Some(4) && ready.stderr.contains("refused the login")
    });
    // It tries on: half of the time until its control queue is given up the first time is over.
    assert!(worker.is_alive());
    for ended in [server.stop().exits(0), {
        worker.signal(Signal::TERM);
        worker.end().exits(0)
    }] {
        let told = ended.says(&["refused the login of user 'guest'"]).stderr;
        assert!(!told.contains("not-this"), "{told}");
        // Two connections, once each.
        assert!(told.matches("refused the login").count() <= 3, "{told}");
    }
}

#[test]
fn what_it_prints_as_json_is_json() {
    let (folder, fleet) = (Folder::with(SLOW, &[("wait", "echo 1")]), Fleet::new());
    let server = fleet.orchestrator(&folder, &[]);
    let mut worker =
        Process::start_talking(&mut fleet.command(&folder, &["worker", "--json", "--log", "off"]));
    let mut objects = serde_json::Deserializer::from_reader(&mut worker.1).into_iter::<Json>();
    let first = objects.next().unwrap().unwrap();
    assert_eq!(first["queues"], json!(["wait"]));
    worker.0.signal(Signal::TERM);
    assert_eq!(objects.next().unwrap().unwrap(), json!({"givenBack": 0}));
    worker.0.end().exits(0);
    server.stop().exits(0);
}
