//! The rules of the members port. See [`oarlock_orchestrator::members`].

use std::any::Any;
use std::sync::Arc;

use oarlock_orchestrator::members::{Member, Members};
use oarlock_protocol::Span;

use super::store::Pass;

/// Makes the tests of an adapter: `members_rules!(memory, fresh_memory)`, where the function answers a [`Harness`].
#[macro_export]
macro_rules! members_rules {
    ($adapter:ident, $fresh:path) => {
        $crate::rules! { $adapter, $fresh, members, [
            a_member_sees_itself,
            members_see_each_other_in_the_order_of_their_ids,
            a_member_that_stops_beating_is_gone,
            a_beat_prolongs_a_members_time,
            a_member_that_leaves_is_gone_at_once,
            who_left_may_come_back,
            leaving_twice_does_nothing,
            the_latest_beat_tells_the_name,
            names_may_be_any_text,
            beats_at_once_see_everybody,
        ] }
    };
}

/// Fresh members for one rule.
pub struct Harness {
    members: Arc<dyn Members>,
    other: Arc<dyn Members>,
    pass: Pass,
    _guard: Box<dyn Any + Send + Sync>,
}

/// Longer than any rule.
const LONG: Span = Span::from_secs(600);
/// The time of a member that is to end: an adapter of real time really waits for it.
const SHORT: Span = Span::from_millis(1500);

impl Harness {
    /// A harness of two nodes that see the same members, none yet; an adapter without connections hands in the same twice.
    /// `pass` makes at least so much time go by. `guard` is dropped when the rule is over, and cleans up.
    pub fn new(
        members: Arc<dyn Members>,
        other: Arc<dyn Members>,
        pass: Pass,
        guard: impl Any + Send + Sync,
    ) -> Self {
        Self { members, other, pass, _guard: Box::new(guard) }
    }

    /// The ids that a beat of `id` answers.
    async fn beat(&self, id: &str, lease: Span) -> Vec<String> {
        ids(&self.members.beat(&member(id), lease).await.unwrap())
    }
}

fn member(id: &str) -> Member {
    Member { id: id.to_owned(), name: format!("the name of {id}") }
}

fn ids(members: &[Member]) -> Vec<String> {
    members.iter().map(|member| member.id.clone()).collect()
}

/// Who beats is among the answer, with its name.
pub async fn a_member_sees_itself(harness: Harness) {
    assert_eq!(harness.members.beat(&member("a"), LONG).await, Ok(vec![member("a")]));
    assert_eq!(harness.members.beat(&member("a"), LONG).await, Ok(vec![member("a")]));
}

/// Everybody sees everybody, in the same order.
pub async fn members_see_each_other_in_the_order_of_their_ids(harness: Harness) {
    harness.beat("b", LONG).await;
    harness.beat("c", LONG).await;
    assert_eq!(ids(&harness.other.beat(&member("a"), LONG).await.unwrap()), ["a", "b", "c"]);
    assert_eq!(harness.beat("c", LONG).await, ["a", "b", "c"]);
}

/// A member is gone when its time is over.
pub async fn a_member_that_stops_beating_is_gone(harness: Harness) {
    harness.beat("a", SHORT).await;
    assert_eq!(harness.beat("b", LONG).await, ["a", "b"]);
    (harness.pass)(SHORT).await;
    assert_eq!(harness.beat("b", LONG).await, ["b"]);
}

/// Each beat counts from now, also a shorter one.
pub async fn a_beat_prolongs_a_members_time(harness: Harness) {
    harness.beat("a", SHORT).await;
    harness.beat("b", LONG).await;
    harness.beat("a", LONG).await;
    harness.beat("b", SHORT).await;
    (harness.pass)(SHORT).await;
    assert_eq!(harness.beat("c", LONG).await, ["a", "c"]);
}

/// Nobody waits for the time of one who said goodbye.
pub async fn a_member_that_leaves_is_gone_at_once(harness: Harness) {
    harness.beat("a", LONG).await;
    harness.beat("b", LONG).await;
    harness.other.leave("a").await.unwrap();
    assert_eq!(harness.beat("b", LONG).await, ["b"]);
}

/// A beat after a goodbye is a new entry.
pub async fn who_left_may_come_back(harness: Harness) {
    harness.beat("a", LONG).await;
    harness.members.leave("a").await.unwrap();
    assert_eq!(harness.beat("a", LONG).await, ["a"]);
}

/// Taking out who is not there is no error.
pub async fn leaving_twice_does_nothing(harness: Harness) {
    harness.members.leave("a").await.unwrap();
    harness.beat("a", LONG).await;
    harness.beat("b", LONG).await;
    harness.members.leave("a").await.unwrap();
    harness.members.leave("a").await.unwrap();
    assert_eq!(harness.beat("b", LONG).await, ["b"]);
}

/// An entry is replaced wholly.
pub async fn the_latest_beat_tells_the_name(harness: Harness) {
    harness.beat("a", LONG).await;
    let renamed = Member { id: "a".to_owned(), name: "another".to_owned() };
    assert_eq!(harness.members.beat(&renamed, LONG).await, Ok(vec![renamed.clone()]));
    let both = harness.other.beat(&member("b"), LONG).await.unwrap();
    assert_eq!(both, [renamed, member("b")]);
}

/// Ids and names come back as they were given.
pub async fn names_may_be_any_text(harness: Harness) {
    let odd = ["", "a b", "{x}:1", "\r\n", "\0", "ü", "\"quoted\""];
    for id in odd {
        harness.beat(id, LONG).await;
    }
    let seen = harness.members.beat(&member("z"), LONG).await.unwrap();
    let mut expected: Vec<Member> = odd.iter().chain(&["z"]).map(|id| member(id)).collect();
    expected.sort_by(|one, two| one.id.cmp(&two.id));
    assert_eq!(seen, expected);
}

/// Of members that beat at the same time none is lost.
pub async fn beats_at_once_see_everybody(harness: Harness) {
    let mut beats = tokio::task::JoinSet::new();
    for number in 0..20 {
        let members = Arc::clone(if number % 2 == 0 { &harness.members } else { &harness.other });
        beats.spawn(async move { members.beat(&member(&format!("m{number:02}")), LONG).await.unwrap() });
    }
    let answers = tokio::time::timeout(super::PATIENCE, beats.join_all()).await.unwrap();
    assert!(answers.iter().any(|answer| answer.len() == 20));
    assert_eq!(harness.beat("m00", LONG).await.len(), 20);
}
