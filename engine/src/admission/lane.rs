//! The ready tasks and open attempts of one task queue: whose turn it is, and whether there is room.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use oarlock_protocol::ExecutionId;
use oarlock_protocol::message::PauseSubject;

use super::pauses::Pauses;
use super::{Offered, Standing, Ticket};
use crate::map::{Map, Set};

/// The ready tasks and open attempts of one task queue.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The most attempts that are out.
    pub(super) window: usize,
    /// Whether nothing of it is let out.
    pub(super) paused: bool,
    /// Whether it is among those that may have something to let out.
    pub(super) hopeful: bool,
    /// Open attempts, by partition.
    open: Map<u32, Set<ExecutionId>>,
    /// How many attempts are open.
    count: usize,
    /// How many tasks are in the hands of partitions, or were taken and are not decided.
    held: usize,
    closed: u64,
    tenants: Map<String, Line>,
    /// Tasks that a pause holds back, with their partitions.
    asides: BTreeMap<PauseSubject, BTreeMap<Place, (u32, Offered)>>,
    /// Tasks that wait for permits, by partition and line.
    lines: BTreeMap<u32, BTreeMap<Arc<str>, BTreeMap<Place, Offered>>>,
    /// The line of each of these.
    lined: Map<Place, Arc<str>>,
    /// Where each task that is here stands, also those in hands and aside.
    places: Map<Ticket, Place>,
    /// Tenants with ready tasks, in the order of their turns, each with what is left of its turn.
    turns: VecDeque<(String, u32)>,
    /// How many looks it has had no task.
    idle: u32,
}

/// The ready tasks of a tenant, by partition.
type Line = BTreeMap<u32, BTreeMap<Place, Offered>>;

/// Sorts the ready tasks of a tenant: greater priority first, then the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place(Reverse<u8>, u64);

impl Place {
    pub(super) const fn new(priority: u8, arrival: u64) -> Self {
        Self(Reverse(priority), arrival)
    }
}

impl Lane {
    pub(super) fn new(window: usize) -> Self {
        Self { window, ..Self::default() }
    }

    /// Takes a task in; whether it is new.
    pub(super) fn offer(&mut self, partition: u32, place: Place, offered: Offered) -> bool {
        if self.places.contains_key(&offered.ticket) {
            return false;
        }
        self.places.insert(offered.ticket.clone(), place);
        self.line_up(partition, place, offered);
        true
    }

    /// Takes a task out. One that is in a hand is found missing when its partition takes it.
    pub(super) fn withdraw(&mut self, partition: u32, ticket: &Ticket) {
        let Some(place) = self.places.remove(ticket) else { return };
        if let Some(tasks) =
            self.tenants.get_mut(&*ticket.run.tenant).and_then(|line| line.get_mut(&partition))
        {
            tasks.remove(&place);
        }
        for aside in self.asides.values_mut() {
            aside.remove(&place);
        }
        if let Some(line) = self.lined.remove(&place)
            && let Some(lines) = self.lines.get_mut(&partition)
            && let Some(held) = lines.get_mut(&line)
        {
            held.remove(&place);
            if held.is_empty() {
                lines.remove(&line);
            }
        }
    }

    /// Puts a task aside that was taken.
    pub(super) fn hold(&mut self, partition: u32, line: &Arc<str>, place: Place, offered: Offered) {
        self.places.insert(offered.ticket.clone(), place);
        self.lined.insert(place, line.clone());
        let lines = self.lines.entry(partition).or_default();
        lines.entry(line.clone()).or_default().insert(place, offered);
    }

    /// Lets the first of a line come back to their places.
    pub(super) fn let_back(&mut self, partition: u32, line: &str, most: usize) -> Vec<Ticket> {
        let Some(lines) = self.lines.get_mut(&partition) else { return Vec::new() };
        let Some(held) = lines.get_mut(line) else { return Vec::new() };
        let back: Vec<_> = std::iter::from_fn(|| held.pop_first()).take(most).collect();
        if held.is_empty() {
            lines.remove(line);
        }
        let mut came = Vec::with_capacity(back.len());
        for (place, offered) in back {
            came.push(offered.ticket.clone());
            self.lined.remove(&place);
            self.line_up(partition, place, offered);
        }
        came
    }

