//! Writes a random workflow as the definition that is registered.

use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::{Json, JsonMap};
use serde_json::json;

use crate::flow::{Child, Flow, Kind, Step, Wait, Work};

/// How long a finished run is kept: longer than anyone asks for it after its end.
pub(crate) const RETENTION_S: u64 = 60;
/// How long an execution with a limit may last.
pub(crate) const LIMIT_MS: u64 = 3_000;

/// The definition of a workflow; `flows` holds those its steps start.
pub(crate) fn definition(flow: &Flow, flows: &[Flow]) -> Result<WorkflowDefinition, serde_json::Error> {
    let tasks = ["work", "undo"].map(|id| json!({"id": id, "queue": "work"}));
    let total = flow.total_s.map_or(json!({}), |total| json!({"total": format!("{total}s")}));
    serde_json::from_value(json!({
        "id": flow.id,
        "version": 1,
        "variables": {"x": 0},
        "taskDefinitions": tasks,
        "tasks": steps(&flow.steps, false, flows),
        "onError": steps(&flow.on_error, false, flows),
        "output": {"x": "${ variables.x }"},
        "timeouts": total,
        "retention": format!("{RETENTION_S}s"),
    }))
}

fn steps(list: &[Step], parallel: bool, flows: &[Flow]) -> Vec<Json> {
    let write = |step: &Step| {
        let depends = step.depends.as_ref().map(|depends| {
            let ids: Vec<&str> = depends.iter().map(|&number| list[number].id.as_str()).collect();
            json!(ids)
        });
        let depends =
            if parallel && depends.as_ref().is_some_and(|ids| ids == &json!([])) { None } else { depends };
        let mut fields = kind(step, flows);
        fields.insert("id".to_owned(), json!(step.id));
        let condition = step.condition.map(|holds| json!(format!("{holds} && variables.x >= 0")));
        let handlers = (!step.on_error.is_empty()).then(|| json!(steps(&step.on_error, false, flows)));
        let join = step.join.map(|(need, cancel_rest)| json!({"need": need, "cancelRest": cancel_rest}));
        let is_block = matches!(
            step.kind,
            Kind::Group(_) | Kind::Parallel(_) | Kind::Switch(..) | Kind::Each(..) | Kind::Loop(..)
        );
        let own = (is_block && step.own).then(|| json!({format!("v_{}", step.id): "${ variables.x }"}));
        let continues = step.continues.then_some(Json::Bool(true));
        for (name, value) in [
            ("dependsOn", depends),
            ("condition", condition),
            ("onError", handlers),
            ("join", join),
            ("continueOnFailure", continues),
            ("variables", own),
        ] {
            fields.extend(value.map(|value| (name.to_owned(), value)));
        }
        Json::Object(fields)
    };
    list.iter().map(write).collect()
}

fn kind(step: &Step, flows: &[Flow]) -> JsonMap {
    let inside = |list: &[Step]| steps(list, false, flows);
    let written = match &step.kind {
        Kind::Task(work) => task(work),
        Kind::Set(number) => json!({"set": {"x": format!("${{ variables.x + {number} }}")}}),
        Kind::Terminate(well) => {
            json!({"terminate": {"status": if *well { "COMPLETED" } else { "FAILED" }}})
        }
        Kind::Wait(wait) => waiting(step, wait, flows),
        Kind::Group(list) => json!({"tasks": inside(list)}),
        Kind::Parallel(list) => json!({"parallel": steps(list, true, flows)}),
        Kind::Switch(cases, taken) => {
            let case = |(number, list): (usize, &Vec<Step>)| json!({"when": format!("variables.x >= 0 && {}", Some(number) == *taken), "tasks": inside(list)});
            json!({"switch": cases.iter().enumerate().map(case).collect::<Vec<_>>()})
        }
        Kind::Each(each, list) => {
            let items: Vec<usize> = (0..each.items).collect();
            let mut how = json!({"items": items, "tolerate": each.tolerate, "collect": "${ index }"});
            let until = each.until.map(|least| json!(format!("counts.completed >= {least}")));
            let batch = each.batch.map(|batch| json!(batch));
            let concurrency = each.concurrency.map(|concurrency| json!(concurrency));
            put(&mut how, [("until", until), ("batch", batch), ("concurrency", concurrency)]);
            json!({"forEach": how, "tasks": inside(list)})
        }
        Kind::Loop(repeat, list) => {
            let (word, condition) = match repeat.by_while {
                true => ("while", format!("index < {}", repeat.rounds)),
                false => ("until", format!("index >= {}", repeat.rounds - 1)),
            };
            let mut how = json!({word: condition, "max": 10});
            put(&mut how, [("delay", repeat.delay.then(|| json!("1s")))]);
            json!({"loop": how, "tasks": inside(list)})
        }
        Kind::Child(child) => started(child, flows),
    };
    written.as_object().cloned().unwrap_or_default()
}

