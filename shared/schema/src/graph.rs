//! The parts of a schema and how they lead to each other: what `cost` counts along and `fill` goes along.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use oarlock_protocol::Json;
use oarlock_protocol::error::cut;
use serde_json::Map;

use crate::pattern::states;
use crate::{MOST_TOLD, Problem};

mod order;

/// What a pass over alternatives within `unevaluatedProperties` or `unevaluatedItems` multiplies: they are judged again
/// to learn what they have looked at.
const UNEVALUATED_REPEATS: u64 = 8;

/// The longest JSON pointer to a part, in bytes: each of thousands of parts keeps its own.
const LONGEST_POINTER: usize = 1_024;

/// A part of a schema. One that leads to another for the same value has the lesser number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The parts of a schema.
pub(crate) struct Graph {
    nodes: Vec<Node>,
    at: BTreeMap<String, NodeId>,
    pub(crate) root: NodeId,
    pub(crate) has_defaults: bool,
    /// What one value may cost at most, where the schema is not recursive.
    pub(crate) whole: Option<Whole>,
}

/// Sums over all ways through a schema that is not recursive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) weight: u64,
    pub(crate) states: u64,
    pub(crate) depth: u32,
}

/// One part.
#[derive(Default)]
pub(crate) struct Node {
    /// The parts that judge the same value.
    pub(crate) in_place: Vec<NodeId>,
    /// Those of them that surely apply: `$ref` and `allOf`.
    pub(crate) surely: Vec<NodeId>,
    /// How often a visit here visits those.
    pub(crate) repeats: u64,
    /// The parts for properties by name.
    pub(crate) members: BTreeMap<String, NodeId>,
    /// The parts that may come to any property.
    pub(crate) any_member: Vec<NodeId>,
    /// The part for every property that is not among `members`.
    pub(crate) rest_members: Option<NodeId>,
    /// The parts for items by position.
    pub(crate) first_items: Vec<NodeId>,
    /// The parts that may come to any item.
    pub(crate) any_item: Vec<NodeId>,
    /// The part for every item behind `first_items`.
    pub(crate) rest_items: Option<NodeId>,
    /// The work of one visit.
    pub(crate) weight: u64,
    /// The work that patterns make for each byte of a text.
    pub(crate) states: u64,
    /// The work that patterns make for each byte of a property's name.
    pub(crate) name_states: u64,
    pub(crate) default: Option<Json>,
}

/// What the value of a keyword is.
#[derive(Clone, Copy)]
pub(crate) enum Holds {
    /// A schema.
    Schema(Leads),
    /// Schemas in a list.
    Schemas(Leads),
    /// Schemas by name.
    Named(Leads),
    /// A schema, or in older drafts a list of them, one for each of the first items.
    SchemaOrSchemas(Leads),
    /// Schemas that `$ref`s name.
    Definitions,
    /// A `$ref`.
    Reference,
    /// What names the schema to others.
    Identity,
    /// What is compared or counted.
    Data,
    /// What is said to people.
    Words,
}

/// To which values a part within a part leads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// The same, surely.
    Surely,
    /// The same, perhaps.
    Perhaps,
    /// The property of that name.
    Property,
    /// Any property.
    AnyProperty,
    /// The properties that have no part of their own.
    OtherProperties,
    /// The item at that position.
    Item,
    /// Any item.
    AnyItem,
    /// The items that have no part of their own.
    OtherItems,
}

/// What a keyword holds, in any of the drafts.
pub(crate) fn keyword(name: &str) -> Holds {
    match name {
        "$ref" => Holds::Reference,
        "allOf" => Holds::Schemas(Leads::Surely),
        "anyOf" | "oneOf" => Holds::Schemas(Leads::Perhaps),
        "not" | "if" | "then" | "else" => Holds::Schema(Leads::Perhaps),
        "dependentSchemas" | "dependencies" => Holds::Named(Leads::Perhaps),
        "properties" => Holds::Named(Leads::Property),
        "patternProperties" => Holds::Named(Leads::AnyProperty),
        "additionalProperties" => Holds::Schema(Leads::OtherProperties),
        "propertyNames" | "unevaluatedProperties" => Holds::Schema(Leads::AnyProperty),
        "prefixItems" => Holds::Schemas(Leads::Item),
        "items" => Holds::SchemaOrSchemas(Leads::OtherItems),
        "additionalItems" => Holds::Schema(Leads::OtherItems),
        "contains" | "unevaluatedItems" => Holds::Schema(Leads::AnyItem),
        "$defs" | "definitions" => Holds::Definitions,
        "$id" | "$schema" | "$anchor" | "$dynamicAnchor" | "$vocabulary" => Holds::Identity,
        "title" | "description" | "$comment" | "examples" | "default" | "deprecated" | "readOnly"
        | "writeOnly" => Holds::Words,
        _ => Holds::Data,
    }
}

