//! `admit`: which of the ready tasks of a partition are dispatched next. Decided is not dispatched.
//!
//! Per task queue at most a window of attempts is published and open; the rest waits here, where tenants take turns by
//! weight and the greater priority of a tenant goes first. Nothing can reorder what a broker's queue already holds.

use std::collections::{BTreeMap, HashMap, VecDeque};

use oarlock_protocol::{ExecutionId, RunKey, TaskPath};

use crate::map::{Map, Set};

/// The ready tasks of a partition and the open attempts they wait behind.
#[derive(Debug)]
pub struct Admission {
    window: usize,
    weights: HashMap<String, u32>,
    lanes: Map<String, Lane>,
    /// Lanes that may have something to let out.
    hopeful: VecDeque<String>,
    arrivals: u64,
}

/// A ready task.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// Its run.
    pub run: RunKey,
    /// Its place there.
    pub path: TaskPath,
}

/// The ready tasks and open attempts of one task queue.
#[derive(Debug, Default)]
struct Lane {
    open: Set<ExecutionId>,
    tenants: Map<String, BTreeMap<Place, Ticket>>,
    places: Map<Ticket, Place>,
    /// Tenants with ready tasks, in the order of their turns, each with what is left of its turn.
    turns: VecDeque<(String, u32)>,
}

/// Sorts the ready tasks of a tenant: greater priority first, then the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(std::cmp::Reverse<u8>, u64);

impl Admission {
    /// An empty one that keeps at most `window` attempts of a queue open; a tenant not among `weights` weighs 1.
    pub fn new(window: usize, weights: HashMap<String, u32>) -> Self {
        Self { window: window.max(1), weights, lanes: Map::default(), hopeful: VecDeque::new(), arrivals: 0 }
    }

    /// Takes a ready task. One that is here already stays where it is.
    pub fn offer(&mut self, queue: &str, priority: u8, ticket: Ticket) {
        self.arrivals += 1;
        let place = Place(std::cmp::Reverse(priority), self.arrivals);
        let lane = self.lane(queue);
        if lane.places.contains_key(&ticket) {
            return;
        }
        lane.places.insert(ticket.clone(), place);
        let tenant = &*ticket.run.tenant;
        match lane.tenants.get_mut(tenant) {
            Some(tasks) => {
                tasks.insert(place, ticket);
            }
            None => {
                lane.turns.push_back((tenant.to_owned(), 0));
                lane.tenants.insert(tenant.to_owned(), BTreeMap::from([(place, ticket)]));
            }
        }
        self.hope(queue);
    }

    /// Takes a ready task out again.
    pub fn withdraw(&mut self, queue: &str, ticket: &Ticket) {
        let Some(lane) = self.lanes.get_mut(queue) else { return };
        if let Some(place) = lane.places.remove(ticket)
            && let Some(tasks) = lane.tenants.get_mut(&*ticket.run.tenant)
        {
            tasks.remove(&place);
        }
    }

    /// Counts an attempt as open: after [`Admission::next`], and for each open attempt found at a take-over.
    pub fn opened(&mut self, queue: &str, attempt: ExecutionId) {
        self.lane(queue).open.insert(attempt);
    }

    /// An attempt has closed: its place in the window is free.
    pub fn closed(&mut self, queue: &str, attempt: ExecutionId) {
        if self.lane(queue).open.remove(&attempt) {
            self.hope(queue);
        }
    }

    /// How many tasks wait here for this queue.
    pub fn waiting(&self, queue: &str) -> usize {
        self.lanes.get(queue).map_or(0, |lane| lane.places.len())
    }

    /// Every queue with ready or open tasks: its name, how many wait here, how many are open.
    pub fn queues(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        self.lanes.iter().map(|(name, lane)| (name.as_str(), lane.places.len(), lane.open.len()))
    }

