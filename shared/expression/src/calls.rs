//! Turns a parsed call into a node: finds the function, checks its arguments, prepares what can be prepared.
//!
//! Used by the parser only.

use std::ops::Range;

use serde_json::Value as Json;

use crate::ast::{Kind, Node};
use crate::error::CompileError;
use crate::functions::{self, Function};
use crate::macros::Macro;
use crate::near;
use crate::pattern::Pattern;

/// `name(arguments)`.
pub(crate) fn function(name: &str, range: Range<usize>, arguments: Vec<Node>) -> Result<Kind, CompileError> {
    if name == "has" {
        return has(range, arguments);
    }
    if let Some(kind) = Macro::named(name) {
        return Err(CompileError::new(format!("{name} is called on a list or map"), range)
            .help(format!("write {}", kind.form())));
    }
    call(name, range, arguments)
}

/// `arguments[0].name(arguments[1..])`.
pub(crate) fn method(name: &str, range: Range<usize>, arguments: Vec<Node>) -> Result<Kind, CompileError> {
    if name == "has" {
        return Err(CompileError::new("has is no method", range).help("write has(a.b)"));
    }
    call(name, range, arguments)
}

fn has(range: Range<usize>, arguments: Vec<Node>) -> Result<Kind, CompileError> {
    let [argument] = <[Node; 1]>::try_from(arguments)
        .map_err(|_| CompileError::new("has takes one path", range.clone()).help("write has(a.b)"))?;
    match argument.kind {
        Kind::Reference(_) | Kind::Member(..) | Kind::Index(..) => Ok(Kind::Has(Box::new(argument))),
        _ => Err(CompileError::new("has asks for a path, not for a calculated value", argument.range)
            .help("write has(a.b), has(a[0]) or has(a[\"odd key\"])")),
    }
}

fn call(name: &str, range: Range<usize>, arguments: Vec<Node>) -> Result<Kind, CompileError> {
    let Some(function) = functions::find(name) else { return Err(unknown(name, range)) };
    if !(function.arguments.0..=function.arguments.1).contains(&arguments.len()) {
        let message = format!("{name} does not take {} arguments", arguments.len());
        return Err(CompileError::new(message, range).help(format!("its form is {}", function.signature)));
    }
    match name {
        "get" => get(function, arguments),
        "matches" => matches(function, arguments),
        _ => Ok(Kind::Call(function, arguments)),
    }
}

/// `get` evaluates its default only where it is needed, and bears an absent holder.
fn get(function: &'static Function, arguments: Vec<Node>) -> Result<Kind, CompileError> {
    match <[Node; 3]>::try_from(arguments) {
        Ok([holder, key, default]) => Ok(Kind::Get(Box::new((holder, key, default)))),
        Err(arguments) => Ok(Kind::Call(function, arguments)),
    }
}

/// A pattern that is known now is compiled now, and its mistakes are found now.
fn matches(function: &'static Function, arguments: Vec<Node>) -> Result<Kind, CompileError> {
    let pattern = match arguments.get(1) {
        Some(Node { kind: Kind::Literal(Json::String(pattern)), range, .. }) => {
            Pattern::compile(pattern).map_err(|message| CompileError::new(message, range.clone()))?
        }
        _ => return Ok(Kind::Call(function, arguments)),
    };
    match arguments.into_iter().next() {
        Some(text) => Ok(Kind::Matches(Box::new(text), pattern)),
        None => Ok(Kind::Call(function, Vec::new())),
    }
}

fn unknown(name: &str, range: Range<usize>) -> CompileError {
    let known =
        functions::all().map(|function| function.name).chain(Macro::ALL.map(Macro::name)).chain(["has"]);
    let error = CompileError::new(format!("there is no function '{name}'"), range);
    match near::question(name, known) {
        Some(question) => error.help(question),
        None => error,
    }
}
