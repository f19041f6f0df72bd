//! JSON Schemas: each compiles, as the engine will compile it.

use oarlock_protocol::Json;
use oarlock_schema::{Problem, Schema};

use super::Checker;
use crate::code::Code;
use crate::findings::Finding;
use crate::place::Place;

impl Checker<'_, '_> {
    /// A JSON Schema, where there is one.
    pub(super) fn schema(&mut self, schema: Option<&Json>, place: &Place) {
        let Some(schema) = schema else { return };
        if !schema.is_object() {
            let finding = Finding::new(Code::InvalidSchema, place, "a JSON Schema is a mapping");
            return self.tell(finding.help("Write it as `{type: object}`."));
        }
        for problem in Schema::compile(schema).err().into_iter().flatten() {
            let place = within(schema, &problem, place);
            let finding = Finding::new(Code::InvalidSchema, &place, problem.text);
            self.tell(finding.help("docs/definitions.md tells which schemas are taken."));
        }
    }
}

/// The place of a problem in the definition.
fn within(schema: &Json, problem: &Problem, place: &Place) -> Place {
    let (mut place, mut at) = (place.clone(), Some(schema));
    for step in problem.pointer.split('/').skip(1) {
        let key = step.replace("~1", "/").replace("~0", "~");
        let index = key.parse::<usize>().ok().filter(|_| at.is_some_and(Json::is_array));
        (place, at) = match index {
            Some(index) => (place.index(index), at.and_then(|at| at.get(index))),
            None => (place.key(&key), at.and_then(|at| at.get(&key))),
        };
    }
    place
}
