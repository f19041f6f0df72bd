//! What the names in an expression mean at a point of a run.

use std::borrow::Cow;

use oarlock_expression::{Opened, Resolved, Scope};
use oarlock_protocol::{ErrorDetails, Json, JsonMap, TaskPath, Timestamp};
use serde_json::json;

use crate::plan::{NodeId, NodeKind, Plan, Step};
use crate::run::{Row, Run};

/// The names an expression of one step sees.
#[derive(Clone)]
pub struct RunScope<'a> {
    plan: &'a Plan,
    run: &'a Run,
    step: Step,
    now: Timestamp,
    written: Option<&'a JsonMap>,
    task: Option<TaskData<'a>>,
    counts: Option<&'a Json>,
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
    /// The names seen from `step`.
    pub fn new(plan: &'a Plan, run: &'a Run, step: &Step, now: Timestamp) -> Self {
        Self { plan, run, step: step.clone(), now, written: None, task: None, counts: None }
    }

    /// The same, with how far a `forEach` is.
    #[must_use]
    pub fn with_counts(self, counts: &'a Json) -> Self {
        Self { counts: Some(counts), ..self }
    }

    /// The same, with a task's input and output.
    #[must_use]
    pub fn with_task(self, task: TaskData<'a>) -> Self {
        Self { task: Some(task), ..self }
    }

    /// The same, with the variables that mappings have written so far.
    #[must_use]
    pub fn with_written(self, written: &'a JsonMap) -> Self {
        Self { written: Some(written), ..self }
    }

    fn variable(&self, path: &[&str]) -> Resolved<'a> {
        match path {
            [_] => Resolved::Found { value: Cow::Owned(Json::Object(self.all_variables())), consumed: 1 },
            [_, name, ..] => match self.seen_variable(name) {
                Some(value) => Resolved::Found { value: Cow::Borrowed(value), consumed: 2 },
                None => Resolved::Missing {
                    consumed: 2,
                    reason: format!("no value was given to the variable '{name}' yet"),
                },
            },
            [] => Resolved::Unknown,
        }
    }

    fn seen_variable(&self, name: &str) -> Option<&'a Json> {
        let written = self.written.and_then(|written| written.get(name));
        written.or_else(|| self.own_variable(name)).or_else(|| self.run.variables.get(name))
    }

    /// A variable of a step around this one.
    fn own_variable(&self, name: &str) -> Option<&'a Json> {
        let owner = self.plan.owner_of(&self.step, name)?;
        self.run.scoped.get(&owner.path)?.get(name)
    }

    fn all_variables(&self) -> JsonMap {
        let mut variables = self.run.variables.clone();
        variables.extend(variables_around(self.plan, self.run, &self.step));
        variables
            .extend(self.written.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        variables
    }

    /// What an iteration around this step gives to expressions: its item, `index`, and `key` of a map.
    fn iteration(&self, name: &str) -> Option<Resolved<'a>> {
        // A loop's own expressions count its iterations.
        let begun = || self.run.rows.get(&self.step.path)?.block().map(|block| block.begun);
        if let NodeKind::Loop(_) = &self.plan.node(&self.step).kind
            && name == "index"
            && let Some(begun) = begun()
        {
            return Some(owned(json!(begun), 1));
        }
        let around = std::iter::once(self.step.clone()).chain(self.plan.around(&self.step));
        for step in around {
            let Some(number) = self.plan.number(&step) else { continue };
            let Some(owner) = self.plan.parent(&step) else { continue };
            match &self.plan.node(&owner).kind {
                NodeKind::ForEach(each) if name == each.name || name == "index" || name == "key" => {
                    if name == "index" {
                        return Some(owned(json!(number), 1));
                    }
                    let items = self.run.rows.get(&owner.path)?.input.as_ref()?;
                    return match self.run.payloads.open(items) {
                        Opened::Itself => item(items, each.batch, number, name == "key"),
                        Opened::Data(items) => item(items, each.batch, number, name == "key"),
                        Opened::Unavailable(reason) => Some(Resolved::Unavailable { consumed: 1, reason }),
                    };
                }
                NodeKind::Loop(_) if name == "index" => return Some(owned(json!(number), 1)),
                _ => {}
            }
        }
        None
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
        let row = self.row_seen(node);
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

    /// The row of a step as this one sees it: in the iterations around both; of a loop else the last.
    fn row_seen(&self, node: NodeId) -> Option<&'a Row> {
        let last = |step: &Step| match self.plan.node(step).kind {
            NodeKind::Loop(_) => self.run.rows.get(&step.path)?.block()?.begun.checked_sub(1),
            _ => None,
        };
        self.run.rows.get(&self.plan.seen_from(&self.step, node, last)?.path)
    }

    /// The status of a step that has no row: SKIPPED where a step around it is done without it, else PENDING.
    fn unreached(&self, node: NodeId) -> &'static str {
        let mut around = self.plan.node(node).parent;
        while let Some(parent) = around {
            match self.row_seen(parent) {
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
        let handles = self.plan.node(&self.step).handles;
        let owner = handles.and_then(|owner| self.plan.seen_from(&self.step, owner, |_| None));
        let Some(owner) = owner else {
            return Resolved::Missing {
                consumed: 1,
                reason: "there is an error only inside onError".to_owned(),
            };
        };
        let path = &owner.path;
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
    fn open<'a>(&'a self, value: &Json) -> Opened<'a> {
        self.run.payloads.open(value)
    }

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
            Some("counts") if self.counts.is_some() => match self.counts {
                Some(counts) => Resolved::Found { value: Cow::Borrowed(counts), consumed: 1 },
                None => Resolved::Unknown,
            },
            Some(name) => match self.iteration(name) {
                Some(resolved) => resolved,
                None => self.task_named(path, 0),
            },
            None => Resolved::Unknown,
        }
    }
}

/// The variables of the steps around `step` and of itself, the outermost first.
pub fn variables_around(plan: &Plan, run: &Run, step: &Step) -> JsonMap {
    if run.scoped.is_empty() {
        return JsonMap::new();
    }
    let mut around: Vec<Step> = std::iter::once(step.clone()).chain(plan.around(step)).collect();
    around.reverse();
    let scoped = around.iter().filter_map(|step| run.scoped.get(&step.path));
    scoped.flat_map(|variables| variables.iter().map(|(name, value)| (name.clone(), value.clone()))).collect()
}

/// Item `number` of what a `forEach` goes over, or its key; with `batch` so many at once.
fn item(items: &Json, batch: Option<usize>, number: usize, key: bool) -> Option<Resolved<'_>> {
    let found = |value| Some(Resolved::Found { value, consumed: 1 });
    let no_key = || Resolved::Missing {
        consumed: 1,
        reason: "there is a key only where forEach goes over a map, one at a time".to_owned(),
    };
    match (items, batch) {
        (Json::Array(_), _) | (Json::Object(_), Some(_)) if key => Some(no_key()),
        (Json::Array(list), None) => found(Cow::Borrowed(list.get(number)?)),
        (Json::Array(list), Some(batch)) => {
            let end = list.len().min((number + 1) * batch);
            found(Cow::Owned(Json::Array(list.get(number * batch..end)?.to_vec())))
        }
        (Json::Object(map), None) if key => found(Cow::Owned(json!(map.keys().nth(number)?))),
        (Json::Object(map), None) => found(Cow::Borrowed(map.values().nth(number)?)),
        (Json::Object(map), Some(batch)) => {
            let part = map.iter().skip(number * batch).take(batch);
            found(Cow::Owned(part.map(|(key, value)| (key.clone(), value.clone())).collect()))
        }
        (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_), _) => None,
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
