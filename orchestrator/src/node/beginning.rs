//! What a node begins with: everything that its partitions share.

use std::sync::Arc;

use oarlock_broker::Broker;
use oarlock_protocol::Clock;
use tokio::sync::{Semaphore, mpsc};

use crate::admission::Admissions;
use crate::anomalies::Anomalies;
use crate::books::Ledger;
use crate::definitions::Definitions;
use crate::events::{Event, Events};
use crate::metrics::Tallies;
use crate::partition::{Counters, Shared};
use crate::pauses::Pauses;
use crate::payloads::Reader;
use crate::settings::Settings;
use crate::store::Store;
use crate::watch::Watch;

/// How many of other nodes may wait for ends of runs here: each is a small task.
const MOST_WATCHERS: usize = 10_000;

/// What the partitions share, and where changes of status come out to be announced.
pub(super) fn share(
    broker: Arc<dyn Broker>,
    store: Arc<dyn Store>,
    settings: Settings,
    clock: Clock,
    partitions: u32,
    anomalies: &Arc<Anomalies>,
) -> (Arc<Shared>, mpsc::Receiver<Event>) {
    let definitions = Definitions::new(store.clone(), partitions);
    let payloads = settings.payloads.clone().map(|payloads| Arc::new(Reader::new(payloads)));
    let (events, announced) = Events::new(settings.publish);
    let tallies = Arc::new(Tallies::default());
    let admissions = Arc::new(Admissions::new(partitions, &settings));
    let pauses = Arc::new(Pauses::new(store.clone(), partitions, admissions.clone()));
    let shared = Arc::new(Shared {
        payloads,
        admissions,
        pauses,
        broker,
        store,
        definitions,
        settings,
        clock,
        watch: Watch::default(),
        counters: Counters::default(),
        ledger: Ledger::default(),
        begun: Arc::default(),
        events,
        observers: anomalies.clone().observers().into_iter().chain([tallies.clone() as _]).collect(),
        tallies,
        watchers: Arc::new(Semaphore::new(MOST_WATCHERS)),
        owned: Default::default(),
    });
    (shared, announced)
}
