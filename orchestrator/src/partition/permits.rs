//! The homes of limits in a partition: what every partition of the fleet holds of each. Leased is what is committed: a grant
//! leaves after the commit that holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use oarlock_broker::{Message, Publication, topology};
use oarlock_engine::permits::{Allowance, Grant, Home, Want};
use oarlock_protocol::message::{Kind, LimitKind, LimitName, Permits, PermitsMessage};
use oarlock_protocol::{FORMAT, Span, Timestamp};
use tokio::time::Instant;

use super::Lost;
use super::limits::least;
use super::owner::Owner;
use crate::layout;
use crate::store::{Fields, Key, Write};

/// A partition that may hold permits is waited for so long; and what one said of a definition is forgotten after it.
const SILENT: Span = Span::from_secs(15);
/// One that has spoken to this owner and holds permits is asked after such a silence: its next owner may know nothing of them.
const LONG_SILENT: Span = Span::from_secs(60);
/// The pause before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// All homes are looked at this often.
const SWEEP: Duration = Duration::from_secs(1);
/// Tokens of a rate are given together at most so often: each time is a commit.
const TOKENS_EVERY: Span = Span::from_millis(10);

mod census;

use census::Census;

/// The limits whose home a partition is.
#[derive(Default)]
pub(super) struct Homes {
    all: BTreeMap<LimitName, AtHome>,
    /// Those of which something changed in the round at hand.
    changed: BTreeSet<LimitName>,
    /// When the next token of each rate can be given that somebody waits for.
    wakes: BTreeSet<(Timestamp, LimitName)>,
    census: Census,
    sweep_at: Option<Instant>,
}

#[derive(Default)]
struct AtHome {
    home: Home,
    /// What the definitions allow that a partition knows of, and when it said so.
    allowed: BTreeMap<u32, (Allowance, Timestamp)>,
    /// When its next token can be given, where somebody waits for it: so it stands among the `wakes`.
    wakes: Option<Timestamp>,
    /// The partitions that are to be answered.
    answers: BTreeSet<u32>,
    asked: Option<Instant>,
    /// The partitions that are to speak before anything is leased, and until when they are waited for.
    first: Option<(BTreeSet<u32>, Timestamp)>,
    /// What the store has.
    stored: Option<Bytes>,
}

impl Homes {
    /// When the next token can be given.
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Looks at those whose next token is due.
    fn wake(&mut self, now: Timestamp) {
        while self.wakes.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, limit)) = self.wakes.pop_first()
        {
            self.changed.insert(limit);
        }
    }

    /// Forgets when the next token of a limit is due.
    fn sleep(&mut self, limit: &LimitName) {
        if let Some(at) = self.all.get_mut(limit).and_then(|at| at.wakes.take()) {
            self.wakes.remove(&(at, limit.clone()));
        }
    }

    /// When all of them are to be looked at.
    pub(super) fn sweeps_at(&self) -> Option<Instant> {
        self.sweep_at.filter(|_| !self.all.is_empty())
    }

    /// Takes in what a partition says; whether the limit was not known before.
    fn hear(
        &mut self,
        limit: LimitName,
        partition: u32,
        want: Want,
        allowance: Option<Allowance>,
        now: Timestamp,
        partitions: u32,
    ) -> bool {
        if limit.kind == LimitKind::Concurrency {
            self.census.begin(partitions);
        }
        let is_new = !self.all.contains_key(&limit);
        let at = self.all.entry(limit.clone()).or_default();
        if at.home.hear(partition, want, now)
            && let Some(allowance) = allowance
        {
            at.allowed.insert(partition, (allowance, now));
        }
        if let Some((silent, _)) = &mut at.first {
            silent.remove(&partition);
        }
        at.answers.insert(partition);
        self.sweep_at.get_or_insert_with(|| Instant::now() + SWEEP);
        self.changed.insert(limit);
        is_new
    }
}

impl AtHome {
    /// Whether something may be leased: who had attempts open before there was a limit has said so.
    fn may_lease(&mut self, now: Timestamp) -> bool {
        self.first.take_if(|(silent, until)| silent.is_empty() || *until <= now);
        self.first.is_none()
    }

    /// What is allowed: where definitions differ, the least of those of which was heard lately.
    fn allowance(&mut self, now: Timestamp) -> Option<Allowance> {
        self.allowed.retain(|_, (_, at)| now.since(*at) < SILENT);
        self.allowed.values().map(|(allowance, _)| *allowance).reduce(least)
    }
}

fn allowance(kind: LimitKind, most: Option<u32>, per_ms: Option<u64>) -> Option<Allowance> {
    let most = most.filter(|most| *most > 0)?;
    match kind {
        LimitKind::Concurrency => Some(Allowance::Concurrency { most }),
        LimitKind::Rate => Some(Allowance::Rate { limit: most, per_ms: per_ms.filter(|per| *per > 0)? }),
    }
}

impl Owner {
    /// Reads what was leased.
    pub(super) async fn load_limits(&mut self) -> Result<(), Lost> {
        let fields = self.shared.store.read_hash(self.partition, &Key::Limits, Fields::All).await?;
        for field in fields {
            match layout::limits_in(vec![field]) {
                Ok(read) => {
                    for (stored, value) in read {
                        let at = AtHome { home: stored.home, stored: Some(value), ..AtHome::default() };
                        self.homes.all.insert(stored.limit, at);
                    }
                }
                Err(error) => tracing::error!(%error, "a limit is counted anew as partitions speak of it"),
            }
        }
        if self.homes.all.keys().any(|limit| limit.kind == LimitKind::Concurrency) {
            self.homes.census.begin(self.shared.definitions.partitions());
        }
        // At once: who holds something is asked.
        self.homes.sweep_at = Some(Instant::now());
        Ok(())
    }

