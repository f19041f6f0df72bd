//! The members port on Redis: entries that end by the time of the server, so that no two clocks have to agree.

use async_trait::async_trait;
use oarlock_protocol::Span;

use super::{Redis, fault, scripts};
use crate::members::{Member, Members};
use crate::store::Error;

#[async_trait]
impl Members for Redis {
    async fn beat(&self, member: &Member, lease: Span) -> Result<Vec<Member>, Error> {
        let (until, entries) = self.names.members();
        let entry = serde_json::to_vec(member).map_err(|error| Error::Unusable(error.to_string()))?;
        let mut call = scripts::BEAT.call(&[&until.key, &entries.key]);
        call.arg(&member.id).arg(entry).arg(lease.as_millis());
        let living: Vec<Vec<u8>> = self.ask(until.place, call).await?;
        let read = |entry: Vec<u8>| serde_json::from_slice(&entry);
        let living: Result<Vec<Member>, _> = living.into_iter().map(read).collect();
        let mut living = living.map_err(|error| fault::unexpected(&error))?;
        living.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(living)
    }

    async fn leave(&self, id: &str) -> Result<(), Error> {
        let (until, entries) = self.names.members();
        let mut call = scripts::LEAVE.call(&[&until.key, &entries.key]);
        call.arg(id);
        self.ask::<redis::Value>(until.place, call).await.map(drop)
    }
}
