//! The one store of a simulation: the embedded one, beside a mirror that is checked after every commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use oarlock_orchestrator::store::memory::{Memory, Moment};
use oarlock_orchestrator::store::{Claim, Error, Key, Ownership, Store, Token, Write};
use oarlock_protocol::{ExecutionId, RunKey};

use crate::fleet::Size;
use crate::invariants::{self, Circumstances};
use crate::mirror::Mirror;
use crate::mutation::Mutation;
use crate::schedule;
use crate::world::{World, lock};

/// The store of all nodes.
pub(crate) struct Database {
    pub(crate) world: Arc<World>,
    pub(crate) memory: Memory,
    pub(crate) mirror: Mutex<Mirror>,
    /// The names of the messages the broker has confirmed.
    pub(crate) confirmed: Mutex<BTreeSet<String>>,
    /// What became of messages, by their names.
    pub(crate) mail: Mutex<BTreeMap<String, Mail>>,
    /// How often a partition was taken.
    pub(crate) takes: AtomicU32,
    standing: Mutex<Vec<Standing>>,
    mutation: Mutation,
    size: Size,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mail {
    /// How often it was published.
    pub(crate) published: u32,
    /// How often its publisher did not hear that it was.
    pub(crate) unheard: u32,
    /// How often it was handed to a consumer.
    pub(crate) delivered: u32,
}

/// Who owns a partition, and how far it has come.
#[derive(Clone, Default)]
struct Standing {
    token: Option<Token>,
    seq: u64,
    /// Whether the store lost commits, and nothing was committed since by who was told so.
    restarted: bool,
}

/// What the store held at some moment.
pub(crate) struct Kept {
    moment: Moment,
    mirror: Mirror,
    standing: Vec<Standing>,
}

impl Database {
    pub(crate) fn new(world: &Arc<World>, size: &Size, mutation: Mutation) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            memory: Memory::with_clock(world.monotonic()),
            mirror: Mutex::default(),
            confirmed: Mutex::default(),
            mail: Mutex::default(),
            takes: AtomicU32::new(0),
            standing: Mutex::new(vec![Standing::default(); size.partitions as usize]),
            mutation,
            size: size.clone(),
        })
    }

    /// Notes that a message was published, and whether its publisher heard so.
    pub(crate) fn sent(&self, name: String, unheard: bool) {
        let mut mail = lock(&self.mail);
        let mail = mail.entry(name).or_default();
        mail.published += 1;
        mail.unheard += u32::from(unheard);
    }

    pub(crate) fn look<T>(&self, at: impl FnOnce(&Mirror) -> T) -> T {
        at(&lock(&self.mirror))
    }

    /// The attempt that is open at a place.
    pub(crate) fn open_at(&self, run: &RunKey, path: &str) -> Option<ExecutionId> {
        self.look(|mirror| {
            let view = mirror.runs.get(run)?;
            view.open().find(|(at, ..)| *at == path).map(|(_, attempt, _)| attempt)
        })
    }

    pub(crate) async fn own(&self, who: &str, partition: u32, claim: &Claim) -> Result<Ownership, Error> {
        let owned = self.memory.own(partition, claim).await;
        let Ok(Ownership::Owned { token, seq, .. }) = &owned else { return owned };
        if claim.token.is_some() {
            return owned;
        }
        self.world.note(&format!("{who} takes partition {partition} as {} at {seq}", token.epoch));
        self.takes.fetch_add(1, Ordering::Relaxed);
        let mut standing = lock(&self.standing);
        let standing = &mut standing[partition as usize];
        standing.token = Some(token.clone());
        Ok(Ownership::Owned { token: token.clone(), seq: *seq, restarted: standing.restarted })
    }

    pub(crate) async fn commit(
        &self,
        who: &str,
        partition: u32,
        token: &Token,
        seq: u64,
        writes: &[Write],
    ) -> Result<(), Error> {
        let standing = lock(&self.standing)[partition as usize].clone();
        let current = standing.token.clone().unwrap_or_else(|| token.clone());
        let (told_token, told_seq) = match self.mutation {
            Mutation::NoToken => (current.clone(), seq),
            Mutation::NoSeq if *token == current => (token.clone(), standing.seq + 1),
            _ => (token.clone(), seq),
        };
        let kept: Vec<Write>;
        let writes = if self.mutation == Mutation::NoOutbox {
            let is_outbox = |write: &&Write| !matches!(write, Write::HashSet { key: Key::Outbox, .. });
            kept = writes.iter().filter(is_outbox).cloned().collect();
            &kept
        } else {
            writes
        };
        let committed = self.memory.commit(partition, &told_token, told_seq, writes).await;
        self.world.note(&format!(
            "{who} commits {partition}:{seq} ({} writes): {}",
            writes.len(),
            told(&committed)
        ));
        if committed.is_ok() && told_seq > standing.seq {
            let told = |standing: &mut Standing| (standing.seq, standing.restarted) = (told_seq, false);
            told(&mut lock(&self.standing)[partition as usize]);
            if self.mutation.is_watched() {
                self.world.check(rightful(partition, token == &current, seq, standing.seq));
            }
            let checked = self.check(partition, writes);
            self.world.check(checked);
        }
        committed
    }

    fn check(&self, partition: u32, writes: &[Write]) -> Result<(), String> {
        let mut mirror = lock(&self.mirror);
        let touched = mirror.apply(partition, writes)?;
        for key in touched.keys() {
            if let Some(view) = mirror.runs.get(key) {
                let told = view.run_status().map_or("gone", |status| status.as_str());
                self.world.note(&format!("   {} {} {told}", view.workflow(), key.run));
            }
        }
        let around = Circumstances {
            partition,
            confirmed: &lock(&self.confirmed),
            watches_outbox: self.mutation.is_watched() && self.size.keeps_messages,
            window: self.size.window,
            now_ms: self.world.now_ms(),
            skew_ms: i64::try_from(self.world.faults.skew_ms).unwrap_or(0),
        };
        schedule::one_at_a_time(&mirror, &self.world)?;
        invariants::check(&mirror, &touched, &around)
    }

    /// What it holds now.
    pub(crate) fn keep(&self) -> Kept {
        Kept {
            moment: self.memory.moment(),
            mirror: lock(&self.mirror).clone(),
            standing: lock(&self.standing).clone(),
        }
    }

    /// Loses every commit since then, as a server does that starts again from what lies on its disk.
    pub(crate) fn go_back(&self, to: Kept) {
        let lost: u64 = {
            let standing = lock(&self.standing);
            standing.iter().zip(&to.standing).map(|(now, then)| now.seq - then.seq).sum()
        };
        self.world.note(&format!("the store loses its last {lost} commits"));
        self.memory.go_back(&to.moment);
        *lock(&self.mirror) = to.mirror;
        let restarted = |standing| Standing { restarted: true, ..standing };
        *lock(&self.standing) = to.standing.into_iter().map(restarted).collect();
        self.world.rollbacks.fetch_add(1, Ordering::Relaxed);
        self.world.struck.fetch_add(1, Ordering::Relaxed);
    }
}

fn rightful(partition: u32, is_current: bool, seq: u64, stored: u64) -> Result<(), String> {
    if !is_current {
        return Err(format!("partition {partition} took a commit without its owner's token"));
    }
    if seq != stored + 1 {
        return Err(format!("partition {partition} stood at {stored} and took commit {seq}"));
    }
    Ok(())
}

fn told(result: &Result<(), Error>) -> String {
    result.as_ref().map_or_else(ToString::to_string, |()| "done".to_owned())
}
