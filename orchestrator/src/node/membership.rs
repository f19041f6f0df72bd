//! Who lives, and so which partitions this node should own. It only wishes: the lease in the store decides.

use std::sync::Arc;
use std::time::Duration;

use oarlock_protocol::Span;
use tokio::sync::watch;

use super::Slot;
use crate::members::{Member, Members, wanted_owner};
use crate::partition::Wish;
use crate::store::Error;

/// The longest pause between two beats: as long as a hand-over waits for being noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What this node knows of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Who lives, by id, this node among them; empty before the first answer of the store.
    pub members: Vec<Member>,
    /// Why the store could not be asked the last time.
    pub problem: Option<String>,
}

/// Beats until it is aborted, and tells every partition whether it is wished here.
pub(super) async fn beat_for_ever(
    members: Arc<dyn Members>,
    me: Member,
    lease: Span,
    slots: Arc<Vec<Slot>>,
    known: watch::Sender<Membership>,
) {
    let pause = (Duration::from(lease) / 4).min(LONGEST_PAUSE);
    let within = Duration::from(lease);
    loop {
        let mut beat = members.beat(&me, lease);
        let answer = match tokio::time::timeout(within, &mut beat).await {
            Ok(answer) => answer,
            Err(_) => {
                // By now nothing that this node owns is sure to be its own. The call goes on: it ends with its connection.
                let error = Error::Unavailable(format!("it has not answered for {lease}"));
                tell_problem(&known, &error);
                beat.await
            }
        };
        match answer {
            Ok(living) => {
                wish(&me, &living, &slots);
                known.send_if_modified(|known| notice(known, living));
            }
            // What this node owns it keeps for as long as its leases run.
            Err(error) => tell_problem(&known, &error),
        }
        tokio::time::sleep(pause).await;
    }
}

fn tell_problem(known: &watch::Sender<Membership>, error: &Error) {
    known.send_if_modified(|known| {
        if known.problem.is_none() {
            tracing::warn!(%error, "the store does not answer; this node goes on with what it owns");
        }
        known.problem.replace(error.to_string()) != known.problem
    });
}

fn wish(me: &Member, living: &[Member], slots: &[Slot]) {
    for (partition, slot) in (0..).zip(slots) {
        let mine = wanted_owner(living, partition).is_some_and(|owner| owner.id == me.id);
        let wish = if mine { Wish::Own } else { Wish::Leave };
        slot.wish.send_if_modified(|before| std::mem::replace(before, wish) != wish);
    }
}

/// Takes over what the store told. Whether that is news.
fn notice(known: &mut Membership, living: Vec<Member>) -> bool {
    if known.problem.take().is_some() {
        tracing::info!("the store answers again");
    } else if known.members == living {
        return false;
    }
    if known.members != living {
        let names: Vec<_> = living.iter().map(|member| member.name.as_str()).collect();
        tracing::info!(members = names.join(", "), "the orchestrators that live");
    }
    known.members = living;
    true
}