    /// Lets the next task out, where one waits and its queue's window has room. The caller opens an attempt for it
    /// and says so with [`Admission::opened`] before it asks again.
    #[allow(
        clippy::should_implement_trait,
        reason = "each ticket must be answered before the next: no iterator"
    )]
    pub fn next(&mut self) -> Option<Ticket> {
        while let Some(queue) = self.hopeful.front() {
            if let Some(lane) = self.lanes.get_mut(queue)
                && lane.open.len() < self.window
                && let Some(ticket) = lane.take(&self.weights)
            {
                return Some(ticket);
            }
            self.hopeful.pop_front();
        }
        None
    }

    fn lane(&mut self, queue: &str) -> &mut Lane {
        if !self.lanes.contains_key(queue) {
            self.lanes.insert(queue.to_owned(), Lane::default());
        }
        self.lanes.entry(queue.to_owned()).or_default()
    }

    fn hope(&mut self, queue: &str) {
        if !self.hopeful.iter().any(|hopeful| hopeful == queue) {
            self.hopeful.push_back(queue.to_owned());
        }
    }
}

impl Lane {
    /// Takes the first task of the tenant whose turn it is.
    fn take(&mut self, weights: &HashMap<String, u32>) -> Option<Ticket> {
        while let Some((tenant, left)) = self.turns.pop_front() {
            let Some(tasks) = self.tenants.get_mut(&tenant) else { continue };
            let Some((_, ticket)) = tasks.pop_first() else {
                self.tenants.remove(&tenant);
                continue;
            };
            self.places.remove(&ticket);
            let left = if left == 0 { weights.get(&tenant).copied().unwrap_or(1).max(1) } else { left } - 1;
            if left == 0 {
                self.turns.push_back((tenant, 0));
            } else {
                self.turns.push_front((tenant, left));
            }
            return Some(ticket);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::{RunId, TaskInstanceId};

    use super::*;

    fn ticket(tenant: &str, name: &str) -> Ticket {
        Ticket { run: RunKey::new(tenant, RunId::keyed(tenant, "d", "k")), path: TaskPath::from(name) }
    }

    fn attempt(name: &str) -> ExecutionId {
        ExecutionId::of(TaskInstanceId::of(RunId::keyed("t", "d", "k"), name), 1)
    }

    fn let_out(admission: &mut Admission, queue: &str) -> Vec<String> {
        let mut out = Vec::new();
        while let Some(ticket) = admission.next() {
            admission.opened(queue, attempt(ticket.path.as_str()));
            out.push(ticket.path.to_string());
        }
        out
    }

    #[test]
    fn the_window_bounds_what_is_open() {
        let mut admission = Admission::new(2, HashMap::new());
        for name in ["/a", "/b", "/c", "/d"] {
            admission.offer("q", 4, ticket("t", name));
        }
        assert_eq!(let_out(&mut admission, "q"), ["/a", "/b"]);
        admission.closed("q", attempt("/a"));
        admission.closed("q", attempt("/a"));
        assert_eq!(let_out(&mut admission, "q"), ["/c"], "closing twice frees one place");
        assert_eq!(admission.waiting("q"), 1);
        admission.offer("other", 4, ticket("t", "/x"));
        assert_eq!(let_out(&mut admission, "other"), ["/x"], "a full queue holds up no other");
    }

    #[test]
    fn pain_25_tenants_take_turns_by_weight() {
        let mut admission = Admission::new(100, HashMap::from([("big".to_owned(), 2)]));
        for n in 0..4 {
            admission.offer("q", 4, ticket("big", &format!("/b{n}")));
        }
        for n in 0..3 {
            admission.offer("q", 4, ticket("small", &format!("/s{n}")));
        }
        assert_eq!(let_out(&mut admission, "q"), ["/b0", "/b1", "/s0", "/b2", "/b3", "/s1", "/s2"]);
    }

    #[test]
    fn the_greater_priority_of_a_tenant_goes_first() {
        let mut admission = Admission::new(100, HashMap::new());
        for (name, priority) in [("/low", 1), ("/mid", 4), ("/high", 9), ("/mid2", 4)] {
            admission.offer("q", priority, ticket("t", name));
        }
        assert_eq!(let_out(&mut admission, "q"), ["/high", "/mid", "/mid2", "/low"]);
    }

    #[test]
    fn an_offer_made_twice_counts_once_and_a_withdrawn_one_not_at_all() {
        let mut admission = Admission::new(100, HashMap::new());
        for name in ["/a", "/a", "/b", "/c"] {
            admission.offer("q", 4, ticket("t", name));
        }
        admission.withdraw("q", &ticket("t", "/b"));
        admission.withdraw("q", &ticket("t", "/unknown"));
        assert_eq!(let_out(&mut admission, "q"), ["/a", "/c"]);
    }
}
