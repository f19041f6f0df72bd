//! `oarlock stats`: what attempts and runs took, by task definition and by workflow.

use crate::harness::Folder;
use crate::server::Server;

const TRIED: &str = "id: tried\nversion: 1\ntasks:\n  - {id: a, task: once}\n  - {id: b, task: once}\n  - {id: c, task: refuse}\n";

#[test]
fn what_attempts_and_runs_took_is_told_by_definition() {
    let folder = Folder::new();
    folder.write("tried.yaml", TRIED);
    folder.commands(&[("once", "true"), ("refuse", "exit 9")]);
    let server = Server::start(&folder, &["tried.yaml"]);
    for _ in 0..2 {
        server.oarlock(&folder, &["start", "tried", "--wait"]).exits(1);
    }
    let told = server.json(&folder, &["stats"]);
    let tasks = told["tasks"].as_array().unwrap();
    let count = |task: usize, field: &str| tasks[task][field].as_u64().unwrap();
    assert_eq!((tasks[0]["task"].as_str(), count(0, "attempts"), count(0, "failed")), (Some("once"), 4, 0));
    assert_eq!((tasks[1]["task"].as_str(), count(1, "attempts"), count(1, "failed")), (Some("refuse"), 2, 2));
    assert_eq!(tasks[1]["failures"]["EXIT_9"], 2);
    assert_eq!(tasks[0]["executionTimeMs"]["count"], 4);
    let only = server.json(&folder, &["stats", "--only", "refuse", "--hours", "1"]);
    assert_eq!(only["tasks"].as_array().unwrap().len(), 1);
    let workflows = server.json(&folder, &["stats", "workflows"]);
    let tried = &workflows["workflows"][0];
    assert_eq!(
        (tried["workflow"].as_str(), &tried["runs"], &tried["failed"]),
        (Some("tried"), &2.into(), &2.into())
    );
    let table = server.oarlock(&folder, &["stats"]).exits(0).stdout;
    let first = table.lines().nth(1).unwrap_or_default();
    assert!(table.starts_with("TASK ") && first.starts_with("once ") && first.contains("  4 "), "{table}");
    let table = server.oarlock(&folder, &["stats", "workflows"]).exits(0).stdout;
    assert!(table.starts_with("WORKFLOW ") && table.contains("\ntried "), "{table}");
    let other = server.json(&folder, &["--tenant", "other", "stats"]);
    assert_eq!(other["tasks"].as_array().map(Vec::len), Some(0));
    server
        .oarlock(&folder, &["stats", "--hours", "0"])
        .exits(2)
        .says(&["`hours` is 0; write a number from 1 to 744"]);
}
