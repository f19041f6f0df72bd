//! What templates keep, put in and refuse.

use serde_json::{Value as Json, json};

use super::*;

fn evaluate(template: Json) -> Result<Json, String> {
    let scope = json!({"n": 15.0, "i": 3, "t": "x", "l": [1], "m": {"a": 1}, "yes": true, "none": null});
    let compiled = Template::compile(&template).map_err(|errors| format!("{errors:?}"))?;
    compiled.evaluate(&scope, &Limits::default()).map_err(|error| error.to_string())
}

#[test]
fn a_whole_expression_keeps_its_type_and_text_takes_text() {
    for (template, expected) in [
        (json!("${ i }"), json!(3)),
        (json!("  ${ l }\n"), json!([1])),
        (json!("${ none }"), json!(null)),
        (json!("n=${ n }, t=${ t }, ${ yes }"), json!("n=15, t=x, true")),
        (json!("${ l } ${ m }"), json!("[1] {\"a\":1}")),
        (json!("${ t }${ t }"), json!("xx")),
        (json!("$${ t } costs $5 $"), json!("${ t } costs $5 $")),
        (json!("$$${ t }"), json!("$${ t }")),
        (json!("$ ${ t }"), json!("$ x")),
        (json!("${ {'}': '${'}['}'] }!"), json!("${!")),
        (
            json!({"${ t }": ["${ i }", {"deep": "${ i + 1 }"}], "plain": [1, "a"]}),
            json!({"${ t }": [3, {"deep": 4}], "plain": [1, "a"]}),
        ),
    ] {
        assert_eq!(evaluate(template.clone()), Ok(expected), "{template}");
    }
}

#[test]
fn null_in_text_is_an_error_with_its_remedy() {
    let message = evaluate(json!({"a": [0, "n: ${ none }"]})).unwrap_err();
    assert_eq!(message, "/a/1: null has no text; give one with get(map, key, default) or a ? b : c");
    assert!(evaluate(json!("${ missing }")).unwrap_err().starts_with("there is no name 'missing'"));
}

#[test]
fn every_problem_is_reported_with_its_pointer_and_range() {
    let template = json!({"a~/b": ["ok ${ 1 }", "two ${ 1 + } and ${ f() }"], "c": "${ open", "d": "${ }"});
    let errors = Template::compile(&template).unwrap_err();
    let found: Vec<(&str, std::ops::Range<usize>)> =
        errors.iter().map(|error| (error.pointer.as_str(), error.error.range.clone())).collect();
    assert_eq!(found, [("/a~0~1b/1", 11..12), ("/a~0~1b/1", 20..21), ("/c", 0..2), ("/d", 3..4)]);
    assert!(errors[2].error.help.as_deref().unwrap().contains("YAML"));
}

#[test]
fn what_has_no_expression_is_literal_with_escapes_done() {
    let compiled = Template::compile(&json!({"a": ["$${x}", 1]})).unwrap();
    assert_eq!(compiled.literal(), Some(&json!({"a": ["${x}", 1]})));
    assert!(compiled.references().is_empty());
    let compiled = Template::compile(&json!(["${ a.b } ${ c }", {"k": "${ d }"}])).unwrap();
    assert_eq!(compiled.literal(), None);
    let names: Vec<String> = compiled.references().iter().map(|reference| reference.path.join(".")).collect();
    assert_eq!(names, ["a.b", "c", "d"]);
}

#[test]
fn all_expressions_share_one_budget_and_one_depth() {
    let scope = json!({"l": vec![0; 1000], "deep": [[[[1]]]]});
    let limits = Limits { steps: 5000, ..Limits::default() };
    let one = Template::compile(&json!(["${ l.sum() }"])).unwrap();
    assert!(one.evaluate(&scope, &limits).is_ok());
    let many = Template::compile(&json!(vec!["${ l.sum() }"; 10])).unwrap();
    let error = many.evaluate(&scope, &limits).unwrap_err();
    assert_eq!((error.pointer.as_str(), error.error.message.contains("5000 steps")), ("/4", true));

    let limits = Limits { depth: 5, ..Limits::default() };
    let nested = |value: Json| {
        Template::compile(&value).unwrap().evaluate(&scope, &limits).map_err(|e| e.error.message)
    };
    assert!(nested(json!(["${ deep }"])).is_ok());
    assert_eq!(nested(json!([["${ deep }"]])), Err("the result nests deeper than 5 levels".to_owned()));
}

