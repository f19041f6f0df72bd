//! Walks the tree over JSON values, borrowing wherever it can; clones only what a result keeps.
//!
//! Called by `Expression` and `Template`. It recurses no deeper than the parser lets a tree nest, pays for every
//! node, and turns each failure into an error with the place it happened in.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::ast::{Kind, Node, Reference};
use crate::budget::Meter;
use crate::each;
use crate::error::{Cause, EvaluationError};
use crate::functions::{Call, Function};
use crate::lookup::{self, Absence, Lookup};
use crate::operators;
use crate::scope::{self, Scope};
use crate::value;

pub(crate) type Value<'b> = Cow<'b, Json>;
pub(crate) type Evaluated<'b> = Result<Value<'b>, EvaluationError>;

/// What an evaluation sees; copied at will.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'b> {
    pub(crate) source: &'b str,
    pub(crate) references: &'b [Reference],
    pub(crate) scope: &'b dyn Scope,
    pub(crate) meter: &'b Meter,
    pub(crate) locals: Option<&'b Local<'b>>,
}

/// A macro variable, and those around it.
pub(crate) struct Local<'b> {
    pub(crate) value: &'b Json,
    pub(crate) outer: Option<&'b Local<'b>>,
}

/// Evaluates a node.
pub(crate) fn evaluate<'b>(node: &'b Node, env: Environment<'b>) -> Evaluated<'b> {
    env.meter.work(1).map_err(|message| at(node, message))?;
    match &node.kind {
        Kind::Literal(value) => Ok(Cow::Borrowed(value)),
        Kind::Reference(_) | Kind::Member(..) | Kind::Index(..) => match find(node, env)? {
            Lookup::Present(value) => Ok(value),
            Lookup::Absent(absence) => Err(absence.error(node, env)),
        },
        Kind::Local(distance) => local(*distance, node, env),
        Kind::List(items) => list(items, node, env),
        Kind::Map(entries) => map(entries, node, env),
        Kind::Not(operand) => Ok(bool_value(!condition(operand, "!", env)?)),
        Kind::Negate(operand) => {
            let value = evaluate(operand, env)?;
            operators::negate(&value).map(Cow::Owned).map_err(|message| at(node, message))
        }
        Kind::Every(parts) => every(parts, env),
        Kind::Any(parts) => any(parts, env),
        Kind::Binary(operator, sides) => {
            let left = inside(&sides.0, env)?;
            let right = inside(&sides.1, env)?;
            operators::apply(*operator, &left, &right, env.meter)
                .map(Cow::Owned)
                .map_err(|message| at(node, message))
        }
        Kind::Conditional(parts) => {
            let chosen = if condition(&parts.0, "? :", env)? { &parts.1 } else { &parts.2 };
            evaluate(chosen, env)
        }
        Kind::Call(function, arguments) => call(function, arguments, node, env),
        Kind::Matches(text, pattern) => {
            let text = inside(text, env)?;
            let Json::String(text) = text.as_ref() else {
                return Err(at(
                    node,
                    format!("matches: argument 1 must be a string, not {}", value::a_type(&text)),
                ));
            };
            let is_match = pattern.is_match(text, env.meter);
            is_match.map(bool_value).map_err(|message| at(node, format!("matches: {message}")))
        }
        Kind::Has(path) => Ok(bool_value(matches!(find(path, env)?, Lookup::Present(_)))),
        Kind::Get(parts) => get(&parts.0, &parts.1, &parts.2, env),
        Kind::Each(kind, over, bodies) => each::evaluate(*kind, over, bodies, node, env),
    }
}

/// Evaluates a node whose value is looked into.
pub(crate) fn inside<'b>(node: &'b Node, env: Environment<'b>) -> Evaluated<'b> {
    opened(evaluate(node, env)?, node, env)
}

/// What the value of a node stands for, for looking into it.
pub(crate) fn opened<'b>(value: Value<'b>, node: &Node, env: Environment<'b>) -> Evaluated<'b> {
    scope::opened(value, env.scope).map_err(|message| EvaluationError {
        message: format!("{}: {message}", text_of(node, env)),
        cause: Cause::Unavailable,
        range: node.range.clone(),
    })
}

/// Evaluates a node that must be a bool; `user` is what needs it.
pub(crate) fn condition(node: &Node, user: &str, env: Environment<'_>) -> Result<bool, EvaluationError> {
    match evaluate(node, env)?.as_ref() {
        Json::Bool(value) => Ok(*value),
        other => Err(at(
            node,
            format!("{user} needs a bool, but `{}` is {}", text_of(node, env), value::a_type(other)),
        )),
    }
}

/// Evaluates a node for keeping.
pub(crate) fn owned(node: &Node, env: Environment<'_>) -> Result<Json, EvaluationError> {
    let value = evaluate(node, env)?;
    env.meter.own(value).map_err(|message| at(node, message))
}

