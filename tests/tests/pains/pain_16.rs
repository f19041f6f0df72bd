//! Elsewhere a join names what it waits for, and one that names nothing is done at once. Here it waits for what it stands around.

use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use serde_json::json;

use super::system::System;

#[test]
fn pain_16_a_join_of_nothing_is_refused_with_its_place() {
    let empty = [
        ("{id: all, parallel: []}", "tasks[0].parallel"),
        ("{id: all, tasks: []}", "tasks[0].tasks"),
        ("{id: all, parallel: [{id: a, task: t}], join: {need: 0}}", "tasks[0].join.need"),
        ("{id: all, parallel: [{id: a, task: t}], join: {need: 2}}", "tasks[0].join.need"),
        ("{id: all, forEach: {items: []}, tasks: [{id: a, task: t}]}", "tasks[0].forEach.items"),
        ("{id: all, forEach: {items: [1]}, tasks: []}", "tasks[0].tasks"),
        ("{id: a, task: t}, {id: all, task: t, dependsOn: [b]}", "tasks[1].dependsOn[0]"),
    ];
    for (tasks, place) in empty {
        let text = format!("{{id: joins, version: 1, tasks: [{tasks}]}}");
        let report = oarlock_definition::read("joins.yaml", &text);
        let told = report.render(false);
        assert!(report.definition.is_none() && told.contains(&format!("({place})")), "{tasks}: {told}");
    }
}

#[tokio::test]
async fn pain_16_a_fork_whose_items_turn_out_to_be_none_says_so_by_its_output() {
    let system = System::start().await;
    let text = "{id: fork, version: 1, tasks: [{id: all, forEach: {items: '${ input.items }', collect: '${ one.output }'},
        tasks: [{id: one, task: never}]}], output: '${ tasks.all.output }'}";
    system.register(text).await;
    let run = system.run("fork", json!({"items": []})).await;
    assert_eq!((run.status, run.output), (WorkflowStatus::Completed, Some(json!([]))));
    assert_eq!(run.task_instances[0].status, TaskStatus::Completed);
    let run = system.run("fork", json!({"items": null})).await;
    assert_eq!((run.status, run.error.unwrap().code.as_str()), (WorkflowStatus::Failed, "EXPRESSION_FAILED"));
}
