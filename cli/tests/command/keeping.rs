//! `oarlock fleet` over real servers: how many workers it keeps, and what becomes of those that are not wanted, or that die.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value as Json;

use crate::fleet::Fleet;
use crate::harness::{Ended, Folder, PATIENCE, Process, eventually};
use crate::server::Server;

const WORKFLOW: &str = "id: job\nversion: 1\ntasks:\n  - {id: work, task: work}\n";
/// Tells of itself before and after.
const WORK: &str = "echo $OARLOCK_EXECUTION_ID >> begun; sleep 0.6; echo $OARLOCK_EXECUTION_ID >> done";
/// Waits until the test writes a file.
const WAIT: &str = "echo $PPID >> begun; while [ ! -f go ]; do sleep 0.05; done; echo >> done";

/// `oarlock fleet --json`, and what it has said so far.
struct Kept {
    process: Process,
    said: Arc<Mutex<Vec<Json>>>,
}

impl Kept {
    fn begin(fleet: &Fleet, folder: &Folder, server: &Server, arguments: &[&str]) -> Self {
        let url = server.url();
        let arguments = [&["fleet", "--json", "--slots", "1", "--server", &url], arguments].concat();
        let (process, stdout) = Process::start_talking(&mut fleet.command(folder, &arguments));
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = said.clone();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                hears.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { process, said }
    }

    /// How many workers it has said to keep, one after the other.
    fn counts(&self) -> Vec<u64> {
        let said = self.said.lock().unwrap();
        said.iter()
            .filter(|line| line["before"].is_u64())
            .map(|line| line["workers"].as_u64().unwrap())
            .collect()
    }

    fn workers(&self) -> u64 {
        self.counts().last().copied().unwrap_or(0)
    }

    fn has_said(&self, key: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| !line[key].is_null())
    }

    fn stop(self) -> Ended {
        self.process.signal(Signal::TERM);
        self.process.end()
    }
}

/// Short times, so that a test sees what takes minutes else.
fn quick() -> Fleet {
    let mut fleet = Fleet::new();
    fleet.set("OARLOCK_SCALING__SLOTS_PER_WORKER", "1");
    fleet.set("OARLOCK_SCALING__DRAIN", "2s");
    fleet.set("OARLOCK_SCALING__AVERAGE", "1s");
    fleet.set("OARLOCK_SCALING__STABILIZATION", "2s");
    fleet.set("OARLOCK_SCALING__QUIET", "2s");
    fleet
}

/// Starts runs at this pace until it holds. How many were started.
#[track_caller]
fn load(server: &Server, pause: Duration, what: &str, mut holds: impl FnMut() -> bool) -> usize {
    let (begun, mut started) = (Instant::now(), 0);
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        started += start(server);
        let next = begun + pause * u32::try_from(started).unwrap();
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    started
}

fn start(server: &Server) -> usize {
    let headers = ["content-type: application/json"];
    let (status, body) = server.http("POST", "/v1/runs", &headers, br#"{"workflow": "job"}"#).unwrap();
    assert_eq!(status, 201, "{body:#}");
    1
}

#[test]
fn workers_follow_a_load_that_triples_and_falls_back_and_no_busy_one_is_ended() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[("work", WORK)]), quick());
    let server = fleet.orchestrator(&folder, &["workflow.yaml"]);
    let kept = Kept::begin(&fleet, &folder, &server, &["--min", "1", "--max", "6"]);
    let (calm, triple) = (Duration::from_millis(660), Duration::from_millis(220));
    let mut runs = load(&server, calm, "two workers for the first load", || kept.workers() >= 2);
    runs += load(&server, triple, "two more for three times the load", || kept.workers() >= 4);
    runs += load(&server, calm, "two less when it falls back", || kept.workers() <= 2);
    eventually("all is done", || folder.read("done").lines().count() >= runs);
    eventually("the fewest are left", || kept.workers() == 1);
    let counts = kept.counts();
    assert!(counts.iter().all(|count| (1..=6).contains(count)), "{counts:?}");
    assert!(!kept.has_said("lost") && !kept.has_said("away"), "{:?}", kept.said.lock().unwrap());
    kept.stop().exits(0);

    let list = server.json(&folder, &["list", "--limit", "1000"]);
    let listed = list["runs"].as_array().unwrap();
    assert_eq!(listed.len(), runs);
    assert!(listed.iter().all(|run| run["status"] == "COMPLETED"), "{list:#}");
    for file in ["begun", "done"] {
        let text = folder.read(file);
        let (lines, attempts) = (text.lines().count(), text.lines().collect::<BTreeSet<_>>().len());
        assert_eq!((lines, attempts), (runs, runs), "each task was executed once, by one attempt: {file}");
    }
    server.stop().exits(0);
}

#[test]
fn a_worker_that_dies_is_replaced_and_none_outlives_a_fleet_that_is_killed() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[("work", WAIT)]), quick());
    let server = fleet.orchestrator(&folder, &["workflow.yaml"]);
    let kept = Kept::begin(&fleet, &folder, &server, &["--min", "1", "--max", "1", "--grace", "1h"]);
    start(&server);
    let worker = |number: usize| {
        eventually("a worker has the task", || folder.read("begun").lines().count() == number);
        // The command is run by a shell of the worker's.
        Pid::from_raw(folder.read("begun").lines().last().unwrap().parse().unwrap()).unwrap()
    };
    let first = worker(1);
    kill_process(first, Signal::KILL).unwrap();
    let second = worker(2);
    assert!(kept.has_said("lost"));
    assert_ne!(first, second);
    // Killed; its stderr is also that of its worker, and does not end.
    drop(kept);
    // Its keeper is gone: it takes no more, and ends what it holds.
    start(&server);
    assert!(test_kill_process(second).is_ok());
    folder.write("go", "");
    eventually("the worker ends", || !is_there(second));
    assert_eq!(folder.read("begun").lines().count(), 2, "it took the second task no more");
    server.stop().exits(0);
}

/// Whether a process runs: one that nobody waits for is a zombie, which a container without an init keeps.
fn is_there(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn without_an_orchestrator_it_keeps_who_is_there_and_says_so() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[("work", WAIT)]), quick());
    let server = fleet.orchestrator(&folder, &["workflow.yaml"]);
    let kept = Kept::begin(&fleet, &folder, &server, &["--min", "0", "--max", "3"]);
    for _ in 0..3 {
        start(&server);
    }
    eventually("a worker for each", || kept.workers() == 3);
    eventually("each has its task", || folder.read("begun").lines().count() == 3);
    server.kill();
    eventually("it is told", || kept.has_said("away"));
    assert_eq!(kept.workers(), 3);
    folder.write("go", "");
    eventually("what they hold ends", || folder.read("done").lines().count() == 3);
    kept.stop().exits(0);
}

#[test]
fn what_makes_no_sense_is_told_before_anything_begins() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[("work", WORK)]), Fleet::new());
    let wrong = |arguments: &[&str]| fleet.run(&folder, &[&["fleet"], arguments].concat()).exits(2);
    wrong(&["--min", "5", "--max", "2"]).says(&["--min is 5 and --max 2"]);
    wrong(&["--queue", "other"]).says(&["--queue other", "they take from"]);
    wrong(&["--worker", "none.toml"]).says(&["none.toml"]);
}
