//! A JSON value with `${ … }` in its strings: input mappings, outputs, the values of `set`.
//!
//! Compiled once at registration. A string that is wholly one `${ … }` keeps the expression's type; within text the
//! value's text is put in; `$${` is a literal `${`. Keys are never evaluated.
//!
//! `${ secrets.name }` has no value here: where the caller allows it, it becomes the reserved value that a worker resolves.

mod secret;

use std::sync::Arc;

use oarlock_protocol::secret::{self as reserved, SecretReference};
use serde_json::{Map, Value as Json};

use crate::ast::Reference;
use crate::budget::{Limits, Meter};
use crate::error::{CompileError, EvaluationError, TemplateError, TemplateEvaluationError};
use crate::expression::Expression;
use crate::lexer;
use crate::scope::Scope;
use crate::value;
use secret::{Made, Secret, Secrets};

/// The deepest nesting of a template: what it makes must nest in a run's own JSON.
const DEEPEST_NESTING: usize = 64;

/// A compiled template.
#[derive(Clone, Debug)]
pub struct Template {
    root: Part,
}

#[derive(Clone, Debug)]
enum Part {
    /// A value without expressions, however large: copied as it is.
    Literal(Json),
    Whole(Expression),
    /// `${ secrets.name }` alone.
    Secret(Secret),
    Text(Vec<Piece>),
    List(Vec<Part>),
    Map(Vec<(String, Part)>),
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(String),
    Expression(Expression),
    Secret(Secret),
}

impl Template {
    /// Compiles a template; fails with every problem in it.
    pub fn compile(value: &Json) -> Result<Template, Vec<TemplateError>> {
        let mut compiler = Compiler { pointer: String::new(), errors: Vec::new() };
        let root = compiler.part(value, 0);
        if compiler.errors.is_empty() { Ok(Template { root }) } else { Err(compiler.errors) }
    }

