//! What `/metrics` tells of a node as it stands: read at the scrape from what is in memory, without a question to a server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oarlock_broker::Health;
use oarlock_metrics::{Collector, DescriptorEncoder, Format, MOST_SERIES, Names, OTHER, Registry, Sheet};
use oarlock_monitor::{Finding, Severity};
use oarlock_protocol::Span;
use tokio::sync::watch;

use super::{Membership, Node, Slot};
use crate::anomalies::handling;
use crate::books::Figures;
use crate::lookout::Lookout;
use crate::partition::{Shared, Wish};
use crate::queues::WorkersOf;

/// What stands where on a node.
struct Standing {
    shared: Arc<Shared>,
    slots: Arc<Vec<Slot>>,
    membership: watch::Receiver<Membership>,
    lookout: Arc<Lookout>,
    /// The queues that have series of their own.
    queues: Names,
}

/// Everything that a node tells.
pub(super) fn registry(
    shared: &Arc<Shared>,
    slots: &Arc<Vec<Slot>>,
    membership: &watch::Receiver<Membership>,
    lookout: &Arc<Lookout>,
) -> Registry {
    let mut registry = oarlock_metrics::registry("orchestrator");
    shared.tallies.register(&mut registry);
    let standing = Standing {
        shared: shared.clone(),
        slots: slots.clone(),
        membership: membership.clone(),
        lookout: lookout.clone(),
        queues: Names::new(MOST_SERIES),
    };
    registry.register_collector(Box::new(standing));
    registry
}

impl Node {
    /// The figures of this node, as `/metrics` serves them.
    pub fn metrics(&self, format: Format) -> String {
        oarlock_metrics::exposition(&self.registry, format)
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").finish_non_exhaustive()
    }
}

impl Collector for Standing {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut sheet = Sheet::new(encoder);
        self.stock(&mut sheet)?;
        self.staff(&mut sheet)?;
        self.anomalies(&mut sheet)?;
        self.partitions(&mut sheet)?;
        self.servers(&mut sheet)?;
        self.incidents(&mut sheet)
    }
}

/// The only label of what is told by queue.
fn by_queue(queue: &str) -> [(&str, &str); 1] {
    [("queue", queue)]
}

