//! The rules of the store port. See [`oarlock_orchestrator::store`].

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use oarlock_orchestrator::store::{Claim, Error, Fields, Key, Ownership, Range, Store, Token, Write};
use oarlock_protocol::{RunId, RunKey, Span};

use super::PATIENCE;

mod commits;
mod ownership;
mod reading;
mod writing;

pub use commits::*;
pub use ownership::*;
pub use reading::*;
pub use writing::*;

/// Makes the tests of an adapter: `store_rules!(memory, fresh_memory)`, where the function answers a [`Harness`].
#[macro_export]
macro_rules! store_rules {
    ($adapter:ident, $fresh:path) => {
        $crate::rules! { $adapter, $fresh, store, [
            the_number_of_partitions_is_fixed_at_first_use,
            a_free_partition_is_taken,
            a_held_partition_is_refused,
            of_two_claimants_one_owns,
            an_expired_lease_is_taken_with_a_greater_epoch,
            an_expired_lease_still_serves_its_owner,
            renewing_prolongs_the_lease,
            a_renewal_after_a_take_over_is_fenced,
            a_released_partition_is_free_at_once,
            releasing_with_an_old_token_does_nothing,
            taking_a_partition_tells_the_last_seq,
            a_commit_is_read_back,
            a_commit_without_ownership_is_fenced,
            a_commit_after_a_take_over_is_fenced,
            a_commit_after_a_release_is_fenced,
            a_token_of_another_nonce_is_fenced,
            the_same_seq_again_writes_nothing,
            an_older_seq_again_writes_nothing,
            a_gap_in_the_seq_tells_of_a_rollback,
            a_refused_commit_writes_nothing,
            an_empty_commit_counts,
            readers_see_whole_commits,
            partitions_commit_side_by_side,
            writes_apply_in_their_order,
            hash_fields_are_set_and_deleted,
            members_keep_one_score,
            deleting_a_key_removes_it_wholly,
            deleting_what_is_missing_does_nothing,
            partitions_are_apart,
            keys_are_apart,
            large_values_come_back,
            empty_values_and_names_come_back,
            names_may_hold_any_character,
            named_fields_leave_out_what_is_missing,
            scores_sort_by_number_then_member,
            ranges_include_both_ends,
            ranges_page_in_both_directions,
            odd_ranges_are_empty,
        ] }
    };
}

/// Makes the time of a store's leases go on.
pub type Pass = Box<dyn Fn(Span) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A fresh store for one rule.
pub struct Harness {
    store: Arc<dyn Store>,
    other: Arc<dyn Store>,
    pass: Pass,
    _guard: Box<dyn Any + Send + Sync>,
}

/// How many partitions the stores of the rules have.
const PARTITIONS: u32 = 4;
/// The lease of an owner that is to stay.
const LONG: Span = Span::from_secs(600);
/// The lease of an owner that is to go: a store of real time really waits for it.
const SHORT: Span = Span::from_millis(1500);

impl Harness {
    /// A harness of two nodes on one empty store; an adapter without connections hands in the same twice. `pass`
    /// makes at least so much time go by for leases: it sets a clock, or really waits. `guard` is dropped when the rule
    /// is over, and cleans up.
    pub fn new(
        store: Arc<dyn Store>,
        other: Arc<dyn Store>,
        pass: Pass,
        guard: impl Any + Send + Sync,
    ) -> Self {
        Self { store, other, pass, _guard: Box::new(guard) }
    }

    /// Fixes the partitions and takes partition 0 for long.
    async fn owner(&self) -> Token {
        self.partitions().await;
        self.take(0, LONG).await
    }

    async fn partitions(&self) {
        assert_eq!(self.store.partitions(PARTITIONS).await, Ok(PARTITIONS));
        // Every node asks before it does anything else.
        assert_eq!(self.other.partitions(PARTITIONS).await, Ok(PARTITIONS));
    }

    async fn take(&self, partition: u32, lease: Span) -> Token {
        owned(self.store.own(partition, &claim("one", lease, None)).await).0
    }

    /// Commits to partition 0 as it must succeed.
    async fn commit(&self, token: &Token, seq: u64, writes: &[Write]) {
        self.store.commit(0, token, seq, writes).await.unwrap();
    }

    /// A hash of partition 0, sorted by field.
    async fn hash(&self, key: &Key) -> Vec<(String, Bytes)> {
        let mut fields = self.other.read_hash(0, key, Fields::All).await.unwrap();
        fields.sort();
        fields
    }

    /// A whole sorted set of partition 0.
    async fn sorted(&self, key: &Key) -> Vec<(String, i64)> {
        self.other.read_sorted(0, key, &everything()).await.unwrap()
    }
}

fn claim(holder: &str, lease: Span, token: Option<&Token>) -> Claim {
    Claim { holder: holder.to_owned(), lease, token: token.cloned() }
}

/// The token and seq of a claim that must have succeeded.
fn owned(answer: Result<Ownership, Error>) -> (Token, u64) {
    match answer.unwrap() {
        Ownership::Owned { token, seq, .. } => (token, seq),
        held @ Ownership::HeldBy { .. } => panic!("it should be free: {held:?}"),
    }
}

fn run(number: u128) -> Key {
    Key::Run(RunKey::new("acme", RunId::from_uuid(uuid::Uuid::from_u128(number))))
}

fn set(key: &Key, field: &str, value: &str) -> Write {
    Write::HashSet { key: key.clone(), field: field.to_owned(), value: Bytes::from(value.to_owned()) }
}

fn unset(key: &Key, field: &str) -> Write {
    Write::HashDelete { key: key.clone(), field: field.to_owned() }
}

fn score(key: &Key, member: &str, score: i64) -> Write {
    Write::SortedSet { key: key.clone(), member: member.to_owned(), score }
}

fn unscore(key: &Key, member: &str) -> Write {
    Write::SortedRemove { key: key.clone(), member: member.to_owned() }
}

/// What [`Harness::hash`] answers for these fields.
fn fields<const N: usize>(fields: [(&str, &str); N]) -> Vec<(String, Bytes)> {
    fields.map(|(field, value)| (field.to_owned(), Bytes::from(value.to_owned()))).to_vec()
}

/// What [`Harness::sorted`] answers for these members.
fn members<const N: usize>(members: [(&str, i64); N]) -> Vec<(String, i64)> {
    members.map(|(member, score)| (member.to_owned(), score)).to_vec()
}

fn everything() -> Range {
    Range { from: i64::MIN, to: i64::MAX, after: None, limit: usize::MAX, descending: false }
}
