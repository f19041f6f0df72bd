//! examples/approval: a run that waits for a person, is reminded of, and refused.

use serde_json::json;

use super::{Example, statuses};
use crate::harness::eventually;
use crate::server::Server;

const DEV: &str = "oarlock dev examples/approval/workflow.yaml";
const START: &str = "oarlock start approval --input @examples/approval/input.json --key request-17";
const EXPLAIN: &str = "oarlock explain RUN";
const TOO_LITTLE: &str = r#"oarlock signal RUN approval --payload '{"approved": "yes"}'"#;
const APPROVE: &str = r#"oarlock signal RUN approval --payload '{"approved": true, "by": "grace"}'"#;
const GET: &str = "oarlock get RUN";
const HURRY: &str = "oarlock run examples/approval/hurry.yaml --input @examples/approval/input.json";

/// Starts the run of the README, and returns its id once it waits at `place`.
#[track_caller]
fn waiting_at(example: &Example, server: &Server, place: &str) -> String {
    let run = example.types_to(server, "", START, "").exits(0).stdout.trim().to_owned();
    let waits = format!("{place} RUNNING. It waits for the signal 'approval'");
    eventually(&waits, || example.types_to(server, &run, EXPLAIN, "").stdout.contains(&waits));
    run
}

#[track_caller]
fn ended(example: &Example, server: &Server, run: &str) -> serde_json::Value {
    let get = || example.types_to(server, run, GET, "--json").exits(0).json();
    eventually("the run has ended", || get()["endTime"].is_string());
    get()
}

#[test]
fn a_signal_that_fits_decides_and_one_that_does_not_is_refused() {
    let example = Example::copy("approval");
    let server = example.serves(DEV);
    let run = waiting_at(&example, &server, "/day");
    assert_eq!(example.read("work/request-17.txt"), "ada asks for a laptop: 1200\n");
    let refused = example.types_to(&server, &run, TOO_LITTLE, "").exits(2);
    refused.says(&["/by: is missing; /approved: \"yes\" is a string, expected a boolean (SCHEMA_VIOLATION)"]);

    example.types_to(&server, &run, APPROVE, "").exits(0);
    let run = ended(&example, &server, &run);
    assert_eq!(
        (&run["status"], &run["output"]),
        (&json!("COMPLETED"), &json!({"approved": true, "by": "grace"}))
    );
    assert_eq!(example.read("work/request-17.txt"), "ada asks for a laptop: 1200\napproved by grace\n");
    assert_eq!(example.read("work/to-buy.csv"), "17,a laptop,1200\n");
    server.stop().exits(0);
    example.is_quiet();
}

#[test]
fn a_request_may_be_decided_after_the_reminder() {
    let example = Example::copy("approval");
    let (day, instant) = ("timeout: 24h\n    onTimeout:\n", "timeout: 10ms\n    onTimeout:\n");
    example.edit("workflow.yaml", day, instant);
    let server = example.serves(DEV);
    let run = waiting_at(&example, &server, "/day:onTimeout/another_day");
    example.types_to(&server, &run, APPROVE, "").exits(0);
    let run = ended(&example, &server, &run);
    assert_eq!(
        statuses(&run, &["/day", "/in_time", "/day:onTimeout/late"]),
        ["TIMED_OUT", "SKIPPED", "COMPLETED"]
    );
    assert_eq!(
        example.read("work/request-17.txt"),
        "ada asks for a laptop: 1200\nreminder: nobody has decided yet\napproved by grace\n"
    );
    server.stop().exits(0);
}

#[test]
fn where_nobody_decides_it_is_reminded_of_and_refused() {
    let example = Example::copy("approval");
    let run = example.types_with(HURRY, "--json").exits(0).json();
    assert_eq!(run["output"], json!({"approved": false, "by": "nobody"}));
    assert_eq!(
        example.read("work/request-17.txt"),
        "ada asks for a laptop: 1200\nreminder: nobody has decided yet\nrefused by nobody\n"
    );
    assert!(!example.folder.join("examples/approval/work/to-buy.csv").exists());
    example.is_quiet();
}

#[test]
fn the_one_in_a_hurry_is_the_same_but_for_its_times() {
    let example = Example::copy("approval");
    // The first two lines of each name the schema and tell what it is.
    let rest = |file: &str| example.read(file).lines().skip(2).collect::<Vec<_>>().join("\n");
    let hurried =
        rest("workflow.yaml").replace("id: approval\n", "id: approval_in_a_hurry\n").replace("24h", "2s");
    assert_eq!(hurried, rest("hurry.yaml"));
    example.passes("workflow.yaml", "mocks.yaml");
}
