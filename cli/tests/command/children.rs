//! Runs that start runs, as a terminal shows them.

use serde_json::{Value as Json, json};

use crate::harness::{Folder, eventually, task};
use crate::server::Server;

const CHILD: &str = "id: child
version: 1
tasks:
  - {id: ask, task: ask, inputMappings: {n: \"${ input.n }\"}}
output: ${ tasks.ask.output.n }
";
const PARENT: &str = "id: parent
version: 1
tasks:
  - {id: ask, workflow: {id: child}, inputMappings: {n: 7}}
output: ${ tasks.ask.output }
";

fn folder() -> Folder {
    let folder = Folder::with(PARENT, &[("ask", "cat")]);
    folder.write("child.yaml", CHILD);
    folder
}

#[test]
fn a_run_takes_the_definitions_of_the_runs_it_starts() {
    let folder = folder();
    let ended = folder.oarlock(&["run", "workflow.yaml", "child.yaml"]).exits(0);
    assert_eq!(ended.stdout, "7\n");
    let ended = ended.says(&["parent@1 COMPLETED", "RETRY WAIT  RUN"]);
    let lines = ended.stderr.lines().filter(|line| line.contains(" /ask COMPLETED"));
    assert_eq!(
        lines.count(),
        1,
        "the step of the child, which has the same name, is not shown:\n{}",
        ended.stderr
    );
}

#[test]
fn a_workflow_that_is_started_and_not_given_is_named() {
    let ended = folder().oarlock(&["run", "workflow.yaml"]).exits(2);
    ended.says(&["no definition of child is given", "oarlock run workflow.yaml child.yaml"]);
}

#[test]
fn parent_and_child_lead_to_each_other() {
    let folder = folder();
    let server = Server::start(&folder, &["workflow.yaml", "child.yaml"]);
    let run = server.start_run(&folder, &["parent"]);
    let get = |run: &str| server.json(&folder, &["get", run]);
    eventually("it has ended", || get(&run)["status"] == "COMPLETED");
    let parent = get(&run);
    let child = task(&parent, "/ask")["childId"].as_str().unwrap().to_owned();
    assert_eq!(get(&child)["parent"], json!({"workflowInstanceId": run, "taskPath": "/ask"}));
    let shown = |arguments: &[&str]| server.oarlock(&folder, arguments).exits(0).stdout;
    assert!(shown(&["get", &run]).contains(&child));
    assert!(shown(&["get", &child]).contains(&format!("started by /ask of run {run}")));
    let listed = server.json(&folder, &["list", "--workflow", "child"]);
    let row: &Json = &listed["runs"][0];
    assert_eq!((&row["id"], &row["parent"]["workflowInstanceId"]), (&json!(child), &json!(run)));
    let list = shown(&["list"]);
    assert!(list.contains("STARTED BY") && list.contains(&format!("{run}/ask")), "{list}");
}
