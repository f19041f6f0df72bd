//! What operators and other programs do with a run: `explain`, `resume`, `pause`, `retry`, `signal`, `complete`, `fail`.

use serde_json::{Value as Json, json};

use crate::harness::{Folder, eventually, task};
use crate::server::Server;

/// `held` fails until there is a file `mended`; then a resume helps.
const HELD: &str = "id: held
version: 1
tasks:
  - {id: try, task: held}
  - {id: after, set: {done: true}}
variables: {done: false}
taskDefinitions:
  - {id: held, retryPolicy: {maxRetries: 0, onExhausted: PAUSE}}
output: ${ variables.done }
";
/// Waits for a task that no worker here executes, and for a retry in an hour.
const WAITS: &str = "id: waits
version: 1
timeouts: {total: 2h}
tasks:
  - id: both
    parallel:
      - {id: nobody, task: nobody, timeouts: {queue: 3h}}
      - {id: again, task: again}
taskDefinitions:
  - {id: again, retryPolicy: {maxRetries: 3, initialDelay: 1h}}
";
const FAILS: &str = "id: fails\nversion: 1\ntasks:\n  - {id: refuse, task: refuse}\n";
const NOBODYS: &str = "01a20789-858e-720f-bb97-30823c41bb1c";

/// Every command about a run that `recorded.rs` asks for, after the run's id.
const TELLING: [(&str, &[&str]); 6] = [
    ("signal", &["approval", "--payload", "{}"]),
    ("complete", &["/a", "--output", "1"]),
    ("fail", &["/a", "--code", "NO", "--message", "no"]),
    ("pause", &[]),
    ("resume", &[]),
    ("retry", &[]),
];

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("held.yaml", HELD);
    folder.write("waits.yaml", WAITS);
    folder.write("fails.yaml", FAILS);
    folder.commands(&[("held", "test -e mended || exit 3"), ("again", "exit 4"), ("refuse", "exit 9")]);
    folder
}

fn server(folder: &Folder) -> Server {
    Server::start(folder, &["held.yaml", "waits.yaml", "fails.yaml"])
}

/// Starts a run and returns its id once it stands so.
#[track_caller]
fn run_in(server: &Server, folder: &Folder, workflow: &str, status: &str) -> String {
    let run = server.start_run(folder, &[workflow]);
    eventually(&format!("it is {status}"), || server.json(folder, &["get", &run])["status"] == status);
    run
}

#[track_caller]
fn post(server: &Server, run: &str, what: &str, body: &str) -> (u16, Json) {
    let headers = ["content-type: application/json"];
    server.http("POST", &format!("/v1/runs/{run}/{what}"), &headers, body.as_bytes()).expect("an answer")
}

#[test]
fn a_run_that_waits_for_an_operator_says_so_and_goes_on_when_told() {
    let folder = folder();
    let server = server(&folder);
    let run = run_in(&server, &folder, "held", "PAUSED");
    let told = server.oarlock(&folder, &["explain", &run]).exits(0).stdout;
    let resume = format!("\n    oarlock resume {run}\n");
    let held = "/try RETRY_PENDING. It waits for an operator since 20";
    for text in
        ["is PAUSED", &resume, held, "its retries are used up", "EXIT_3", "oarlock complete", "oarlock fail"]
    {
        assert!(told.contains(text), "{text}:\n{told}");
    }
    let explained = server.json(&folder, &["explain", &run]);
    assert_eq!(
        (&explained["status"], &explained["waits"][0]["taskPath"]),
        (&json!("PAUSED"), &json!("/try"))
    );
    assert_eq!(
        explained["commands"][0],
        format!("oarlock resume {run}"),
        "the command that it names is the one:"
    );

    folder.write("mended", "");
    let resumed = server.oarlock(&folder, &["resume", &run]).exits(0);
    assert_eq!(resumed.stdout, format!("run {run} goes on\n"));
    eventually("it has ended", || server.json(&folder, &["get", &run])["status"] == "COMPLETED");
    let ended = server.json(&folder, &["get", &run]);
    assert_eq!((&ended["output"], &task(&ended, "/try")["retryCount"]), (&json!(true), &json!(0)));
    let told = server.oarlock(&folder, &["explain", &run]).exits(0).stdout;
    assert!(told.contains("ended COMPLETED at 20") && !told.contains("oarlock"), "{told}");
}

