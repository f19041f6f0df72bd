//! A partition under limits over the whole fleet: which of its ready tasks may open an attempt, and what it asks the homes of
//! the limits for.
//!
//! `oarlock_engine::permits` decides. A task whose turn has come and for which there is no permit is put aside in a line of its
//! own, so that it holds up nobody. What is open is known by attempt: found at a take-over, and followed by the effects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use oarlock_engine::admission::Ticket;
use oarlock_engine::map::Map;
use oarlock_engine::permits::{Allowance, Grant, Holder, Want};
use oarlock_protocol::message::{LimitKind, LimitName, Permits};
use oarlock_protocol::{ExecutionId, RunKey, TaskPath, Timestamp};
use tokio::time::Instant;

use super::Lost;
use super::owner::Owner;
use super::permits::publication;
use super::runs;
use crate::layout;

mod under;

pub(crate) use under::name as limit_name;
use under::{Limit, concurrency_of, limits_of};
pub(super) use under::{least, open_in};

/// All limits are looked at this often: what was not answered is said again, and what is idle is forgotten.
const SWEEP: Duration = Duration::from_secs(1);

/// The limits under which something is open or waits in a partition.
pub(super) struct Limits {
    epoch: u64,
    /// How many partitions there are.
    partitions: u32,
    /// By the text of the limit.
    held: BTreeMap<Arc<str>, Held>,
    /// What waits for the same permits.
    lines: BTreeMap<Arc<str>, Line>,
    /// Every attempt that is open, by what the limit of concurrency of its task would be called: a later version of the
    /// definition may have one.
    open: Map<ExecutionId, Arc<str>>,
    /// How many are open under each such name.
    counts: Map<Arc<str>, u32>,
    /// Tasks that have their permits and are not decided.
    taken: Map<Ticket, Vec<Arc<str>>>,
    /// Limits of which something changed in the round at hand.
    changed: BTreeSet<Arc<str>>,
    /// The greatest number of a word about a limit that is forgotten.
    spoken: u64,
    /// The partitions, each under its epoch, that are to be told when all limits whose home they are have been spoken of.
    asked_by: BTreeMap<u32, u64>,
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
}

#[derive(Default)]
struct Line {
    limits: Vec<Arc<str>>,
    /// How many have come back to their places and have not been taken since.
    back: usize,
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
            changed: BTreeSet::new(),
            spoken: 0,
            asked_by: BTreeMap::new(),
            sweep_at: Instant::now(),
        }
    }

    /// When all of them are to be looked at; none where there are none.
    pub(super) fn sweeps_at(&self) -> Option<Instant> {
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
        if let Some(held) = self.held.get_mut(&name) {
            held.holder.hear(grant, now);
            self.changed.insert(name);
        }
    }

    /// The home of a limit asks.
    pub(super) fn is_asked(&mut self, limit: &LimitName) {
        let name = self.find(limit);
        if let Some(held) = self.held.get_mut(&name) {
            held.holder.is_asked();
        }
    }

    /// A home asks for all: its own next words are to come behind what is said now.
    pub(super) fn is_asked_for_all(&mut self, home: u32, epoch: u64) {
        let concerned = self.held.iter_mut().filter(|(_, held)| held.counts_at(home));
        for (name, held) in concerned {
            held.holder.is_asked();
            self.changed.insert(name.clone());
        }
        self.asked_by.insert(home, epoch);
    }

    /// The homes that have asked for all, and have heard and answered all by now.
    fn all_told(&mut self) -> BTreeMap<u32, u64> {
        let held = &self.held;
        let is_told = |home: u32| {
            held.values().filter(|held| held.counts_at(home)).all(|held| held.holder.is_settled())
        };
        let (told, asked) =
            std::mem::take(&mut self.asked_by).into_iter().partition(|(home, _)| is_told(*home));
        self.asked_by = asked;
        told
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

    /// The line in which those wait that need these permits.
    fn line(&mut self, names: &[Arc<str>]) -> Arc<str> {
        let line: Arc<str> = names.join("\n").into();
        for name in names {
            if let Some(held) = self.held.get_mut(name) {
                held.lines.insert(line.clone());
            }
        }
        self.lines.entry(line.clone()).or_default().limits = names.to_vec();
        line
    }
}

impl Held {
    /// Where definitions differ, the least counts.
    fn allowance(&self) -> Option<Allowance> {
        self.allowed.values().map(|(_, allowance)| *allowance).reduce(least)
    }

    /// Whether that home counts what is open under it.
    fn counts_at(&self, home: u32) -> bool {
        self.home == home && self.name.kind == LimitKind::Concurrency
    }
}

impl Owner {
    /// Lets those come back whose limits have permits.
    pub(super) fn let_back(&mut self) {
        let now = self.shared.clock.now();
        let held = &self.limits.held;
        let lines: BTreeSet<Arc<str>> = self
            .limits
            .changed
            .iter()
            .filter_map(|name| held.get(name))
            .flat_map(|held| &held.lines)
            .cloned()
            .collect();
        for name in lines {
            let Some(limits) = self.limits.lines.get(&name).map(|line| line.limits.clone()) else { continue };
            let at_hand =
                limits.iter().map(|limit| self.limits.at_hand(limit, now)).min().unwrap_or(0) as usize;
            let Some(line) = self.limits.lines.get_mut(&name) else { continue };
            if at_hand > line.back {
                line.back += self.admission.let_back(&name, at_hand - line.back);
            }
        }
    }

