//! The runs of a partition that are in memory, each with its plan.

use std::sync::Arc;

use futures_util::future::join_all;
use oarlock_engine::map::{Map, Set};
use oarlock_engine::{self as engine, Plan, Run};
use oarlock_protocol::message::PayloadReference;
use oarlock_protocol::{RunKey, TaskPath};

use super::Shared;
use super::timers::Stored;
use super::times::Times;
use crate::books::{self, Entries};
use crate::definitions;
use crate::layout::{StoredRun, Tombstone, Unreadable};
use crate::store::{self, Fields, Key};

/// The runs in memory.
#[derive(Default)]
pub(super) struct Runs {
    cached: Map<RunKey, Cached>,
    /// What was read ahead for the round at hand, each until it is asked for.
    ahead: Map<RunKey, Read>,
    uses: u64,
}

/// A run in memory.
pub(super) struct Cached {
    pub(super) run: Run,
    pub(super) plan: Arc<Plan>,
    /// Whether the batch at hand names it.
    pub(super) in_batch: bool,
    /// The places that wait for a time, and for which.
    pub(super) timers: Times<TaskPath>,
    /// What the store has of that.
    pub(super) stored: Stored,
    /// Where its open tasks stand, as the books have them.
    pub(super) entries: Entries,
    /// Payloads that its latest decisions looked into: the next one may need them again.
    pub(super) opened: Vec<PayloadReference>,
    used: u64,
}

/// Why a run cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It is stored in a way this release cannot read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Its definition cannot be used.
    #[error(transparent)]
    Definition(definitions::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What there is of a run.
pub(super) enum Found<'a> {
    /// The run.
    Run(&'a mut Cached),
    /// It was forgotten; its key is remembered.
    Tombstone(Tombstone),
    /// Nothing.
    Nothing,
}

impl Runs {
    /// The run, loaded where it is not in memory; none where there is no such run.
    pub(super) async fn get(
        &mut self,
        shared: &Shared,
        partition: u32,
        key: &RunKey,
    ) -> Result<Option<&mut Cached>, Error> {
        match self.find(shared, partition, key).await? {
            Found::Run(cached) => Ok(Some(cached)),
            Found::Tombstone(_) | Found::Nothing => Ok(None),
        }
    }

    /// Reads what is not in memory of the runs that a round is about, all at once: one after the other, each would wait for the
    /// store behind the commits of other partitions. What cannot be read is read again, and told, when it is asked for.
    pub(super) async fn read_ahead(
        &mut self,
        shared: &Shared,
        partition: u32,
        runs: impl Iterator<Item = RunKey>,
    ) {
        let missing: Set<RunKey> = runs.filter(|run| !self.cached.contains_key(run)).collect();
        // One alone is read when it is asked for.
        if missing.len() < 2 {
            return;
        }
        let reads = missing.into_iter().map(|run| async {
            let read = read(shared, partition, &run).await.ok()?;
            Some((run, read))
        });
        self.ahead.extend(join_all(reads).await.into_iter().flatten());
    }

    /// Forgets what was read ahead: a commit may have changed it.
    pub(super) fn end_round(&mut self) {
        self.ahead.clear();
    }

    /// The run, loaded where it is not in memory, or what is remembered of it.
    pub(super) async fn find(
        &mut self,
        shared: &Shared,
        partition: u32,
        key: &RunKey,
    ) -> Result<Found<'_>, Error> {
        if !self.cached.contains_key(key) {
            let read = match self.ahead.remove(key) {
                Some(read) => read,
                None => read(shared, partition, key).await?,
            };
            match read {
                Read::Run(run, plan) => {
                    let run = if shared.payloads.is_some() { run.following_payloads() } else { *run };
                    let ended = run.head.status.is_terminal();
                    let timers = engine::Timers::new(&plan, &run, &shared.settings.engine).all().collect();
                    let entries = books::entries(&plan, &run);
                    self.put(run, plan);
                    if let Some(cached) = self.cached.get_mut(key) {
                        cached.entries = entries;
                        cached.timers = timers;
                        cached.stored = if ended { Stored::Ended } else { Stored::Unknown };
                    }
                }
                Read::Tombstone(tombstone) => return Ok(Found::Tombstone(tombstone)),
                Read::Nothing => return Ok(Found::Nothing),
            }
        }
        self.uses += 1;
        let uses = self.uses;
        let Some(cached) = self.cached.get_mut(key) else { return Ok(Found::Nothing) };
        cached.used = uses;
        Ok(Found::Run(cached))
    }

    /// The run, where it is in memory.
    pub(super) fn cached(&mut self, key: &RunKey) -> Option<&mut Cached> {
        self.cached.get_mut(key)
    }

    /// Takes a run in that was just started.
    pub(super) fn put(&mut self, run: Run, plan: Arc<Plan>) {
        self.uses += 1;
        let (timers, stored, used) = (Times::default(), Stored::Nothing, self.uses);
        let key = run.key.clone();
        let (entries, opened) = (Entries::default(), Vec::new());
        let cached = Cached { run, plan, in_batch: false, timers, stored, entries, opened, used };
        self.cached.insert(key, cached);
    }

    /// Drops a run from memory.
    pub(super) fn drop(&mut self, key: &RunKey) {
        self.cached.remove(key);
        self.ahead.remove(key);
    }

    /// Drops the least recently used tenth when more than `most` are in memory. Only between commits.
    pub(super) fn shrink(&mut self, most: usize) {
        if self.cached.len() <= most {
            return;
        }
        let mut used: Vec<u64> = self.cached.values().map(|cached| cached.used).collect();
        used.sort_unstable();
        let border = used.get(self.cached.len() - most + most / 10).copied().unwrap_or(self.uses);
        self.cached.retain(|_, cached| cached.used >= border);
    }
}

/// Reads a run from the store; none where there is no such run.
pub(crate) async fn load(
    shared: &Shared,
    partition: u32,
    key: &RunKey,
) -> Result<Option<(Run, Arc<Plan>)>, Error> {
    match read(shared, partition, key).await? {
        Read::Run(run, plan) => Ok(Some((*run, plan))),
        Read::Tombstone(_) | Read::Nothing => Ok(None),
    }
}

enum Read {
    Run(Box<Run>, Arc<Plan>),
    Tombstone(Tombstone),
    Nothing,
}

async fn read(shared: &Shared, partition: u32, key: &RunKey) -> Result<Read, Error> {
    let fields = shared.store.read_hash(partition, &Key::Run(key.clone()), Fields::All).await?;
    let tombstone = Tombstone::read(&fields)?;
    let Some(stored) = StoredRun::read(fields)? else {
        return Ok(tombstone.map_or(Read::Nothing, Read::Tombstone));
    };
    let (id, version) = (stored.head.workflow_definition_id.clone(), stored.head.workflow_definition_version);
    let plan =
        shared.definitions.plan(&key.tenant, &id, Some(version)).await.map_err(|error| match error {
            definitions::Error::Store(error) => Error::Store(error),
            other => Error::Definition(other),
        })?;
    let run = stored.into_run(key.clone(), &plan, shared.clock.now())?;
    Ok(Read::Run(Box::new(run), plan))
}
