//! Who waits for whom: `dependsOn`, the order of the list where it is absent, and circles in both.

use std::collections::{HashMap, HashSet};

use super::Checker;
use super::outline::{Outline, Role};
use crate::code::Code;
use crate::findings::Finding;

/// More circles in one list are not told: each may be as long as the list, and mending one often mends others.
const MOST_CIRCLES: usize = 10;

/// The order of one list.
///
/// A step without `dependsOn` waits for all before it. So that a long list does not need a line from every step to
/// every earlier one, there is a second row of nodes: node `n + i` stands for "all of the first `i` steps", and waits
/// for step `i - 1` and for node `n + i - 1`.
pub(super) struct Order {
    waits: Vec<Vec<usize>>,
    steps: usize,
    /// So many steps from the first wait for none behind themselves.
    straight: usize,
}

/// The steps that one waits for.
pub(super) struct Awaited {
    all_before: usize,
    others: HashSet<usize>,
}

impl Awaited {
    /// Whether the step at `position` is among them.
    pub(super) fn contains(&self, position: usize) -> bool {
        position < self.all_before || self.others.contains(&position)
    }
}

impl Order {
    /// The order of a list; names that are not in it are left out.
    fn of(outline: &Outline<'_>, list: usize) -> Self {
        let members = &outline.lists[list].steps;
        let steps = members.len();
        let position_of: HashMap<&str, usize> = outline.ids_in(list).zip(0..).collect();
        let is_parallel = outline.lists[list].role == Role::Parallel;
        let waits_of_step =
            |(position, &member): (usize, &usize)| match &outline.steps[member].task.depends_on {
                Some(names) => {
                    let known = names.iter().filter_map(|name| position_of.get(name.as_str()).copied());
                    known.filter(|other| *other != position).collect()
                }
                None if is_parallel => Vec::new(),
                None => vec![steps + position],
            };
        let mut waits: Vec<Vec<usize>> = members.iter().enumerate().map(waits_of_step).collect();
        waits.extend(
            (0..steps).map(|count| if count == 0 { Vec::new() } else { vec![count - 1, steps + count - 1] }),
        );
        let is_straight =
            |position: &usize| waits[*position].iter().all(|&node| node < *position || node >= steps);
        let straight = (0..steps).take_while(is_straight).count();
        Self { waits, steps, straight }
    }

    /// What the step at `position` waits for, directly or by way of others.
    pub(super) fn waits_for(&self, position: usize) -> Awaited {
        let mut awaited = Awaited { all_before: 0, others: HashSet::new() };
        let mut next = self.waits[position].clone();
        while let Some(node) = next.pop() {
            match node.checked_sub(self.steps) {
                // Everything before a place in the straight part is everything these wait for, too.
                Some(count) if count <= self.straight => awaited.all_before = awaited.all_before.max(count),
                _ if awaited.contains(node) || !awaited.others.insert(node) => {}
                _ => next.extend(&self.waits[node]),
            }
        }
        awaited
    }

    /// Circles, each as the positions that wait for one another in a row.
    fn circles(&self) -> Vec<Vec<usize>> {
        let mut search =
            Search { order: self, state: vec![State::New; self.waits.len()], circles: Vec::new() };
        (0..self.steps).for_each(|position| search.from(position));
        search.circles
    }
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    OnPath,
    Done,
}

/// A depth-first search with its own stack: a list may be longer than the machine's.
struct Search<'o> {
    order: &'o Order,
    state: Vec<State>,
    circles: Vec<Vec<usize>>,
}