#[test]
fn over_http_the_same_asked_twice_is_answered_the_same() {
    let folder = folder();
    let server = server(&folder);
    let run = run_in(&server, &folder, "held", "PAUSED");
    folder.write("mended", "");
    assert_eq!(post(&server, &run, "resume", ""), (200, json!({"id": run})));
    eventually("it has ended", || server.json(&folder, &["get", &run])["status"] == "COMPLETED");
    let run = run_in(&server, &folder, "waits", "RUNNING");
    assert_eq!(post(&server, &run, "resume", "{}"), (200, json!({"id": run})), "a run that is not PAUSED");
    assert_eq!(server.json(&folder, &["resume", &run]), json!({"id": run, "existing": true}));
    let told = server.oarlock(&folder, &["resume", &run]).exits(0).stdout;
    assert_eq!(told, format!("run {run} was not PAUSED: nothing changed\n"));
}

#[test]
fn an_explanation_tells_who_and_what_is_waited_for_and_for_how_long() {
    let folder = folder();
    let server = server(&folder);
    let run = run_in(&server, &folder, "waits", "RUNNING");
    let mut explained = Json::Null;
    eventually("the retry waits and the other task lies in its queue", || {
        explained = server.json(&folder, &["explain", &run]);
        let waits = explained["waits"].as_array().unwrap();
        let status: Vec<_> = waits.iter().map(|wait| wait["status"].as_str().unwrap()).collect();
        status == ["SCHEDULED", "RETRY_PENDING"]
            && waits[0]["text"].as_str().unwrap().contains("1 message waits in that queue")
    });
    let text = explained["text"].as_str().unwrap();
    assert!(text.contains("waits@1 is RUNNING") && text.contains("It ends TIMED_OUT at"), "{text}");
    assert_eq!(
        explained["commands"],
        json!([format!("oarlock pause {run}"), format!("oarlock cancel {run}")])
    );
    let rows = [
        (
            0,
            "/both/nobody",
            "Attempt 1 waits for a worker since 20",
            "(in 2h 59m), the attempt fails with TIMEOUT_QUEUE",
        ),
        (1, "/both/again", "(EXIT_4: 'exit 4' ended with exit status 4). Attempt 2 begins at 20", "(in 59m"),
    ];
    for (number, path, begins, ends) in rows {
        let wait = &explained["waits"][number];
        let text = wait["text"].as_str().unwrap();
        assert!(wait["taskPath"] == path && text.contains(begins) && text.contains(ends), "{wait:#}");
        assert!(wait["since"].as_str() < wait["until"].as_str(), "{wait:#}");
    }
    let run = run_in(&server, &folder, "fails", "FAILED");
    let told = server.oarlock(&folder, &["explain", &run]).exits(0).stdout;
    let retry = format!("\n    oarlock retry {run}\n");
    for text in ["fails@1 ended FAILED at 20", "The error arose at /refuse: EXIT_9", &retry] {
        assert!(told.contains(text), "{text}:\n{told}");
    }
}

#[test]
fn a_run_that_is_not_there_or_not_ones_own_is_not_found() {
    let folder = folder();
    let server = server(&folder);
    let mine = run_in(&server, &folder, "waits", "RUNNING");
    for (command, rest) in TELLING.into_iter().chain([("explain", &[][..])]) {
        for (tenant, run) in [("default", NOBODYS), ("other", &mine)] {
            let arguments = [&["--tenant", tenant, command, run], rest].concat();
            let ended = server.oarlock(&folder, &arguments).exits(2);
            let no_run = format!("tenant '{tenant}' has no run {run}");
            ended.says(&[&no_run, "`oarlock list` shows the runs", "(NOT_FOUND)"]);
            let ended = server.oarlock(&folder, &[&arguments[..], &["--json"]].concat()).exits(2);
            assert!(ended.stderr.starts_with("{\"error\":{\"code\":\"NOT_FOUND\","), "{}", ended.stderr);
        }
        server.oarlock(&folder, &[&[command, "7"], rest].concat()).exits(2).says(&["'7'", "UUID"]);
    }
    assert_eq!(server.json(&folder, &["get", &mine])["status"], "RUNNING");
}

