//! Numbers the parts of a schema so that none leads back for the same value, and sums what a visit may cost.

use std::collections::{BTreeMap, HashMap};

use super::{Graph, Node, NodeId, Whole};
use crate::Problem;

/// The graph of these parts, the first of which is the whole schema.
///
/// # Errors
/// A circle of references that never goes into the value: judging would not end.
pub(super) fn ordered(nodes: Vec<Node>, at: HashMap<String, NodeId>) -> Result<Graph, Vec<Problem>> {
    let order = sorted(&nodes, |node| node.in_place.clone()).map_err(|circle| {
        let pointer = at.iter().find(|(_, id)| **id == circle).map(|(pointer, _)| pointer.clone());
        let text = "this part refers back to itself without going into a property or item".to_owned();
        vec![Problem { pointer: pointer.unwrap_or_default(), text }]
    })?;
    let mut number = vec![NodeId(0); nodes.len()];
    for (position, id) in order.iter().enumerate() {
        number[id.0 as usize] = NodeId(position as u32);
    }
    let new = |id: NodeId| number[id.0 as usize];
    let mut slots: Vec<Option<Node>> = nodes.into_iter().map(|node| Some(renumbered(node, &new))).collect();
    let nodes: Vec<Node> = order.iter().filter_map(|id| slots[id.0 as usize].take()).collect();
    let at: BTreeMap<String, NodeId> = at.into_iter().map(|(pointer, id)| (pointer, new(id))).collect();
    let root = new(NodeId(0));
    let has_defaults = nodes.iter().any(|node| node.default.is_some());
    let whole = whole(&nodes, root);
    Ok(Graph { nodes, at, root, has_defaults, whole })
}

fn renumbered(mut node: Node, new: &impl Fn(NodeId) -> NodeId) -> Node {
    let lists = [
        &mut node.in_place,
        &mut node.surely,
        &mut node.any_member,
        &mut node.first_items,
        &mut node.any_item,
    ];
    let each = lists.into_iter().flatten().chain(node.members.values_mut());
    each.chain(&mut node.rest_members).chain(&mut node.rest_items).for_each(|id| *id = new(*id));
    node
}

/// The parts in an order in which each stands before those it leads to; else one that leads back to itself.
fn sorted(nodes: &[Node], leads: impl Fn(&Node) -> Vec<NodeId>) -> Result<Vec<NodeId>, NodeId> {
    let mut before = vec![0_usize; nodes.len()];
    nodes.iter().flat_map(&leads).for_each(|to| before[to.0 as usize] += 1);
    let mut order: Vec<NodeId> =
        (0..nodes.len()).filter(|&id| before[id] == 0).map(|id| NodeId(id as u32)).collect();
    let mut done = 0;
    while let Some(&id) = order.get(done) {
        done += 1;
        for to in leads(&nodes[id.0 as usize]) {
            before[to.0 as usize] -= 1;
            if before[to.0 as usize] == 0 {
                order.push(to);
            }
        }
    }
    match before.iter().position(|&left| left > 0) {
        None => Ok(order),
        Some(stuck) => Err(on_circle(nodes, leads, &before, NodeId(stuck as u32))),
    }
}

/// From a part that a circle leads to, back to one that is on it: every stuck part has a stuck one before it.
fn on_circle(
    nodes: &[Node],
    leads: impl Fn(&Node) -> Vec<NodeId>,
    before: &[usize],
    stuck: NodeId,
) -> NodeId {
    let mut at = stuck;
    for _ in 0..nodes.len() {
        let back = (0..nodes.len())
            .find(|&from| before[from] > 0 && leads(&nodes[from]).contains(&at))
            .map(|from| NodeId(from as u32));
        at = back.unwrap_or(at);
    }
    at
}

/// Everything a part leads to, whichever value it is for.
fn everywhere(node: &Node) -> Vec<NodeId> {
    let lists = [&node.in_place, &node.any_member, &node.first_items, &node.any_item];
    lists.into_iter().flatten().chain(node.members.values()).copied().collect()
}

/// The sums over all ways from the root; none where the schema is recursive.
fn whole(nodes: &[Node], root: NodeId) -> Option<Whole> {
    let order = sorted(nodes, everywhere).ok()?;
    let mut visits = vec![(0_u64, 0_u32); nodes.len()];
    visits[root.0 as usize].0 = 1;
    let mut whole = Whole { weight: 0, states: 0, depth: 0 };
    for id in order {
        let (node, (times, depth)) = (&nodes[id.0 as usize], visits[id.0 as usize]);
        if times == 0 {
            continue;
        }
        let sum = |sum: u64, each: u64| sum.saturating_add(each.saturating_mul(times));
        whole.weight = sum(whole.weight, node.weight);
        whole.states = sum(whole.states, node.states.saturating_add(node.name_states));
        whole.depth = whole.depth.max(depth);
        for to in everywhere(node) {
            let (there, deep) = &mut visits[to.0 as usize];
            *there = there.saturating_add(times.saturating_mul(node.repeats));
            *deep = (*deep).max(depth + 1);
        }
    }
    Some(whole)
}