    /// The lines of a partition, each with how many wait in it.
    pub(super) fn lines(&self, partition: u32) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.lines.get(&partition).into_iter().flatten().map(|(line, held)| (line, held.len()))
    }

    /// Whether a task has a place here from which its turn can come: nothing holds it back.
    pub(super) fn has_place(&self, ticket: &Ticket) -> bool {
        let is_free = |place: &Place| {
            !self.lined.contains_key(place) && !self.asides.values().any(|aside| aside.contains_key(place))
        };
        !self.paused && self.places.get(ticket).is_some_and(is_free)
    }

    pub(super) fn opened(&mut self, partition: u32, attempt: ExecutionId) {
        self.count += usize::from(self.open.entry(partition).or_default().insert(attempt));
    }

    /// An attempt has closed; whether it was open.
    pub(super) fn closed(&mut self, partition: u32, attempt: ExecutionId) -> bool {
        let was_open = self.open.get_mut(&partition).is_some_and(|open| open.remove(&attempt));
        self.count -= usize::from(was_open);
        self.closed += u64::from(was_open);
        was_open
    }

    /// Lets the next task out, of those partitions that take one: it is held from now on.
    pub(super) fn deal(
        &mut self,
        weights: &HashMap<String, u32>,
        pauses: &Pauses,
        takes: impl Fn(u32) -> bool,
    ) -> Option<(u32, Place, Offered)> {
        if self.paused || self.count + self.held >= self.window {
            return None;
        }
        // Each tenant is asked once: of some, no partition may take anything now.
        let mut tenants = self.turns.len();
        while tenants > 0 {
            let (tenant, left) = self.turns.pop_front()?;
            tenants -= 1;
            let Some(line) = self.tenants.get_mut(&tenant) else { continue };
            line.retain(|_, tasks| !tasks.is_empty());
            if line.is_empty() {
                self.tenants.remove(&tenant);
                continue;
            }
            let firsts = line.iter().filter(|(partition, _)| takes(**partition));
            let first = firsts
                .filter_map(|(of, tasks)| tasks.first_key_value().map(|(place, _)| (*place, *of)))
                .min();
            let Some((_, partition)) = first else {
                self.turns.push_back((tenant, 0));
                continue;
            };
            let Some((place, offered)) = line.get_mut(&partition).and_then(BTreeMap::pop_first) else {
                continue;
            };
            if let Some(subject) = pauses.holding(&offered) {
                self.asides.entry(subject).or_default().insert(place, (partition, offered));
                self.turns.push_front((tenant, left));
                tenants += 1;
                continue;
            }
            let left = if left == 0 { weights.get(&tenant).copied().unwrap_or(1).max(1) } else { left } - 1;
            if left == 0 {
                self.turns.push_back((tenant, 0));
            } else {
                self.turns.push_front((tenant, left));
            }
            self.held += 1;
            return Some((partition, place, offered));
        }
        None
    }

    /// A partition takes a task that it was dealt; false where that was withdrawn meanwhile.
    pub(super) fn claim(&mut self, ticket: &Ticket, place: Place) -> bool {
        let is_here = self.places.get(ticket) == Some(&place);
        if is_here {
            self.places.remove(ticket);
        }
        is_here
    }

    /// What was held is held no more.
    pub(super) fn release(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// Puts a task that was dealt back to where it was, unless it was withdrawn meanwhile.
    pub(super) fn put_back(&mut self, partition: u32, place: Place, offered: Offered) {
        if self.places.get(&offered.ticket) == Some(&place) {
            self.line_up(partition, place, offered);
        }
    }

    /// Forgets all of a partition that is not in its hand.
    pub(super) fn leave(&mut self, partition: u32) {
        self.count -= self.open.remove(&partition).map_or(0, |open| open.len());
        for line in self.tenants.values_mut() {
            for offered in line.remove(&partition).into_iter().flat_map(BTreeMap::into_values) {
                self.places.remove(&offered.ticket);
            }
        }
        let lined = self.lines.remove(&partition).into_iter().flat_map(BTreeMap::into_values).flatten();
        for (place, offered) in lined {
            self.lined.remove(&place);
            self.places.remove(&offered.ticket);
        }
        for aside in self.asides.values_mut() {
            aside.retain(|_, (of, offered)| {
                let stays = *of != partition;
                if !stays {
                    self.places.remove(&offered.ticket);
                }
                stays
            });
        }
    }

    /// Lets those come back to their places whom none of these holds back; and those that wait for permits, which a pause may
    /// hold back from now on.
    pub(super) fn come_back(&mut self, subjects: &BTreeSet<PauseSubject>) {
        self.lined.clear();
        for (partition, lines) in std::mem::take(&mut self.lines) {
            for (place, offered) in lines.into_values().flatten() {
                self.line_up(partition, place, offered);
            }
        }
        let ended: Vec<PauseSubject> =
            self.asides.keys().filter(|subject| !subjects.contains(subject)).cloned().collect();
        for (place, (partition, offered)) in
            ended.iter().filter_map(|subject| self.asides.remove(subject)).flatten().collect::<Vec<_>>()
        {
            self.line_up(partition, place, offered);
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            waiting: self.places.len(),
            out: self.count + self.held,
            window: self.window,
            closed: self.closed,
        }
    }

    /// How many tasks a pause or a limit holds back, as far as their turn has come.
    pub(super) fn held_back(&self) -> usize {
        if self.paused {
            return self.places.len();
        }
        let paused: usize = self.asides.values().map(BTreeMap::len).sum();
        paused + self.lined.len()
    }

    /// How many looks it has had no task, this one included.
    pub(super) fn looks_without_tasks(&mut self) -> u32 {
        let has_tasks = self.count + self.held + self.places.len() > 0;
        self.idle = if has_tasks { 0 } else { self.idle + 1 };
        self.idle
    }

    fn line_up(&mut self, partition: u32, place: Place, offered: Offered) {
        let tenant = &*offered.ticket.run.tenant;
        if !self.tenants.contains_key(tenant) {
            self.turns.push_back((tenant.to_owned(), 0));
            self.tenants.insert(tenant.to_owned(), Line::new());
        }
        if let Some(line) = self.tenants.get_mut(tenant) {
            line.entry(partition).or_default().insert(place, offered);
        }
    }
}