    /// The value itself, where nothing in it is to be evaluated.
    pub fn literal(&self) -> Option<&Json> {
        match &self.root {
            Part::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// The free names its expressions refer to; ranges are within the string each stands in.
    pub fn references(&self) -> Vec<&Reference> {
        let mut references = Vec::new();
        self.root.references(&mut references);
        references
    }

    /// The value with every expression evaluated; all of them share one budget. It never holds the reserved key `$secret`:
    /// a secret, and data that looks like one, is an error.
    pub fn evaluate(&self, scope: &dyn Scope, limits: &Limits) -> Result<Json, TemplateEvaluationError> {
        self.evaluated(scope, limits, Secrets::Refused)
    }

    /// The same for the input of a task: `${ secrets.name }`, alone or within text, becomes a [`SecretReference`]. Data that
    /// looks like one is an error all the same, but for what is taken as it is out of `taskInput`, which was checked when it
    /// was made.
    pub fn evaluate_with_secrets(
        &self,
        scope: &dyn Scope,
        limits: &Limits,
    ) -> Result<Json, TemplateEvaluationError> {
        self.evaluated(scope, limits, Secrets::Referred)
    }

    fn evaluated(
        &self,
        scope: &dyn Scope,
        limits: &Limits,
        secrets: Secrets,
    ) -> Result<Json, TemplateEvaluationError> {
        let evaluation = Evaluation { scope, meter: Meter::new(limits), secrets };
        evaluation.part(&self.root, 0).map_err(|mut failure| {
            failure.segments.reverse();
            TemplateEvaluationError { pointer: failure.segments.concat(), error: failure.error }
        })
    }
}

struct Compiler {
    /// The JSON pointer of the value at hand.
    pointer: String,
    errors: Vec<TemplateError>,
}

impl Compiler {
    fn part(&mut self, value: &Json, outer: usize) -> Part {
        if outer > DEEPEST_NESTING {
            let message = format!("a value nests at most {DEEPEST_NESTING} levels deep");
            self.fail(CompileError::new(message, 0..0));
            return Part::Literal(Json::Null);
        }
        match value {
            Json::String(text) => self.text(text),
            Json::Array(items) => {
                let parts =
                    items.iter().enumerate().map(|(index, item)| self.below(&index.to_string(), item, outer));
                let parts: Vec<Part> = parts.collect();
                if parts.iter().all(Part::is_literal) {
                    return Part::Literal(Json::Array(
                        parts.into_iter().filter_map(Part::into_literal).collect(),
                    ));
                }
                Part::List(parts)
            }
            Json::Object(map) => {
                let parts = map.iter().map(|(key, value)| (key.clone(), self.below(key, value, outer)));
                let parts: Vec<(String, Part)> = parts.collect();
                if parts.iter().all(|(_, part)| part.is_literal()) {
                    let entries =
                        parts.into_iter().filter_map(|(key, part)| Some((key, part.into_literal()?)));
                    return Part::Literal(Json::Object(entries.collect()));
                }
                Part::Map(parts)
            }
            other => Part::Literal(other.clone()),
        }
    }

    fn below(&mut self, key: &str, value: &Json, outer: usize) -> Part {
        let length = self.pointer.len();
        self.pointer.push_str(&segment(key));
        let part = self.part(value, outer + 1);
        self.pointer.truncate(length);
        part
    }

    fn text(&mut self, source: &str) -> Part {
        let shared: Arc<str> = source.into();
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut position = 0;
        while let Some(dollar) = source[position..].find('$').map(|found| position + found) {
            literal.push_str(&source[position..dollar]);
            if source[dollar..].starts_with("$${") {
                literal.push_str("${");
                position = dollar + 3;
            } else if source[dollar..].starts_with("${") {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                position = self.expression(&shared, dollar, &mut pieces);
            } else {
                literal.push('$');
                position = dollar + 1;
            }
        }
        literal.push_str(&source[position..]);
        assemble(pieces, literal)
    }

    /// Compiles the expression at a `${`; gives the position after it.
    fn expression(&mut self, source: &Arc<str>, open: usize, pieces: &mut Vec<Piece>) -> usize {
        let (lexemes, after) = match lexer::wrapped(source, open) {
            Ok(lexed) => lexed,
            Err(error) => {
                // Without its end, nothing after it can be told from it.
                self.fail(error);
                return source.len();
            }
        };
        match Expression::parse(source.clone(), lexemes) {
            Ok(expression) => pieces.push(match Secret::of(&expression) {
                Some(secret) => Piece::Secret(secret),
                None => Piece::Expression(expression),
            }),
            Err(error) => self.fail(error),
        }
        after
    }

    fn fail(&mut self, error: CompileError) {
        self.errors.push(TemplateError { pointer: self.pointer.clone(), error });
    }
}

/// The part of a string's pieces and the literal after them.
fn assemble(mut pieces: Vec<Piece>, rest: String) -> Part {
    if pieces.is_empty() {
        return Part::Literal(Json::String(rest));
    }
    if let [Piece::Literal(before), alone] = pieces.as_slice()
        && before.trim().is_empty()
        && rest.trim().is_empty()
    {
        match alone {
            Piece::Expression(whole) => return Part::Whole(whole.clone()),
            Piece::Secret(secret) => return Part::Secret(secret.clone()),
            Piece::Literal(_) => {}
        }
    }
    pieces.push(Piece::Literal(rest));
    Part::Text(pieces)
}

/// A key or index as a segment of a JSON pointer.
fn segment(key: &str) -> String {
    format!("/{}", key.replace('~', "~0").replace('/', "~1"))
}

impl Part {
    fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    fn into_literal(self) -> Option<Json> {
        match self {
            Self::Literal(value) => Some(value),
            _ => None,
        }
    }

    fn references<'t>(&'t self, references: &mut Vec<&'t Reference>) {
        match self {
            Self::Literal(_) => {}
            Self::Whole(expression) => references.extend(expression.references()),
            Self::Secret(secret) => references.extend(secret.expression.references()),
            Self::Text(pieces) => references.extend(pieces.iter().flat_map(|piece| match piece {
                Piece::Literal(_) => &[],
                Piece::Expression(expression) => expression.references(),
                Piece::Secret(secret) => secret.expression.references(),
            })),
            Self::List(parts) => parts.iter().for_each(|part| part.references(references)),
            Self::Map(parts) => parts.iter().for_each(|(_, part)| part.references(references)),
        }
    }
}

struct Evaluation<'b> {
    scope: &'b dyn Scope,
    meter: Meter,
    secrets: Secrets,
}

