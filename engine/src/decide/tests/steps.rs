//! Short words for definitions, so that a scenario shows what it is about and nothing else.

use std::sync::Arc;

use oarlock_protocol::Json;
use oarlock_protocol::definition::WorkflowDefinition;
use serde_json::json;

use crate::plan::Plan;

/// A workflow of these steps.
pub(super) fn workflow(tasks: Json) -> Json {
    json!({"id": "w", "version": 1, "tasks": tasks})
}

/// A step that dispatches the task `work`.
pub(super) fn task(id: &str) -> Json {
    json!({"id": id, "task": "work"})
}

/// A `group` of these steps.
pub(super) fn group(id: &str, tasks: Json) -> Json {
    json!({"id": id, "tasks": tasks})
}

/// A `parallel` of these steps.
pub(super) fn parallel(id: &str, tasks: Json) -> Json {
    json!({"id": id, "parallel": tasks})
}

/// A `forEach` with these fields over these steps.
pub(super) fn for_each(id: &str, fields: Json, tasks: Json) -> Json {
    json!({"id": id, "forEach": fields, "tasks": tasks})
}

/// A `loop` with these fields over these steps.
pub(super) fn looped(id: &str, fields: Json, tasks: Json) -> Json {
    json!({"id": id, "loop": fields, "tasks": tasks})
}

/// A `wait` for what these fields name.
pub(super) fn wait(id: &str, fields: Json) -> Json {
    json!({"id": id, "wait": fields})
}

/// A step that gives variables values.
pub(super) fn set(id: &str, values: Json) -> Json {
    json!({"id": id, "set": values})
}

/// A value of this depth.
pub(super) fn nested(depth: usize) -> Json {
    (0..depth).fold(Json::Null, |inner, _| json!([inner]))
}

/// Adds fields to a step or workflow.
pub(super) trait With {
    /// The same with the fields of `more` too.
    fn with(self, more: Json) -> Json;
}

impl With for Json {
    fn with(mut self, more: Json) -> Json {
        let (Some(object), Json::Object(more)) = (self.as_object_mut(), more) else {
            panic!("fields are added to objects");
        };
        object.extend(more);
        self
    }
}

/// The plan of a definition.
pub(super) fn plan(definition: Json) -> Arc<Plan> {
    let definition: WorkflowDefinition = serde_json::from_value(definition).unwrap();
    Arc::new(Plan::compile(Arc::new(definition)).unwrap())
}
