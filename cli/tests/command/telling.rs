//! Runs that are told something: signals, tasks that are ended from outside, pauses and retries.

use serde_json::{Value as Json, json};

use crate::harness::{Folder, eventually, task};
use crate::server::Server;

const APPROVAL: &str = "id: approval
version: 1
tasks:
  - {id: approve, wait: {signal: 'approval of ${ input.order }', timeout: 24h}}
output: ${ tasks.approve.output }
";
/// A task that no worker here executes, then one that a worker does.
const OUTSIDE: &str = "id: outside
version: 1
tasks:
  - {id: charge, task: nobody}
  - {id: tell, task: tell}
output: ${ tasks.charge.output }
";
/// `gate` waits until there is a file `open`, and fails unless there is a file `mended`.
const GATE: &str = "id: gate
version: 1
tasks:
  - {id: pass, task: gate}
  - {id: tell, task: tell}
";
const HELD: &str = "id: held
version: 1
tasks:
  - {id: try, task: held}
  - {id: tell, task: tell}
taskDefinitions:
  - {id: held, retryPolicy: {maxRetries: 0, onExhausted: PAUSE}}
output: ${ tasks.try.output }
";
const WORKFLOWS: [(&str, &str); 4] =
    [("approval.yaml", APPROVAL), ("outside.yaml", OUTSIDE), ("gate.yaml", GATE), ("held.yaml", HELD)];

fn folder() -> Folder {
    let folder = Folder::new();
    for (name, text) in WORKFLOWS {
        folder.write(name, text);
    }
    let gate = "touch begun; until test -e open; do sleep 0.01; done; test -e mended";
    folder.commands(&[("gate", gate), ("tell", "echo 1"), ("held", "exit 3")]);
    folder
}

fn server(folder: &Folder) -> Server {
    Server::start(folder, &WORKFLOWS.map(|(name, _)| name))
}

#[track_caller]
fn becomes(server: &Server, folder: &Folder, run: &str, status: &str) -> Json {
    let mut seen = Json::Null;
    eventually(&format!("it is {status}"), || {
        seen = server.json(folder, &["get", run]);
        seen["status"] == status
    });
    seen
}

/// What the run waits for in its only place.
#[track_caller]
fn only_wait(server: &Server, folder: &Folder, run: &str) -> Json {
    let explained = server.json(folder, &["explain", run]);
    assert_eq!(explained["waits"].as_array().map(Vec::len), Some(1), "{explained:#}");
    explained["waits"][0].clone()
}

