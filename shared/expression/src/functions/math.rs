//! Functions over numbers.

use super::{Call, Function, Outcome, number_of};
use crate::number::Number;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "abs",
        signature: "abs(x) -> number",
        about: "The number without its sign.",
        example: ("abs(-2.5)", "2.5"),
        arguments: (1, 1),
        apply: abs,
    },
    Function {
        name: "floor",
        signature: "floor(x) -> number",
        about: "The greatest whole number that is not greater.",
        example: ("floor(-2.5)", "-3"),
        arguments: (1, 1),
        apply: |call| to_whole(&call, f64::floor),
    },
    Function {
        name: "ceil",
        signature: "ceil(x) -> number",
        about: "The least whole number that is not less.",
        example: ("ceil(2.1)", "3"),
        arguments: (1, 1),
        apply: |call| to_whole(&call, f64::ceil),
    },
    Function {
        name: "round",
        signature: "round(x) or round(x, digits) -> number",
        about: "The nearest whole number, or number of up to 15 decimal digits; halves go away from zero, by the decimal text.",
        example: ("[round(2.5), round(2.675, 2)]", "[3,2.68]"),
        arguments: (1, 2),
        apply: round,
    },
    Function {
        name: "pow",
        signature: "pow(x, exponent) -> number",
        about: "The power; exact for whole numbers, an overflow is an error.",
        example: ("pow(2, 10)", "1024"),
        arguments: (2, 2),
        apply: |call| number_of(call.number(0)?.power(call.number(1)?)?),
    },
    Function {
        name: "sqrt",
        signature: "sqrt(x) -> number",
        about: "The square root; of a negative number it is an error.",
        example: ("sqrt(2.25)", "1.5"),
        arguments: (1, 1),
        apply: sqrt,
    },
];

/// More decimal digits than a float keeps are no rounding.
const MOST_DIGITS: usize = 15;

fn abs(call: Call<'_>) -> Outcome<'_> {
    let number = call.number(0)?;
    number_of(if number.order(Number::Integer(0)).is_lt() { number.negate()? } else { number })
}

fn to_whole<'b>(call: &Call<'_>, direction: fn(f64) -> f64) -> Outcome<'b> {
    number_of(match call.number(0)? {
        Number::Float(value) => integer_if_exact(Number::Float(direction(value))),
        integer => integer,
    })
}

/// A whole float as the integer it is, where the language has that integer.
fn integer_if_exact(number: Number) -> Number {
    let integer = number.whole().map(Number::Integer);
    integer.filter(|integer| integer.json().is_ok()).unwrap_or(number)
}

fn round(call: Call<'_>) -> Outcome<'_> {
    let number = call.number(0)?;
    if call.count() == 1 {
        return number_of(integer_if_exact(number.round(0)));
    }
    let digits = call.position(1)?;
    if digits > MOST_DIGITS {
        return Err(format!("argument 2 must be at most {MOST_DIGITS}, not {digits}"));
    }
    number_of(number.round(digits))
}

fn sqrt(call: Call<'_>) -> Outcome<'_> {
    let number = call.number(0)?;
    if number.order(Number::Integer(0)).is_lt() {
        return Err(format!("{number} is negative"));
    }
    number_of(Number::Float(number.float().sqrt()))
}
