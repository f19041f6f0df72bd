//! examples/parent-children: a run for each region, of which one fails.

use serde_json::{Value as Json, json};

use super::{Example, statuses};
use crate::harness::task;

const RUN: &str = "oarlock run examples/parent-children/workflow.yaml examples/parent-children/region.yaml --input @examples/parent-children/input.json";
const DEV: &str = "oarlock dev examples/parent-children/region.yaml";
const APPLY: &str = "oarlock apply examples/parent-children/workflow.yaml";
const START: &str =
    "oarlock start all_regions --input @examples/parent-children/input.json --key today --wait";
const LIST: &str = "oarlock list";
const OVERVIEW: &str = "orders 5\ncents 4925\nmissing west\n";

/// What comes of it, as the README shows it.
fn shown(example: &Example) -> Json {
    let readme = example.read("README.md");
    let shown = readme.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    serde_json::from_str(shown).unwrap()
}

#[test]
fn the_regions_that_report_count_and_the_one_that_fails_is_named() {
    let example = Example::copy("parent-children");
    let run = example.types_with(RUN, "--json").exits(0).json();
    assert_eq!(run["output"], shown(&example));
    assert_eq!(
        statuses(&run, &["/each[0]/report", "/each[1]/report", "/each[2]/report"]),
        ["COMPLETED", "COMPLETED", "FAILED"]
    );
    let error = &task(&run, "/each[2]/report")["error"];
    assert_eq!(
        (&error["code"], &error["details"]["error"]["code"]),
        (&json!("CHILD_FAILED"), &json!("BROKEN_ORDER"))
    );
    assert_eq!(example.read("work/overview.txt"), OVERVIEW);
    assert_eq!(example.read("work/north.csv"), "north,1,1250\nnorth,3,400\nnorth,6,75\n");
    example.is_quiet();
}

#[test]
fn two_regions_that_fail_are_too_many() {
    let example = Example::copy("parent-children");
    example.edit("orders.csv", "south,5,2210", "south,5,-");
    let run = example.types_with(RUN, "--json").exits(1).json();
    assert_eq!(run["error"]["code"], "CHILD_FAILED");
    assert_eq!(example.read("work/overview.txt"), "");
    example.is_quiet();
}

#[test]
fn on_a_server_each_run_is_known_with_who_started_it() {
    let example = Example::copy("parent-children");
    let server = example.serves(DEV);
    example.types_to(&server, "", APPLY, "").exits(0);
    let run = example.types_to(&server, "", START, "--json").exits(0).json();
    assert_eq!((&run["status"], &run["output"]), (&json!("COMPLETED"), &shown(&example)));
    assert_eq!(example.read("work/overview.txt"), OVERVIEW);

    let list = example.types_to(&server, "", LIST, "--json").exits(0).json();
    let rows = list["runs"].as_array().unwrap();
    let started_by = |row: &Json| row["parent"]["taskPath"].as_str().map(str::to_owned);
    let mut places: Vec<_> = rows.iter().filter_map(started_by).collect();
    places.sort();
    assert_eq!((rows.len(), places), (4, [0, 1, 2].map(|n| format!("/each[{n}]/report")).to_vec()));
    let listed = |id: &Json| rows.iter().find(|row| &row["id"] == id).map(|row| &row["status"]);
    let children = [0, 1, 2].map(|n| listed(&task(&run, &format!("/each[{n}]/report"))["childId"]).unwrap());
    assert_eq!(children, ["COMPLETED", "COMPLETED", "FAILED"]);
    server.stop().exits(0);
    example.is_quiet();
}

#[test]
fn it_is_tried_out_as_the_readme_shows() {
    let example = Example::copy("parent-children");
    example.passes("workflow.yaml", "mocks.yaml");
    example.passes("region.yaml", "region-mocks.yaml");
}
