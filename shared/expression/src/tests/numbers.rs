//! The one number type: the same results whether a sender writes 15 or 15.0.

use serde_json::{Value as Json, json};

use super::{evaluate, failure};

/// Expression, the JSON text of `n` as a sender writes it, and the JSON text of the result.
const ROWS: &[(&str, &str, &str)] = &[
    // Integers stay integers; a float promotes.
    ("n + 1", "15", "16"),
    ("n + 1", "15.0", "16.0"),
    ("n - 1", "15", "14"),
    ("n * 2", "15", "30"),
    ("n * 2", "15.0", "30.0"),
    ("n * 0.5", "15", "7.5"),
    ("n % 4", "15", "3"),
    ("n % 4", "15.0", "3.0"),
    ("n % 4", "-15", "-3"),
    ("-n", "15", "-15"),
    ("-n", "0.0", "0.0"),
    // Division is true division; an exact quotient of integers is an integer.
    ("n / 2", "15", "7.5"),
    ("n / 2", "15.0", "7.5"),
    ("n / 2", "6", "3"),
    ("n / 2", "6.0", "3.0"),
    ("n / 2", "-7", "-3.5"),
    ("n / 0.5", "1", "2.0"),
    // Equality and order are by value, everywhere.
    ("n == 15", "15.0", "true"),
    ("n == 15.0", "15", "true"),
    ("n != 15", "15.5", "true"),
    ("[n] == [15]", "15.0", "true"),
    ("{'a': [n]} == {'a': [15]}", "15.0", "true"),
    ("n in [14, 15]", "15.0", "true"),
    ("[14, 15.0].contains(n)", "15", "true"),
    ("[n, 15, 15.0].distinct().size()", "15.0", "1"),
    ("[n, -n, 0].distinct().size()", "0.0", "1"),
    ("n >= 15 && n <= 15 && !(n < 15)", "15.0", "true"),
    ("max(n, 15) == min(n, 15)", "15.0", "true"),
    ("[n, 3, 20.5].sort()", "15.0", "[3,15.0,20.5]"),
    ("n == '15'", "15", "false"),
    // Comparison is exact where floats are not.
    ("n == 9007199254740993.0", "9007199254740993", "false"),
    ("n > 9007199254740992.0", "9007199254740993", "true"),
    ("n < 9223372036854775808.0", "9223372036854775807", "true"),
    ("n == 9223372036854775808.0", "9223372036854775808", "true"),
    ("n < 1e300 && n > -1e300", "18446744073709551615", "true"),
    ("n < 0.5 && n > -0.5", "0", "true"),
    ("n < -2.5", "-3", "true"),
    // The whole range of 64-bit integers, signed and unsigned, is exact.
    ("n + 1", "9007199254740993", "9007199254740994"),
    ("n + 1", "9223372036854775807", "9223372036854775808"),
    ("n - 1", "18446744073709551615", "18446744073709551614"),
    ("n", "-9223372036854775808", "-9223372036854775808"),
    ("n", "18446744073709551615", "18446744073709551615"),
    ("-n", "9223372036854775808", "-9223372036854775808"),
    ("-9223372036854775808 == n", "-9223372036854775808", "true"),
    ("n / 3", "9223372036854775806", "3074457345618258602"),
    ("pow(2, 63) == n", "9223372036854775808", "true"),
    // What takes a whole number takes 2.0 too.
    ("[7, 8, 9][n]", "2.0", "9"),
    ("range(n)", "2.0", "[0,1]"),
    ("'abc'.substring(n)", "2.0", "\"c\""),
    ("get([7, 8], n, 0)", "1.0", "8"),
    // A number's text is the same in either form.
    ("string(n)", "15", "\"15\""),
    ("string(n)", "15.0", "\"15\""),
    ("string(n)", "15.25", "\"15.25\""),
    ("string(n)", "-0.0", "\"0\""),
    ("join([n, 1], '-')", "15.0", "\"15-1\""),
    // Functions.
    ("int(n)", "15.9", "15"),
    ("int(n)", "-15.9", "-15"),
    ("int(n)", "\"9223372036854775807\"", "9223372036854775807"),
    ("number(n) + 1", "\"1.5\"", "2.5"),
    ("number(n)", "\" 7 \"", "7"),
    ("floor(n)", "-0.5", "-1"),
    ("ceil(n)", "15.0", "15"),
    ("round(n)", "-2.5", "-3"),
    ("round(n)", "2.4999", "2"),
    ("round(n, 2)", "2.675", "2.68"),
    ("round(n, 2)", "1.005", "1.01"),
    ("round(n, 2)", "-1.005", "-1.01"),
    ("round(n, 1)", "9.99", "10.0"),
    ("round(n, 1)", "0.04", "0.0"),
    ("round(n, 3)", "15", "15"),
    ("round(n)", "1e300", "1e+300"),
    ("abs(n)", "-9223372036854775808", "9223372036854775808"),
    ("[n, 0.5].sum()", "15", "15.5"),
    ("[n, 16].average()", "15", "15.5"),
    ("[n, 17].average()", "15", "16"),
    ("sqrt(n)", "16", "4.0"),
    ("pow(n, -1)", "4", "0.25"),
    ("pow(n, 0.5)", "16", "4.0"),
];

#[test]
fn number_semantics() {
    for (expression, n, expected) in ROWS {
        let scope: Json = serde_json::from_str(&format!("{{\"n\": {n}}}")).unwrap();
        let value =
            evaluate(expression, &scope).unwrap_or_else(|message| panic!("{expression} of {n}: {message}"));
        assert_eq!(value.to_string(), *expected, "{expression} of {n}");
    }
}

#[test]
fn what_has_no_exact_or_finite_result_is_an_error() {
    for (expression, n) in [
        ("n + 1", json!(u64::MAX)),
        ("n - 1", json!(i64::MIN)),
        ("-n", json!(u64::MAX)),
        ("n * n", json!(u64::MAX)),
        ("n * 2", json!(u64::MAX)),
        ("pow(n, 3)", json!(i64::MAX)),
        ("n * 10", json!(1e308)),
        ("n + n", json!(1.7e308)),
        ("n / 1e-300", json!(1e300)),
        ("pow(n, 0.5)", json!(-1)),
        ("pow(n, -1)", json!(0)),
        ("sqrt(n)", json!(-1)),
        ("n / 0", json!(1)),
        ("n / 0.0", json!(1)),
        ("n % 0", json!(1.5)),
        ("[n, n].sum()", json!(u64::MAX)),
        ("int(n)", json!(1e300)),
        ("[1][n]", json!(0.5)),
        ("round(n, 16)", json!(0.5)),
        ("number(n)", json!("NaN")),
        ("number(n)", json!("inf")),
        ("number(n)", json!("0x10")),
        ("number(n)", json!("")),
    ] {
        failure(expression, &json!({"n": n}));
    }
    assert_eq!(failure("n / 0", &json!({"n": 1})), "1 / 0 divides by zero");
    assert_eq!(
        failure("n + 1", &json!({"n": u64::MAX})),
        "18446744073709551615 + 1 has no exact 64-bit integer or finite result"
    );
}

/// Results travel as JSON; a reader that is a last digit off would make equal values differ after one hop.
#[test]
fn a_float_reads_back_as_it_was_written() {
    let scope = json!({});
    for source in ["sqrt(2.24)", "1 / 3", "0.1 + 0.2", "pow(1.1, 100)", "5e-324 * 1"] {
        let value = evaluate(source, &scope).unwrap();
        let again: Json = serde_json::from_str(&value.to_string()).unwrap();
        assert_eq!(again, value, "{source}");
    }
}
