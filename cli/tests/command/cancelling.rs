//! Runs that are ended from outside, and what becomes of the commands they had started.

use rustix::process::{Pid, Signal, test_kill_process};

use crate::harness::{Folder, Process, eventually};
use crate::server::Server;

const WORKFLOW: &str = "id: w\nversion: 1\ntasks:\n  - {id: long, task: long}\n  - {id: after, task: long}\n";
/// Leaves the ids of itself and of a process of its own, and outlives every test.
const LONG: &str = "sleep 1000 & echo $! > child; echo $$ > leader; wait";
/// As above, and SIGTERM does not end it.
const STUBBORN: &str = "trap '' TERM; sleep 1000 & echo $! > child; echo $$ > leader; while :; do wait; done";

fn folder(command: &str) -> Folder {
    let folder = Folder::new();
    folder.write("workflow.yaml", WORKFLOW);
    folder.write("worker.toml", &format!("[exec.long]\ncommand = '''{command}'''\nkill_grace = \"10m\"\n"));
    folder
}

fn begun(folder: &Folder) {
    eventually("the command has begun", || folder.read("leader").ends_with('\n'));
}

fn nothing_is_left_of(folder: &Folder) {
    for file in ["leader", "child"] {
        let id = folder.read(file).trim().parse().unwrap();
        let is_gone = || test_kill_process(Pid::from_raw(id).unwrap()).is_err();
        eventually(&format!("the {file} of the command is gone"), is_gone);
    }
}

fn started(folder: &Folder, more: &[&str]) -> Process {
    let process = folder.start(&[&["run", "workflow.yaml"], more].concat());
    begun(folder);
    process
}

#[test]
fn ctrl_c_cancels_the_run_and_ends_its_commands() {
    let folder = folder(LONG);
    let process = started(&folder, &[]);
    process.signal(Signal::INT);
    let ended = process.end().exits(1);
    ended.says(&["ending the run: interrupted by Ctrl-C", "/long CANCELLED", "w@1 CANCELLED"]);
    nothing_is_left_of(&folder);
}

#[test]
fn sigterm_cancels_too_and_json_stays_json() {
    let folder = folder(LONG);
    let process = started(&folder, &["--json"]);
    process.signal(Signal::TERM);
    let ended = process.end().exits(1);
    assert_eq!((&ended.json()["status"], ended.stderr.as_str()), (&"CANCELLED".into(), ""));
    nothing_is_left_of(&folder);
}

#[test]
fn a_second_ctrl_c_leaves_at_once_and_ends_the_commands_too() {
    let folder = folder(STUBBORN);
    let mut process = started(&folder, &[]);
    eventually("it leaves", || {
        if process.is_alive() {
            process.signal(Signal::INT);
        }
        !process.is_alive()
    });
    process.end().exits(4).says(&["left before the run had ended"]);
    nothing_is_left_of(&folder);
}

#[test]
fn a_run_that_takes_too_long_is_cancelled() {
    let folder = folder(LONG);
    let ended = folder.oarlock(&["run", "workflow.yaml", "--timeout", "1s"]).exits(1);
    ended.says(&["ending the run: it took longer than --timeout", "w@1 CANCELLED"]);
    nothing_is_left_of(&folder);
    folder.oarlock(&["run", "workflow.yaml", "--timeout", "soon"]).exits(2).says(&["'soon'", "--timeout"]);
}

#[test]
fn a_server_that_is_told_twice_leaves_at_once_and_ends_the_commands() {
    let folder = folder(STUBBORN);
    let mut server = Server::start(&folder, &["workflow.yaml"]);
    server.start_run(&folder, &["w"]);
    begun(&folder);
    eventually("it leaves", || {
        if server.is_alive() {
            server.signal(Signal::TERM);
        }
        !server.is_alive()
    });
    nothing_is_left_of(&folder);
}