impl Search<'_> {
    fn from(&mut self, start: usize) {
        if self.state[start] != State::New || self.circles.len() >= MOST_CIRCLES {
            return;
        }
        let mut path = vec![(start, 0)];
        self.state[start] = State::OnPath;
        while let Some((node, edge)) = path.last_mut() {
            let Some(&next) = self.order.waits[*node].get(*edge) else {
                self.state[*node] = State::Done;
                path.pop();
                continue;
            };
            *edge += 1;
            match self.state[next] {
                State::Done => {}
                State::OnPath if self.circles.len() < MOST_CIRCLES => self.close(&path, next),
                State::OnPath => {}
                State::New => {
                    self.state[next] = State::OnPath;
                    path.push((next, 0));
                }
            }
        }
    }

    fn close(&mut self, path: &[(usize, usize)], first: usize) {
        let begin = path.iter().position(|(node, _)| *node == first).unwrap_or(0);
        let steps = path[begin..].iter().map(|(node, _)| *node).filter(|node| *node < self.order.steps);
        let circle: Vec<usize> = steps.collect();
        // The search passes the row of "all before" nodes too, so that one circle can be closed in several ways.
        if !self.circles.iter().any(|known| known.iter().all(|step| circle.contains(step))) {
            self.circles.push(circle);
        }
    }
}

impl Checker<'_, '_> {
    /// Checks every `dependsOn`; the orders are those of the outline's lists.
    pub(super) fn order(&mut self) -> Vec<Order> {
        for step in 0..self.outline.steps.len() {
            self.dependencies(step);
        }
        let orders: Vec<Order> =
            (0..self.outline.lists.len()).map(|list| Order::of(self.outline, list)).collect();
        for (list, order) in orders.iter().enumerate() {
            for circle in order.circles() {
                self.circle(list, &circle);
            }
        }
        orders
    }

    fn dependencies(&mut self, number: usize) {
        let step = &self.outline.steps[number];
        let place = step.place.key("dependsOn");
        for (index, name) in step.task.depends_on.iter().flatten().enumerate() {
            if self.findings.is_full() {
                return;
            }
            if *name == step.task.id {
                let message = format!("`{name}` waits for itself, and so would never begin");
                let finding = Finding::new(Code::SelfDependency, &place.index(index), message);
                self.tell(finding.help("Remove it from its own `dependsOn`."));
            } else if !self.outline.ids_in(step.list).any(|id| id == name) {
                let finding = self.unknown_dependency(number, name);
                self.tell(
                    Finding::new(Code::UnknownDependency, &place.index(index), finding.0).help(finding.1),
                );
            }
        }
    }

    /// The message and the help for a name that is no sibling.
    fn unknown_dependency(&self, number: usize, name: &str) -> (String, String) {
        let step = &self.outline.steps[number];
        let siblings: Vec<&str> =
            self.outline.ids_in(step.list).filter(|id| *id != step.task.id && !id.is_empty()).collect();
        if let Some(&other) = self.outline.by_id.get(name) {
            let chain = self.outline.chain(other);
            let around = chain
                .iter()
                .find(|(list, _)| *list == step.list)
                .map(|(_, step)| &self.outline.steps[*step].task.id);
            let message =
                format!("`{name}` is a step of another group; `dependsOn` names steps of the same list");
            let help = match around {
                Some(group) if *group != step.task.id => {
                    format!("Name the step around it: `dependsOn: [{group}]`.")
                }
                _ => format!(
                    "Steps in a group begin when the group does: put the `dependsOn` on the step around `{}`.",
                    step.task.id
                ),
            };
            return (message, help);
        }
        let help = match (self.findings.nearest(name, siblings.iter().copied()), siblings.is_empty()) {
            (Some(near), _) => format!("Did you mean `{near}`?"),
            (None, true) => "There is no other step in this list.".to_owned(),
            (None, false) => format!("The other steps of this list: {}.", listed(&siblings)),
        };
        (format!("there is no step `{name}` to wait for"), help)
    }

    fn circle(&mut self, list: usize, circle: &[usize]) {
        let members = &self.outline.lists[list].steps;
        let step = |position: usize| &self.outline.steps[members[position]];
        let ids: Vec<&str> =
            circle.iter().chain(circle.first()).map(|&position| step(position).task.id.as_str()).collect();
        let explicit = circle.iter().copied().find(|&position| step(position).task.depends_on.is_some());
        let Some(explicit) = explicit else { return };
        let message = format!("these steps wait for each other, so that none can begin: {}", told(&ids));
        let finding = Finding::new(Code::DependencyCycle, &step(explicit).place.key("dependsOn"), message);
        let implicit = circle.iter().copied().find(|&position| step(position).task.depends_on.is_none());
        let finding = match implicit {
            Some(position) => {
                let id = &step(position).task.id;
                finding.help(format!("`{id}` has no `dependsOn`, so it waits for every step before it. Give it one, or move it up."))
            }
            None => finding.help("Remove one of these names from a `dependsOn`."),
        };
        self.tell(finding);
    }
}

