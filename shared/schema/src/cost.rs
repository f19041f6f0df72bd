//! How much work a value makes for a schema, counted before it is judged.
//!
//! A small schema may ask for very much: alternatives within alternatives are tried again and again, and `$ref`s multiply
//! them. So the visits are counted first, without making them: each part of the value is looked at once, with how often
//! each part of the schema would come to it.

use std::collections::BTreeMap;

use oarlock_protocol::Json;

use crate::graph::{Graph, NodeId};
use crate::reserved::is_reserved;

/// The most work one value may make, in visits of a part of a schema: some tenths of a second at worst. A partition
/// decides nothing else meanwhile. A value of a megabyte makes about a tenth of it for a plain schema.
const MOST: u64 = 4_000_000;

/// The deepest that one visit may lie within others: each takes some of the stack.
const DEEPEST_VISIT: u32 = 256;

/// How many looks of the pattern engine take as long as one visit.
const LOOKS_A_VISIT: u64 = 256;

/// What a value is made of.
#[derive(Default)]
pub(crate) struct Measure {
    values: u64,
    text_bytes: u64,
    pub(crate) has_reserved: bool,
}

impl Measure {
    pub(crate) fn of(value: &Json) -> Self {
        let mut measure = Self::default();
        measure.add(value);
        measure
    }

    fn add(&mut self, value: &Json) {
        self.values += 1;
        match value {
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
            Json::String(text) => self.text_bytes += text.len() as u64,
            Json::Array(items) => items.iter().for_each(|item| self.add(item)),
            Json::Object(map) => {
                self.has_reserved |= is_reserved(value);
                for (name, inner) in map {
                    self.text_bytes += name.len() as u64;
                    self.add(inner);
                }
            }
        }
    }
}

/// How often a part of the schema comes to a value, and how deep within other visits.
#[derive(Clone, Copy)]
struct Visits {
    times: u64,
    depth: u32,
}

/// The parts of a schema that come to one value, in an order in which each stands behind those that lead to it.
type Coming = BTreeMap<NodeId, Visits>;

/// Checks that judging `value` is bounded.
pub(crate) fn check(graph: &Graph, value: &Json, measure: &Measure) -> Result<(), String> {
    // Mostly a bound without looking closer is enough.
    if let Some(whole) = &graph.whole
        && whole.depth <= DEEPEST_VISIT
    {
        let visits = whole.weight.saturating_mul(measure.values);
        let looks = whole.states.saturating_mul(measure.text_bytes) / LOOKS_A_VISIT;
        if visits.saturating_add(looks) <= MOST {
            return Ok(());
        }
    }
    let mut counter = Counter { graph, left: MOST };
    counter.visit(value, Coming::from([(graph.root, Visits { times: 1, depth: 0 })]))
}

struct Counter<'g> {
    graph: &'g Graph,
    left: u64,
}

impl Counter<'_> {
    fn visit(&mut self, value: &Json, mut coming: Coming) -> Result<(), String> {
        let mut here: Vec<(NodeId, Visits)> = Vec::new();
        while let Some((id, visits)) = coming.pop_first() {
            if visits.depth > DEEPEST_VISIT {
                return Err(format!(
                    "its schema leads deeper than {DEEPEST_VISIT} levels into this value; refer less often from one part to the next"
                ));
            }
            self.spend(id, visits.times, value)?;
            let node = self.graph.node(id);
            for &target in &node.in_place {
                add(&mut coming, target, visits.times.saturating_mul(node.repeats), visits.depth);
            }
            here.push((id, visits));
        }
        match value {
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
            Json::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let mut coming = Coming::new();
                    for (id, visits) in &here {
                        let node = self.graph.node(*id);
                        let own = node.first_items.get(index);
                        own.into_iter().chain(&node.any_item).for_each(|&target| {
                            add(&mut coming, target, visits.times, visits.depth);
                        });
                    }
                    self.visit_unless_empty(item, coming)?;
                }
            }
            Json::Object(map) => {
                for (name, inner) in map {
                    let mut coming = Coming::new();
                    for (id, visits) in &here {
                        let node = self.graph.node(*id);
                        let own = node.members.get(name);
                        own.into_iter().chain(&node.any_member).for_each(|&target| {
                            add(&mut coming, target, visits.times, visits.depth);
                        });
                    }
                    self.visit_unless_empty(inner, coming)?;
                }
            }
        }
        Ok(())
    }

    fn visit_unless_empty(&mut self, value: &Json, coming: Coming) -> Result<(), String> {
        if coming.is_empty() { Ok(()) } else { self.visit(value, coming) }
    }

    fn spend(&mut self, id: NodeId, times: u64, value: &Json) -> Result<(), String> {
        let node = self.graph.node(id);
        let looks = match value {
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => 0,
            Json::String(text) => node.states.saturating_mul(text.len() as u64),
            Json::Object(map) if node.name_states > 0 => {
                map.keys().map(|name| node.name_states.saturating_mul(name.len() as u64)).sum()
            }
            Json::Object(_) => 0,
        };
        let visits = node.weight.saturating_add(looks / LOOKS_A_VISIT).saturating_mul(times);
        self.left = self.left.checked_sub(visits).ok_or_else(|| {
            format!(
                "checking it against its schema would take more than {MOST} steps; \
                 send less at once, or give the schema fewer alternatives within each other"
            )
        })?;
        Ok(())
    }
}

fn add(coming: &mut Coming, id: NodeId, times: u64, depth: u32) {
    let visits = coming.entry(id).or_insert(Visits { times: 0, depth: 0 });
    visits.times = visits.times.saturating_add(times);
    visits.depth = visits.depth.max(depth + 1);
}
