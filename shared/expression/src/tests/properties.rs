//! The bodies of the fuzz targets as seeded properties: any text compiles or is refused, any tree evaluates or fails,
//! always in bounded time, with ranges inside the source and finite results.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value as Json, json};

use crate::{DEEPEST_NESTING, Expression, Limits, Path, Template};

/// Small enough for thousands of cases in seconds.
const LIMITS: Limits = Limits { steps: 2_000, bytes: 64 << 10, depth: DEEPEST_NESTING };
const CASES: u32 = 3_000;

/// A runner that tries the same cases every time; `PROPTEST_CASES` asks for more, `PROPTEST_RNG_SEED` for others.
fn runner() -> TestRunner {
    let asked = Config::default();
    let rng_seed = match asked.rng_seed {
        RngSeed::Random => RngSeed::Fixed(7),
        RngSeed::Fixed(seed) => RngSeed::Fixed(seed),
    };
    TestRunner::new(Config { cases: CASES.max(asked.cases), rng_seed, failure_persistence: None, ..asked })
}

fn scope() -> Json {
    json!({
        "input": {"n": 15, "f": 15.0, "t": "aé😀", "items": [{"p": 1, "q": "x"}, {"p": 2.5}], "none": null},
        "big": u64::MAX, "small": i64::MIN, "huge": 1e308, "yes": true, "l": [3, 1, 2],
        "now": "2031-05-01T10:00:00.000Z"
    })
}

fn check_text(source: &str) -> Result<(), TestCaseError> {
    match Expression::compile(source) {
        Ok(expression) => {
            for reference in expression.references() {
                prop_assert!(source.get(reference.range.clone()).is_some());
            }
            check_evaluation(source, &expression)?;
        }
        Err(error) => prop_assert!(source.get(error.range.clone()).is_some(), "{error:?}"),
    }
    if let Err(error) = Path::compile(source) {
        prop_assert!(source.get(error.range.clone()).is_some(), "{error:?}");
    }
    if let Err(errors) = Template::compile(&json!(source)) {
        prop_assert!(errors.iter().all(|error| source.get(error.error.range.clone()).is_some()));
    }
    Ok(())
}

fn check_evaluation(source: &str, expression: &Expression) -> Result<(), TestCaseError> {
    match expression.evaluate(&scope(), &LIMITS) {
        Ok(value) => {
            let text = value.to_string();
            let again: Json =
                serde_json::from_str(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(again.to_string(), text);
        }
        Err(error) => {
            prop_assert!(source.get(error.range.clone()).is_some(), "{error:?}");
            prop_assert!(!error.message.is_empty());
        }
    }
    Ok(())
}

#[test]
fn any_text_compiles_or_is_refused() {
    let fragments = prop::sample::select(vec![
        "${", "}", "{", "[", "]", "(", ")", "'", "\"", "\\", "a", "input.t", ".", ",", "+", "-", "!", "&&",
        "||", "?", ":", "1", "0.5", "1e9", " ", "in", "has(", ".map(x,", "x", "$", "é", "😀", "\n", "null",
        "r'", "'''", "\\u00", "==", "<", "matches(", "get(", "@",
    ]);
    let text = prop_oneof![
        prop::collection::vec(fragments, 0..30).prop_map(|parts| parts.concat()),
        any::<String>(),
    ];
    runner().run(&text, |source| check_text(&source)).unwrap();
}

/// Expressions that compile, built from the tables.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "input.n",
        "input.f",
        "input.t",
        "input.items",
        "input.none",
        "input.x",
        "big",
        "small",
        "huge",
        "yes",
        "l",
        "now",
        "1",
        "0",
        "-3",
        "2.5",
        "'a'",
        "'2h'",
        "''",
        "null",
        "true",
        "[]",
        "[1, 'a']",
        "{'k': 1}",
        "x",
        "'[a-z]+'",
        "{}",
        "range(5)",
        "1e300",
        "'%Y-%'",
        "9223372036854775807",
    ])
    .prop_map(str::to_owned);
    let functions: Vec<(&str, usize, usize)> = crate::functions::all()
        .map(|function| (function.name, function.arguments.0, function.arguments.1.min(4)))
        .collect();
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let sign = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||",
        ]);
        let kind = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter", "sortBy"]);
        let function = prop::sample::select(functions.clone());
        prop_oneof![
            (inner.clone(), sign, inner.clone()).prop_map(|(a, sign, b)| format!("({a} {sign} {b})")),
            (function, prop::collection::vec(inner.clone(), 4), 0..4_usize).prop_map(
                |((name, least, most), values, more)| {
                    format!("{name}({})", values[..(least + more).min(most)].join(", "))
                }
            ),
            (inner.clone(), kind, inner.clone())
                .prop_map(|(over, kind, body)| format!("{over}.{kind}(x, {body})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("(yes ? [{a}] : {{'k': {b}}}) == {c}")),
            inner.prop_map(|a| format!("!({a}).k")),
        ]
    })
}

#[test]
fn any_expression_evaluates_or_fails_within_its_budget() {
    runner().run(&expressions(), |source| check_text(&source)).unwrap();
}

#[test]
fn equality_agrees_with_order_and_distinct() {
    let number = prop_oneof![
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        (-3..3_i64).prop_map(Json::from),
        (-3..3_i64).prop_map(|n| Json::from(n as f64)),
        (0..4_i64).prop_map(|n| Json::from((1_i64 << 53) + n)),
        (0..4_i64).prop_map(|n| Json::from(((1_i64 << 53) + n) as f64)),
    ];
    let expression = Expression::compile(
        "[a == b, !(a < b) && !(a > b), [a, b].distinct().size() == 1, a in [b], min(a, b) == max(b, a)]",
    )
    .unwrap();
    runner()
        .run(&(number.clone(), number), |(a, b)| {
            prop_assume!(!a.is_null() && !b.is_null());
            let value = expression.evaluate(&json!({"a": a, "b": b}), &Limits::default()).unwrap();
            let answers = value.as_array().unwrap();
            prop_assert!(answers.iter().all(|answer| *answer == answers[0]), "{a} {b}: {value}");
            Ok(())
        })
        .unwrap();
}
