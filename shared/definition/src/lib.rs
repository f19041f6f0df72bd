//! Reads and checks workflow definitions: YAML or JSON text becomes a [`WorkflowDefinition`], or a report of every
//! problem at once, each with its place and what to do about it.
//!
//! Used by `oarlock validate`, by registration over HTTP and by `run` and `dev`. The text comes in as a string: nothing
//! here reads a file, talks to a server or evaluates an expression.

mod check;
mod code;
mod decode;
mod diagnostic;
mod expressions;
mod findings;
mod graph;
mod near;
mod place;
mod report;
#[cfg(test)]
mod schema;
mod source;
mod tree;

use oarlock_protocol::Json;
use oarlock_protocol::definition::WorkflowDefinition;

pub use code::{Code, Severity};
pub use diagnostic::Diagnostic;
pub use graph::graph;
pub use report::Report;

use decode::Decoder;
use findings::Findings;
use source::Source;

/// Reads the definition in `text` and reports everything that is wrong with it.
///
/// `file` is shown to people; where it ends in `.json`, the text is held to strict JSON, else to YAML (and JSON).
pub fn read(file: &str, text: &str) -> Report {
    let source = Source::new(file, text);
    let mut findings = Findings::default();
    let root = tree::read(&source, &mut findings);
    let mut decoder = Decoder { source: &source, findings: &mut findings };
    let definition = root.as_ref().and_then(|root| decoder.workflow(root));
    if let Some(definition) = &definition {
        check::check(definition, &mut findings);
    }
    let definition = definition.filter(|_| !findings.has_errors());
    Report { definition, diagnostics: findings.tell(&source, root.as_ref()) }
}

/// Reads the data in `text`, held to the same rules as a definition's: no YAML trap passes unnoticed.
///
/// # Errors
/// Every problem, with its place.
pub fn read_data(file: &str, text: &str) -> Result<Json, Vec<Diagnostic>> {
    let source = Source::new(file, text);
    let mut findings = Findings::default();
    let root = tree::read(&source, &mut findings);
    let data = root.as_ref().and_then(|root| {
        Decoder { source: &source, findings: &mut findings }.json(root, &place::Place::root())
    });
    match data {
        Some(data) if !findings.has_errors() => Ok(data),
        Some(_) | None => Err(findings.tell(&source, root.as_ref())),
    }
}

/// Checks a definition that was built in code: what [`read`] asks of the meaning, without places in a text.
pub fn check(definition: &WorkflowDefinition) -> Vec<Diagnostic> {
    let mut findings = Findings::default();
    check::check(definition, &mut findings);
    findings.tell(&Source::new("", ""), None)
}
