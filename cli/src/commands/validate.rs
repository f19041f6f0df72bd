//! `oarlock validate`: checks definitions and reports every problem with its place.

use std::io::IsTerminal;
use std::process::ExitCode;

use oarlock_definition::Diagnostic;
use serde_json::json;

use super::{note, read_text, say, say_json};
use crate::arguments::Validate;
use crate::exit::Failure;

/// How a definition that is wrong ends the command.
const WRONG: u8 = 2;

pub(super) fn validate(arguments: &Validate, json: bool) -> Result<ExitCode, Failure> {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut wrong = 0;
    for file in &arguments.files {
        let report = oarlock_definition::read(&file.display().to_string(), &read_text(file)?);
        if !json {
            if !report.diagnostics.is_empty() {
                note(&report.render(std::io::stderr().is_terminal()));
            }
            if let Some(definition) = &report.definition {
                say(&format!("{}: valid, {} version {}", file.display(), definition.id, definition.version));
            }
        }
        wrong += usize::from(report.definition.is_none());
        diagnostics.extend(report.diagnostics);
    }
    if json {
        say_json(&json!({"valid": wrong == 0, "diagnostics": diagnostics}));
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(WRONG) })
}
