//! One compiled expression: a condition, a loop's end, a mapping's value.
//!
//! Compiled once at registration, evaluated often; a clone shares the tree.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::ast::{Kind, Reference};
use crate::budget::{Limits, Meter};
use crate::error::{Cause, CompileError, EvaluationError};
use crate::evaluate::{self, Environment, Evaluated, Value};
use crate::lexer::{self, Lexeme};
use crate::parser::{self, Parsed};
use crate::scope::{self, Scope};
use crate::value;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    source: Arc<str>,
    parsed: Arc<Parsed>,
}

impl Expression {
    /// Compiles an expression, bare or as one `${ … }`.
    pub fn compile(source: &str) -> Result<Expression, CompileError> {
        let open = source.len() - source.trim_start().len();
        if !source[open..].starts_with("${") {
            return Self::parse(source.into(), lexer::all(source, 0..source.len())?);
        }
        let (lexemes, after) = lexer::wrapped(source, open)?;
        let rest = source[after..].trim();
        if rest.is_empty() {
            return Self::parse(source.into(), lexemes);
        }
        let range = after..source.len();
        Err(CompileError::new(format!("after the closing '}}' there is more: {}", shortened(rest)), range)
            .help("write one ${ … } around the whole expression, or none"))
    }

    /// Compiles lexemes of `source`, which may be a longer text around them.
    pub(crate) fn parse(source: Arc<str>, lexemes: Vec<Lexeme<'_>>) -> Result<Expression, CompileError> {
        Ok(Self { parsed: Arc::new(parser::parse(lexemes)?), source })
    }

    /// The text it was compiled from, as it was given.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The free names it refers to, in the order of the text; a macro's variables are not among them.
    pub fn references(&self) -> &[Reference] {
        &self.parsed.references
    }

    /// The path of an expression that is nothing but one.
    pub(crate) fn path(&self) -> Option<&[String]> {
        match &self.parsed.root.kind {
            Kind::Reference(index) => Some(&self.parsed.references.get(*index)?.path),
            _ => None,
        }
    }

    /// The value of the expression in a scope.
    pub fn evaluate(&self, scope: &dyn Scope, limits: &Limits) -> Result<Json, EvaluationError> {
        self.evaluate_within(scope, &Meter::new(limits), 0)
    }

    /// The value of an expression that must be a bool, such as a condition.
    pub fn evaluate_bool(&self, scope: &dyn Scope, limits: &Limits) -> Result<bool, EvaluationError> {
        match self.look(scope, &Meter::new(limits))?.as_ref() {
            Json::Bool(value) => Ok(*value),
            other => Err(self
                .error(format!("a condition must be true or false, but this is {}", value::a_type(other)))),
        }
    }

    /// The value for keeping, `outer` levels deep in a larger one, paid for with a meter that others use too.
    pub(crate) fn evaluate_within(
        &self,
        scope: &dyn Scope,
        meter: &Meter,
        outer: usize,
    ) -> Result<Json, EvaluationError> {
        let value = self.look(scope, meter)?;
        meter.check_depth(&value, outer).map_err(|message| self.error(message))?;
        meter.own(value).map_err(|message| self.error(message))
    }

    /// The value, borrowed where it can be.
    pub(crate) fn look<'b>(&'b self, scope: &'b dyn Scope, meter: &'b Meter) -> Evaluated<'b> {
        let parsed = &*self.parsed;
        meter.check_nesting(parsed.root.depth).map_err(|message| self.error(message))?;
        let env =
            Environment { source: &self.source, references: &parsed.references, scope, meter, locals: None };
        evaluate::evaluate(&parsed.root, env)
    }

    /// What a value of the expression stands for, for looking into it.
    pub(crate) fn opened<'b>(&self, value: Value<'b>, scope: &'b dyn Scope) -> Evaluated<'b> {
        scope::opened(value, scope).map_err(|message| EvaluationError {
            message,
            range: self.range(),
            cause: Cause::Unavailable,
        })
    }

    /// An error about the expression as a whole.
    pub(crate) fn error(&self, message: String) -> EvaluationError {
        EvaluationError { message, range: self.range(), cause: Cause::Expression }
    }

    /// Where the expression stands in its source, without what wraps it.
    pub(crate) fn range(&self) -> Range<usize> {
        self.parsed.root.range.clone()
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
