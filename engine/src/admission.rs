//! `admit`: which of the ready tasks of a node are dispatched next. Decided is not dispatched.
//!
//! One of these stands between all partitions of a node and the broker. Per task queue at most a window of attempts is
//! published and open; the rest waits here, where tenants take turns by weight and the greater priority of a tenant goes
//! first, whichever partition a task belongs to. Nothing can reorder what a broker's queue already holds.
//!
//! What is paused stays here: a queue as a whole, and tasks of a definition, which step aside when their turn comes and are
//! back in their places when the pause ends.
//!
//! A task under a limit whose partition has no permit is put aside when its turn has come ([`Admission::hold`]), and is back in
//! its place when there is one.
//!
//! A task whose turn has come is dealt into the hand of its partition, which opens an attempt for it. It counts against
//! the window from then on, so that no partition is overtaken by another.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use oarlock_protocol::message::PauseSubject;
use oarlock_protocol::{ExecutionId, RunKey, TaskPath};

use crate::map::Map;

mod lane;
mod pauses;

use lane::{Lane, Place};
use pauses::Pauses;

/// A queue without tasks keeps its window for so many looks of the node: some minutes.
const FORGOTTEN_AFTER: u32 = 600;

/// The ready tasks of a node and the open attempts they wait behind.
#[derive(Debug)]
pub struct Admission {
    /// The window of a queue nobody has looked at yet.
    window: usize,
    weights: HashMap<String, u32>,
    lanes: Map<Arc<str>, Lane>,
    /// Lanes that may have something to let out.
    hopeful: VecDeque<Arc<str>>,
    partitions: Map<u32, Partition>,
    pauses: Pauses,
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

/// A ready task, and what it may be held back by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The task.
    pub ticket: Ticket,
    /// Its definition.
    pub task: Arc<str>,
    /// The definition of its run.
    pub workflow: Arc<str>,
}

/// What stands where in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Tasks that wait here.
    pub waiting: usize,
    /// Attempts that are open, and tasks in the hands of partitions.
    pub out: usize,
    /// The most of these.
    pub window: usize,
    /// How many attempts have closed since the queue is known.
    pub closed: u64,
}

/// A partition that offers tasks.
#[derive(Debug, Default)]
struct Partition {
    /// Whether it takes what it is dealt.
    takes: bool,
    /// What it has been dealt and has not taken yet.
    hand: VecDeque<Dealt>,
    /// The task that it has taken and is deciding.
    deciding: Option<Dealt>,
    /// Whether it has taken nothing since the last look at idle hands.
    idle: bool,
}

#[derive(Debug)]
struct Dealt {
    queue: Arc<str>,
    place: Place,
    offered: Offered,
}

impl Admission {
    /// An empty one; the window of each queue begins with `window`, a tenant not among `weights` weighs 1.
    pub fn new(window: usize, weights: HashMap<String, u32>) -> Self {
        Self {
            window: window.max(1),
            weights,
            lanes: Map::default(),
            hopeful: VecDeque::new(),
            partitions: Map::default(),
            pauses: Pauses::default(),
            arrivals: 0,
        }
    }

    /// Takes a ready task of a partition. One that is here already stays where it is.
    pub fn offer(&mut self, partition: u32, queue: &str, priority: u8, offered: Offered) {
        self.arrivals += 1;
        let place = Place::new(priority, self.arrivals);
        if self.lane(queue).offer(partition, place, offered) {
            self.hope(queue);
        }
    }

    /// Takes a ready task out again.
    pub fn withdraw(&mut self, partition: u32, queue: &str, ticket: &Ticket) {
        if let Some(lane) = self.lanes.get_mut(queue) {
            lane.withdraw(partition, ticket);
        }
    }

    /// Counts an attempt as open: for each task that was taken, and for each open attempt found at a take-over.
    pub fn opened(&mut self, partition: u32, queue: &str, attempt: ExecutionId) {
        self.lane(queue).opened(partition, attempt);
    }

    /// An attempt has closed: its place in the window is free.
    pub fn closed(&mut self, partition: u32, queue: &str, attempt: ExecutionId) {
        if self.lane(queue).closed(partition, attempt) {
            self.hope(queue);
        }
    }

