//! `oarlock graph`: draws a definition as a Mermaid flowchart.

use std::process::ExitCode;

use serde_json::json;

use super::{read_definition, say, say_json};
use crate::arguments::Graph;
use crate::exit::Failure;

pub(super) fn graph(arguments: &Graph, json: bool) -> Result<ExitCode, Failure> {
    let definition = read_definition(&arguments.file)?;
    let drawn = oarlock_definition::graph(&definition);
    if json {
        say_json(&json!({"mermaid": drawn}));
    } else {
        say(&drawn);
    }
    Ok(ExitCode::SUCCESS)
}
