//! What reading a definition comes to: the definition, or everything that is wrong with it.

use oarlock_protocol::definition::WorkflowDefinition;

use crate::code::Severity;
use crate::diagnostic::Diagnostic;

/// The outcome of [`crate::read`].
#[derive(Clone, Debug)]
pub struct Report {
    /// The definition; absent exactly where there are errors.
    pub definition: Option<WorkflowDefinition>,
    /// Every problem, errors and warnings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Whether the definition is refused.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All problems for people, each with its excerpt, an empty line between them; empty where there are none.
    pub fn render(&self, color: bool) -> String {
        let all: Vec<String> = self.diagnostics.iter().map(|diagnostic| diagnostic.render(color)).collect();
        all.join("\n")
    }
}