    /// Tells whether a partition takes tasks now. One that does not gives back what it has in its hand.
    pub fn takes(&mut self, partition: u32, takes: bool) {
        let of = self.partitions.entry(partition).or_default();
        of.idle = false;
        if std::mem::replace(&mut of.takes, takes) == takes {
            return;
        }
        if takes {
            self.hope_for_all();
        } else {
            self.recall(partition);
        }
    }

    /// Forgets everything of a partition: it is lost.
    pub fn leave(&mut self, partition: u32) {
        self.settle(partition);
        self.recall(partition);
        self.partitions.remove(&partition);
        self.lanes.values_mut().for_each(|lane| lane.leave(partition));
        self.hope_for_all();
    }

    /// Deals tasks into the hands of their partitions, as many as the windows have room for. Returns the partitions that
    /// got one.
    pub fn deal(&mut self) -> BTreeSet<u32> {
        let mut dealt = BTreeSet::new();
        while let Some(queue) = self.hopeful.pop_front() {
            let Some(lane) = self.lanes.get_mut(&queue) else { continue };
            lane.hopeful = false;
            let partitions = &self.partitions;
            let takes = |partition: u32| partitions.get(&partition).is_some_and(|of| of.takes);
            let mut taken = Vec::new();
            while let Some(next) = lane.deal(&self.weights, &self.pauses, takes) {
                taken.push(next);
            }
            for (partition, place, offered) in taken {
                dealt.insert(partition);
                let of = self.partitions.entry(partition).or_default();
                of.hand.push_back(Dealt { queue: queue.clone(), place, offered });
            }
        }
        dealt
    }

    /// Takes the next task out of the hand of a partition, with its queue. The partition opens an attempt for it and
    /// says so with [`Admission::opened`], or does not; then it calls [`Admission::settle`].
    pub fn take(&mut self, partition: u32) -> Option<(Arc<str>, Ticket)> {
        let of = self.partitions.get_mut(&partition)?;
        of.idle = false;
        while let Some(dealt) = of.hand.pop_front() {
            let Some(lane) = self.lanes.get_mut(&dealt.queue) else { continue };
            if lane.claim(&dealt.offered.ticket, dealt.place) {
                let taken = (dealt.queue.clone(), dealt.offered.ticket.clone());
                of.deciding = Some(dealt);
                return Some(taken);
            }
            // Withdrawn meanwhile.
            lane.release();
            Self::hope_in(&mut self.hopeful, lane, &dealt.queue);
        }
        None
    }

    /// A task that was taken is decided: its place in the window is that of its attempt now, or free.
    pub fn settle(&mut self, partition: u32) {
        let deciding = self.partitions.get_mut(&partition).and_then(|of| of.deciding.take());
        if let Some(Dealt { queue, .. }) = deciding
            && let Some(lane) = self.lanes.get_mut(&queue)
        {
            lane.release();
            Self::hope_in(&mut self.hopeful, lane, &queue);
        }
    }

    /// Puts the task that a partition has taken aside, in place of deciding it: it waits for permits, with others of its line.
    pub fn hold(&mut self, partition: u32, line: &Arc<str>) {
        let deciding = self.partitions.get_mut(&partition).and_then(|of| of.deciding.take());
        if let Some(Dealt { queue, place, offered }) = deciding
            && let Some(lane) = self.lanes.get_mut(&queue)
        {
            lane.release();
            lane.hold(partition, line, place, offered);
            Self::hope_in(&mut self.hopeful, lane, &queue);
        }
    }

    /// Lets the first of a partition's line come back to their places, at most so many. Those that came.
    pub fn let_back(&mut self, partition: u32, line: &str, most: usize) -> Vec<Ticket> {
        let mut back = Vec::new();
        for (queue, lane) in &mut self.lanes {
            let came = lane.let_back(partition, line, most - back.len());
            if !came.is_empty() {
                back.extend(came);
                Self::hope_in(&mut self.hopeful, lane, queue);
            }
        }
        back
    }

    /// How many tasks of a partition wait in each line.
    pub fn lines(&self, partition: u32) -> HashMap<Arc<str>, usize> {
        let mut lines = HashMap::new();
        for (line, held) in self.lanes.values().flat_map(|lane| lane.lines(partition)) {
            *lines.entry(line.clone()).or_default() += held;
        }
        lines
    }

