//! The tree becomes the definition's types; every problem is told, and reading goes on with a stand-in.
//!
//! Nothing here asks what a name refers to: that is the business of `check`.

mod example;
mod fields;
mod kinds;
mod mapping;
mod task;
mod task_definition;
mod value;
mod wait;

use oarlock_protocol::definition::{WorkflowDefinition, WorkflowTimeouts};
use oarlock_protocol::security::SecurityRequirements;

use crate::findings::Findings;
use crate::place::Place;
use crate::source::Source;
use crate::tree::Node;

/// A definition that is complete, shown to whoever has an empty file.
pub(crate) const SMALLEST: &str = "The smallest definition:\n    id: hello\n    version: 1\n    tasks:\n      - {id: greet, task: greeting.say}";

const WORKFLOW: &[&str] = &[
    "id",
    "version",
    "description",
    "input",
    "variables",
    "taskDefinitions",
    "tasks",
    "output",
    "onError",
    "timeouts",
    "securityRequirements",
    "retention",
];

const SECURITY: &[&str] = &["requiredPermissions", "securityLevel", "dataClassification"];

const LEVELS: &[&str] = &["LOW", "MEDIUM", "HIGH", "CRITICAL"];
const CLASSIFICATIONS: &[&str] = &["PUBLIC", "INTERNAL", "CONFIDENTIAL", "RESTRICTED"];

/// Decodes a tree, telling `findings` what is wrong.
pub(crate) struct Decoder<'d, 't> {
    pub(crate) source: &'d Source<'t>,
    pub(crate) findings: &'d mut Findings,
}

impl Decoder<'_, '_> {
    /// The workflow that `root` describes; only a stand-in where the root is no mapping.
    pub(crate) fn workflow(&mut self, root: &Node) -> Option<WorkflowDefinition> {
        let fields = self.fields(root, &Place::root(), "a workflow", WORKFLOW);
        self.findings.advise(&Place::root(), || SMALLEST.to_owned());
        let fields = fields?;
        Some(WorkflowDefinition {
            id: self.required(&fields, "id", Self::text).unwrap_or_default(),
            version: self.required(&fields, "version", Self::version).unwrap_or(1),
            description: self.optional(&fields, "description", Self::text),
            input: self.optional(&fields, "input", Self::schema),
            variables: self.optional(&fields, "variables", Self::json_map).unwrap_or_default(),
            task_definitions: self
                .optional(&fields, "taskDefinitions", Self::task_definitions)
                .unwrap_or_default(),
            tasks: self.required(&fields, "tasks", Self::tasks).unwrap_or_default(),
            output: self.optional(&fields, "output", Self::json),
            on_error: self.optional(&fields, "onError", Self::tasks).unwrap_or_default(),
            timeouts: self.optional(&fields, "timeouts", Self::workflow_timeouts).unwrap_or_default(),
            security_requirements: self.optional(&fields, "securityRequirements", Self::security),
            retention: self.optional(&fields, "retention", Self::span),
        })
    }

    fn workflow_timeouts(&mut self, node: &Node, place: &Place) -> Option<WorkflowTimeouts> {
        let fields = self.fields(node, place, "the timeouts of a workflow", &["total"])?;
        Some(WorkflowTimeouts { total: self.optional(&fields, "total", Self::span) })
    }

    fn security(&mut self, node: &Node, place: &Place) -> Option<SecurityRequirements> {
        let fields = self.fields(node, place, "a `securityRequirements`", SECURITY)?;
        Some(SecurityRequirements {
            required_permissions: self
                .optional(&fields, "requiredPermissions", Self::texts)
                .unwrap_or_default(),
            security_level: self.optional(&fields, "securityLevel", |decoder, node, place| {
                decoder.choice(node, place, LEVELS)
            }),
            data_classification: self.optional(&fields, "dataClassification", |decoder, node, place| {
                decoder.choice(node, place, CLASSIFICATIONS)
            }),
        })
    }
}
