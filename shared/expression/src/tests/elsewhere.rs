//! Values that refer to data kept elsewhere: opened where something looks into them, and only there.

use std::borrow::Cow;
use std::cell::RefCell;

use serde_json::{Value as Json, json};

use crate::{Cause, Expression, Limits, Opened, Path, Resolved, Scope, Template};

/// `{"elsewhere": name}` refers to what is kept under that name.
struct Kept {
    names: Json,
    kept: Json,
    asked: RefCell<Vec<String>>,
}

impl Scope for Kept {
    fn resolve<'a>(&'a self, path: &[&str]) -> Resolved<'a> {
        match path.first().and_then(|name| self.names.get(name)) {
            Some(value) => Resolved::Found { value: Cow::Borrowed(value), consumed: 1 },
            None => Resolved::Unknown,
        }
    }

    fn open<'a>(&'a self, value: &Json) -> Opened<'a> {
        let Some(name) = value.get("elsewhere").and_then(Json::as_str) else { return Opened::Itself };
        self.asked.borrow_mut().push(name.to_owned());
        match self.kept.get(name) {
            Some(data) => Opened::Data(data),
            None => Opened::Unavailable(format!("'{name}' is away")),
        }
    }
}

fn scope() -> Kept {
    let refers = |name: &str| json!({"elsewhere": name});
    Kept {
        names: json!({
            "list": refers("list"), "map": refers("map"), "text": refers("text"), "away": refers("away"),
            "outer": {"map": refers("map"), "n": 1}, "many": [refers("map"), {"id": 7}],
        }),
        kept: json!({
            "list": [{"id": 1}, {"id": 2}], "map": {"id": 3, "more": {"a": [4]}, "big": refers("list")}, "text": "abc",
        }),
        asked: RefCell::default(),
    }
}

fn value(source: &str) -> Json {
    let (scope, expression) = (scope(), Expression::compile(source).unwrap());
    expression.evaluate(&scope, &Limits::default()).unwrap_or_else(|error| panic!("{source}: {error}"))
}

#[test]
fn whatever_looks_into_a_value_looks_into_what_it_stands_for() {
    for (source, expected) in [
        ("map.id", json!(3)),
        ("outer.map.more.a[0]", json!(4)),
        ("map['id']", json!(3)),
        ("list[1].id", json!(2)),
        ("map.big[0].id", json!(1)),
        ("size(list)", json!(2)),
        ("list.size()", json!(2)),
        ("list.map(x, x.id)", json!([1, 2])),
        ("many.map(x, x.id)", json!([3, 7])),
        ("list.exists(x, x.id == 2)", json!(true)),
        ("text + 'd'", json!("abcd")),
        ("text == 'abc'", json!(true)),
        ("'id' in map", json!(true)),
        ("has(map.id)", json!(true)),
        ("has(map.nothing)", json!(false)),
        ("get(map, 'id', 0)", json!(3)),
        ("get(map, 'nothing', 0)", json!(0)),
        ("text.matches('^a')", json!(true)),
    ] {
        assert_eq!(value(source), expected, "{source}");
    }
    let template = Template::compile(&json!("<${ text }>")).unwrap();
    assert_eq!(template.evaluate(&scope(), &Limits::default()), Ok(json!("<abc>")));
}

#[test]
fn what_is_only_passed_on_is_not_opened() {
    for (source, expected) in [
        ("away", json!({"elsewhere": "away"})),
        ("[away, 1]", json!([{"elsewhere": "away"}, 1])),
        ("{'a': away}", json!({"a": {"elsewhere": "away"}})),
        ("true ? away : 1", json!({"elsewhere": "away"})),
        ("coalesce(null, away)", json!({"elsewhere": "away"})),
        ("map.big", json!({"elsewhere": "list"})),
        ("get(map, 'big', 0)", json!({"elsewhere": "list"})),
        ("[away].map(x, x)", json!([{"elsewhere": "away"}])),
        ("has(away)", json!(true)),
        ("outer.n", json!(1)),
        ("get(outer, 'map', 0)", json!({"elsewhere": "map"})),
    ] {
        assert_eq!(value(source), expected, "{source}");
    }
}

#[test]
fn what_is_not_at_hand_fails_the_evaluation_and_is_told_from_other_failures() {
    for source in
        ["away.id", "has(away.id)", "get(away, 'id', 1)", "size(away)", "away == 1", "away.map(x, x)"]
    {
        let error = Expression::compile(source).unwrap().evaluate(&scope(), &Limits::default()).unwrap_err();
        assert_eq!(error.cause, Cause::Unavailable, "{source}");
        assert!(error.message.contains("'away' is away"), "{source}: {error}");
        assert!(source.get(error.range.clone()).is_some(), "{source}");
    }
    let error =
        Expression::compile("map.nothing").unwrap().evaluate(&scope(), &Limits::default()).unwrap_err();
    assert_eq!(error.cause, Cause::Expression);
}

#[test]
fn a_scope_is_asked_only_about_what_is_looked_into() {
    let scope = scope();
    let expression = Expression::compile("outer.n == 1 ? map.id : size(away)").unwrap();
    assert_eq!(expression.evaluate(&scope, &Limits::default()), Ok(json!(3)));
    assert_eq!(*scope.asked.borrow(), ["map"]);
}

#[test]
fn a_path_leads_through_and_does_not_open_its_end() {
    let scope = scope();
    let find = |path: &str| {
        Path::compile(path).unwrap().find_through(&scope.names, &scope).map(|found| found.cloned())
    };
    assert_eq!(find("outer.map.more.a[0]"), Ok(Some(json!(4))));
    assert_eq!(find("map.big[1].id"), Ok(Some(json!(2))));
    assert_eq!(find("away"), Ok(Some(json!({"elsewhere": "away"}))));
    assert_eq!(find("map.nothing"), Ok(None));
    assert!(find("away.id").is_err());
}

#[test]
fn data_kept_elsewhere_names_no_secret() {
    let scope = Kept {
        names: json!({"taskInput": {"order": {"elsewhere": "order"}, "card": {"$secret": "card"}}}),
        kept: json!({"order": {"card": {"$secret": "vault"}}}),
        asked: RefCell::default(),
    };
    let made = |template: &str| {
        let template = Template::compile(&json!(template)).unwrap();
        template.evaluate_with_secrets(&scope, &Limits::default()).map_err(|error| error.to_string())
    };
    assert_eq!(made("${ taskInput.card }"), Ok(json!({"$secret": "card"})));
    for template in ["${ taskInput.order.card }", "${ taskInput['order'].card }"] {
        let error = made(template).unwrap_err();
        assert!(error.contains("reserved key '$secret'"), "{template}: {error}");
    }
}
