//! `apply`, `start`, `get`, `cancel` and `history` against a server of `oarlock dev`.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value as Json, json};

use crate::harness::{Folder, eventually, task};
use crate::server::Server;

const ANSWER: &str = "id: answer
version: 1
tasks:
  - {id: ask, task: ask, inputMappings: {n: \"${ get(input, 'n', 0) }\"}}
output: ${ tasks.ask.output }
";
const FAIL: &str = "id: fail\nversion: 1\ntasks:\n  - {id: refuse, task: refuse}\n";
/// Waits for a task that no worker here executes.
const WAIT: &str = "id: wait\nversion: 1\ntasks:\n  - {id: nobody, task: nobody}\n";

pub(crate) fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("answer.yaml", ANSWER);
    folder.write("fail.yaml", FAIL);
    folder.write("wait.yaml", WAIT);
    folder.commands(&[("ask", "cat"), ("refuse", "exit 9")]);
    folder
}

pub(crate) fn server(folder: &Folder) -> Server {
    Server::start(folder, &["answer.yaml", "fail.yaml", "wait.yaml"])
}

/// As [`server`], where a cancel waits only shortly for a worker that does not answer.
pub(crate) fn impatient(folder: &Folder) -> Server {
    folder.write("impatient.toml", "[timeouts]\ncancel_grace = \"100ms\"\n");
    let arguments = ["--config", "impatient.toml", "answer.yaml", "fail.yaml", "wait.yaml"];
    Server::start(folder, &arguments)
}

fn status(server: &Server, folder: &Folder, run: &str) -> Json {
    server.json(folder, &["get", run])["status"].clone()
}

#[test]
fn dev_says_what_it_has_and_ends_in_order() {
    let folder = folder();
    let server = server(&folder);
    assert_eq!(
        server.said,
        format!(
            "registered answer version 1\nregistered fail version 1\nregistered wait version 1\n\
             worker settings: ./worker.toml\nruns are kept in memory; --data DIR keeps them on disk\n\
             listening on {}; Ctrl-C ends\n",
            server.url()
        )
    );
    let ended = server.stop().exits(0);
    // What waits for a worker that is not there is worth a word.
    ended.says(&["wait: no handler here for nobody; its runs wait for one", "stopping"]);

    let again = self::server(&folder);
    again.signal(Signal::INT);
    again.end().exits(0);
}

#[test]
fn a_port_in_use_is_an_error_with_the_remedy() {
    let folder = folder();
    let server = server(&folder);
    let ended = folder.oarlock(&["dev", "--listen", server.address()]).exits(2);
    ended.says(&["cannot listen on", server.address(), "choose another with --listen"]);
}

#[test]
fn a_version_is_registered_once_and_never_changes() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    folder.write("answer.yaml", ANSWER);
    let apply = || server.oarlock(&folder, &["apply", "answer.yaml"]);
    assert_eq!(apply().exits(0).stdout, "registered: answer version 1\n");
    assert_eq!(apply().exits(0).stdout, "unchanged: answer version 1\n");
    let answer = server.json(&folder, &["apply", "answer.yaml"]);
    assert_eq!(answer[0], json!({"id": "answer", "version": 1, "new": false, "warnings": []}));

    folder.write("answer.yaml", &ANSWER.replace("'n', 0", "'n', 1"));
    apply().exits(2).says(&["'answer' version 1", "another content", "greater number", "(CONFLICT)\n"]).says(
        &["\n  tasks[ask].inputMappings.n: \"${ get(input, 'n', 0) }\" → \"${ get(input, 'n', 1) }\"\n"],
    );
    folder.write("answer.yaml", &ANSWER.replace("version: 1", "version: 2"));
    assert_eq!(apply().exits(0).stdout, "registered: answer version 2\n");

    // A mistake in the last file leaves nothing half applied.
    folder.write("new.yaml", &ANSWER.replace("id: answer", "id: new"));
    folder.write("broken.yaml", "id: broken\n");
    server.oarlock(&folder, &["apply", "new.yaml", "broken.yaml"]).exits(2).says(&["broken.yaml"]);
    server.oarlock(&folder, &["start", "new"]).exits(2).says(&[
        "no workflow 'new'",
        "oarlock apply",
        "NOT_FOUND",
    ]);
}

#[test]
fn the_newest_version_starts_unless_one_is_named() {
    let folder = folder();
    folder.write("second.yaml", &ANSWER.replace("version: 1", "version: 10"));
    let server = Server::start(&folder, &["answer.yaml", "second.yaml"]);
    let version = |arguments: &[&str]| server.json(&folder, arguments)["version"].clone();
    assert_eq!(version(&["start", "answer"]), 10);
    assert_eq!(version(&["start", "answer", "--workflow-version", "1"]), 1);
    let ended = server.oarlock(&folder, &["start", "answer", "--workflow-version", "7"]).exits(2);
    ended.says(&["no workflow 'answer' of version 7"]);
}