    /// Whether a task whose turn has come has the permits it needs; it is put aside where not.
    pub(super) async fn has_permits(&mut self, ticket: &Ticket) -> Result<bool, Lost> {
        let limits = match self.runs.get(&self.shared, self.partition, &ticket.run).await {
            Ok(Some(cached)) => limits_of(cached, &ticket.path),
            Ok(None) => Vec::new(),
            Err(runs::Error::Store(error)) => return Err(error.into()),
            // Told where it is decided.
            Err(_) => Vec::new(),
        };
        if limits.is_empty() || self.limits.taken.contains_key(ticket) {
            return Ok(true);
        }
        let names: Vec<Arc<str>> = limits.iter().map(|limit| self.limits.hold(limit)).collect();
        let line = self.limits.line(&names);
        if let Some(line) = self.limits.lines.get_mut(&line) {
            line.back = line.back.saturating_sub(1);
        }
        let has = self.limits.take(&limits, &names, self.shared.clock.now());
        if has {
            self.limits.taken.insert(ticket.clone(), names);
        } else {
            self.admission.hold(&line);
        }
        Ok(has)
    }

    /// A task that had its permits is decided: where no attempt was opened they go back.
    pub(super) fn settle_permits(&mut self, ticket: &Ticket, waits: bool) {
        if !waits && let Some(names) = self.limits.taken.remove(ticket) {
            names.into_iter().for_each(|name| self.limits.give_back(name));
        }
    }

    /// An attempt was opened.
    pub(super) fn note_opened(&mut self, run: &RunKey, path: &TaskPath, attempt: ExecutionId) {
        let permits = if self.limits.taken.is_empty() {
            Vec::new()
        } else {
            let ticket = Ticket { run: run.clone(), path: path.clone() };
            self.limits.taken.remove(&ticket).unwrap_or_default()
        };
        if let Some((limit, _)) = self.runs.cached(run).and_then(|cached| concurrency_of(cached, path)) {
            self.limits.opened(attempt, &limit, &permits);
        }
    }

    /// Tells the homes of limits what is wanted of them, where there is something new.
    pub(super) fn ask_for_permits(&mut self) {
        let now = self.shared.clock.now();
        let mut changed = std::mem::take(&mut self.limits.changed);
        if self.limits.sweeps_at().is_some_and(|at| at <= Instant::now()) {
            self.sweep_limits();
            changed = self.limits.held.keys().cloned().collect();
        }
        for name in changed {
            let Some(held) = self.limits.held.get_mut(&name) else { continue };
            let waiting: usize = held.lines.iter().map(|line| self.admission.held(line)).sum();
            let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
            let want = held.holder.say(waiting, now);
            if let Some(want) = want {
                let says = wants(held.name.clone(), self.partition, want, held.allowance());
                self.batch.tell.push(publication(held.home, self.partition, says));
            } else if waiting == 0 && held.holder.is_idle() {
                self.limits.spoken = self.limits.spoken.max(held.holder.spoken());
                self.limits.held.remove(&name);
            }
        }
        for (home, epoch) in self.limits.all_told() {
            let says = Permits::ToldAll { partition: self.partition, epoch };
            self.batch.tell.push(publication(home, self.partition, says));
        }
    }

    /// Looks at all of them: what came back and was held by something else meanwhile is not waited for, and what waited for a
    /// payload and never opened gives its permits back.
    fn sweep_limits(&mut self) {
        self.limits.sweep_at = Instant::now() + SWEEP;
        let asides = &self.asides;
        let gone: Vec<Ticket> =
            self.limits.taken.keys().filter(|ticket| !asides.is_waiting(&ticket.run)).cloned().collect();
        for ticket in gone {
            self.settle_permits(&ticket, false);
        }
        let admission = &self.admission;
        let held = &mut self.limits.held;
        self.limits.lines.retain(|name, line| {
            line.back = 0;
            let stays = admission.held(name) > 0;
            if !stays {
                for limit in &line.limits {
                    if let Some(held) = held.get_mut(limit) {
                        held.lines.remove(name);
                    }
                }
            }
            stays
        });
        // Looked at by the next round: some may come back.
        self.limits.changed = self.limits.held.keys().cloned().collect();
    }
}

fn wants(limit: LimitName, partition: u32, want: Want, allowance: Option<Allowance>) -> Permits {
    let Want { epoch, n, keeps, wants, had } = want;
    let had = Some(had).filter(|had| *had > 0);
    let (most, per_ms) = match allowance {
        Some(Allowance::Concurrency { most }) => (Some(most), None),
        Some(Allowance::Rate { limit, per_ms }) => (Some(limit), Some(per_ms)),
        None => (None, None),
    };
    Permits::Want { limit, partition, epoch, n, keeps, wants, had, most, per_ms }
}