    /// Another partition, or this one, speaks of a limit.
    pub(super) fn take_permits(&mut self, message: PermitsMessage) {
        let now = self.shared.clock.now();
        let partitions = self.shared.definitions.partitions();
        match message.says {
            Permits::Want { limit, partition, epoch, n, keeps, wants, had, most, per_ms } => {
                if partition < partitions {
                    let allowance = allowance(limit.kind, most, per_ms);
                    let want = Want { epoch, n, keeps, wants, had: had.unwrap_or_default() };
                    if self.homes.hear(limit.clone(), partition, want, allowance, now, partitions) {
                        self.ask_all(limit, partition, now);
                    }
                }
            }
            Permits::Grant { limit, epoch, n, ceiling, tokens } => {
                self.limits.hear(&limit, Grant { epoch, n, ceiling, tokens }, now);
            }
            Permits::Ask { limit } => self.limits.is_asked(&limit),
            Permits::AskAll { home, question } if home < partitions => {
                self.limits.is_asked_for_all(home, question);
            }
            Permits::AskAll { .. } => {}
            Permits::ToldAll { partition, question } => self.homes.census.is_told(partition, question),
        }
    }

    /// A limit is new: attempts of its task may be open in every partition, also of versions of the definition without it.
    /// Not of one with a key: what has none of its own counts for no key.
    fn ask_all(&mut self, limit: LimitName, except: u32, now: Timestamp) {
        if limit.kind == LimitKind::Rate || limit.key.is_some() {
            return;
        }
        let others: BTreeSet<u32> =
            (0..self.shared.definitions.partitions()).filter(|partition| *partition != except).collect();
        for partition in &others {
            self.batch.tell.push(publication(
                *partition,
                self.partition,
                Permits::Ask { limit: limit.clone() },
            ));
        }
        if let Some(at) = self.homes.all.get_mut(&limit) {
            at.first = Some((others, now.after(SILENT)));
            at.asked = Some(Instant::now());
        }
    }

    /// Leases what is free, and answers: with the commit of this round.
    pub(super) fn grant_permits(&mut self) {
        let now = self.shared.clock.now();
        self.sweep_homes(now);
        self.homes.wake(now);
        for limit in std::mem::take(&mut self.homes.changed) {
            self.homes.sleep(&limit);
            let is_known = limit.kind == LimitKind::Rate || self.homes.census.is_closed();
            let Some(at) = self.homes.all.get_mut(&limit) else { continue };
            if is_known
                && at.may_lease(now)
                && let Some(allowance) = at.allowance(now)
            {
                let granted = at.home.grant(allowance, now);
                at.answers.extend(granted);
                if let Some(wakes) = at.home.wakes_at(allowance, now) {
                    let wakes = wakes.max(now.after(TOKENS_EVERY));
                    at.wakes = Some(wakes);
                    self.homes.wakes.insert((wakes, limit.clone()));
                }
            }
            for partition in std::mem::take(&mut at.answers) {
                let Some(Grant { epoch, n, ceiling, tokens }) = at.home.answer(partition) else { continue };
                let says = Permits::Grant { limit: limit.clone(), epoch, n, ceiling, tokens };
                self.batch.tell.push(publication(partition, self.partition, says));
            }
            if at.home.is_idle(now) && at.first.is_none() {
                if at.stored.is_some() {
                    let field = layout::limit_field(&limit);
                    self.batch.writes.push(Write::HashDelete { key: Key::Limits, field });
                }
                self.homes.all.remove(&limit);
                continue;
            }
            let (write, value) = layout::limit_write(&limit, &at.home);
            if at.stored.as_ref() != Some(&value) {
                at.stored = Some(value);
                self.batch.writes.push(write);
            }
        }
    }

    /// Asks those that are silent, and lets what is idle go.
    fn sweep_homes(&mut self, now: Timestamp) {
        if self.homes.census.closes(Instant::now()) {
            // All of them were waiting for that.
            self.homes.changed.extend(self.homes.all.keys().cloned());
        }
        let (takes, heard) = (self.broker_takes(), self.hearing.is_done());
        if let Some((question, silent)) = self.homes.census.asks(takes, heard, Instant::now()) {
            for partition in silent {
                let says = Permits::AskAll { home: self.partition, question };
                self.batch.tell.push(publication(partition, self.partition, says));
            }
        }
        if self.homes.sweeps_at().is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.homes.sweep_at = Some(Instant::now() + SWEEP);
        for (limit, at) in &mut self.homes.all {
            if at.home.is_idle(now) || at.first.is_some() {
                self.homes.changed.insert(limit.clone());
            }
            if at.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN) {
                continue;
            }
            // Of the others the census asks.
            let mut silent: BTreeSet<u32> = if self.homes.census.is_open() {
                BTreeSet::new()
            } else {
                at.home.silent(now, LONG_SILENT).into_iter().collect()
            };
            silent.extend(at.first.iter().flat_map(|(silent, _)| silent));
            at.asked = (!silent.is_empty()).then(Instant::now);
            for partition in silent {
                self.batch.tell.push(publication(
                    partition,
                    self.partition,
                    Permits::Ask { limit: limit.clone() },
                ));
            }
        }
    }
}

/// A message about limits, to the inbox of a partition.
pub(super) fn publication(to: u32, from: u32, says: Permits) -> Publication {
    let message_id = format!("{from}-permits");
    let message = PermitsMessage { format: FORMAT, says };
    let message = Message {
        // Made of words that always have a JSON form.
        body: serde_json::to_vec(&message).unwrap_or_default().into(),
        message_id,
        kind: Kind::Permits.as_str().to_owned(),
        ..Message::default()
    };
    Publication { queue: topology::inbox(to), message }
}
