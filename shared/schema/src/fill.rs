//! Puts the `default`s of a schema into a value.
//!
//! Each part of the value is looked at once, with all parts of the schema that surely apply to it. So the order in which
//! a schema names them does not matter, and filling twice is filling once.

use std::collections::BTreeSet;

use oarlock_protocol::depth::DEEPEST;
use oarlock_protocol::{Json, JsonMap};

use crate::graph::{Graph, Node, NodeId};
use crate::reserved::is_reserved;

/// The most that defaults may add to one value, in bytes of JSON: a default of an item is added for each item.
const MOST_ADDED: usize = 4 * 1024 * 1024;

/// The most work that filling may make, in visits of a part of the schema.
const MOST_VISITS: usize = 4_000_000;

/// The parts of a schema that apply to one value; of two defaults for one property, the first part's counts.
type Applying = BTreeSet<NodeId>;

pub(crate) fn fill(graph: &Graph, value: &mut Json) -> Result<(), String> {
    let mut filler = Filler { graph, bytes_left: MOST_ADDED, visits_left: MOST_VISITS };
    filler.value(value, Applying::from([graph.root]), 0)
}

struct Filler<'g> {
    graph: &'g Graph,
    bytes_left: usize,
    visits_left: usize,
}

impl Filler<'_> {
    fn value(&mut self, value: &mut Json, mut applying: Applying, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("the schema's defaults lie within each other deeper than {DEEPEST} levels"));
        }
        if is_reserved(value) || applying.is_empty() {
            return Ok(());
        }
        let mut closed = Applying::new();
        while let Some(id) = applying.pop_first() {
            self.spend(1)?;
            closed.insert(id);
            applying.extend(self.graph.node(id).surely.iter().filter(|id| !closed.contains(id)));
        }
        match value {
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
            Json::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    let nodes = closed.iter().map(|&id| self.graph.node(id));
                    let inner =
                        nodes.filter_map(|node| node.first_items.get(index).or(node.rest_items.as_ref()));
                    let inner = inner.copied().collect();
                    self.value(item, inner, depth + 1)?;
                }
            }
            Json::Object(map) => {
                for &id in &closed {
                    self.add_missing(map, self.graph.node(id))?;
                }
                for (name, inner) in map.iter_mut() {
                    let nodes = closed.iter().map(|&id| self.graph.node(id));
                    let parts =
                        nodes.filter_map(|node| node.members.get(name).or(node.rest_members.as_ref()));
                    let parts = parts.copied().collect();
                    self.value(inner, parts, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn add_missing(&mut self, map: &mut JsonMap, node: &Node) -> Result<(), String> {
        self.spend(node.members.len())?;
        for (name, &property) in &node.members {
            if map.contains_key(name) {
                continue;
            }
            let Some(default) = default_of(self.graph, property) else { continue };
            let left = self.bytes_left.checked_sub(default.to_string().len());
            self.bytes_left =
                left.ok_or_else(|| format!("the schema's defaults would add more than {MOST_ADDED} bytes"))?;
            map.insert(name.clone(), default.clone());
        }
        Ok(())
    }

    fn spend(&mut self, visits: usize) -> Result<(), String> {
        let left = self.visits_left.checked_sub(visits);
        self.visits_left = left.ok_or_else(|| {
            format!("filling in the schema's defaults would take more than {MOST_VISITS} steps")
        })?;
        Ok(())
    }
}

/// The default beside a schema, or the first in what surely applies with it.
fn default_of(graph: &Graph, id: NodeId) -> Option<&Json> {
    let mut seen = Applying::new();
    let mut waiting = vec![id];
    while let Some(id) = waiting.pop() {
        let node = graph.node(id);
        if node.default.is_some() {
            return node.default.as_ref();
        }
        if seen.insert(id) {
            waiting.extend(node.surely.iter().rev());
        }
    }
    None
}