#[test]
fn waiting_tells_how_the_run_ended() {
    let folder = folder();
    let server = server(&folder);
    let ended = server.oarlock(&folder, &["start", "answer", "--wait", "--input", r#"{"n": 3}"#]).exits(0);
    assert_eq!(ended.json(), json!({"n": 3}));
    ended.says(&["run ", "answer@1 COMPLETED"]);
    let ended = server.oarlock(&folder, &["start", "fail", "--wait"]).exits(1);
    assert_eq!(ended.stdout, "", "a failed run has no output");
    ended.says(&["fail@1 FAILED", "error EXIT_9"]);
    let ended = server.oarlock(&folder, &["start", "wait", "--wait", "--timeout", "300ms"]).exits(4);
    ended.says(&["is still RUNNING", "oarlock get"]);
    let run = server.json(&folder, &["start", "answer", "--wait", "--correlation-id", "order-7"]);
    assert_eq!((&run["status"], &run["correlationId"]), (&json!("COMPLETED"), &json!("order-7")));
}

#[test]
fn a_run_keeps_the_priority_of_its_start() {
    let folder = folder();
    let server = server(&folder);
    let start = ["start", "answer", "--key", "urgent", "--priority", "9"];
    let ended = server.oarlock(&folder, &[&start[..], &["--wait"]].concat()).exits(0);
    ended.says(&["answer@1 COMPLETED", "\npriority 9"]);
    let first = server.json(&folder, &start);
    assert_eq!(first["existing"], true);
    let run = server.json(&folder, &["get", first["id"].as_str().unwrap()]);
    assert_eq!(run["priority"], 9);
    for others in [&["start", "answer", "--key", "urgent"][..], &[&start[..5], &["8"]].concat()] {
        server.oarlock(&folder, others).exits(2).says(&["different request under the same key", "CONFLICT"]);
    }
    let plain = server.json(&folder, &["start", "answer", "--wait"]);
    assert_eq!(plain.get("priority"), None);
    for wrong in ["10", "high", "1.5"] {
        let ended = server.oarlock(&folder, &["start", "answer", "--priority", wrong]).exits(2);
        ended.says(&["--priority <N>", "a whole number from 0 to 9", "9 is the soonest"]);
    }
}

#[test]
fn the_same_key_starts_one_run() {
    let folder = folder();
    let server = server(&folder);
    let start = ["start", "answer", "--key", "order-7", "--input", r#"{"n": 1}"#];
    let first = server.json(&folder, &start);
    let second = server.json(&folder, &start);
    assert_eq!((&first["id"], &first["existing"]), (&second["id"], &json!(false)));
    assert_eq!(second["existing"], true);
    let other = server.oarlock(&folder, &["start", "answer", "--key", "order-7", "--input", r#"{"n": 2}"#]);
    other.exits(2).says(&["different request under the same key", "use a new key", "CONFLICT"]);
    // Still one when the run has long ended, and one per key.
    server.oarlock(&folder, &[&start[..], &["--wait"]].concat()).exits(0).says(&["(started before)"]);
    assert_eq!(server.json(&folder, &start)["id"], first["id"]);
    let another = server.json(&folder, &["start", "answer", "--key", "order-8", "--input", r#"{"n": 1}"#]);
    assert_ne!(another["id"], first["id"]);
    assert_eq!(server.json(&folder, &["list"])["runs"].as_array().unwrap().len(), 2);
}

#[test]
fn get_shows_a_run_and_knows_no_other() {
    let folder = folder();
    let server = server(&folder);
    let run = server.start_run(&folder, &["answer", "--input", r#"{"n": 5}"#]);
    eventually("it has ended", || status(&server, &folder, &run) == "COMPLETED");
    let ended = server.oarlock(&folder, &["get", &run]).exits(0);
    for text in ["/ask", "answer@1 COMPLETED after", &run, "\"n\": 5"] {
        assert!(ended.stdout.contains(text), "{text}:\n{}", ended.stdout);
    }
    assert!(ended.stdout.starts_with("TASK "), "{}", ended.stdout);
    let waiting = server.start_run(&folder, &["wait"]);
    let shown = server.oarlock(&folder, &["get", &waiting]).exits(0).stdout;
    assert!(shown.contains("wait@1 RUNNING since 20"), "{shown}");
    let nobodys = "01a20789-858e-720f-bb97-30823c41bb1c";
    for command in ["get", "cancel", "history"] {
        let ended = server.oarlock(&folder, &[command, nobodys]).exits(2);
        ended.says(&[nobodys, "tenant 'default' has no run", "NOT_FOUND"]);
        let ended = server.oarlock(&folder, &[command, nobodys, "--json"]).exits(2);
        assert!(ended.stderr.starts_with("{\"error\":{\"code\":\"NOT_FOUND\","), "{}", ended.stderr);
        server.oarlock(&folder, &[command, "7"]).exits(2).says(&["'7'", "UUID"]);
    }
}

#[test]
fn a_waiting_run_is_cancelled_and_an_ended_one_is_not() {
    let folder = folder();
    let server = impatient(&folder);
    let run = server.start_run(&folder, &["wait"]);
    assert_eq!(status(&server, &folder, &run), "RUNNING");
    let ended = server.oarlock(&folder, &["cancel", &run, "--reason", "nobody is there"]).exits(0);
    assert_eq!(ended.stdout, format!("run {run} is ending\n"));
    eventually("it has ended", || status(&server, &folder, &run) == "CANCELLED");
    let cancelled = server.json(&folder, &["get", &run]);
    assert_eq!(
        (&cancelled["status"], &cancelled["error"]["code"]),
        (&json!("CANCELLED"), &json!("CANCELLED"))
    );
    assert_eq!(cancelled["error"]["message"], "nobody is there");
    assert_eq!(task(&cancelled, "/nobody")["status"], "CANCELLED");

    let ended = server.oarlock(&folder, &["cancel", &run]).exits(0);
    assert_eq!(ended.stdout, format!("run {run} had ended before\n"));
    assert_eq!(server.json(&folder, &["cancel", &run]), json!({"id": run, "underWay": false}));
    assert_eq!(server.json(&folder, &["get", &run]), cancelled);
}

#[test]
fn history_is_in_the_order_of_time() {
    let folder = folder();
    let server = server(&folder);
    let run = server.start_run(&folder, &["fail"]);
    eventually("it has ended", || status(&server, &folder, &run) == "FAILED");
    let history = server.json(&folder, &["history", &run]);
    let entries = history["history"].as_array().unwrap();
    let times: Vec<_> = entries.iter().map(|entry| entry["time"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{history:#}");
    let told: Vec<_> =
        entries.iter().map(|e| (e["taskPath"].as_str().unwrap(), e["status"].as_str().unwrap())).collect();
    assert_eq!(told.first(), Some(&("/", "RUNNING")), "{history:#}");
    assert_eq!(told.last(), Some(&("/", "FAILED")), "{history:#}");
    let ended = server.oarlock(&folder, &["history", &run]).exits(0);
    assert!(ended.stdout.starts_with("TIME ") && ended.stdout.contains("EXIT_9"), "{}", ended.stdout);
}

#[test]
fn a_client_that_waits_does_not_hold_up_the_end() {
    let folder = folder();
    let server = server(&folder);
    let url = server.url();
    let client = ["--server", &url, "start", "wait", "--wait", "--timeout", "5s", "--json"];
    let client = folder.start(&client);
    let mut run = Json::Null;
    eventually("it waits", || {
        run = server.json(&folder, &["list"])["runs"][0].clone();
        !run.is_null()
    });
    let begun = Instant::now();
    server.stop().exits(0);
    // One request of the client waits for 20 seconds.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // The server may come back, or another be asked: the client waits on, as long as it was told to.
    let error: Json = serde_json::from_str(client.end().exits(4).stderr.lines().last().unwrap()).unwrap();
    let (error, run) = (&error["error"], &run["id"]);
    assert_eq!((&error["code"], &error["run"]), (&json!("WAITED_TOO_LONG"), run));
    assert!(error["message"].as_str().unwrap().contains("is still out of reach"), "{error}");
}

#[test]
fn without_a_server_the_remedy_is_told() {
    let folder = folder();
    let server = server(&folder);
    let url = server.url();
    server.stop().exits(0);
    for command in [&["apply", "answer.yaml"][..], &["start", "answer"], &["list"]] {
        let ended = folder.oarlock(&[&["--server", &url], command].concat()).exits(3);
        ended.says(&[&url, "cannot be reached: Connection refused", "`oarlock dev` starts one", "--server"]);
    }
    folder.oarlock(&["list", "--server", "nonsense"]).exits(2).says(&["nonsense"]);
}

#[test]
fn what_is_no_oarlock_is_said_to_be_none() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Read::read(&mut stream, &mut [0; 4096]).unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").unwrap();
    });
    Folder::new().oarlock(&["list", "--server", &url]).exits(3).says(&[&url, "no Oarlock"]);
    answer.join().unwrap();
}
