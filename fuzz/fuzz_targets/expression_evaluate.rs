//! The first line is an expression, the rest the JSON of its scope: it evaluates or fails, within its budget.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oarlock_expression::{Expression, Limits};
use serde_json::{Value, json};

/// Small, so that what goes beyond a budget shows as a slow or large run.
const LIMITS: Limits = Limits { steps: 10_000, bytes: 256 << 10, depth: 64 };

fuzz_target!(|input: &str| {
    let (source, scope) = input.split_once('\n').unwrap_or((input, ""));
    let Ok(expression) = Expression::compile(source) else { return };
    let scope: Value = serde_json::from_str(scope).unwrap_or_else(|_| usual_scope());
    match expression.evaluate(&scope, &LIMITS) {
        Ok(value) => {
            let text = value.to_string();
            let again: Value = serde_json::from_str(&text).expect("a result is JSON that can be read again");
            assert_eq!(again.to_string(), text);
        }
        Err(error) => assert!(source.get(error.range).is_some()),
    }
});

fn usual_scope() -> Value {
    json!({
        "input": {"n": 15, "f": 15.0, "t": "aé😀", "items": [{"p": 1}, {"p": 2.5}], "none": null},
        "big": u64::MAX, "small": i64::MIN, "huge": 1e308, "yes": true, "l": [3, 1, 2],
        "now": "2031-05-01T10:00:00.000Z"
    })
}