/// An error at a node.
pub(crate) fn at(node: &Node, message: String) -> EvaluationError {
    EvaluationError { message, range: node.range.clone(), cause: Cause::Expression }
}

/// The source text of a node: how messages name it.
pub(crate) fn text_of<'b>(node: &Node, env: Environment<'b>) -> &'b str {
    env.source.get(node.range.clone()).unwrap_or("the value")
}

/// Looks a path up without failing where it leads nowhere; anything but a path is evaluated.
fn find<'b>(node: &'b Node, env: Environment<'b>) -> Result<Lookup<'b>, EvaluationError> {
    match &node.kind {
        Kind::Reference(index) => match env.references.get(*index) {
            Some(reference) => lookup::resolve(reference, node, env),
            None => Err(at(node, "the expression lost a name".to_owned())),
        },
        Kind::Member(holder, key) => match find(holder, env)? {
            Lookup::Present(value) => Ok(lookup::member(opened(value, holder, env)?, key)),
            absent => Ok(absent),
        },
        Kind::Index(holder, index) => match find(holder, env)? {
            Lookup::Present(value) => {
                let index = evaluate(index, env)?;
                lookup::index(opened(value, holder, env)?, &index)
                    .map_err(|message| at(node, format!("{}: {message}", text_of(node, env))))
            }
            absent => Ok(absent),
        },
        _ => evaluate(node, env).map(Lookup::Present),
    }
}

fn local<'b>(distance: usize, node: &Node, env: Environment<'b>) -> Evaluated<'b> {
    let mut local = env.locals;
    for _ in 0..distance {
        local = local.and_then(|inner| inner.outer);
    }
    match local {
        Some(local) => Ok(Cow::Borrowed(local.value)),
        None => Err(at(node, "the macro variable has no value".to_owned())),
    }
}

fn list<'b>(items: &'b [Node], node: &Node, env: Environment<'b>) -> Evaluated<'b> {
    env.meter.produce(2).map_err(|message| at(node, message))?;
    let items: Result<Vec<Json>, EvaluationError> = items.iter().map(|item| owned(item, env)).collect();
    items.map(|items| Cow::Owned(Json::Array(items)))
}

fn map<'b>(entries: &'b [(Node, Node)], node: &Node, env: Environment<'b>) -> Evaluated<'b> {
    env.meter.produce(2).map_err(|message| at(node, message))?;
    let mut map = Map::new();
    for (key_node, value) in entries {
        let key = match owned(key_node, env)? {
            Json::String(key) => key,
            other => {
                return Err(at(key_node, format!("a key must be a string, not {}", value::a_type(&other))));
            }
        };
        let value = owned(value, env)?;
        if map.contains_key(&key) {
            return Err(at(key_node, format!("the key '{key}' stands twice in the map")));
        }
        map.insert(key, value);
    }
    Ok(Cow::Owned(Json::Object(map)))
}

fn every<'b>(parts: &'b [Node], env: Environment<'b>) -> Evaluated<'b> {
    for part in parts {
        if !condition(part, "&&", env)? {
            return Ok(bool_value(false));
        }
    }
    Ok(bool_value(true))
}

fn any<'b>(parts: &'b [Node], env: Environment<'b>) -> Evaluated<'b> {
    for part in parts {
        if condition(part, "||", env)? {
            return Ok(bool_value(true));
        }
    }
    Ok(bool_value(false))
}

fn call<'b>(
    function: &'static Function,
    arguments: &'b [Node],
    node: &Node,
    env: Environment<'b>,
) -> Evaluated<'b> {
    let look = if function.passes_on() { evaluate } else { inside };
    let arguments: Result<Vec<Value<'b>>, EvaluationError> =
        arguments.iter().map(|argument| look(argument, env)).collect();
    let call = Call::new(arguments?, env.meter);
    (function.apply)(call).map_err(|message| at(node, format!("{}: {message}", function.name)))
}

/// `get(holder, key, default)`: an absent holder, a null one and an absent key give the default.
fn get<'b>(holder: &'b Node, key: &'b Node, default: &'b Node, env: Environment<'b>) -> Evaluated<'b> {
    let found = match find(holder, env)? {
        Lookup::Present(value) if value.is_null() => Lookup::Absent(Absence::Null),
        Lookup::Present(value) => {
            let key = evaluate(key, env)?;
            let value = opened(value, holder, env)?;
            match value.as_ref() {
                Json::Object(_) | Json::Array(_) => {}
                other => {
                    let message = format!(
                        "get: {} is {}, not a map or list",
                        text_of(holder, env),
                        value::a_type(other)
                    );
                    return Err(at(holder, message));
                }
            }
            lookup::index(value, &key).map_err(|message| at(holder, format!("get: {message}")))?
        }
        absent => absent,
    };
    match found {
        Lookup::Present(value) => Ok(value),
        Lookup::Absent(_) => evaluate(default, env),
    }
}

fn bool_value<'b>(value: bool) -> Value<'b> {
    Cow::Owned(Json::Bool(value))
}
