//! Values that stand for others: `{"$secret": ..}`, known to the worker alone, and `{"$payload": ..}`, kept elsewhere.
//! Nobody here knows what they stand for, so they fit every schema.

use oarlock_protocol::Json;
use serde_json::{Map, json};

use crate::graph::{Graph, Holds, keyword};

/// The names of reserved values.
const NAMES: [&str; 2] = ["$secret", "$payload"];

/// Whether a value stands for another.
pub(crate) fn is_reserved(value: &Json) -> bool {
    let Json::Object(map) = value else { return false };
    map.len() == 1 && map.keys().any(|name| NAMES.contains(&name.as_str()))
}

/// The same schema, but that each part of it takes reserved values too: every part gets a name, and an `if` around it.
pub(crate) fn lenient(source: &Json, graph: &Graph) -> Json {
    let mut parts = Map::new();
    for (pointer, id) in graph.pointers() {
        let Some(part) = source.pointer(pointer) else { continue };
        let taken = match part {
            // What is forbidden stays so, whatever stands there.
            Json::Bool(_) => part.clone(),
            _ => {
                json!({"if": {"$ref": "#/$defs/reserved"}, "then": true, "else": with_names(part, pointer, graph)})
            }
        };
        parts.insert(format!("part{id}"), taken);
    }
    let names = NAMES.map(|name| json!({"required": [name]}));
    parts.insert("reserved".to_owned(), json!({"type": "object", "maxProperties": 1, "anyOf": names}));
    let mut whole = json!({"$ref": format!("#/$defs/part{}", graph.root), "$defs": parts});
    if let Some(draft) = source.get("$schema") {
        whole["$schema"] = draft.clone();
    }
    whole
}

/// A part whose own parts are named.
fn with_names(part: &Json, pointer: &str, graph: &Graph) -> Json {
    let Json::Object(map) = part else { return part.clone() };
    let name = |pointer: &str, inner: &Json| match graph.at(pointer) {
        Some(_) if inner.is_boolean() => inner.clone(),
        Some(id) => json!({"$ref": format!("#/$defs/part{id}")}),
        None => inner.clone(),
    };
    let mut named = Map::new();
    for (key, inner) in map {
        let place = format!("{pointer}/{}", Graph::escape(key));
        let inner = match (keyword(key), inner) {
            (Holds::Definitions | Holds::Identity, _) => continue,
            (Holds::Reference, inner) => {
                let target = inner.as_str().and_then(|text| text.strip_prefix('#')).unwrap_or_default();
                let reference = name(target, inner);
                named.extend(reference.as_object().cloned().into_iter().flatten());
                continue;
            }
            (Holds::Schemas(_) | Holds::SchemaOrSchemas(..), Json::Array(list)) => {
                let named = list.iter().enumerate().map(|(at, inner)| name(&format!("{place}/{at}"), inner));
                Json::Array(named.collect())
            }
            (Holds::Named(_), Json::Object(inner)) => {
                let named = inner.iter().map(|(key, inner)| {
                    (key.clone(), name(&format!("{place}/{}", Graph::escape(key)), inner))
                });
                Json::Object(named.collect())
            }
            (Holds::Schema(_) | Holds::SchemaOrSchemas(..), inner) => name(&place, inner),
            (Holds::Schemas(_) | Holds::Named(_) | Holds::Data | Holds::Words, inner) => inner.clone(),
        };
        named.insert(key.clone(), inner);
    }
    Json::Object(named)
}