impl Standing {
    /// A queue, or [`OTHER`].
    fn named<'a>(&self, queue: &'a str) -> &'a str {
        if self.queues.knows(queue) { queue } else { OTHER }
    }

    /// What waits and what has moved, by queue.
    fn stock(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let now = self.shared.clock.now();
        let (_, lines) = self.shared.ledger.figures(now, Span::from_secs(0));
        let mut queues: BTreeMap<&str, Figures> = BTreeMap::new();
        for line in &lines {
            queues.entry(self.named(&line.queue)).or_default().add(line);
        }
        let mut gauges = |name: &str, help: &str, value: &dyn Fn(&Figures) -> f64| {
            sheet.gauges(name, help, queues.iter().map(|(queue, of)| (by_queue(queue), value(of))))
        };
        let help = "Tasks that are ready and wait for admission to their queue";
        gauges("queue_ready_tasks", help, &|of| of.ready as f64)?;
        let help = "Attempts that are in the broker's queue, or with a worker that has not said so yet";
        gauges("queue_published_attempts", help, &|of| of.published as f64)?;
        let help = "Attempts that a worker is known to execute: short ones never are";
        gauges("queue_running_attempts", help, &|of| of.running as f64)?;
        let help = "Tasks that wait for the time of their next attempt";
        gauges("queue_due_tasks", help, &|of| of.due as f64)?;
        let help = "How long the oldest task waits that no worker is known to have; 0 where none waits";
        let wait =
            |of: &Figures| of.oldest.map_or(0.0, |since| now.since(since).as_millis() as f64 / 1_000.0);
        gauges("queue_oldest_wait_seconds", help, &wait)?;
        let mut counters = |name: &str, help: &str, value: &dyn Fn(&Figures) -> u64| {
            sheet.counters(name, help, queues.iter().map(|(queue, of)| (by_queue(queue), value(of) as f64)))
        };
        counters("queue_arrived_tasks", "Tasks that became ready for an attempt", &|of| of.sums.arrived)?;
        let help = "Attempts that completed, or are to be looked at again later";
        counters("attempts_completed", help, &|of| of.sums.completed)?;
        counters("attempts_failed", "Attempts that failed", &|of| of.sums.failed)?;
        let help = "Closed attempts that were not the first of their task";
        counters("attempts_retried", help, &|of| of.sums.retried)
    }

    /// How many workers queues want, and how many are there. All orchestrators say the same.
    fn staff(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let (wanted, heard) = self.lookout.staff();
        let mut wants: BTreeMap<&str, f64> = BTreeMap::new();
        for (queue, workers) in &wanted {
            *wants.entry(self.named(queue)).or_default() += f64::from(*workers);
        }
        let mut there: BTreeMap<&str, WorkersOf> = BTreeMap::new();
        for (queue, of) in &heard {
            let sum = there.entry(self.named(queue)).or_default();
            sum.workers += of.workers;
            sum.slots += of.slots;
        }
        let help = "Workers that a queue wants; all orchestrators say the same, so take the max";
        sheet.gauges("queue_wanted_workers", help, wants.iter().map(|(queue, of)| (by_queue(queue), *of)))?;
        let help = "Workers of a queue that are heard; all orchestrators say the same, so take the max";
        let workers = there.iter().map(|(queue, of)| (by_queue(queue), f64::from(of.workers)));
        sheet.gauges("queue_workers", help, workers)?;
        let help = "Tasks that the workers of a queue can do at once; take the max";
        sheet.gauges("queue_slots", help, there.iter().map(|(queue, of)| (by_queue(queue), of.slots as f64)))
    }

    /// What is unusual, as far as this node sees it.
    fn anomalies(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let begun: Vec<_> = self
            .shared
            .begun
            .all()
            .map(|(kind, severity, count)| (handling::name(kind), severity, kind, count))
            .collect();
        let (open, unhandled) = self.lookout.own_findings();
        let labels = |kind, severity| [("kind", kind), ("severity", severity_name(severity))];
        let help = "Findings that began, by kind and severity, of kinds that are handled by `metric`";
        let counts = begun.iter().map(|(name, severity, _, count)| (labels(name, *severity), *count as f64));
        sheet.counters("anomalies_begun", help, counts)?;
        let help =
            "Findings that are open now, as this orchestrator sees them; `oarlock anomalies` tells each";
        let count = |kind, severity| {
            let is = |finding: &&Finding| finding.kind == kind && finding.severity == severity;
            open.iter().filter(is).count() as f64
        };
        let counts =
            begun.iter().map(|(name, severity, kind, _)| (labels(name, *severity), count(*kind, *severity)));
        sheet.gauges("anomalies_open", help, counts)?;
        let help = "Findings that began or ended and were not handled, because too many did at once";
        sheet.counter("anomalies_unhandled", help, unhandled as f64)
    }

    /// What this node owns.
    fn partitions(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let owned = self.slots.iter().filter(|slot| *slot.owned.borrow()).count();
        let wanted = self.slots.iter().filter(|slot| *slot.wish.borrow() == Wish::Own).count();
        sheet.gauge("partitions_owned", "Partitions that this node owns", owned as f64)?;
        sheet.gauge("partitions_wanted", "Partitions that this node should own", wanted as f64)?;
        let all = self.slots.len() as f64;
        sheet.gauge(
            "partitions",
            "Partitions of the whole fleet: their owned ones should sum up to it",
            all,
        )?;
        let members = self.membership.borrow().members.len() as f64;
        sheet.gauge("members", "Orchestrators that live, as this one knows", members)
    }

    /// Whether the servers can be used.
    fn servers(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let health = self.shared.broker.health().borrow().clone();
        sheet.broker(!matches!(health, Health::Down(_)), matches!(health, Health::Blocked(_)))?;
        let store = {
            let known = self.membership.borrow();
            known.problem.is_none() && !known.members.is_empty()
        };
        sheet.gauge("store_up", "1 where the store answers, else 0", f64::from(u8::from(store)))
    }

    /// What operators should see growing slowly, or not at all.
    fn incidents(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let counters = &self.shared.counters;
        let mut count = |name: &str, help: &str, counter: &AtomicU64| {
            sheet.counter(name, help, counter.load(Ordering::Relaxed) as f64)
        };
        let help = "Events that changed nothing: late, doubled or forged; some are usual after a crash";
        count("stale_events", help, &counters.stale_events)?;
        let help = "Messages that could not be understood; `oarlock parked list` shows them";
        count("parked_messages", help, &counters.parked_messages)?;
        count("takeovers", "Partitions that this node took", &counters.takeovers)?;
        let help = "Partitions that were lost to another owner, or because store or broker failed";
        count("lost_partitions", help, &counters.lost_partitions)?;
        count("store_rollbacks", "Times the store was found to have lost commits", &counters.rollbacks)?;
        let help = "Times the payloads of a forgotten run could not be removed; each is tried again";
        count("failed_payload_removals", help, &counters.failed_removals)?;
        let (announced, dropped) = self.shared.events.counts();
        let help = "Changes of status that were announced on oarlock.events";
        sheet.counter("events_announced", help, announced as f64)?;
        let help = "Changes of status that nobody heard of: the broker was away or took them too slowly";
        sheet.counter("events_dropped", help, dropped as f64)?;
        let help = "Clients that wait for the end of a run, or watch every change";
        sheet.gauge("watchers", help, self.shared.watch.watchers() as f64)
    }
}

fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "NOTICE",
        Severity::Warning => "WARNING",
        Severity::Severe => "SEVERE",
    }
}
