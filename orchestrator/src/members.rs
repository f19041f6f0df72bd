//! The members port: which orchestrators live. Who should own a partition follows from it; who does, only the lease says.
//!
//! An adapter keeps one entry a member, which ends by itself when the member stops beating. Adapters stand in the folder
//! `members/`, but for those that share a server with the store: they stand beside it.

use async_trait::async_trait;
use oarlock_protocol::Span;
use serde::{Deserialize, Serialize};

use crate::store::Error;

pub mod memory;

/// One start of an orchestrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Names this start of it: fresh whenever the process begins.
    pub id: String,
    /// The configured name, for people.
    pub name: String,
}

/// Knows the orchestrators that live.
#[async_trait]
pub trait Members: Send + Sync + 'static {
    /// Says that `member` lives, for as long as `lease` from now; answers who lives now, by id, itself among them.
    async fn beat(&self, member: &Member, lease: Span) -> Result<Vec<Member>, Error>;

    /// Takes a member out at once. An unknown one does nothing.
    async fn leave(&self, id: &str) -> Result<(), Error>;
}

/// Which of these members should own the partition: the same for everybody who knows the same members (rendezvous hashing).
pub fn wanted_owner(members: &[Member], partition: u32) -> Option<&Member> {
    members.iter().max_by_key(|member| (weight(&member.id, partition), member.id.as_str()))
}

/// Every member, whatever its release, has to come to the same answer: so the hash is written down here.
fn weight(id: &str, partition: u32) -> u64 {
    // FNV-1a over the id, then the finalizer of MurmurHash3.
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^= u64::from(partition).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
