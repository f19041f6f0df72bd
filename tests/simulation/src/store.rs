//! A node's way to the store: slow, cut, and now and then without an answer.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use oarlock_orchestrator::members::memory::Memory as Everybody;
use oarlock_orchestrator::members::{Member, Members};
use oarlock_orchestrator::store::{Claim, Error, Fields, Key, Ownership, Range, Store, Token, Write};
use oarlock_protocol::Span;
use tokio::time::sleep;

use crate::database::Database;
use crate::process::Process;
use crate::world::ms;

/// The store, as one node reaches it.
pub(crate) struct SimulatedStore {
    process: Arc<Process>,
    database: Arc<Database>,
}

impl SimulatedStore {
    pub(crate) fn new(process: &Arc<Process>, database: &Arc<Database>) -> Arc<Self> {
        Arc::new(Self { process: Arc::clone(process), database: Arc::clone(database) })
    }
}

/// Before a call reaches the store.
async fn reach(process: &Process, what: &str) -> Result<(), Error> {
    process.step(what).await;
    let faults = &process.world.faults;
    if process.is_away(&process.store_away_until, faults.store_away, "store")
        || process.world.strikes(faults.store_refuses)
    {
        return Err(unavailable("refused"));
    }
    Ok(())
}

/// Before the answer reaches the node.
async fn answer<T>(process: &Process, what: &str, answer: Result<T, Error>) -> Result<T, Error> {
    process.step(what).await;
    if process.world.strikes(process.world.faults.store_reply_lost) {
        return Err(unavailable("the answer was lost"));
    }
    answer
}

fn unavailable(why: &str) -> Error {
    Error::Unavailable(why.to_owned())
}

#[async_trait]
impl Store for SimulatedStore {
    async fn partitions(&self, wanted: u32) -> Result<u32, Error> {
        self.database.memory.partitions(wanted).await
    }

    async fn own(&self, partition: u32, claim: &Claim) -> Result<Ownership, Error> {
        reach(&self.process, "a claim").await?;
        let owned = self.database.own(&self.process.name, partition, claim).await;
        answer(&self.process, "the answer to a claim", owned).await
    }

    async fn release(&self, partition: u32, token: &Token) -> Result<(), Error> {
        reach(&self.process, "a release").await?;
        self.process.world.note(&format!("{} releases partition {partition}", self.process.name));
        let released = self.database.memory.release(partition, token).await;
        answer(&self.process, "the answer to a release", released).await
    }

    async fn commit(&self, partition: u32, token: &Token, seq: u64, writes: &[Write]) -> Result<(), Error> {
        if self.process.world.strikes(self.process.world.faults.commit_stalls) {
            self.process.stall("a commit");
        }
        reach(&self.process, "a commit").await?;
        let (process, database) = (Arc::clone(&self.process), Arc::clone(&self.database));
        if process.world.strikes(process.world.faults.store_late) {
            let (token, writes) = (token.clone(), writes.to_vec());
            let span = process.world.draw(|random| random.between(1, 2 * process.world.lease_ms));
            // On its way already: it arrives whatever becomes of its sender.
            tokio::spawn(async move {
                sleep(ms(span)).await;
                database.commit(&format!("{} (late)", process.name), partition, &token, seq, &writes).await
            });
            return Err(unavailable("it is still at work"));
        }
        let committed = database.commit(&process.name, partition, token, seq, writes).await;
        answer(&process, "the answer to a commit", committed).await
    }

    async fn read_hash(
        &self,
        partition: u32,
        key: &Key,
        fields: Fields,
    ) -> Result<Vec<(String, Bytes)>, Error> {
        reach(&self.process, "a read").await?;
        self.database.memory.read_hash(partition, key, fields).await
    }

    async fn read_sorted(
        &self,
        partition: u32,
        key: &Key,
        range: &Range,
    ) -> Result<Vec<(String, i64)>, Error> {
        reach(&self.process, "a read").await?;
        self.database.memory.read_sorted(partition, key, range).await
    }
}

/// The members, as one node reaches them.
pub(crate) struct SimulatedMembers {
    process: Arc<Process>,
    everybody: Arc<Everybody>,
}

impl SimulatedMembers {
    pub(crate) fn new(process: &Arc<Process>, everybody: &Arc<Everybody>) -> Arc<Self> {
        Arc::new(Self { process: Arc::clone(process), everybody: Arc::clone(everybody) })
    }
}

#[async_trait]
impl Members for SimulatedMembers {
    async fn beat(&self, member: &Member, lease: Span) -> Result<Vec<Member>, Error> {
        reach(&self.process, "a beat").await?;
        let living = self.everybody.beat(member, lease).await;
        answer(&self.process, "the answer to a beat", living).await
    }

    async fn leave(&self, id: &str) -> Result<(), Error> {
        reach(&self.process, "leaving").await?;
        self.everybody.leave(id).await
    }
}
