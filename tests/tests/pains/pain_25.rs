//! One tenant's flood keeps everybody waiting where all share a queue. Here tenants take turns.

use oarlock_orchestrator::Settings;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{Json, RunKey};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::system::{Parts, request, settings};

const FLOOD: u64 = 400;
/// So many tasks are in the broker; the other tenant's stands behind these, and behind none of those that wait.
const WINDOW: usize = 16;

async fn step(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(Json::Null)
}

#[tokio::test]
async fn pain_25_a_tenant_with_hundreds_of_tasks_keeps_no_other_waiting() {
    let parts = Parts::fresh().await;
    let system = parts.node("alone", Settings { window: WINDOW, ..settings() }).await;
    let flood = format!(
        "{{id: work, version: 1, tasks: [{{id: all, forEach: {{items: '${{ range(0, {FLOOD}) }}'}},
            tasks: [{{id: one, task: step}}]}}]}}"
    );
    let mut runs = Vec::new();
    for (tenant, text) in
        [("large", flood.as_str()), ("small", "{id: work, version: 1, tasks: [{id: a, task: step}]}")]
    {
        let definition = oarlock_definition::read("work.yaml", text).definition.unwrap();
        system.node.register(tenant, definition).await.unwrap();
        let mut start = request("work", json!({}));
        start.security_context.tenant_id = tenant.to_owned();
        runs.push(RunKey::new(tenant, system.node.start_run(start).await.unwrap().run.run));
    }
    let _worker = system.worker().slots(4).task("step", step).build().unwrap().start().await.unwrap();
    assert_eq!(system.end(&runs[1]).await.status, WorkflowStatus::Completed);
    let done = system.node.get(&runs[0]).await.unwrap().unwrap().metrics.completed_tasks;
    println!("{done} of {FLOOD} tasks were done when the other tenant's run had ended");
    assert!(done < 4 * WINDOW as u64, "{done}");
    assert_eq!(system.end(&runs[0]).await.status, WorkflowStatus::Completed);
}
