//! Ends a process whose partitions stand still: one that cannot renew must not be in the way of who takes over.
//!
//! Every partition at work shows a [`Pulse`] in each round and while it waits for store or broker. The watchdog is a thread of its own:
//! it beats although every thread of the runtime hangs. It counts its own beats, not the time, so that a process which
//! was stopped and continued as a whole is not taken for a stalled one: the store's fencing is for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use oarlock_protocol::Span;

/// How often the watchdog looks within two leases: as many looks without a beat end the process.
const LOOKS: u32 = 16;
/// A partition may stand still for this long whatever the lease: it may wait for one slow answer of store or broker.
const LEAST: Duration = Duration::from_secs(15);

/// The sign that a partition gets on with its work.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    beats: AtomicU64,
    at_work: AtomicBool,
}

impl Pulse {
    /// The partition gets on.
    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.at_work.store(true, Ordering::Relaxed);
    }

    /// The partition is not owned here: nothing is expected of it.
    pub(crate) fn rest(&self) {
        self.at_work.store(false, Ordering::Relaxed);
    }
}

/// Looks after the pulses for as long as they live elsewhere; calls `stalled` with the index of a partition that stood still for two leases.
pub(crate) fn watch(pulses: Vec<Arc<Pulse>>, lease: Span, stalled: impl Fn(usize) + Send + 'static) {
    watch_for((Duration::from(lease) * 2).max(LEAST), pulses, stalled);
}

fn watch_for(limit: Duration, pulses: Vec<Arc<Pulse>>, stalled: impl Fn(usize) + Send + 'static) {
    let pause = limit / LOOKS;
    let pulses: Vec<_> = pulses.iter().map(Arc::downgrade).collect();
    let mut seen = vec![(0, 0); pulses.len()];
    let look = move || {
        loop {
            std::thread::sleep(pause);
            for (index, (pulse, (beats, still))) in pulses.iter().zip(&mut seen).enumerate() {
                let Some(pulse) = pulse.upgrade() else { return };
                let now = pulse.beats.load(Ordering::Relaxed);
                let stands = now == *beats && pulse.at_work.load(Ordering::Relaxed);
                *still = if stands { *still + 1 } else { 0 };
                *beats = now;
                if *still >= LOOKS {
                    stalled(index);
                    *still = 0;
                }
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("watchdog".to_owned()).spawn(look) {
        tracing::error!(%error, "there is no watchdog: its thread cannot be started");
    }
}

/// Ends the process: the partitions of a node that does not get on are better owned by another.
pub(crate) fn end_stalled(partition: usize) {
    tracing::error!(
        partition,
        "a partition stood still for two leases; this process ends so that others go on"
    );
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn only_a_partition_at_work_that_stands_still_is_told() {
        let (tell, told) = mpsc::channel();
        let pulses: Vec<Arc<Pulse>> = (0..3).map(|_| Arc::default()).collect();
        let [still, rests, beats] = [0, 1, 2].map(|index| Arc::clone(&pulses[index]));
        still.beat();
        rests.beat();
        rests.rest();
        let beating = std::thread::spawn(move || {
            for _ in 0..400 {
                beats.beat();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        watch_for(Duration::from_millis(200), pulses.clone(), move |index| {
            tell.send(index).unwrap_or_default()
        });
        assert_eq!(told.recv_timeout(Duration::from_secs(10)), Ok(0));
        beating.join().unwrap();
        assert!(told.try_iter().all(|index| index != 1));
    }
}