/// A failure on its way up, with the pointer's segments from the innermost.
struct Failure {
    segments: Vec<String>,
    error: EvaluationError,
}

impl Failure {
    fn new(error: EvaluationError) -> Self {
        Self { segments: Vec::new(), error }
    }

    fn below(mut self, key: &str) -> Self {
        self.segments.push(segment(key));
        self
    }
}

impl Evaluation<'_> {
    fn part(&self, part: &Part, outer: usize) -> Result<Json, Failure> {
        match part {
            Part::Literal(value) if reserved::holds_reference(value) => {
                Err(Failure::new(secret::reserved_key()))
            }
            Part::Literal(value) => Ok(value.clone()),
            Part::Whole(expression) => self.whole(expression, outer).map_err(Failure::new),
            Part::Secret(secret) => {
                let reference = SecretReference::Name(secret.name.clone());
                self.refer(&reference, &secret.expression, outer).map_err(Failure::new)
            }
            Part::Text(pieces) => self.text(pieces, outer).map_err(Failure::new),
            Part::List(parts) => {
                let items = parts.iter().enumerate().map(|(index, part)| {
                    self.part(part, outer + 1).map_err(|failure| failure.below(&index.to_string()))
                });
                items.collect::<Result<Vec<_>, _>>().map(Json::Array)
            }
            Part::Map(parts) => {
                let entries = parts.iter().map(|(key, part)| {
                    if key == reserved::KEY {
                        return Err(Failure::new(secret::reserved_key()));
                    }
                    let value = self.part(part, outer + 1).map_err(|failure| failure.below(key))?;
                    Ok((key.clone(), value))
                });
                entries.collect::<Result<Map<_, _>, _>>().map(Json::Object)
            }
        }
    }

    fn whole(&self, expression: &Expression, outer: usize) -> Result<Json, EvaluationError> {
        let value = expression.evaluate_within(self.scope, &self.meter, outer)?;
        let is_checked = || {
            self.secrets == Secrets::Referred && secret::stands_in_task_input(expression, &value, self.scope)
        };
        if reserved::holds_reference(&value) && !is_checked() {
            return Err(expression.error(secret::RESERVED.to_owned()));
        }
        Ok(value)
    }

    fn text(&self, pieces: &[Piece], outer: usize) -> Result<Json, EvaluationError> {
        let mut text = secret::Text::default();
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => text.push(literal),
                Piece::Expression(expression) => {
                    let value = expression.opened(expression.look(self.scope, &self.meter)?, self.scope)?;
                    let put_in = value::text(&value, &self.meter).and_then(|put_in| {
                        self.meter.produce(put_in.len())?;
                        Ok(put_in)
                    });
                    text.push(&put_in.map_err(|message| expression.error(message))?);
                }
                Piece::Secret(secret) => text.refer(secret),
            }
        }
        match text.finish() {
            Made::Plain(text) => Ok(Json::String(text)),
            Made::Secret(reference, first) => self.refer(&reference, first, outer),
        }
    }

    /// The reserved value, where it may stand.
    fn refer(
        &self,
        reference: &SecretReference,
        expression: &Expression,
        outer: usize,
    ) -> Result<Json, EvaluationError> {
        if self.secrets == Secrets::Refused {
            return Err(expression.error(secret::MISPLACED.to_owned()));
        }
        let value = reference.to_json();
        self.meter.pay(&value).map_err(|message| expression.error(message))?;
        self.meter.check_depth(&value, outer).map_err(|message| expression.error(message))?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
