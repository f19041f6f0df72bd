//! What the names in an expression mean at a point of a run.

use std::borrow::Cow;

use oarlock_expression::{Resolved, Scope};
use oarlock_protocol::{ErrorDetails, Json, JsonMap, TaskPath, Timestamp};
use serde_json::json;

use crate::plan::{NodeId, Plan};
use crate::run::{Row, Run};

/// The names an expression of one step sees.
#[derive(Clone, Copy)]
pub struct RunScope<'a> {
    plan: &'a Plan,
    run: &'a Run,
    node: NodeId,
    now: Timestamp,
    variables: &'a JsonMap,
    task: Option<TaskData<'a>>,
}

/// The input and output of the task whose mappings are evaluated.
#[derive(Clone, Copy)]
pub struct TaskData<'a> {
    /// `taskInput`.
    pub input: &'a Json,
    /// `taskOutput`.
    pub output: &'a Json,
}

impl<'a> RunScope<'a> {
    /// The names seen from step `node`.
    pub fn new(plan: &'a Plan, run: &'a Run, node: NodeId, now: Timestamp) -> Self {
        Self { plan, run, node, now, variables: &run.variables, task: None }
    }

    /// The same, with a task's input and output and the variables as mappings have left them so far.
    #[must_use]
    pub fn with_task(self, task: TaskData<'a>, variables: &'a JsonMap) -> Self {
        Self { task: Some(task), variables, ..self }
    }

    fn variable(&self, path: &[&str]) -> Resolved<'a> {
        match path {
            [_] => Resolved::Found { value: Cow::Owned(Json::Object(self.variables.clone())), consumed: 1 },
            [_, name, ..] => match self.variables.get(*name) {
                Some(value) => Resolved::Found { value: Cow::Borrowed(value), consumed: 2 },
                None => Resolved::Missing {
                    consumed: 2,
                    reason: format!("no value was given to the variable '{name}' yet"),
                },
            },
            [] => Resolved::Unknown,
        }
    }

    fn workflow(&self, path: &[&str]) -> Resolved<'a> {
        let head = &self.run.head;
        let whole = || {
            json!({
                "id": self.run.key.run,
                "definitionId": head.workflow_definition_id,
                "version": head.workflow_definition_version,
                "startTime": head.start_time,
                "correlationId": head.correlation_id,
                "tenantId": self.run.key.tenant,
            })
        };
        let value = match path.get(1).copied() {
            None => return owned(whole(), 1),
            Some("id") => json!(self.run.key.run),
            Some("definitionId") => json!(head.workflow_definition_id),
            Some("version") => json!(head.workflow_definition_version),
            Some("startTime") => json!(head.start_time),
            Some("correlationId") => json!(head.correlation_id),
            Some("tenantId") => json!(&*self.run.key.tenant),
            Some(_) => return Resolved::Unknown,
        };
        owned(value, 2)
    }

    /// `tasks.<id>…` with `offset` 1, or the bare id with 0.
    fn task_named(&self, path: &[&str], offset: usize) -> Resolved<'a> {
        let Some(name) = path.get(offset).copied() else {
            return Resolved::Missing {
                consumed: path.len(),
                reason: "name a task, as in tasks.<id>.output".to_owned(),
            };
        };
        let Some(node) = self.plan.by_id(name) else { return Resolved::Unknown };
        let consumed = offset + 2;
        let row = self.run.rows.get(&self.plan.node(node).path);
        match path.get(offset + 1).copied() {
            None => owned(summary(row, self.unreached(node)), offset + 1),
            Some("status") => {
                owned(json!(row.map_or(self.unreached(node), |row| row.status.as_str())), consumed)
            }
            Some("output") => match row.and_then(|row| row.output.as_ref()) {
                Some(output) => Resolved::Found { value: Cow::Borrowed(output), consumed },
                None => Resolved::Missing { consumed, reason: self.why_no_output(name, node, row) },
            },
            Some("error") => match row.and_then(|row| row.error.as_ref()) {
                Some(error) => {
                    owned(error_value(error, row.and_then(|row| row.failed_at.as_ref())), consumed)
                }
                None => Resolved::Missing { consumed, reason: format!("'{name}' has no error") },
            },
            Some(_) => Resolved::Unknown,
        }
    }

    /// The status of a step that has no row: SKIPPED where a step around it is done without it, else PENDING.
    fn unreached(&self, node: NodeId) -> &'static str {
        let mut around = self.plan.node(node).parent;
        while let Some(parent) = around {
            match self.run.rows.get(&self.plan.node(parent).path) {
                Some(row) if row.settled => return "SKIPPED",
                _ => around = self.plan.node(parent).parent,
            }
        }
        "PENDING"
    }

    fn why_no_output(&self, name: &str, node: NodeId, row: Option<&Row>) -> String {
        let status = row.map_or(self.unreached(node), |row| row.status.as_str());
        format!("'{name}' is {status} and has no output; ask with has() or give get() a default")
    }

    fn error(&self) -> Resolved<'a> {
        let Some(owner) = self.plan.node(self.node).handles else {
            return Resolved::Missing {
                consumed: 1,
                reason: "there is an error only inside onError".to_owned(),
            };
        };
        let path = &self.plan.node(owner).path;
        let (error, failed_at) = if path.is_root() {
            (self.run.head.error.as_ref(), self.run.head.failed_at.as_ref())
        } else {
            let row = self.run.rows.get(path);
            (row.and_then(|row| row.error.as_ref()), row.and_then(|row| row.failed_at.as_ref()))
        };
        let failed_at = failed_at.or(Some(path));
        match error {
            Some(error) => owned(error_value(error, failed_at), 1),
            None => Resolved::Missing { consumed: 1, reason: "nothing has failed".to_owned() },
        }
    }

    fn data(&self, pick: impl Fn(TaskData<'a>) -> &'a Json, name: &str) -> Resolved<'a> {
        match self.task {
            Some(task) => Resolved::Found { value: Cow::Borrowed(pick(task)), consumed: 1 },
            None => Resolved::Missing {
                consumed: 1,
                reason: format!("{name} is there only after a task has completed"),
            },
        }
    }
}

