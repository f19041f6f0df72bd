//! What is held back in the whole fleet: queues and definitions that somebody has paused.
//!
//! One hash holds all of them, at one home partition, whose owner alone changes it. Every node reads it before it owns
//! anything, then every few seconds, and at once where it has changed it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use oarlock_protocol::message::PauseSubject;
use oarlock_protocol::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::admission::Admissions;
use crate::layout;
use crate::store::{self, Fields, Key, Store, Write};

/// A pause that another node began or ended is known here within this time.
const READ_AGAIN: Duration = Duration::from_secs(2);
/// The most that is kept, what has ended with it: each node has all of it in memory.
pub(crate) const MOST: usize = 1_000;
/// A pause that has ended is remembered for so long: tasks that it held back count their time in the queue from its end.
const REMEMBERED: Span = Span::from_secs(7 * 24 * 60 * 60);

/// A pause of a queue or a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// What is held back.
    pub subject: PauseSubject,
    /// Since when.
    pub since: Timestamp,
    /// Who asked for it.
    pub requested_by: String,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// When it ended; none while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Pause {
    /// What is held back, for people.
    pub fn named(&self) -> String {
        match &self.subject {
            PauseSubject::Queue { queue } => format!("the queue '{queue}'"),
            PauseSubject::Task { task, .. } => format!("the task definition '{task}'"),
            PauseSubject::Workflow { workflow, .. } => format!("the workflow '{workflow}'"),
        }
    }

    /// The command that ends it.
    pub fn ended_by(&self) -> String {
        match &self.subject {
            PauseSubject::Queue { queue } => format!("oarlock resume --queue {queue}"),
            PauseSubject::Task { task, .. } => format!("oarlock resume --task {task}"),
            PauseSubject::Workflow { workflow, .. } => format!("oarlock resume --workflow {workflow}"),
        }
    }
}

/// What of a task a pause may name.
#[derive(Clone, Copy)]
pub(crate) struct Labels<'a> {
    pub(crate) queue: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) task: &'a str,
    pub(crate) workflow: &'a str,
}

/// The pauses, as this node knows them.
pub(crate) struct Pauses {
    store: Arc<dyn Store>,
    home: u32,
    admissions: Arc<Admissions>,
    known: Mutex<BTreeMap<PauseSubject, Pause>>,
    /// One read after the other: a later one never gives way to an earlier.
    reading: tokio::sync::Mutex<()>,
}

impl Pauses {
    pub(crate) fn new(store: Arc<dyn Store>, partitions: u32, admissions: Arc<Admissions>) -> Self {
        let home = layout::pauses_home(partitions);
        Self { store, home, admissions, known: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// The partition whose owner changes them.
    pub(crate) fn home(&self) -> u32 {
        self.home
    }

    /// Reads what the store has.
    pub(crate) async fn read(&self) -> Result<(), store::Error> {
        let _one = self.reading.lock().await;
        let known = read(&*self.store, self.home).await?;
        let lasting: BTreeSet<PauseSubject> =
            known.values().filter(|pause| pause.until.is_none()).map(|pause| pause.subject.clone()).collect();
        let before = std::mem::replace(&mut *lock(&self.known), known);
        let lasted: BTreeSet<PauseSubject> =
            before.into_values().filter(|pause| pause.until.is_none()).map(|pause| pause.subject).collect();
        if lasted != lasting {
            self.admissions.pause(&lasting);
        }
        Ok(())
    }

    /// Keeps up with what other nodes change.
    pub(crate) async fn follow_for_ever(self: Arc<Self>) {
        loop {
            tokio::time::sleep(READ_AGAIN).await;
            if let Err(error) = self.read().await {
                tracing::debug!(%error, "the pauses cannot be read now; those that are known hold");
            }
        }
    }

    /// All that last.
    pub(crate) fn lasting(&self) -> Vec<Pause> {
        lock(&self.known).values().filter(|pause| pause.until.is_none()).cloned().collect()
    }

    /// Until when such a task was held back last: `now` where it still is.
    pub(crate) fn held_until(&self, labels: Labels<'_>, now: Timestamp) -> Option<Timestamp> {
        let known = lock(&self.known);
        let ends = known.values().filter(|pause| names(&pause.subject, labels));
        ends.map(|pause| pause.until.unwrap_or(now)).max()
    }
}

/// What the store has.
pub(crate) async fn read(
    store: &dyn Store,
    home: u32,
) -> Result<BTreeMap<PauseSubject, Pause>, store::Error> {
    let mut known = BTreeMap::new();
    for (field, value) in store.read_hash(home, &Key::Pauses, Fields::All).await? {
        match serde_json::from_slice::<Pause>(&value) {
            Ok(pause) => drop(known.insert(pause.subject.clone(), pause)),
            Err(error) => tracing::error!(field, %error, "a pause in the store cannot be read"),
        }
    }
    Ok(known)
}

/// The writes that make `known` hold `pause`; what is over for long goes. None where it is full.
pub(crate) fn put(
    known: &BTreeMap<PauseSubject, Pause>,
    pause: &Pause,
    now: Timestamp,
) -> Option<Vec<Write>> {
    let mut writes = Vec::new();
    let is_old = |of: &&Pause| of.until.is_some_and(|until| now.since(until) > REMEMBERED);
    for old in known.values().filter(is_old).filter(|old| old.subject != pause.subject) {
        writes.push(Write::HashDelete { key: Key::Pauses, field: layout::pause_field(&old.subject) });
    }
    let is_new = !known.contains_key(&pause.subject);
    if is_new && known.len() - writes.len() >= MOST {
        return None;
    }
    let value = serde_json::to_vec(pause).map(Bytes::from).unwrap_or_default();
    writes.push(Write::HashSet { key: Key::Pauses, field: layout::pause_field(&pause.subject), value });
    Some(writes)
}

/// Whether a pause of this holds such a task back.
pub(crate) fn names(subject: &PauseSubject, labels: Labels<'_>) -> bool {
    match subject {
        PauseSubject::Queue { queue } => queue == labels.queue,
        PauseSubject::Task { tenant_id, task } => tenant_id == labels.tenant && task == labels.task,
        PauseSubject::Workflow { tenant_id, workflow } => {
            tenant_id == labels.tenant && workflow == labels.workflow
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves the map whole: each change of it is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