#[test]
fn a_template_nests_only_so_deep() {
    let deep = (0..100).fold(json!(1), |value, _| json!([value]));
    let errors = Template::compile(&deep).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].error.message.contains("64 levels"));
}

fn scope() -> Json {
    json!({
        "input": {"name": "db", "looks": {"$secret": "db"}, "user": "ada"},
        "taskInput": {"headers": {"x": {"$secret": "token"}}},
        "secrets": {"token": "the value"},
    })
}

fn with_secrets(template: Json) -> Result<Json, String> {
    let compiled = Template::compile(&template).map_err(|errors| format!("{errors:?}"))?;
    compiled.evaluate_with_secrets(&scope(), &Limits::default()).map_err(|error| error.to_string())
}

#[test]
fn a_secret_is_referred_to_alone_and_within_text() {
    for (template, expected) in [
        (json!("${ secrets.token }"), json!({"$secret": "token"})),
        (json!(" ${ (secrets['token']) }\n"), json!({"$secret": "token"})),
        (
            json!({"a": ["Bearer ${ secrets.token }"]}),
            json!({"a": [{"$secret": {"text": ["Bearer ", {"name": "token"}]}}]}),
        ),
        (
            json!("${ secrets.user }${ secrets.pass } of ${ input.user }"),
            json!({"$secret": {"text": [{"name": "user"}, {"name": "pass"}, " of ada"]}}),
        ),
        (json!("$${ secrets.token }"), json!("${ secrets.token }")),
        (json!("${ taskInput.headers }"), json!({"x": {"$secret": "token"}})),
    ] {
        assert_eq!(with_secrets(template.clone()), Ok(expected), "{template}");
    }
    let compiled = Template::compile(&json!(["${ secrets.a }", "x ${ secrets.b }"])).unwrap();
    let named: Vec<String> = compiled.references().iter().map(|found| found.path.join(".")).collect();
    assert_eq!(named, ["secrets.a", "secrets.b"], "the definition's checks see them");
}

#[test]
fn no_expression_sees_a_secret() {
    for used in [
        "${ upper(secrets.token) }",
        "${ secrets.token.size() }",
        "${ secrets.token + 'x' }",
        "${ has(secrets.token) }",
        "${ get(secrets, 'token', 'none') }",
        "${ secrets }",
        "${ secrets[input.name] }",
        "${ secrets.token.part }",
        "${ secrets['../x'] }",
        "${ [secrets.token] }",
        "${ true ? secrets.token : 'x' }",
        "a ${ 'b' + secrets.token }",
    ] {
        let error = with_secrets(json!(used)).unwrap_err();
        assert!(error.contains("no expression sees a secret"), "{used}: {error}");
    }
    let condition = Expression::compile("secrets.token == 'x'").unwrap();
    assert!(condition.evaluate_bool(&scope(), &Limits::default()).is_err());
}

#[test]
fn where_secrets_are_not_allowed_there_are_none() {
    for template in [json!("${ secrets.token }"), json!({"a": "x ${ secrets.token }"})] {
        let compiled = Template::compile(&template).unwrap();
        let error = compiled.evaluate(&scope(), &Limits::default()).unwrap_err().to_string();
        assert!(error.contains("inputMappings of a task"), "{error}");
    }
}

#[test]
fn data_cannot_name_a_secret() {
    for template in [
        json!("${ input.looks }"),
        json!({"a": ["${ input }"]}),
        json!("${ {'$secret': input.name} }"),
        json!({"$secret": "${ input.name }"}),
        json!({"a": {"$secret": "db"}}),
        json!("${ {'a': taskInput.headers} }"),
        json!("${ [1].map(taskInput, input.looks)[0] }"),
    ] {
        let error = with_secrets(template.clone()).unwrap_err();
        assert!(error.contains("reserved key '$secret'"), "{template}: {error}");
        let compiled = Template::compile(&template).unwrap();
        assert!(compiled.evaluate(&scope(), &Limits::default()).is_err(), "{template}");
    }
}
