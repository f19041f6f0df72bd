//! `oarlock parked`: what producers sent that nobody could understand, looked at, put back, dropped.

use oarlock_test_servers::{management, shared};
use serde_json::{Value as Json, json};

use crate::fleet::Fleet;
use crate::harness::{Folder, eventually};
use crate::server::Server;

const WORKFLOW: &str = "id: one\nversion: 1\ntasks:\n  - {id: set, set: {x: 1}}\noutput: 1\n";

/// Publishes a text on the queue of starts, as a producer would.
fn publish(fleet: &Fleet, body: &str) {
    let path = format!("/api/exchanges/{}/amq.default/publish", fleet.vhost.name());
    let message = json!({
        "properties": {"type": "oarlock.start"}, "routing_key": "oarlock.start", "payload": body,
        "payload_encoding": "string",
    });
    let answer = management::ask("POST", &shared().management, &path, &message.to_string()).unwrap();
    assert_eq!(answer["routed"], true);
}

/// The parked messages, once there are so many.
fn parked(server: &Server, folder: &Folder, count: usize) -> Vec<Json> {
    let mut found = Vec::new();
    eventually("they are parked", || {
        found = server.json(folder, &["parked", "list"])["parked"].as_array().unwrap().clone();
        found.len() == count
    });
    found
}

#[test]
fn they_are_listed_shown_and_dropped() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[]), Fleet::new());
    let server = fleet.orchestrator(&folder, &[]);
    ["no JSON at all", "{\"format\": 1}", "[]"].iter().for_each(|body| publish(&fleet, body));
    let found = parked(&server, &folder, 3);
    let id = found[0]["id"].as_str().unwrap();

    let list = server.oarlock(&folder, &["parked", "list"]).exits(0).stdout;
    let heading = list.lines().next().unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(heading, ["ID", "PARKED", "FROM", "TYPE", "SIZE", "REASON"]);
    assert_eq!(list.lines().count(), 4, "{list}");
    assert!(list.contains("oarlock.start"), "{list}");

    let shown = server.oarlock(&folder, &["parked", "show", id]).exits(0).stdout;
    assert!(shown.ends_with("\n\nno JSON at all\n") && shown.contains("oarlock.start"), "{shown}");
    assert_eq!(server.json(&folder, &["parked", "show", id])["body"], "no JSON at all");

    server.oarlock(&folder, &["parked", "drop", id]).exits(0);
    let gone = server.oarlock(&folder, &["parked", "drop", id]).exits(2);
    gone.says(&["no parked message", "1 of 1 parked messages could not be dropped"]);
    // What cannot be understood cannot be put back either: each is told, and stays.
    let back = server.oarlock(&folder, &["parked", "requeue", "--all"]).exits(2);
    assert!(back.stdout.contains("0 put back, 2 left as they are"), "{}", back.stdout);
    back.says(&["it cannot be put back"]);
    let dropped = server.json(&folder, &["parked", "drop", "--all"]);
    assert_eq!(dropped["done"].as_array().unwrap().len(), 2);
    assert_eq!(server.json(&folder, &["parked", "list"]), json!({"parked": []}));
    server.stop().exits(0);
}

#[test]
fn a_start_goes_back_when_its_producer_is_known() {
    let (folder, fleet) = (Folder::with(WORKFLOW, &[]), Fleet::new());
    let server = fleet.orchestrator(&folder, &["workflow.yaml"]);
    publish(&fleet, "{\"format\": 1, \"workflow\": \"one\", \"key\": \"k\"}");
    let reason = parked(&server, &folder, 1)[0]["reason"].to_string();
    assert!(reason.contains("[producers]"), "{reason}");
    server.stop().exits(0);

    folder.write("oarlock.toml", "[producers]\n\"*\" = {user = \"shop\", tenant = \"default\"}\n");
    let server = fleet.begin(&folder, &["--config", "oarlock.toml"]);
    eventually("it is put back", || {
        let back = server.oarlock(&folder, &["parked", "requeue", "--all"]);
        back.code == Some(0) && back.stdout.contains("put back into oarlock.start: ")
    });
    eventually("its run has ended", || server.json(&folder, &["list"])["runs"][0]["status"] == "COMPLETED");
    server.stop().exits(0);
}

#[test]
fn a_server_to_develop_with_has_them_too() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    assert_eq!(server.json(&folder, &["parked", "list"]), json!({"parked": []}));
    let all = server.oarlock(&folder, &["parked", "drop", "--all"]).exits(0);
    assert_eq!(all.stdout, "0 dropped, 0 left as they are\n");
    for command in ["show", "requeue", "drop"] {
        server.oarlock(&folder, &["parked", command, "a/b"]).exits(2).says(&["a/b"]);
    }
    server.oarlock(&folder, &["parked", "drop"]).exits(2).says(&["ID"]);
    server.stop().exits(0);
}