impl Graph {
    /// The parts of `source`.
    ///
    /// # Errors
    /// References that lead nowhere, out of the schema, or in a circle; keywords that would do so.
    pub(crate) fn of(source: &Json) -> Result<Graph, Vec<Problem>> {
        let mut builder = Builder {
            source,
            nodes: Vec::new(),
            at: HashMap::new(),
            references: Vec::new(),
            problems: Vec::new(),
        };
        builder.part(source, "");
        builder.resolve();
        if !builder.problems.is_empty() {
            return Err(builder.problems);
        }
        order::ordered(builder.nodes, builder.at)
    }

    /// A part.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The part at a JSON pointer of the schema.
    pub(crate) fn at(&self, pointer: &str) -> Option<NodeId> {
        self.at.get(pointer).copied()
    }

    /// Every part with its JSON pointer.
    pub(crate) fn pointers(&self) -> impl Iterator<Item = (&str, NodeId)> {
        self.at.iter().map(|(pointer, id)| (pointer.as_str(), *id))
    }

    /// A key as a JSON pointer spells it.
    pub(crate) fn escape(key: &str) -> String {
        key.replace('~', "~0").replace('/', "~1")
    }
}

struct Builder<'s> {
    source: &'s Json,
    nodes: Vec<Node>,
    at: HashMap<String, NodeId>,
    /// The parts with a `$ref`, its place and its target.
    references: Vec<(NodeId, String, &'s str)>,
    problems: Vec<Problem>,
}

impl<'s> Builder<'s> {
    fn part(&mut self, source: &'s Json, pointer: &str) -> NodeId {
        if let Some(known) = self.at.get(pointer) {
            return *known;
        }
        // A schema has fewer bytes than a u32 counts.
        let id = NodeId(self.nodes.len() as u32);
        self.at.insert(pointer.to_owned(), id);
        self.nodes.push(Node { repeats: 1, weight: 1, ..Node::default() });
        if pointer.len() > LONGEST_POINTER {
            let text = format!("the names on the way here are longer than {LONGEST_POINTER} bytes together");
            self.problem(pointer, text);
            return id;
        }
        if let Json::Object(map) = source {
            for (key, inner) in map {
                self.keyword(id, (key, inner), pointer);
            }
            let node = &mut self.nodes[id.0 as usize];
            node.default = map.get("default").cloned();
            node.states = map.get("pattern").and_then(Json::as_str).map_or(0, states);
            node.name_states = name_states(map);
            if map.contains_key("unevaluatedProperties") || map.contains_key("unevaluatedItems") {
                node.repeats = UNEVALUATED_REPEATS;
            }
            if map.contains_key("patternProperties") {
                node.rest_members = None;
            }
        }
        id
    }

