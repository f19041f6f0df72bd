//! What the operators do to two values; called by the evaluator, which evaluates the sides.

use std::borrow::Cow;

use serde_json::{Number as JsonNumber, Value as Json};

use crate::ast::Operator;
use crate::budget::Meter;
use crate::number::Number;
use crate::value;

/// Applies a binary operator.
pub(crate) fn apply(operator: Operator, left: &Json, right: &Json, meter: &Meter) -> Result<Json, String> {
    let result = match operator {
        Operator::Equal => value::equal(left, right, meter)?,
        Operator::NotEqual => !value::equal(left, right, meter)?,
        Operator::In => contains(left, right, meter)?,
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            compare(operator, left, right, meter)?
        }
        Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            return match (left, right) {
                (Json::Number(left), Json::Number(right)) => calculate(operator, left, right),
                _ if operator == Operator::Add => concatenate(left, right, meter),
                _ => Err(mismatch(operator, left, right)),
            };
        }
    };
    Ok(Json::Bool(result))
}

/// `-value`.
pub(crate) fn negate(value: &Json) -> Result<Json, String> {
    match value {
        Json::Number(number) => Number::of(number).negate()?.json(),
        other => Err(format!("- needs a number, not {}", value::a_type(other))),
    }
}

fn calculate(operator: Operator, left: &JsonNumber, right: &JsonNumber) -> Result<Json, String> {
    let (left, right) = (Number::of(left), Number::of(right));
    let result = match operator {
        Operator::Subtract => left.subtract(right),
        Operator::Multiply => left.multiply(right),
        Operator::Divide => left.divide(right),
        Operator::Remainder => left.remainder(right),
        _ => left.add(right),
    };
    result?.json()
}

fn concatenate(left: &Json, right: &Json, meter: &Meter) -> Result<Json, String> {
    match (left, right) {
        (Json::String(left), Json::String(right)) => {
            meter.produce(left.len() + right.len())?;
            Ok(Json::String([left.as_str(), right.as_str()].concat()))
        }
        (Json::Array(first), Json::Array(second)) => {
            meter.pay(left)?;
            meter.pay(right)?;
            Ok(Json::Array(first.iter().chain(second).cloned().collect()))
        }
        (Json::String(_), other) | (other, Json::String(_)) if !other.is_null() => {
            Err(format!("{}; write string(x) to join it to text", mismatch(Operator::Add, left, right)))
        }
        _ => Err(mismatch(Operator::Add, left, right)),
    }
}

fn compare(operator: Operator, left: &Json, right: &Json, meter: &Meter) -> Result<bool, String> {
    if let (Json::String(left), Json::String(right)) = (left, right) {
        meter.scan(left.len().min(right.len()))?;
    }
    let order = value::order(left, right).ok_or_else(|| mismatch(operator, left, right))?;
    Ok(match operator {
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}

/// `left in right`: an item of a list, or a key of a map.
fn contains(left: &Json, right: &Json, meter: &Meter) -> Result<bool, String> {
    match (left, right) {
        (_, Json::Array(items)) => {
            for item in items {
                if value::equal(left, item, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Json::String(key), Json::Object(map)) => Ok(map.contains_key(key)),
        (_, Json::Object(_)) => Err(format!("a key of a map is a string, not {}", value::a_type(left))),
        (_, Json::String(_)) => {
            Err("in looks into lists and maps; ask text with text.contains(part)".to_owned())
        }
        (_, other) => Err(format!("in looks into a list or a map, not {}", value::a_type(other))),
    }
}

fn mismatch(operator: Operator, left: &Json, right: &Json) -> String {
    let both: Cow<'_, str> = if value::type_name(left) == value::type_name(right) {
        format!("two values of type {}", value::type_name(left)).into()
    } else {
        format!("{} and {}", value::a_type(left), value::a_type(right)).into()
    };
    format!("{} does not apply to {both}", operator.sign())
}
