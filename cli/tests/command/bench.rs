//! `oarlock bench`: small measurements. Whether their figures are good is no test's business; that they are figures is.

use oarlock_test_servers::shared;
use rustix::process::Signal;
use serde_json::Value as Json;

use crate::fleet::Fleet;
use crate::harness::{Folder, Process, eventually};

/// Small enough for a test.
const SMALL: [&str; 8] = ["--json", "bench", "--workflows", "20", "--in-flight", "10", "--rounds", "1"];

fn assert_measured(report: &Json) {
    for figure in ["tasksPerSecond", "floorTasksPerSecond", "ratio", "p50Ms", "p99Ms", "runsPerSecond"] {
        assert!(report[figure].as_f64().unwrap() > 0.0, "{figure}: {report}");
    }
    assert!(report["taskBytes"].as_u64().unwrap() > report["resultBytes"].as_u64().unwrap());
}

#[test]
fn embedded_every_shape_is_measured_in_one_process() {
    let folder = Folder::new();
    for shape in ["chain", "fanout", "diamond", "retry"] {
        let arguments = [&SMALL[..], &["--embedded", "--shape", shape, "--tasks", "4"]].concat();
        let report = folder.oarlock(&arguments).exits(0).json();
        assert_measured(&report);
        assert_eq!((&report["shape"], &report["tasks"]), (&shape.into(), &4.into()));
    }
    for shape in ["start", "wait"] {
        let arguments = [&SMALL[..], &["--embedded", "--shape", shape]].concat();
        let report = folder.oarlock(&arguments).exits(0).json();
        assert!(report["runsPerSecond"].as_f64().unwrap() > 0.0 && report["ratio"].is_null(), "{report}");
    }
    let text = folder.oarlock(&[&SMALL[1..], &["--embedded"]].concat()).exits(0);
    for figure in ["ratio", "start to done, p50, p99", "CPU per task, oarlock"] {
        assert!(text.stdout.contains(figure), "{}", text.stdout);
    }
}

#[test]
fn over_servers_it_starts_its_own_processes_and_leaves_nothing() {
    let (folder, mut fleet) = (Folder::new(), Fleet::new());
    fleet.set("OARLOCK_ORCHESTRATOR__PARTITIONS", "4");
    let more = ["--orchestrators", "2", "--workers", "2", "--take-over", "--idle", "1"];
    let report = fleet.run(&folder, &[&SMALL[..], &more].concat()).exits(0).json();
    assert_measured(&report);
    for part in ["orchestrator 1", "orchestrator 2", "worker 1", "worker 2"] {
        assert!(report["peakBytes"][part].as_u64().unwrap() > 1_000_000, "{report}");
        assert!(report["idleCpuShare"][part].is_number(), "{report}");
    }
    assert!(
        report["scriptCalls"].as_f64().unwrap() > 0.0 && report["takeOverSeconds"].is_number(),
        "{report}"
    );
    assert!(fleet.vhost.queues().unwrap().is_empty(), "{:?}", fleet.vhost.queues());
    assert_eq!(keys(), 0);
}

#[test]
fn interrupted_it_leaves_nothing_either() {
    let (folder, fleet) = (Folder::new(), Fleet::new());
    let arguments = ["bench", "--workflows", "1000000", "--in-flight", "10", "--rounds", "1"];
    let running = Process::start(&mut fleet.command(&folder, &arguments));
    eventually("it measures", || fleet.vhost.queues().unwrap().len() > 20);
    running.signal(Signal::INT);
    running.end().exits(2).says(&["interrupted by Ctrl-C"]);
    assert!(fleet.vhost.queues().unwrap().is_empty(), "{:?}", fleet.vhost.queues());
}

#[test]
fn it_does_not_begin_where_others_work_or_where_it_makes_no_sense() {
    let (folder, fleet) = (Folder::new(), Fleet::new());
    let server = fleet.orchestrator(&folder, &[]);
    fleet.run(&folder, &SMALL[1..]).exits(2).says(&["holds queues of Oarlock", "Name an empty one"]);
    server.stop().exits(0);
    let diamond = ["bench", "--embedded", "--shape", "diamond", "--tasks", "2"];
    folder.oarlock(&diamond).exits(2).says(&["--tasks is 2; this shape has 3 to"]);
    folder.oarlock(&["bench", "--embedded", "--workflows", "0"]).exits(2).says(&["at least 1"]);
    folder.oarlock(&["bench", "--watch", "rabbitmq"]).exits(2).says(&["such as rabbitmq=4711"]);
}

/// How many keys of measurements the shared Redis holds.
fn keys() -> usize {
    use std::io::{BufRead, BufReader, Write};
    let mut redis = std::net::TcpStream::connect(shared().redis.trim_start_matches("redis://")).unwrap();
    let script = "return #redis.call('KEYS', 'oarlock-bench-*')";
    write!(redis, "*3\r\n$4\r\nEVAL\r\n${}\r\n{script}\r\n$1\r\n0\r\n", script.len()).unwrap();
    let mut answer = String::new();
    BufReader::new(redis).read_line(&mut answer).unwrap();
    answer.trim().trim_start_matches(':').parse().unwrap()
}