    fn keyword(&mut self, id: NodeId, (key, inner): (&'s str, &'s Json), pointer: &str) {
        let place = format!("{pointer}/{}", Graph::escape(key));
        let mut weight = 1;
        match (keyword(key), inner) {
            (Holds::Schema(leads), Json::Object(_) | Json::Bool(_)) => {
                self.lead(id, leads, inner, &place, None)
            }
            (Holds::SchemaOrSchemas(leads), Json::Object(_) | Json::Bool(_)) => {
                self.lead(id, leads, inner, &place, None);
            }
            (Holds::SchemaOrSchemas(_), Json::Array(list)) => self.list(id, Leads::Item, list, &place),
            (Holds::Schemas(leads), Json::Array(list)) => self.list(id, leads, list, &place),
            (Holds::Named(leads), Json::Object(map)) => {
                for (name, inner) in map {
                    let place = format!("{place}/{}", Graph::escape(name));
                    // `dependencies` may also hold lists of names.
                    if inner.is_object() || inner.is_boolean() {
                        self.lead(id, leads, inner, &place, Some(name));
                    }
                    weight += 1;
                }
            }
            (Holds::Definitions, Json::Object(map)) => {
                for (name, inner) in map {
                    self.part(inner, &format!("{place}/{}", Graph::escape(name)));
                }
            }
            (Holds::Reference, Json::String(target)) => self.references.push((id, place, target)),
            (Holds::Identity, _) if !pointer.is_empty() && (key == "$id" || key == "$schema") => {
                self.problem(&place, format!("`{key}` stands only at the top of a schema"));
            }
            (Holds::Identity | Holds::Words, _) => weight = 0,
            (Holds::Data, _) if key == "$dynamicRef" || key == "$recursiveRef" => {
                self.problem(&place, format!("`{key}` is not supported; use `$ref: \"#/$defs/name\"`"));
            }
            (Holds::Data, data) => weight += data.to_string().len() as u64 / 16,
            // The wrong type; told by the check against the language of schemas.
            (
                Holds::Schema(_)
                | Holds::Schemas(_)
                | Holds::Named(_)
                | Holds::SchemaOrSchemas(_)
                | Holds::Definitions
                | Holds::Reference,
                _,
            ) => {}
        }
        self.nodes[id.0 as usize].weight += weight;
    }

    fn list(&mut self, id: NodeId, leads: Leads, list: &'s [Json], place: &str) {
        for (index, inner) in list.iter().enumerate() {
            self.lead(id, leads, inner, &format!("{place}/{index}"), None);
        }
    }

    fn lead(&mut self, from: NodeId, leads: Leads, inner: &'s Json, place: &str, name: Option<&str>) {
        let to = self.part(inner, place);
        let node = &mut self.nodes[from.0 as usize];
        match leads {
            Leads::Surely => {
                node.in_place.push(to);
                node.surely.push(to);
            }
            Leads::Perhaps => node.in_place.push(to),
            Leads::Property => {
                node.members.insert(name.unwrap_or_default().to_owned(), to);
            }
            Leads::AnyProperty => node.any_member.push(to),
            Leads::OtherProperties => {
                node.any_member.push(to);
                node.rest_members = Some(to);
            }
            Leads::Item => node.first_items.push(to),
            Leads::AnyItem => node.any_item.push(to),
            Leads::OtherItems => {
                node.any_item.push(to);
                node.rest_items = Some(to);
            }
        }
    }

    /// Finds the targets of references; a target may hold further references.
    fn resolve(&mut self) {
        while let Some((from, place, target)) = self.references.pop() {
            let Some(pointer) = target.strip_prefix('#').filter(|p| p.is_empty() || p.starts_with('/'))
            else {
                let text = "a `$ref` points into the schema itself, as in `#/$defs/name`; nothing is fetched";
                self.problem(&place, format!("`{}`: {text}", crate::told::short(target)));
                continue;
            };
            match self.source.pointer(pointer) {
                Some(found) if found.is_object() || found.is_boolean() => {
                    let to = self.part(found, pointer);
                    let node = &mut self.nodes[from.0 as usize];
                    node.in_place.push(to);
                    node.surely.push(to);
                }
                Some(_) => {
                    let text = format!("`{}` is no schema", crate::told::short(target));
                    self.problem(&place, text);
                }
                None => {
                    let text = format!("there is nothing at `{}` in the schema", crate::told::short(target));
                    self.problem(&place, text);
                }
            }
        }
    }

    fn problem(&mut self, place: &str, text: String) {
        if self.problems.len() < MOST_TOLD {
            let mut pointer = place.to_owned();
            cut(&mut pointer, LONGEST_POINTER);
            self.problems.push(Problem { pointer, text });
        }
    }
}

/// The patterns that each property's name is compared with.
fn name_states(map: &Map<String, Json>) -> u64 {
    let patterns = map.get("patternProperties").and_then(Json::as_object);
    let of_patterns: u64 = patterns.into_iter().flat_map(|map| map.keys()).map(|key| states(key)).sum();
    let of_names = map.get("propertyNames").and_then(|names| names.get("pattern")).and_then(Json::as_str);
    of_patterns + of_names.map_or(0, states)
}
