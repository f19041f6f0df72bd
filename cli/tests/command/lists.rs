//! `oarlock list`: what it shows, to whom, in which order and in how many pages.

use serde_json::Value as Json;

use crate::harness::{Folder, eventually};
use crate::server::Server;
use crate::starts::{folder, impatient, server};

fn ids(page: &Json) -> Vec<String> {
    page["runs"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
}

/// Starts runs one after the other; the newest first, as lists have them.
fn started(server: &Server, folder: &Folder, workflow: &str, count: usize) -> Vec<String> {
    let mut runs: Vec<_> = (0..count).map(|_| server.start_run(folder, &[workflow])).collect();
    runs.reverse();
    runs
}

#[test]
fn the_newest_come_first_in_pages() {
    let folder = folder();
    let server = server(&folder);
    let runs = started(&server, &folder, "wait", 5);
    assert_eq!(ids(&server.json(&folder, &["list"])), runs);

    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    let mut sizes = Vec::new();
    loop {
        let mut list = vec!["list", "--limit", "2"];
        list.extend(after.iter().flat_map(|after| ["--after", after.as_str()]));
        let page = server.json(&folder, &list);
        sizes.push(ids(&page).len());
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        after = Some(next.to_owned());
    }
    assert_eq!((seen, &sizes[..2]), (runs, &[2, 2][..]));

    let ended = server.oarlock(&folder, &["list", "--limit", "2"]).exits(0).says(&["more: --after "]);
    assert!(ended.stdout.starts_with("RUN ") && ended.stdout.lines().count() == 3, "{}", ended.stdout);
    server.oarlock(&folder, &["list", "--after", "nonsense"]).exits(2).says(&["`after` is the `next`"]);
}

#[test]
fn runs_are_chosen_by_status_and_workflow() {
    let folder = folder();
    let server = server(&folder);
    let waiting = started(&server, &folder, "wait", 2);
    let failed = started(&server, &folder, "fail", 1);
    let chosen = |arguments: &[&str]| ids(&server.json(&folder, &[&["list"], arguments].concat()));
    eventually("it has failed", || chosen(&["--status", "FAILED"]) == failed);
    assert_eq!(chosen(&["--status", "running"]), waiting);
    assert_eq!(chosen(&["--workflow", "wait"]), waiting);
    assert_eq!(chosen(&["--workflow", "wait", "--status", "FAILED"]), [""; 0]);
    assert_eq!(chosen(&["--workflow", "unknown"]), [""; 0]);
    let shown = server.oarlock(&folder, &["list", "--status", "FAILED"]).exits(0).stdout;
    assert!(shown.contains("fail@1") && shown.contains("EXIT_9"), "{shown}");
    // A status that does not exist is told, with those that do.
    server.oarlock(&folder, &["list", "--status", "ASLEEP"]).exits(2).says(&[
        "ASLEEP",
        "RUNNING",
        "COMPLETED",
    ]);
}

#[test]
fn another_tenant_sees_and_changes_nothing() {
    let folder = folder();
    let server = impatient(&folder);
    let run = server.start_run(&folder, &["wait"]);
    let stranger = |arguments: &[&str]| server.oarlock(&folder, &[&["--tenant", "acme"], arguments].concat());
    assert_eq!(ids(&stranger(&["list", "--json"]).exits(0).json()), [""; 0]);
    for command in ["get", "cancel", "history"] {
        stranger(&[command, &run]).exits(2).says(&["tenant 'acme' has no run", "NOT_FOUND"]);
    }
    stranger(&["start", "wait"]).exits(2).says(&["no workflow 'wait'"]);
    assert_eq!(server.json(&folder, &["get", &run])["status"], "RUNNING");

    // The same key in another tenant is another run.
    stranger(&["apply", "wait.yaml"]).exits(0);
    let keyed = ["start", "wait", "--key", "same", "--json"];
    let theirs = stranger(&keyed).exits(0).json();
    let ours = server.json(&folder, &keyed[..4]);
    assert_ne!(theirs["id"], ours["id"]);
    assert_eq!((&theirs["existing"], &ours["existing"]), (&Json::from(false), &Json::from(false)));
    assert_eq!(ids(&stranger(&["list", "--json"]).exits(0).json()), [theirs["id"].as_str().unwrap()]);
    stranger(&["--user", "ada", "cancel", theirs["id"].as_str().unwrap()]).exits(0);
    let get = || stranger(&["get", theirs["id"].as_str().unwrap(), "--json"]).exits(0).json();
    eventually("it has ended", || get()["error"]["message"] == "cancelled by ada");
}
