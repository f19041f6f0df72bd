//! Evaluates the macros: one body for every item of a list or key of a map.
//!
//! Called by the evaluator. Items are looked at where they are; only what a result keeps is copied and paid for.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

use crate::ast::Node;
use crate::budget::flat_size;
use crate::error::EvaluationError;
use crate::evaluate::{Environment, Evaluated, Local, at, condition, inside, owned, text_of};
use crate::macros::Macro;
use crate::value;

/// Evaluates a macro `node` over what `over` gives.
pub(crate) fn evaluate<'b>(
    kind: Macro,
    over: &'b Node,
    bodies: &'b [Node],
    node: &Node,
    env: Environment<'b>,
) -> Evaluated<'b> {
    let over_value = inside(over, env)?;
    let keys: Vec<Json>;
    let items: &[Json] = match over_value.as_ref() {
        Json::Array(items) => items,
        Json::Object(map) => {
            keys = map.keys().map(|key| Json::String(key.clone())).collect();
            env.meter.produce(keys.iter().map(flat_size).sum()).map_err(|message| at(node, message))?;
            &keys
        }
        other => {
            let message = format!(
                "{}: {} is {}, not a list or map",
                kind.name(),
                text_of(over, env),
                value::a_type(other)
            );
            return Err(at(over, message));
        }
    };
    // The parser lets no macro through without a body.
    let Some(body) = bodies.first() else { return Err(at(node, format!("{} has no body", kind.name()))) };
    let each = Each { kind, node, env };
    match (kind, bodies.get(1)) {
        (Macro::All, _) => each.first_where(items, body, false).map(|found| Json::Bool(!found)),
        (Macro::Exists, _) => each.first_where(items, body, true).map(Json::Bool),
        (Macro::ExistsOne, _) => each.count_where(items, body).map(|count| Json::Bool(count == 1)),
        (Macro::Filter, _) => each.filter(items, body),
        (Macro::Map, None) => each.map(items, None, body),
        (Macro::Map, Some(value)) => each.map(items, Some(body), value),
        (Macro::SortBy, _) => each.sort_by(items, body),
    }
    .map(Cow::Owned)
}

struct Each<'n, 'b> {
    kind: Macro,
    node: &'n Node,
    env: Environment<'b>,
}

impl Each<'_, '_> {
    fn holds(&self, body: &Node, item: &Json) -> Result<bool, EvaluationError> {
        let local = Local { value: item, outer: self.env.locals };
        condition(body, self.kind.name(), Environment { locals: Some(&local), ..self.env })
    }

    fn value(&self, body: &Node, item: &Json) -> Result<Json, EvaluationError> {
        let local = Local { value: item, outer: self.env.locals };
        owned(body, Environment { locals: Some(&local), ..self.env })
    }

    fn copy(&self, item: &Json) -> Result<Json, EvaluationError> {
        self.env.meter.copy(item).map_err(|message| at(self.node, message))
    }

    /// Whether the body is `wanted` for an item; stops there.
    fn first_where(&self, items: &[Json], body: &Node, wanted: bool) -> Result<bool, EvaluationError> {
        for item in items {
            if self.holds(body, item)? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn count_where(&self, items: &[Json], body: &Node) -> Result<usize, EvaluationError> {
        let mut count = 0;
        for item in items {
            count += usize::from(self.holds(body, item)?);
        }
        Ok(count)
    }

    fn filter(&self, items: &[Json], body: &Node) -> Result<Json, EvaluationError> {
        let mut kept = Vec::new();
        for item in items {
            if self.holds(body, item)? {
                kept.push(self.copy(item)?);
            }
        }
        Ok(Json::Array(kept))
    }

    fn map(&self, items: &[Json], filter: Option<&Node>, body: &Node) -> Result<Json, EvaluationError> {
        let mut values = Vec::new();
        for item in items {
            let is_wanted = match filter {
                Some(filter) => self.holds(filter, item)?,
                None => true,
            };
            if is_wanted {
                values.push(self.value(body, item)?);
            }
        }
        Ok(Json::Array(values))
    }

    fn sort_by(&self, items: &[Json], body: &Node) -> Result<Json, EvaluationError> {
        let keys = items.iter().map(|item| self.value(body, item)).collect::<Result<Vec<_>, _>>()?;
        value::check_ordered(&keys, self.env.meter)
            .map_err(|message| at(self.node, format!("sortBy: of the keys, {message}")))?;
        let mut pairs: Vec<(Json, &Json)> = keys.into_iter().zip(items).collect();
        pairs.sort_by(|(a, _), (b, _)| value::order(a, b).unwrap_or(Ordering::Equal));
        let sorted = pairs.into_iter().map(|(_, item)| self.copy(item)).collect::<Result<Vec<_>, _>>()?;
        Ok(Json::Array(sorted))
    }
}