#[test]
fn a_signal_ends_the_wait_for_it_once() {
    let folder = folder();
    let server = server(&folder);
    let run = server.start_run(&folder, &["approval", "--input", r#"{"order": 7}"#]);
    let wait = only_wait(&server, &folder, &run);
    let told = wait["text"].as_str().unwrap();
    assert!(told.contains("It waits for the signal 'approval of 7', since 20"), "{told}");
    assert!(told.contains("(in 23h 59m), it ends TIMED_OUT."), "{told}");
    assert_eq!(wait["commands"], json!([format!("oarlock signal {run} 'approval of 7' --payload JSON")]));

    // One that nobody waits for is kept, and changes nothing.
    let early = server.oarlock(&folder, &["signal", &run, "other", "--id", "s-0"]).exits(0);
    assert_eq!(early.stdout, format!("run {run} has the signal 'other' (id s-0)\n"));
    let again = server.oarlock(&folder, &["signal", &run, "other", "--id", "s-0"]).exits(0);
    assert_eq!(again.stdout, format!("run {run} had a signal with the id s-0 before: nothing changed\n"));
    assert_eq!(server.json(&folder, &["get", &run])["status"], "RUNNING");

    folder.write("yes.json", r#"{"by": "ada"}"#);
    let signal = ["signal", &run, "approval of 7", "--payload", "@yes.json", "--id", "s-1"];
    assert_eq!(server.json(&folder, &signal), json!({"id": run, "signalId": "s-1", "existing": false}));
    assert_eq!(becomes(&server, &folder, &run, "COMPLETED")["output"], json!({"by": "ada"}));
    assert_eq!(server.json(&folder, &signal)["existing"], true, "the same signal again");
    let ended = server.oarlock(&folder, &["signal", &run, "approval of 7"]).exits(2);
    ended.says(&["has ended COMPLETED", "`oarlock explain", "(CONFLICT)"]);
}

#[test]
fn a_signal_that_does_not_fit_is_refused_and_the_wait_goes_on() {
    let folder = folder();
    let schema = "{properties: {approved: {type: boolean}}, required: [approved]}";
    let strict = APPROVAL.replace("timeout: 24h", &format!("schema: {schema}, timeout: 24h"));
    folder.write("approval.yaml", &strict);
    let server = server(&folder);
    let run = server.start_run(&folder, &["approval", "--input", r#"{"order": 7}"#]);
    let signal = |payload| {
        server.oarlock(&folder, &["signal", &run, "approval of 7", "--id", "s-1", "--payload", payload])
    };
    signal(r#"{"approved": "yes"}"#).exits(2).says(&["/approved", "(SCHEMA_VIOLATION)"]);
    assert_eq!(server.json(&folder, &["get", &run])["status"], "RUNNING");
    signal(r#"{"approved": true}"#).exits(0);
    assert_eq!(becomes(&server, &folder, &run, "COMPLETED")["output"], json!({"approved": true}));
}

#[test]
fn more_signals_than_a_run_keeps_are_refused() {
    let folder = folder();
    let server = server(&folder);
    let run = server.start_run(&folder, &["approval", "--input", r#"{"order": 7}"#]);
    let send = |number: usize| {
        let body = json!({"name": "early", "id": number.to_string()}).to_string();
        let headers = ["content-type: application/json"];
        server.http("POST", &format!("/v1/runs/{run}/signals"), &headers, body.as_bytes()).unwrap()
    };
    assert_eq!(send(0), (200, json!({"id": run, "signalId": "0"})));
    for number in 1..100 {
        assert_eq!(send(number).0, 200, "{number}");
    }
    let (status, error) = send(100);
    assert_eq!((status, &error["code"]), (429, &json!("MAILBOX_FULL")));
    assert_eq!(send(0).0, 200, "one that is there already needs no room");
}

#[test]
fn a_task_is_completed_from_outside_once() {
    let folder = folder();
    let server = server(&folder);
    let run = server.start_run(&folder, &["outside"]);
    let open = server.json(&folder, &["get", &run]);
    let attempt = task(&open, "/charge")["attempts"][0]["executionId"].as_str().unwrap().to_owned();
    let other = "01a20789-858e-720f-bb97-30823c41bb1c";
    let ended = server.oarlock(&folder, &["complete", &run, "/charge", "--execution", other]).exits(2);
    ended.says(&["the latest attempt of /charge is another", "oarlock explain", "(CONFLICT)"]);
    for path in ["/tell", "/nowhere", "/charge[1]"] {
        let ended = server.oarlock(&folder, &["complete", &run, path]).exits(2);
        ended.says(&[&format!("the run has reached no step at {path}"), "oarlock get", "(NOT_FOUND)"]);
    }

    let complete = ["complete", &run, "/charge", "--output", r#"{"receipt": 7}"#, "--execution", &attempt];
    let done = server.oarlock(&folder, &complete).exits(0);
    assert_eq!(done.stdout, format!("/charge of run {run} is done\n"));
    let again = server.json(&folder, &complete);
    assert_eq!(again, json!({"id": run, "taskPath": "/charge", "existing": true}));
    assert_eq!(becomes(&server, &folder, &run, "COMPLETED")["output"], json!({"receipt": 7}));
    let ended = server.oarlock(&folder, &["complete", &run, "/charge"]).exits(2);
    ended.says(&["/charge is COMPLETED already", "(CONFLICT)"]);
}

#[test]
fn a_task_is_failed_from_outside() {
    let folder = folder();
    let server = server(&folder);
    let run = server.start_run(&folder, &["outside"]);
    let fail = ["fail", &run, "/charge", "--code", "DECLINED", "--message", "no", "--details", "[1]"];
    let failed = server.oarlock(&folder, &fail).exits(0);
    assert_eq!(failed.stdout, format!("the attempt of /charge of run {run} has failed with DECLINED\n"));
    let ended = becomes(&server, &folder, &run, "FAILED");
    let error = json!({"code": "DECLINED", "message": "no", "details": [1], "retryable": false});
    assert_eq!(task(&ended, "/charge")["error"], error);
}

#[test]
fn a_task_that_waits_for_an_operator_is_completed_or_failed_by_one() {
    let folder = folder();
    let server = server(&folder);
    let run = server.start_run(&folder, &["held"]);
    becomes(&server, &folder, &run, "PAUSED");
    server.oarlock(&folder, &["complete", &run, "/try", "--output", "5"]).exits(0);
    assert_eq!(server.json(&folder, &["get", &run])["status"], "PAUSED", "an operator lets it go on");
    server.oarlock(&folder, &["resume", &run]).exits(0);
    assert_eq!(becomes(&server, &folder, &run, "COMPLETED")["output"], 5);

    let run = server.start_run(&folder, &["held"]);
    becomes(&server, &folder, &run, "PAUSED");
    server.oarlock(&folder, &["fail", &run, "/try", "--code", "GIVEN_UP", "--message", "no"]).exits(0);
    assert_eq!(becomes(&server, &folder, &run, "FAILED")["error"]["code"], "GIVEN_UP");
}

#[test]
fn a_paused_run_dispatches_nothing_until_it_is_resumed() {
    let folder = folder();
    let server = server(&folder);
    folder.write("mended", "");
    let run = server.start_run(&folder, &["gate"]);
    eventually("the first task has begun", || folder.join("begun").exists());
    let paused = server.oarlock(&folder, &["pause", &run]).exits(0);
    let resume = format!("`oarlock resume {run}` lets it go on");
    assert!(paused.stdout.contains("is PAUSED") && paused.stdout.contains(&resume), "{}", paused.stdout);
    let again = server.oarlock(&folder, &["pause", &run]).exits(0);
    assert_eq!(again.stdout, format!("run {run} was PAUSED before\n"));
    folder.write("open", "");
    eventually("the first task has ended", || {
        task(&server.json(&folder, &["get", &run]), "/pass")["status"] == "COMPLETED"
    });
    let wait = only_wait(&server, &folder, &run);
    let told = wait["text"].as_str().unwrap();
    assert!(wait["taskPath"] == "/tell" && told.contains("is dispatched when the run goes on"), "{wait:#}");
    server.oarlock(&folder, &["resume", &run]).exits(0);
    becomes(&server, &folder, &run, "COMPLETED");
    for command in ["pause", "resume"] {
        let ended = server.oarlock(&folder, &[command, &run]).exits(2);
        ended.says(&["the run has ended COMPLETED", "oarlock explain", "(CONFLICT)"]);
    }
}

#[test]
fn a_paused_definition_lets_nothing_out_until_it_is_resumed() {
    let folder = folder();
    let server = server(&folder);
    folder.write("mended", "");
    folder.write("open", "");
    let paused = server.oarlock(&folder, &["pause", "--workflow", "gate", "--reason", "too many"]).exits(0);
    assert!(paused.stdout.contains("workflow 'gate' is paused"), "{}", paused.stdout);
    let again = server.oarlock(&folder, &["pause", "--workflow", "gate"]).exits(0);
    assert_eq!(again.stdout, "workflow 'gate' was paused before\n");
    let list = server.oarlock(&folder, &["pauses"]).exits(0).stdout;
    assert!(["workflow", "gate", "too many"].iter().all(|word| list.contains(word)), "{list}");
    let run = server.start_run(&folder, &["gate"]);
    let wait = only_wait(&server, &folder, &run);
    assert!(wait["text"].as_str().unwrap().contains("the workflow 'gate' is paused since"), "{wait:#}");
    assert_eq!(wait["commands"][0], "oarlock resume --workflow gate");
    let resumed = server.oarlock(&folder, &["resume", "--workflow", "gate"]).exits(0);
    assert_eq!(resumed.stdout, "workflow 'gate' goes on\n");
    becomes(&server, &folder, &run, "COMPLETED");
    let again = server.oarlock(&folder, &["resume", "--workflow", "gate"]).exits(0);
    assert_eq!(again.stdout, "workflow 'gate' was not paused: nothing changed\n");
    server.oarlock(&folder, &["pause"]).exits(2);
    server.oarlock(&folder, &["pause", &run, "--queue", "q"]).exits(2);
}

#[test]
fn a_run_that_failed_does_again_what_did_not_complete() {
    let folder = folder();
    let server = server(&folder);
    folder.write("open", "");
    let run = server.start_run(&folder, &["gate"]);
    becomes(&server, &folder, &run, "FAILED");
    folder.write("mended", "");
    let retried = server.oarlock(&folder, &["retry", &run]).exits(0);
    assert_eq!(retried.stdout, format!("run {run} goes on: what did not complete is done again\n"));
    let ended = becomes(&server, &folder, &run, "COMPLETED");
    assert_eq!(task(&ended, "/pass")["attempts"].as_array().map(Vec::len), Some(2), "{ended:#}");
    assert!(ended.get("error").is_none(), "{ended:#}");
    let again = server.oarlock(&folder, &["retry", &run]).exits(2);
    again.says(&["COMPLETED", "nothing is left to do again", "(CONFLICT)"]);
    let waiting = server.start_run(&folder, &["outside"]);
    let told = server.oarlock(&folder, &["retry", &waiting]).exits(0).stdout;
    assert_eq!(told, format!("run {waiting} is under way: nothing changed\n"));
}
