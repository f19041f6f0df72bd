//! What the language promises, over the public API.

mod budgets;
mod elsewhere;
mod language;
mod numbers;
mod properties;

use serde_json::{Value as Json, json};

use crate::{Expression, Limits};

/// The value of `source` over the names in `scope`, or the message of what is wrong.
fn evaluate(source: &str, scope: &Json) -> Result<Json, String> {
    let expression = Expression::compile(source).map_err(|error| format!("does not compile: {error}"))?;
    expression.evaluate(scope, &Limits::default()).map_err(|error| {
        assert!(
            source.get(error.range.clone()).is_some(),
            "{source}: the range {:?} is no range",
            error.range
        );
        error.message
    })
}

/// The message of what is wrong with `source`.
fn failure(source: &str, scope: &Json) -> String {
    match evaluate(source, scope) {
        Ok(value) => panic!("{source} gives {value}"),
        Err(message) => message,
    }
}

#[test]
fn every_documented_example_gives_its_documented_result() {
    for (example, result) in crate::documentation::examples() {
        let value = evaluate(example, &json!({})).unwrap_or_else(|message| panic!("{example}: {message}"));
        assert_eq!(value.to_string(), result, "{example}");
    }
}

#[test]
fn no_function_has_the_name_of_another_or_of_a_macro() {
    let mut names: Vec<&str> = crate::functions::all().map(|function| function.name).collect();
    names.extend(crate::macros::Macro::ALL.map(crate::macros::Macro::name));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_documentation_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/expressions.md");
    if std::env::var_os("OARLOCK_BLESS").is_some() {
        std::fs::write(path, crate::documentation()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == crate::documentation(),
        "docs/expressions.md is out of date; write it anew with: OARLOCK_BLESS=1 cargo test -p oarlock-expression"
    );
}
