//! What a scalar without quotes means: the core schema of YAML 1.2, and the values that are refused as traps.

use oarlock_protocol::Json;
use serde_json::Number;

use super::{Style, Value, quoted};
use crate::code::Code;

/// A scalar that means one thing to its reader and another to its writer.
pub(super) struct Trap {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: String,
}

/// The value of the plain scalar `text`.
pub(super) fn resolve(text: &str) -> Result<Value, Trap> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    if let Some(meant) = old_boolean(text) {
        return Err(ambiguous_boolean(text, meant));
    }
    if has_leading_zero(text) {
        return Err(leading_zero(text));
    }
    match number(text) {
        Some(Some(number)) => Ok(Value::Number(number)),
        Some(None) => Err(no_json_number(text)),
        None => Ok(Value::Text { text: text.to_owned(), style: Style::Plain }),
    }
}

/// What YAML 1.1 takes for a boolean and YAML 1.2 for a text.
fn old_boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or("");
    whole.len() > 1
        && whole.starts_with('0')
        && whole.bytes().all(|b| b.is_ascii_digit())
        && is_decimal(digits)
}

/// The number that a text is by the core schema: `None` where it is none, `Some(None)` where JSON has no such number.
fn number(text: &str) -> Option<Option<Number>> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(None);
    }
    if let Some(radix) = radix_number(text) {
        return Some(radix);
    }
    if !is_decimal(digits) {
        return None;
    }
    Some(decimal(sign, digits))
}

/// `0x1F` and `0o17`.
fn radix_number(text: &str) -> Option<Option<Number>> {
    let (digits, radix) =
        text.strip_prefix("0x").map(|d| (d, 16)).or(text.strip_prefix("0o").map(|d| (d, 8)))?;
    let all_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    all_digits.then(|| u64::from_str_radix(digits, radix).ok().map(Number::from))
}

/// `[0-9]+` or `.5`, with an optional fraction and exponent.
fn is_decimal(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let exponent_is_good = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && are_digits(text)
    });
    !(whole.is_empty() && fraction.is_empty())
        && are_digits(whole)
        && are_digits(fraction)
        && exponent_is_good
}

fn decimal(sign: &str, digits: &str) -> Option<Number> {
    let is_integer = digits.bytes().all(|b| b.is_ascii_digit());
    if !is_integer {
        return format!("{sign}{digits}").parse::<f64>().ok().and_then(Number::from_f64);
    }
    if digits == "0" {
        return Some(Number::from(0));
    }
    match serde_json::from_str(&format!("{sign}{digits}")) {
        Ok(Json::Number(number)) if !number.is_f64() => Some(number),
        _ => None,
    }
}

fn ambiguous_boolean(text: &str, meant: bool) -> Trap {
    Trap {
        code: Code::AmbiguousBoolean,
        message: format!("`{text}` without quotes is a boolean to some readers of YAML and a text to others"),
        help: format!("Write `{meant}` for the boolean, or `{}` for the text.", quoted(text)),
    }
}

fn leading_zero(text: &str) -> Trap {
    let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
    let stripped = digits.trim_start_matches('0');
    let zero = if stripped.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "0" };
    let sign = if sign == "-" { "-" } else { "" };
    Trap {
        code: Code::LeadingZero,
        message: format!("the number `{text}` begins with a zero, which would be lost"),
        help: format!(
            "Write `{}` for a text that keeps its zeros, or `{sign}{zero}{stripped}` for the number.",
            quoted(text)
        ),
    }
}

fn no_json_number(text: &str) -> Trap {
    Trap {
        code: Code::InvalidNumber,
        message: format!("`{text}` is a number that JSON cannot carry exactly"),
        help: format!(
            "Integers have 64 bits, and there is no infinity. Write `{}` for a text.",
            quoted(text)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        match resolve(text) {
            Ok(Value::Null) => "null".to_owned(),
            Ok(Value::Bool(value)) => value.to_string(),
            Ok(Value::Number(number)) => format!("number {number}"),
            Ok(Value::Text { text, .. }) => format!("text {text}"),
            Ok(_) => "?".to_owned(),
            Err(trap) => trap.code.as_str().to_owned(),
        }
    }

    #[test]
    fn plain_scalars_mean_what_yaml_1_2_says() {
        let rows = [
            ("", "null"),
            ("~", "null"),
            ("True", "true"),
            ("12", "number 12"),
            ("-12", "number -12"),
            ("+12", "number 12"),
            ("0", "number 0"),
            ("-0", "number 0"),
            ("0.5", "number 0.5"),
            (".5", "number 0.5"),
            ("5.", "number 5.0"),
            ("1e3", "number 1000.0"),
            ("0x1F", "number 31"),
            ("0o17", "number 15"),
            ("18446744073709551615", "number 18446744073709551615"),
            ("18446744073709551616", "invalid-number"),
            ("1e999", "invalid-number"),
            ("-.inf", "invalid-number"),
            (".nan", "invalid-number"),
            ("007", "leading-zero"),
            ("-007", "leading-zero"),
            ("00.5", "leading-zero"),
            ("NO", "ambiguous-boolean"),
            ("on", "ambiguous-boolean"),
            ("none", "text none"),
            ("1_000", "text 1_000"),
            ("0123abc", "text 0123abc"),
            ("2026-01-02", "text 2026-01-02"),
            ("-", "text -"),
            (".", "text ."),
            ("1e", "text 1e"),
            ("0x", "text 0x"),
        ];
        for (text, expected) in rows {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn the_fix_for_a_leading_zero_keeps_the_number() {
        for (text, number) in [("007", "`7`"), ("000", "`0`"), ("-00.5", "`-0.5`")] {
            let help = resolve(text).err().map(|trap| trap.help).unwrap_or_default();
            assert!(help.contains(number), "{help}");
        }
    }
}
