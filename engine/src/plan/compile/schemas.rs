//! Compiles the schemas of a definition, each once.

use std::sync::Arc;

use oarlock_protocol::Json;
use oarlock_protocol::definition::TaskDefinition;
use oarlock_schema::Schema;

use super::super::Error;
use super::Compiler;

/// The schemas of one task definition, shared by all steps that use it.
#[derive(Clone, Default)]
pub(super) struct TaskSchemas {
    pub(super) input: Option<Arc<Schema>>,
    pub(super) output: Option<Arc<Schema>>,
}

impl Compiler<'_> {
    pub(super) fn schemas_of(&mut self, definition: &TaskDefinition) -> Result<TaskSchemas, Error> {
        if definition.input_schema.is_none() && definition.output_schema.is_none() {
            return Ok(TaskSchemas::default());
        }
        if let Some(known) = self.schemas.get(&definition.id) {
            return Ok(known.clone());
        }
        let compile = |schema: &Option<Json>, field: &str| {
            self.schema(schema.as_ref(), &format!("task definition '{}', {field}", definition.id))
        };
        let schemas = TaskSchemas {
            input: compile(&definition.input_schema, "inputSchema")?.map(Arc::new),
            output: compile(&definition.output_schema, "outputSchema")?.map(Arc::new),
        };
        self.schemas.insert(definition.id.clone(), schemas.clone());
        Ok(schemas)
    }

    /// The schema of what `what` names.
    pub(super) fn schema(&self, schema: Option<&Json>, what: &str) -> Result<Option<Schema>, Error> {
        let compiled = schema.map(Schema::compile).transpose();
        compiled.map_err(|problems| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            self.error(format!("{what}: {first}"))
        })
    }
}
