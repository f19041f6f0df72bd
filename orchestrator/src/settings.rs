//! The settings of an orchestrator: configuration, as plain data.

use std::collections::HashMap;

use oarlock_payloads::Payloads;
use oarlock_protocol::Span;
use oarlock_protocol::security::SecurityContext;
use oarlock_telemetry::Telemetry;

pub use crate::anomalies::Settings as Anomalies;
pub use crate::events::Publish;
pub use crate::lookout::ScalingSettings as Scaling;

/// The settings of one orchestrator node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of this node, for people.
    pub node: String,
    /// How many partitions a new store gets.
    pub partitions: u32,
    /// How long a partition stays owned without renewal.
    pub lease: Span,
    /// The most attempts of a task queue that this node keeps published and open; how many it does follows from what its
    /// workers can take.
    pub window: usize,
    /// The turns a tenant gets, where not 1.
    pub tenant_weights: HashMap<String, u32>,
    /// The most runs this node keeps in memory, over all its partitions.
    pub cached_runs: usize,
    /// After so many deliveries that ended in a lost worker a task is given up.
    pub delivery_limit: u32,
    /// How long the key of a run is remembered after its retention.
    pub deduplication: Span,
    /// How long the statistics of an hour are kept after its end; zero keeps none at all.
    pub statistics: Span,
    /// On whose behalf a producer's starts act, by the user of the broker who published them; `*` for everybody else.
    pub producers: HashMap<String, SecurityContext>,
    /// The broker's user of the orchestrators: nobody else may ask anything of a partition through its inbox. Where absent the
    /// broker does not tell users apart.
    pub orchestrators: Option<String>,
    /// Whether a partition that stands still for two leases ends the process: where the process is this node alone.
    pub watchdog: bool,
    /// Where large payloads are kept, where there is such a store.
    pub payloads: Option<Payloads>,
    /// How many workers queues want.
    pub scaling: Scaling,
    /// What is unusual, and how that is handled.
    pub anomalies: Anomalies,
    /// How often this node tells the others what stands where, and fits the windows of its queues. Each tenth time it judges what
    /// stands still.
    pub look: Span,
    /// How long a worker that beats no more is shown as silent before it is forgotten.
    pub workers_kept: Span,
    /// Where spans of runs and attempts go.
    pub telemetry: Telemetry,
    /// Which changes of status are announced to whoever listens.
    pub publish: Publish,
    /// The limits and defaults of every decision.
    pub engine: oarlock_engine::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: "oarlock".to_owned(),
            partitions: 16,
            lease: Span::from_secs(10),
            window: 4_096,
            tenant_weights: HashMap::new(),
            cached_runs: 6_000,
            delivery_limit: 20,
            deduplication: Span::from_secs(24 * 60 * 60),
            statistics: Span::from_secs(48 * 60 * 60),
            producers: HashMap::new(),
            orchestrators: None,
            watchdog: false,
            payloads: None,
            scaling: Scaling::default(),
            anomalies: Anomalies::default(),
            look: Span::from_secs(1),
            workers_kept: Span::from_secs(2 * 60),
            telemetry: Telemetry::default(),
            publish: Publish::default(),
            engine: oarlock_engine::Settings::default(),
        }
    }
}
