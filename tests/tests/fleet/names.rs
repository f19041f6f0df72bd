//! Processes that come back under the name they had: each start is another.

use super::harness::{Fleet, GATED, ended, node_name, start};
use super::program::{PATIENCE, until};

#[test]
fn pain_11_processes_that_come_back_under_their_old_names_take_up_what_they_had_left() {
    let mut fleet = Fleet::new();
    fleet.add_orchestrators(1);
    fleet.register(GATED);
    let client = fleet.orchestrators[0].client();
    // A worker is named after its machine: both have the same name.
    let first = fleet.add_worker(4).word_after("worker ");
    let run = start(&client, "gated", "k", 1);
    let status = |client: &super::client::Client| client.get(&format!("/v1/runs/{run}")).unwrap().json();
    until("the first worker holds it", PATIENCE, || {
        (status(&client)["taskInstances"][0]["status"] == "RUNNING").then_some(())
    });
    fleet.orchestrators[0].kill();
    fleet.workers[0].kill();
    fleet.orchestrators.clear();
    let second = fleet.add_worker(4).word_after("worker ");
    // Before the lease of its namesake is over.
    let orchestrator = fleet.orchestrator(&node_name(0));
    fleet.orchestrators.push(orchestrator);
    fleet.settled();
    until("the second worker begins", PATIENCE, || (fleet.executions().len() == 2).then_some(()));
    fleet.open_gate();
    let run = ended(&fleet.orchestrators[0].client(), &run);
    assert_eq!(run["status"], "COMPLETED", "{run:#}");
    let attempt = &run["taskInstances"][0]["attempts"][0];
    assert_eq!(
        (&attempt["workerId"], &attempt["earlierWorkers"][0]),
        (&second.clone().into(), &first.clone().into())
    );
    let name = |id: &str| id.rsplit_once('-').unwrap().0.to_owned();
    assert_eq!(name(&first), name(&second), "they have one name");
    assert_ne!(first, second, "and each start an id of its own");
}
