//! YAML as JSON: manifests, and what docker compose prints. Plain scalars are what the core schema makes of them; there are no tags.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// The documents of a text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let mut events = Parser::new_from_str(text).map(|event| event.unwrap().0);
    let mut documents = Vec::new();
    while let Some(event) = events.next() {
        if matches!(event, Event::DocumentStart(_)) {
            let first = events.next().unwrap();
            documents.push(node(first, &mut events));
        }
    }
    documents
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return text.into();
    }
    match text {
        "null" | "~" | "" => Value::Null,
        "true" => true.into(),
        "false" => false.into(),
        _ => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
    }
}

fn node<'a>(event: Event<'a>, events: &mut impl Iterator<Item = Event<'a>>) -> Value {
    match event {
        Event::Scalar(text, style, ..) => scalar(&text, style),
        Event::SequenceStart(..) => {
            let mut list = Vec::new();
            loop {
                match events.next().unwrap() {
                    Event::SequenceEnd => return list.into(),
                    event => list.push(node(event, events)),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut map = Map::new();
            loop {
                match events.next().unwrap() {
                    Event::MappingEnd => return map.into(),
                    Event::Scalar(key, ..) => {
                        let event = events.next().unwrap();
                        let twice = map.insert(key.to_string(), node(event, events));
                        assert!(twice.is_none(), "{key} stands there twice");
                    }
                    other => panic!("a key that is no text: {other:?}"),
                }
            }
        }
        other => panic!("{other:?}"),
    }
}
