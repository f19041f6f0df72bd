//! The definitions that are measured, and the input of their runs.

use oarlock_protocol::Json;
use serde_json::json;

use crate::plan::{Plan, Shape};

/// The workflow's id; its only version is 1.
pub const WORKFLOW: &str = "bench";
/// The task that gives back what it is given.
pub const TASK: &str = "bench.echo";
/// The task that fails at its first attempt.
pub const FAILING: &str = "bench.fail_once";

/// The definition.
pub fn definition(plan: &Plan) -> Json {
    let (shape, tasks) = (plan.shape, plan.tasks);
    let steps = match shape {
        Shape::Chain => chain(tasks, TASK),
        Shape::Retry => chain(tasks, FAILING),
        Shape::Fanout => vec![json!({
            "id": "all",
            "forEach": {"items": "${ input.items }", "as": "item"},
            "tasks": [step("one", TASK, "${ input.data }")],
        })],
        Shape::Diamond => {
            let middle: Vec<Json> = (0..tasks - 2)
                .map(|n| step(&format!("m{n}"), TASK, "${ tasks.first.output.data }"))
                .collect();
            let last = step("last", TASK, "${ tasks.first.output.data }");
            vec![step("first", TASK, "${ input.data }"), json!({"id": "middle", "parallel": middle}), last]
        }
        Shape::Start => vec![json!({"id": "mark", "set": {"done": true}})],
        Shape::Wait => vec![json!({"id": "go", "wait": {"signal": "go", "timeout": "24h"}})],
    };
    let retry = json!({"maxRetries": 3, "strategy": "FIXED", "initialDelay": "10ms", "jitter": 0});
    json!({
        "id": WORKFLOW,
        "version": 1,
        "variables": {"done": false},
        "taskDefinitions": [{"id": TASK}, {"id": FAILING, "retryPolicy": retry}],
        "tasks": steps,
    })
}

/// The input of every run.
pub fn input(plan: &Plan) -> Json {
    let data = "x".repeat(plan.payload);
    match plan.shape {
        Shape::Fanout => json!({"data": data, "items": (0..plan.tasks).collect::<Vec<_>>()}),
        _ => json!({"data": data}),
    }
}

fn chain(tasks: usize, task: &str) -> Vec<Json> {
    let data = |n: usize| match n {
        0 => "${ input.data }".to_owned(),
        n => format!("${{ tasks.s{}.output.data }}", n - 1),
    };
    (0..tasks).map(|n| step(&format!("s{n}"), task, &data(n))).collect()
}

fn step(id: &str, task: &str, data: &str) -> Json {
    json!({"id": id, "task": task, "inputMappings": {"data": data}})
}
