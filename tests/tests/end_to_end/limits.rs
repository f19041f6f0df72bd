//! Definitions at their limits, and just beyond them: what is accepted runs, the rest is refused with its reason.

use std::time::{Duration, Instant};

use oarlock_orchestrator::node::Error;
use oarlock_protocol::Json;
use oarlock_protocol::definition::{TaskKind, WorkflowDefinition};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::system::{System, TENANT};

/// The largest definition.
const MOST_STEPS: usize = 10_000;
/// How many groups lie in one another in a text that is nested 64 levels: each is a map and a list.
const DEEPEST_TEXT: usize = 30;
/// No definition may take longer to be read and registered, accepted or not: this machine may be busy.
const BOUND: Duration = Duration::from_secs(10);

async fn step(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input)
}

/// A definition whose every hundredth step is a worker's.
fn of_steps(count: usize) -> Json {
    let step = |n: usize| match n % 100 {
        0 => json!({"id": format!("t{n}"), "task": "step", "inputMappings": {"n": n}}),
        _ => json!({"id": format!("t{n}"), "set": {"n": format!("${{ variables.n + 1 }}")}}),
    };
    let tasks: Vec<Json> = (0..count).map(step).collect();
    json!({"id": "long", "version": 1, "variables": {"n": 0}, "tasks": tasks, "output": "${ variables.n }"})
}

/// What a text is told by the reader: the definition, or the problems.
fn read(text: &str) -> Result<WorkflowDefinition, String> {
    let begun = Instant::now();
    let report = oarlock_definition::read("test.json", text);
    assert!(begun.elapsed() < BOUND, "read in {:?}", begun.elapsed());
    report.definition.clone().ok_or_else(|| report.render(false))
}

async fn register(system: &System, definition: WorkflowDefinition) -> Result<(), String> {
    let begun = Instant::now();
    let registered = system.node.register(TENANT, definition).await;
    assert!(begun.elapsed() < BOUND, "registered in {:?}", begun.elapsed());
    match registered {
        Ok(new) => {
            assert!(new);
            Ok(())
        }
        Err(Error::Refused(error)) => Err(error.message),
        Err(other) => panic!("{other}"),
    }
}

async fn runs_to(system: &System, workflow: &str, output: Json) {
    let _worker = system.worker().task("step", step).build().unwrap().start().await.unwrap();
    let begun = Instant::now();
    let ended = system.run(workflow, json!({})).await;
    assert_eq!((ended.status, ended.output), (WorkflowStatus::Completed, Some(output)), "{:?}", ended.error);
    println!("{workflow}: {:?} for {} steps", begun.elapsed(), ended.task_instances.len());
}

#[tokio::test]
async fn ten_thousand_steps_run_and_one_more_is_refused() {
    let system = System::start().await;
    let most = read(&of_steps(MOST_STEPS).to_string()).unwrap();
    register(&system, most).await.unwrap();
    runs_to(&system, "long", json!(MOST_STEPS - MOST_STEPS / 100)).await;
    let told = read(&of_steps(MOST_STEPS + 1).to_string()).unwrap_err();
    assert!(told.contains("a workflow has at most 10000 steps, and this is one more"), "{told}");
}

#[tokio::test]
async fn the_deepest_text_runs_and_a_deeper_one_is_refused() {
    let system = System::start().await;
    let definition = read(&nested_text(DEEPEST_TEXT)).unwrap();
    register(&system, definition).await.unwrap();
    runs_to(&system, "deep", json!(7)).await;
    for groups in [DEEPEST_TEXT + 1, 100, 10_000] {
        let told = read(&nested_text(groups)).unwrap_err();
        assert!(told.contains("nested deeper than 64 levels"), "{groups}: {told}");
    }
}

/// A step within so many groups.
fn nested_text(groups: usize) -> String {
    let open: String = (0..groups).map(|n| format!("{{\"id\": \"g{n}\", \"tasks\": [")).collect();
    let step = r#"{"id": "work", "task": "step", "inputMappings": {"n": 7}}"#;
    let close = "]}".repeat(groups);
    format!(
        r#"{{"id": "deep", "version": 1, "tasks": [{open}{step}{close}], "output": "${{ tasks.work.output.n }}"}}"#
    )
}

#[tokio::test]
async fn what_nobody_has_read_runs_or_is_refused_where_it_is_too_deep_to_be_kept() {
    let system = System::start().await;
    // As a program may make it: what a store and a message can hold is less deep than what memory can.
    for (groups, is_kept) in [(50, true), (58, true), (59, false), (101, false)] {
        let mut definition = read(&nested_text(1)).unwrap();
        definition.id = format!("deep_{groups}");
        for n in 1..groups {
            let mut around = definition.tasks[0].clone();
            around.id = format!("g{n}");
            around.kind = TaskKind::Tasks(std::mem::take(&mut definition.tasks));
            definition.tasks = vec![around];
        }
        match register(&system, definition).await {
            Ok(()) if is_kept => runs_to(&system, &format!("deep_{groups}"), json!(7)).await,
            Err(told) if !is_kept => assert!(told.contains("deeper than 120 levels"), "{told}"),
            registered => panic!("{groups}: {registered:?}"),
        }
    }
}