impl Scope for RunScope<'_> {
    fn resolve<'a>(&'a self, path: &[&str]) -> Resolved<'a> {
        match path.first().copied() {
            Some("input") => Resolved::Found { value: Cow::Borrowed(&self.run.input), consumed: 1 },
            Some("variables" | "workflowVariables") => self.variable(path),
            Some("tasks") => self.task_named(path, 1),
            Some("taskInput") => self.data(|task| task.input, "taskInput"),
            Some("taskOutput") => self.data(|task| task.output, "taskOutput"),
            Some("error") => self.error(),
            Some("workflow") => self.workflow(path),
            Some("now") => owned(json!(self.now), 1),
            Some(_) => self.task_named(path, 0),
            None => Resolved::Unknown,
        }
    }
}

fn owned<'a>(value: Json, consumed: usize) -> Resolved<'a> {
    Resolved::Found { value: Cow::Owned(value), consumed }
}

/// An error as expressions see it: its fields, and where it arose.
fn error_value(error: &ErrorDetails, failed_at: Option<&TaskPath>) -> Json {
    json!({
        "code": error.code,
        "message": error.message,
        "details": error.details,
        "retryable": error.retryable,
        "taskPath": failed_at,
    })
}

/// A step as a whole; `unreached` is its status where it has no row.
fn summary(row: Option<&Row>, unreached: &str) -> Json {
    let mut map = JsonMap::new();
    map.insert("status".to_owned(), json!(row.map_or(unreached, |row| row.status.as_str())));
    if let Some(output) = row.and_then(|row| row.output.as_ref()) {
        map.insert("output".to_owned(), output.clone());
    }
    if let Some(error) = row.and_then(|row| row.error.as_ref()) {
        map.insert("error".to_owned(), error_value(error, row.and_then(|row| row.failed_at.as_ref())));
    }
    Json::Object(map)
}