/// The ids of a circle with arrows between; of a long one its two ends.
fn told(ids: &[&str]) -> String {
    match ids {
        [first @ .., a, b, c] if first.len() > 7 => {
            format!("{} -> … -> {a} -> {b} -> {c}", first[..4].join(" -> "))
        }
        _ => ids.join(" -> "),
    }
}

/// Names for a help text; of many the first ten.
pub(super) fn listed(names: &[&str]) -> String {
    let more = if names.len() > 10 { ", …" } else { "" };
    format!("{}{more}", names.iter().take(10).copied().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::definition::WorkflowDefinition;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn definition(kind: &str, waits: &[Option<Vec<usize>>]) -> WorkflowDefinition {
        let step = |(position, waits): (usize, &Option<Vec<usize>>)| {
            let mut step = json!({"id": format!("s{position}"), "task": "x"});
            if let Some(waits) = waits {
                step["dependsOn"] = waits.iter().map(|other| format!("s{other}")).collect();
            }
            step
        };
        let steps: Vec<Value> = waits.iter().enumerate().map(step).collect();
        let tasks = if kind == "tasks" { json!(steps) } else { json!([{"id": "all", kind: steps}]) };
        serde_json::from_value(json!({"id": "w", "version": 1, "tasks": tasks})).unwrap()
    }

    /// Who waits for whom, by the rule as it is written: row by row until nothing is added.
    fn by_the_rule(is_parallel: bool, waits: &[Option<Vec<usize>>]) -> Vec<Vec<bool>> {
        let direct = |step: usize, other: usize| match &waits[step] {
            Some(waits) => other != step && waits.contains(&other),
            None => !is_parallel && other < step,
        };
        let all = 0..waits.len();
        let mut table: Vec<Vec<bool>> =
            all.clone().map(|step| all.clone().map(|other| direct(step, other)).collect()).collect();
        for middle in all.clone() {
            for step in all.clone() {
                for other in all.clone() {
                    table[step][other] |= table[step][middle] && table[middle][other];
                }
            }
        }
        table
    }

    fn lists() -> impl Strategy<Value = (bool, Vec<Option<Vec<usize>>>)> {
        (1..9_usize).prop_flat_map(|count| {
            let waits = prop::option::weighted(0.5, prop::collection::vec(0..count, 0..3));
            (any::<bool>(), prop::collection::vec(waits, count))
        })
    }

    /// `PROPTEST_CASES` asks for more.
    fn config() -> ProptestConfig {
        let asked = ProptestConfig::default();
        ProptestConfig { cases: asked.cases.max(2_000), failure_persistence: None, ..asked }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn the_order_is_that_of_the_rule((is_parallel, waits) in lists()) {
            let definition = definition(if is_parallel { "parallel" } else { "tasks" }, &waits);
            let outline = Outline::of(&definition);
            let list = outline.lists.len() - 1;
            let order = Order::of(&outline, list);
            let expected = by_the_rule(is_parallel, &waits);
            for (step, row) in expected.iter().enumerate() {
                let awaited = order.waits_for(step);
                let found: Vec<bool> = (0..waits.len()).map(|other| awaited.contains(other)).collect();
                prop_assert_eq!(&found, row, "step {}", step);
            }
            let has_circle = (0..waits.len()).any(|step| expected[step][step]);
            prop_assert_eq!(!order.circles().is_empty(), has_circle);
            for circle in order.circles() {
                prop_assert!(circle.iter().all(|&step| expected[step][step]), "{:?}", circle);
            }
        }
    }
}