#[test]
fn arguments_that_make_no_sense_are_refused_with_the_remedy() {
    let folder = folder();
    let server = server(&folder);
    let rows: [(&[&str], &[&str]); 7] = [
        (&["complete", NOBODYS, "charge"], &["'charge'", "begins with /"]),
        (&["complete", NOBODYS, "/"], &["begins with /"]),
        (&["complete", NOBODYS, "/a", "--output", "{"], &["--output is no JSON", "--output @FILE"]),
        (&["complete", NOBODYS, "/a", "--execution", "7"], &["'7'", "executionId"]),
        (&["fail", NOBODYS, "/a", "--code", "NO"], &["--message"]),
        (&["fail", NOBODYS, "/a", "--code", "not so", "--message", "x"], &["`code`", "INVALID_REQUEST"]),
        (&["signal", NOBODYS, "approval", "--payload", "@none.json"], &["none.json cannot be read"]),
    ];
    for (arguments, said) in rows {
        server.oarlock(&folder, arguments).exits(2).says(said);
    }
}

#[test]
fn bodies_that_make_no_sense_are_refused_with_the_remedy() {
    let folder = folder();
    let server = server(&folder);
    let run = run_in(&server, &folder, "waits", "RUNNING");
    let (long, deep) = ("x".repeat(201), format!("{}1{}", "[".repeat(80), "]".repeat(80)));
    let rows = [
        ("signals", "{}".to_owned(), "`name`"),
        ("signals", json!({"name": ""}).to_string(), "a signal's `name` has 1 to 200 bytes"),
        ("signals", json!({"name": long}).to_string(), "a signal's `name` has 1 to 200 bytes"),
        ("signals", json!({"name": "a\nb"}).to_string(), "no control characters"),
        ("signals", json!({"name": "a", "id": ""}).to_string(), "a signal's `id`"),
        ("signals", json!({"name": "a", "data": 1}).to_string(), "data"),
        ("signals", format!("{{\"name\": \"a\", \"payload\": {deep}}}"), "deeper than 64 levels"),
        ("complete", json!({"output": 1}).to_string(), "taskPath"),
        ("complete", json!({"taskPath": "charge"}).to_string(), "`taskPath` is the place of a task"),
        ("complete", json!({"taskPath": "/"}).to_string(), "`taskPath` is the place of a task"),
        ("complete", json!({"taskPath": "/a", "executionId": "7"}).to_string(), "UUID"),
        ("fail", json!({"taskPath": "/a"}).to_string(), "error"),
        ("fail", json!({"taskPath": "/a", "error": {"code": "", "message": ""}}).to_string(), "`code`"),
        ("fail", json!({"taskPath": "/a", "error": {"code": long, "message": ""}}).to_string(), "`code`"),
        ("fail", json!({"taskPath": "/a", "error": {"code": "A", "text": ""}}).to_string(), "text"),
    ];
    for (what, body, said) in rows {
        let (status, error) = post(&server, &run, what, &body);
        assert_eq!((status, &error["code"]), (400, &json!("INVALID_REQUEST")), "{what} {body}: {error:#}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said), "{what} {body}: {message}");
    }
    let large = "x".repeat(1024 * 1024);
    for (what, body) in [
        ("signals", json!({"name": "a", "payload": large})),
        ("complete", json!({"taskPath": "/both/nobody", "output": large})),
    ] {
        let (status, error) = post(&server, &run, what, &body.to_string());
        assert_eq!((status, &error["code"]), (413, &json!("PAYLOAD_TOO_LARGE")), "{what}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("1048576 bytes; keep large data elsewhere"), "{what}: {message}");
    }
    for what in ["signals", "complete", "fail", "pause", "resume", "retry"] {
        assert_eq!(post(&server, "7", what, "{\"name\": \"a\"}").0, 400, "{what}");
        let answer = server.http("GET", &format!("/v1/runs/{run}/{what}"), &[], b"");
        assert_eq!(answer.expect("an answer").0, 405, "{what}");
    }
}
