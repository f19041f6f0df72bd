//! Members of one process: for the embedded mode, where there is one, and for tests with several.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use oarlock_protocol::Span;

use super::{Member, Members};
use crate::store::Error;
use crate::store::lease::{Clock, monotonic};

/// The members that share this value.
pub struct Memory {
    clock: Clock,
    /// By id: the member, and until when it lives.
    members: Mutex<BTreeMap<String, (Member, u64)>>,
}

impl Memory {
    /// Nobody yet, by the clock of this machine.
    pub fn new() -> Self {
        Self::with_clock(monotonic())
    }

    /// Nobody yet, by the given clock.
    pub fn with_clock(clock: Clock) -> Self {
        Self { clock, members: Mutex::default() }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Members for Memory {
    async fn beat(&self, member: &Member, lease: Span) -> Result<Vec<Member>, Error> {
        let now_ms = (self.clock)();
        // A panic elsewhere leaves the map whole: each change of it is one call.
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.insert(member.id.clone(), (member.clone(), now_ms.saturating_add(lease.as_millis())));
        members.retain(|_, (_, until)| now_ms < *until);
        Ok(members.values().map(|(member, _)| member.clone()).collect())
    }

    async fn leave(&self, id: &str) -> Result<(), Error> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(())
    }
}
