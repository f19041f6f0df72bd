//! A task that ends every worker that takes it.

use super::harness::{Fleet, STEPS, ended, start};

const DEADLY: &str = "{id: deadly, version: 1, tasks: [{id: a, task: deadly}]}";
const LIMIT: usize = 3;

#[test]
fn pain_04_a_task_that_kills_its_workers_kills_a_few_and_no_more() {
    let mut fleet = Fleet::new();
    fleet.set("ORCHESTRATOR__DELIVERY_LIMIT", &LIMIT.to_string());
    fleet.add_orchestrators(1);
    fleet.register(DEADLY);
    let client = fleet.orchestrators[0].client();
    let run = start(&client, "deadly", "k", 1);
    let deadly = format!("deadly={}; kill -9 $PPID", fleet.writes_log());
    for _ in 0..LIMIT {
        let worker = fleet.add_worker_with(&["--exec", &deadly]);
        assert_eq!(worker.exit_code(), None, "killed: {}", worker.log());
    }
    let run = ended(&client, &run);
    let error = &run["error"];
    assert_eq!((&run["status"], &error["code"]), (&"FAILED".into(), &"DELIVERY_LIMIT".into()), "{run:#}");
    assert_eq!(fleet.executions().len(), LIMIT);
    let survivor = fleet.add_worker_with(&["--exec", &deadly, "--exec", "quick=cat"]);
    survivor.word_after("takes tasks from ");
    fleet.register(STEPS);
    let next = start(&client, "steps", "k", 1);
    assert_eq!(ended(&client, &next)["status"], "COMPLETED");
    assert!(fleet.workers.last_mut().unwrap().runs(), "the deadly task is out of its queue");
}