    /// Which of these tasks have no place any more from which their turn can come: they are gone, or held back.
    pub fn without_place<'t>(&self, tickets: impl Iterator<Item = &'t Ticket>) -> Vec<Ticket> {
        let has_place = |ticket: &&Ticket| self.lanes.values().any(|lane| lane.has_place(ticket));
        tickets.filter(|ticket| !has_place(ticket)).cloned().collect()
    }

    /// Whether a partition has something in its hand.
    pub fn has(&self, partition: u32) -> bool {
        self.partitions.get(&partition).is_some_and(|of| !of.hand.is_empty())
    }

    /// Called from time to time: a partition that has taken nothing since the last call, though it had something, gives
    /// it back, and is dealt nothing until it asks. Queues that had nothing for long are forgotten.
    pub fn look(&mut self) {
        let idle = |of: &Partition| of.idle && !of.hand.is_empty();
        let stuck: Vec<u32> =
            self.partitions.iter().filter(|(_, of)| idle(of)).map(|(name, _)| *name).collect();
        self.partitions.values_mut().for_each(|of| of.idle = true);
        for partition in stuck {
            if let Some(of) = self.partitions.get_mut(&partition) {
                of.takes = false;
            }
            self.recall(partition);
        }
        self.lanes.retain(|_, lane| lane.looks_without_tasks() < FORGOTTEN_AFTER);
    }

    /// Holds back what these name from now on, and nothing else. What has been dealt and not taken is held back as well.
    pub fn pause(&mut self, subjects: &BTreeSet<PauseSubject>) {
        self.pauses = Pauses::new(subjects);
        let partitions: Vec<u32> = self.partitions.keys().copied().collect();
        partitions.into_iter().for_each(|partition| self.recall(partition));
        for (queue, lane) in &mut self.lanes {
            lane.paused = self.pauses.holds_queue(queue);
            lane.come_back(subjects);
        }
        self.hope_for_all();
    }

    /// Changes the window of a queue.
    pub fn set_window(&mut self, queue: &str, window: usize) {
        if let Some(lane) = self.lanes.get_mut(queue) {
            lane.window = window.max(1);
            self.hope(queue);
        }
    }

    /// What stands where in a queue, where it has any.
    pub fn standing(&self, queue: &str) -> Option<Standing> {
        self.lanes.get(queue).map(Lane::standing)
    }

    /// What stands where in every queue that is known.
    pub fn queues(&self) -> impl Iterator<Item = (&Arc<str>, Standing)> {
        self.lanes.iter().map(|(name, lane)| (name, lane.standing()))
    }

    /// How many tasks of each queue a pause or a limit holds back, where it does: no worker could have them now.
    pub fn held_back(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        let held = self.lanes.iter().map(|(name, lane)| (name, lane.held_back()));
        held.filter(|(_, held)| *held > 0)
    }

    /// Puts what a partition has in its hand back to where it was.
    fn recall(&mut self, partition: u32) {
        let Some(of) = self.partitions.get_mut(&partition) else { return };
        for dealt in std::mem::take(&mut of.hand) {
            let Some(lane) = self.lanes.get_mut(&dealt.queue) else { continue };
            lane.release();
            lane.put_back(partition, dealt.place, dealt.offered);
            Self::hope_in(&mut self.hopeful, lane, &dealt.queue);
        }
    }

    fn lane(&mut self, queue: &str) -> &mut Lane {
        if !self.lanes.contains_key(queue) {
            let mut lane = Lane::new(self.window);
            lane.paused = self.pauses.holds_queue(queue);
            self.lanes.insert(queue.into(), lane);
        }
        self.lanes.entry(queue.into()).or_default()
    }

    fn hope(&mut self, queue: &str) {
        if let Some((name, _)) = self.lanes.get_key_value(queue) {
            let name = name.clone();
            if let Some(lane) = self.lanes.get_mut(queue) {
                Self::hope_in(&mut self.hopeful, lane, &name);
            }
        }
    }

    fn hope_for_all(&mut self) {
        for (name, lane) in &mut self.lanes {
            Self::hope_in(&mut self.hopeful, lane, name);
        }
    }

    fn hope_in(hopeful: &mut VecDeque<Arc<str>>, lane: &mut Lane, name: &Arc<str>) {
        if !std::mem::replace(&mut lane.hopeful, true) {
            hopeful.push_back(name.clone());
        }
    }
}

#[cfg(test)]
mod tests;
