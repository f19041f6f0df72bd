//! Runs with iterations, as `run --json`, `get` and `history` show them.

use serde_json::{Value as Json, json};

use crate::harness::{Folder, eventually};
use crate::server::Server;

const WORKFLOW: &str = "id: counted
version: 1
tasks:
  - id: each
    forEach: {items: '${ range(12) }', as: n, tolerate: 1, concurrency: 3, collect: '${ one.output }'}
    tasks:
      - {id: one, task: one, inputMappings: {n: '${ n }'}}
  - id: again
    loop: {until: index == 2, keep: 2, output: '${ index }'}
    tasks:
      - {id: round, set: {rounds: '${ index }'}}
variables: {rounds: 0}
output: {each: '${ tasks.each.output }', again: '${ tasks.again.output }'}
";

/// A workflow whose item 7 fails.
pub(crate) fn folder() -> Folder {
    Folder::with(WORKFLOW, &[("one", "grep -v '\"n\":7'")])
}

fn output() -> Json {
    let item = |n| if n == 7 { Json::Null } else { json!({"n": n}) };
    json!({"again": 2, "each": (0..12).map(item).collect::<Vec<_>>()})
}

/// Each step of a run with its kind and status, in the order it is told.
fn steps(run: &Json) -> Vec<[String; 3]> {
    let steps = run["taskInstances"].as_array().unwrap().iter();
    steps
        .map(|step| {
            [&step["executionContext"]["taskPath"], &step["kind"], &step["status"]]
                .map(|value| value.as_str().unwrap().to_owned())
        })
        .collect()
}

/// As a run of [`WORKFLOW`] shows them.
fn expected() -> Vec<[String; 3]> {
    let step = |path: String, kind: &str, status: &str| [path, kind.to_owned(), status.to_owned()];
    let mut steps = vec![step("/each".to_owned(), "FOR_EACH", "COMPLETED")];
    for n in 0..12 {
        let status = if n == 7 { "FAILED" } else { "COMPLETED" };
        steps.push(step(format!("/each[{n}]"), "ITERATION", status));
        steps.push(step(format!("/each[{n}]/one"), "TASK", status));
    }
    steps.push(step("/again".to_owned(), "LOOP", "COMPLETED"));
    // The first round is no longer kept.
    for n in [1, 2] {
        steps.push(step(format!("/again[{n}]"), "ITERATION", "COMPLETED"));
        steps.push(step(format!("/again[{n}]/round"), "SET", "COMPLETED"));
    }
    steps
}

#[test]
fn iterations_stand_below_their_step_in_the_order_of_their_numbers() {
    let folder = folder();
    let ended = folder.oarlock(&["run", "workflow.yaml", "--json"]).exits(0);
    let run: Json = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(run["output"], output(), "{run:#}");
    assert_eq!(steps(&run), expected(), "{run:#}");
    let table = folder.oarlock(&["run", "workflow.yaml"]).exits(0).stderr;
    let places: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("/each[")).collect();
    assert!(!places.is_empty(), "{table}");
}

#[test]
fn get_and_history_show_every_iteration_with_its_place() {
    let folder = folder();
    let server = Server::start(&folder, &["workflow.yaml"]);
    let id = server.start_run(&folder, &["counted"]);
    eventually("it has ended", || server.json(&folder, &["get", &id])["status"] == "COMPLETED");
    let run = server.json(&folder, &["get", &id]);
    assert_eq!((&run["output"], steps(&run)), (&output(), expected()), "{run:#}");
    let history = server.json(&folder, &["history", &id]);
    let told: Vec<_> = history["history"].as_array().unwrap().iter().collect();
    assert!(told.iter().map(|entry| entry["time"].as_str()).is_sorted(), "{history:#}");
    let of = |path: &str| -> Vec<_> {
        told.iter()
            .filter(|entry| entry["taskPath"] == path)
            .map(|entry| entry["status"].as_str().unwrap())
            .collect()
    };
    for (path, statuses) in [
        ("/each[11]/one", &["SCHEDULED", "RUNNING", "COMPLETED"][..]),
        ("/each[7]", &["RUNNING", "FAILED"]),
        ("/again[2]/round", &["RUNNING", "COMPLETED"]),
    ] {
        assert_eq!(of(path), statuses, "{path}: {history:#}");
    }
    // All within a millisecond or two, and yet one after the other.
    let again: Vec<_> = told
        .iter()
        .filter_map(|entry| {
            Some([entry["taskPath"].as_str()?.strip_prefix("/again")?, entry["status"].as_str()?])
        })
        .collect();
    let round = |at, inside| [[at, "RUNNING"], [inside, "RUNNING"], [inside, "COMPLETED"], [at, "COMPLETED"]];
    let rounds = [round("[1]", "[1]/round"), round("[2]", "[2]/round")].concat();
    assert_eq!(again, [&[["", "RUNNING"]], &rounds[..], &[["", "COMPLETED"]]].concat(), "{history:#}");
    assert!(of("/again[0]/round").is_empty(), "what is not kept has no history: {history:#}");
}