fn put<const COUNT: usize>(into: &mut Json, values: [(&str, Option<Json>); COUNT]) {
    for (name, value) in values {
        if let Some(value) = value {
            into[name] = value;
        }
    }
}

fn add(what: &str) -> Json {
    json!([{"type": "EXPRESSION", "expression": format!("variables.x + {what}"), "target": "x"}])
}

fn started(child: &Child, flows: &[Flow]) -> Json {
    let mut started = json!({"workflow": {"id": flows[child.number].id, "wait": child.wait}});
    let retries = child.retries.map(|retries| json!({"maxRetries": retries, "initialDelay": "700ms"}));
    put(
        &mut started,
        [
            ("variableMappings", child.wait.then(|| add("taskOutput.x"))),
            ("retryPolicy", retries),
            ("compensateWith", child.undo.map(|always| undo(always, json!({})))),
        ],
    );
    started
}

fn undo(always: bool, input: Json) -> Json {
    json!({"task": "undo", "when": if always { "ATTEMPTED" } else { "COMPLETED" }, "inputMappings": input})
}

fn task(work: &Work) -> Json {
    let mut task = json!({
        "task": "work", "variableMappings": add("taskOutput.n"), "priority": work.priority,
        "inputMappings": {"x": "${ variables.x }"},
    });
    let undo = work.undo.map(|always| undo(always, json!({"x": "${ taskInput.x }"})));
    let retries = work.retries.map(|(retries, pauses)| {
        json!({
            "maxRetries": retries, "initialDelay": "500ms", "jitter": 0.3, "maxDelay": "3s",
            "onExhausted": if pauses { "PAUSE" } else { "FAIL" },
        })
    });
    let limit = work.limited.then(|| json!({"execution": format!("{LIMIT_MS}ms")}));
    let ends = work.ends.then(|| json!("taskOutput.n > 0"));
    put(
        &mut task,
        [("compensateWith", undo), ("retryPolicy", retries), ("timeouts", limit), ("terminateWhen", ends)],
    );
    task
}

fn waiting(step: &Step, wait: &Wait, flows: &[Flow]) -> Json {
    match wait {
        Wait::Past => json!({"wait": {"until": "${ workflow.startTime }"}}),
        Wait::First => json!({"wait": {"first": [{"signal": step.signal()}, {"duration": "3s"}]}}),
        Wait::Time(span) => json!({"wait": {"duration": format!("{span}ms")}}),
        Wait::Signal { timeout: false, .. } => json!({"wait": {"signal": step.signal()}}),
        Wait::Signal { late, .. } => {
            let wait = json!({"signal": step.signal(), "timeout": "4s"});
            json!({"wait": wait, "onTimeout": steps(late, false, flows)})
        }
        Wait::Never { late } => {
            let wait = json!({"signal": format!("never_{}", step.id), "timeout": "2s"});
            json!({"wait": wait, "onTimeout": steps(late, false, flows)})
        }
    }
}
