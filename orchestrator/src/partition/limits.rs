//! A partition under limits over the whole fleet: which of its ready tasks may open an attempt, and what it asks the homes of
//! the limits for.
//!
//! `oarlock_engine::permits` decides. A task whose turn has come and for which there is no permit is put aside in a line of its
//! own, so that it holds up nobody. What is open is known by attempt: found at a take-over, and followed by the effects.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use oarlock_engine::admission::Ticket;
use oarlock_engine::map::Map;
use oarlock_engine::permits::{Allowance, Grant, Holder};
use oarlock_protocol::message::{LimitKind, LimitName};
use oarlock_protocol::{ExecutionId, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use crate::layout;

mod turns;
mod under;

use under::Limit;
pub(crate) use under::name as limit_name;
pub(super) use under::{least, open_in};

/// All limits are looked at this often: what was not answered is said again, and what is idle is forgotten.
const SWEEP: Duration = Duration::from_secs(1);
/// The pause before the rest of the lines is looked at.
const SOON: Duration = Duration::from_millis(5);
/// A permit that is free is looked for in so many lines at once at most: the others of these may wait for another limit, too.
const LINES_IN_TURN: usize = 256;

/// The limits under which something is open or waits in a partition.
pub(super) struct Limits {
    epoch: u64,
    /// How many partitions there are.
    partitions: u32,
    /// By the text of the limit.
    held: BTreeMap<Arc<str>, Held>,
    /// What waits for the same permits, by the limits of these.
    lines: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// Every attempt that is open, by what the limit of concurrency of its task would be called: a later version of the
    /// definition may have one.
    open: Map<ExecutionId, Arc<str>>,
    /// How many are open under each such name.
    counts: Map<Arc<str>, u32>,
    /// Tasks that have their permits and are not decided.
    taken: Map<Ticket, Vec<Arc<str>>>,
    /// Tasks that have come back to their places for permits that are at hand, each with its limits.
    back: Map<Ticket, Vec<Arc<str>>>,
    /// Limits of which something changed in the round at hand.
    changed: BTreeSet<Arc<str>>,
    /// Limits that have permits for whom else: not all their lines were looked at.
    unfinished: BTreeSet<Arc<str>>,
    /// The greatest number of a word about a limit that is forgotten, and the greatest count of tokens.
    spoken: (u64, u64),
    /// The homes that have asked for all.
    asked_by: BTreeMap<u32, Asked>,
    sweep_at: Instant,
}

struct Held {
    name: LimitName,
    /// The partition that leases its permits.
    home: u32,
    holder: Holder,
    /// What the newest version of each workflow allows that has had a task here since the limit is known.
    allowed: BTreeMap<String, (u32, Allowance)>,
    lines: BTreeSet<Arc<str>>,
    /// The line that was looked at last: the next turn begins behind it.
    last: Option<Arc<str>>,
    /// How many tasks wait in its lines. One that was withdrawn is counted until the next look at all.
    waiting: usize,
    /// How many have come back to their places, and their turn has not come since.
    back: usize,
    /// How many lines were looked at since something changed.
    looked: usize,
}

/// A home that has asked for all limits of concurrency that are at home there.
struct Asked {
    /// Names the question.
    question: Uuid,
    /// Of which it has not heard yet.
    untold: BTreeSet<Arc<str>>,
    /// Whether it is to be told when that is nothing any more.
    is_due: bool,
}

impl Limits {
    pub(super) fn new(epoch: u64, partitions: u32) -> Self {
        Self {
            epoch,
            partitions,
            held: BTreeMap::new(),
            lines: BTreeMap::new(),
            open: Map::default(),
            counts: Map::default(),
            taken: Map::default(),
            back: Map::default(),
            changed: BTreeSet::new(),
            unfinished: BTreeSet::new(),
            spoken: (0, 0),
            asked_by: BTreeMap::new(),
            sweep_at: Instant::now(),
        }
    }

    /// When all of them are to be looked at; none where there are none.
    pub(super) fn sweeps_at(&self) -> Option<Instant> {
        if !self.unfinished.is_empty() {
            return Some(Instant::now() + SOON);
        }
        (!self.held.is_empty()).then_some(self.sweep_at)
    }

    /// Takes in an attempt that a take-over has found open.
    pub(super) fn found(&mut self, attempt: ExecutionId, limit: &LimitName, is_limited: bool) {
        self.opened(attempt, limit, &[]);
        if is_limited {
            // Its home may count more than that.
            self.find(limit);
        }
    }

    /// Counts an attempt as open; `permits` are those that it had.
    fn opened(&mut self, attempt: ExecutionId, limit: &LimitName, permits: &[Arc<str>]) {
        let name = layout::limit_field(limit);
        let name =
            self.counts.get_key_value(&*name).map_or_else(|| name.as_str().into(), |(name, _)| name.clone());
        if self.open.insert(attempt, name.clone()).is_some() {
            return;
        }
        if !permits.contains(&name)
            && let Some(held) = self.held.get_mut(&name)
        {
            held.holder.count();
            self.changed.insert(name.clone());
        }
        *self.counts.entry(name).or_default() += 1;
    }

    /// An attempt has closed.
    pub(super) fn closed(&mut self, attempt: ExecutionId) {
        let Some(name) = self.open.remove(&attempt) else { return };
        if let Some(count) = self.counts.get_mut(&name) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&name);
            }
        }
        self.give_back(name);
    }

    fn give_back(&mut self, name: Arc<str>) {
        let Some(held) = self.held.get_mut(&name) else { return };
        if held.name.kind == LimitKind::Concurrency {
            held.holder.close();
        }
        self.changed.insert(name);
    }

    /// The home of a limit answers.
    pub(super) fn hear(&mut self, limit: &LimitName, grant: Grant, now: Timestamp) {
        let name: Arc<str> = layout::limit_field(limit).into();
        let Some(held) = self.held.get_mut(&name) else { return };
        held.holder.hear(grant, now);
        if held.holder.is_told()
            && let Some(asked) = self.asked_by.get_mut(&held.home)
        {
            asked.untold.remove(&name);
        }
        self.changed.insert(name);
    }

    /// The home of a limit asks.
    pub(super) fn is_asked(&mut self, limit: &LimitName) {
        let name = self.find(limit);
        if let Some(held) = self.held.get_mut(&name) {
            held.holder.is_asked();
        }
    }

    /// A home that begins asks for all.
    pub(super) fn is_asked_for_all(&mut self, home: u32, question: Uuid) {
        if let Some(asked) = self.asked_by.get_mut(&home).filter(|asked| asked.question == question) {
            // Once more: it may have missed the answer.
            asked.is_due = true;
            return;
        }
        let mut untold = BTreeSet::new();
        for (name, held) in &mut self.held {
            if held.home == home && held.name.kind == LimitKind::Concurrency {
                held.holder.is_asked_for_all();
                untold.insert(name.clone());
            }
        }
        self.changed.extend(untold.iter().cloned());
        self.asked_by.insert(home, Asked { question, untold, is_due: true });
    }

    /// The homes that have heard and answered all by now, each with its question.
    fn all_told(&mut self) -> Vec<(u32, Uuid)> {
        let asked = self.asked_by.iter_mut().filter(|(_, asked)| asked.is_due && asked.untold.is_empty());
        asked
            .map(|(home, asked)| {
                asked.is_due = false;
                (*home, asked.question)
            })
            .collect()
    }

    /// Forgets a limit under which nothing is open or waits.
    fn forget(&mut self, name: &Arc<str>) {
        let Some(held) = self.held.remove(name) else { return };
        let (n, had) = held.holder.spoken();
        self.spoken = (self.spoken.0.max(n), self.spoken.1.max(had));
        if let Some(asked) = self.asked_by.get_mut(&held.home) {
            asked.untold.remove(name);
        }
    }

    fn find(&mut self, limit: &LimitName) -> Arc<str> {
        let name: Arc<str> = layout::limit_field(limit).into();
        let (epoch, spoken, partitions) = (self.epoch, self.spoken, self.partitions);
        let open = self.counts.get(&name).copied().unwrap_or_default();
        self.held.entry(name.clone()).or_insert_with(|| Held {
            name: limit.clone(),
            home: layout::limit_home(limit, partitions),
            holder: Holder::speaking_after(epoch, spoken, open),
            allowed: BTreeMap::new(),
            lines: BTreeSet::new(),
            last: None,
            waiting: 0,
            back: 0,
            looked: 0,
        });
        self.changed.insert(name.clone());
        name
    }

    fn hold(&mut self, limit: &Limit) -> Arc<str> {
        let name = self.find(&limit.name);
        if let Some(held) = self.held.get_mut(&name) {
            let of = held.allowed.entry(limit.workflow.clone()).or_insert((limit.version, limit.allowance));
            if of.0 < limit.version {
                *of = (limit.version, limit.allowance);
            }
        }
        name
    }

    /// Takes a permit of each of these limits, or of none.
    fn take(&mut self, limits: &[Limit], names: &[Arc<str>], now: Timestamp) -> bool {
        let all = names.iter().all(|name| self.at_hand(name, now) > 0);
        if all {
            for (limit, name) in limits.iter().zip(names) {
                if let Some(held) = self.held.get_mut(name) {
                    held.holder.open(limit.allowance, now);
                }
            }
        }
        all
    }

    fn at_hand(&mut self, name: &Arc<str>, now: Timestamp) -> u32 {
        self.held.get_mut(name).map_or(0, |held| held.holder.at_hand(now))
    }

    /// One more waits for these permits, in this line.
    fn line(&mut self, names: &[Arc<str>]) -> Arc<str> {
        let line: Arc<str> = names.join("\n").into();
        for name in names {
            if let Some(held) = self.held.get_mut(name) {
                held.lines.insert(line.clone());
                held.waiting += 1;
            }
        }
        self.lines.entry(line.clone()).or_insert_with(|| names.to_vec());
        line
    }

    /// How many permits of a limit nobody has come back for.
    fn free(&mut self, name: &Arc<str>, now: Timestamp) -> usize {
        self.held
            .get_mut(name)
            .map_or(0, |held| (held.holder.at_hand(now) as usize).saturating_sub(held.back))
    }

    /// The lines of a limit that are looked at in this turn.
    fn lines_in_turn(&self, name: &Arc<str>) -> Vec<Arc<str>> {
        let Some(held) = self.held.get(name) else { return Vec::new() };
        let (behind, before) = match &held.last {
            Some(last) => (
                held.lines.range((Bound::Excluded(last.clone()), Bound::Unbounded)),
                held.lines.range((Bound::Unbounded, Bound::Included(last.clone()))),
            ),
            None => (held.lines.range::<Arc<str>, _>(..), held.lines.range(..Arc::from(""))),
        };
        behind.chain(before).take(LINES_IN_TURN).cloned().collect()
    }

    /// These of a line have come back to their places.
    fn came_back(&mut self, line: &Arc<str>, came: Vec<Ticket>) {
        let names = self.lines.get(line).cloned().unwrap_or_default();
        for name in &names {
            if let Some(held) = self.held.get_mut(name) {
                held.waiting = held.waiting.saturating_sub(came.len());
                held.set_back(held.back + came.len());
            }
        }
        self.back.extend(came.into_iter().map(|ticket| (ticket, names.clone())));
    }

    /// A task is where it was put back no more: its turn has come, or it is withdrawn.
    pub(super) fn leaves_place(&mut self, ticket: &Ticket) {
        for name in self.back.remove(ticket).unwrap_or_default() {
            if let Some(held) = self.held.get_mut(&name) {
                held.set_back(held.back.saturating_sub(1));
            }
            self.changed.insert(name);
        }
    }

    /// Nobody waits in a line any more.
    fn end_line(&mut self, line: &Arc<str>) {
        for name in self.lines.remove(line).unwrap_or_default() {
            if let Some(held) = self.held.get_mut(&name)
                && held.lines.remove(line)
            {
                held.looked = held.looked.saturating_sub(1);
            }
        }
    }
}

impl Held {
    /// How many tasks wait for a permit or have one at hand: those that have come back keep theirs until their turn has come.
    fn wanting(&mut self, now: Timestamp) -> u32 {
        let back = match self.name.kind {
            LimitKind::Concurrency => self.back,
            // Tokens for more of them would be gone before their turn.
            LimitKind::Rate => self.back.min((self.holder.at_hand(now) as usize).max(1)),
        };
        u32::try_from(self.waiting + back).unwrap_or(u32::MAX)
    }

    fn set_back(&mut self, back: usize) {
        self.back = back;
        if let Some(allowance) = self.allowance() {
            self.holder.reserve(back, allowance);
        }
    }

    /// Where definitions differ, the least counts.
    fn allowance(&self) -> Option<Allowance> {
        self.allowed.values().map(|(_, allowance)| *allowance).reduce(least)
    }
}
