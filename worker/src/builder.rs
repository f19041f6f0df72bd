//! Which tasks a worker executes, and within which limits. The runtime is started from what is built here.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::Broker;
use oarlock_payloads::Payloads;
use oarlock_protocol::Clock;
use oarlock_protocol::name::{InvalidName, check_task_name};
use oarlock_telemetry::Telemetry;
use serde::de::DeserializeOwned;

use crate::handler::{Handler, IntoAnswer, Typed};
use crate::metrics::Tallies;
use crate::{Secrets, TaskContext, TaskError};

/// The largest output a task may give, unless configured otherwise: what the orchestrator takes by default.
const DEFAULT_MAX_PAYLOAD_BYTES: usize = 1024 * 1024;
/// How long a cancelled handler may take to end, unless configured otherwise.
const DEFAULT_CANCEL_GRACE: Duration = Duration::from_secs(5);
/// After how long an attempt is acknowledged before it has ended, unless configured otherwise: half of the one minute below
/// which no broker's limit on unacknowledged messages lies (RabbitMQ looks once a minute).
const DEFAULT_EARLY_ACK: Duration = Duration::from_secs(30);
/// Executions at once, unless configured otherwise: enough to wait on the network, few enough for commands.
const DEFAULT_SLOTS: usize = 8;
/// How often a worker beats, unless configured otherwise.
const DEFAULT_BEAT: Duration = Duration::from_secs(5);
/// The shortest time between beats: more would tell nobody anything, and load every orchestrator.
const SHORTEST_BEAT: Duration = Duration::from_secs(1);
/// The longest: a worker that is lost should be missed within minutes.
const LONGEST_BEAT: Duration = Duration::from_secs(60);
/// The longest version that is told, in bytes.
const LONGEST_VERSION: usize = 100;
/// The longest readable part of a worker's id: it is part of a queue's name.
const LONGEST_NAME: usize = 60;

/// A worker that is ready to start.
pub struct Worker {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) name: String,
    pub(crate) slots: u16,
    pub(crate) tasks: BTreeMap<String, Binding>,
    pub(crate) secrets: Secrets,
    pub(crate) limits: Limits,
    pub(crate) payloads: Option<Payloads>,
    pub(crate) clock: Clock,
    pub(crate) beat: Duration,
    pub(crate) version: String,
    pub(crate) telemetry: Telemetry,
    pub(crate) tallies: Arc<Tallies>,
}

/// What executes a task, and the queue it is taken from.
pub(crate) struct Binding {
    pub(crate) queue: String,
    pub(crate) handler: Arc<dyn Handler>,
}

/// What no execution may exceed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_payload_bytes: usize,
    pub(crate) cancel_grace: Duration,
    pub(crate) early_ack: Duration,
}

/// Why a worker cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// It would have nothing to do.
    #[error("the worker has no task: add one with `task`, or in worker.toml, or with --exec NAME='command'")]
    NoTask,
    /// It could never execute anything, or more at once than a broker hands out.
    #[error("a worker has 1 to 65535 slots, not {0}")]
    Slots(usize),
    /// It would beat too often or too seldom.
    #[error("a worker beats every 1 s to 1 min, not every {0:?}")]
    Beat(Duration),
    /// A name is not spelled as it must be.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// One task has two handlers.
    #[error("the task '{0}' has two handlers: keep one")]
    Twice(String),
}

/// Collects a worker's tasks and limits.
pub struct Builder {
    worker: Worker,
    slots: usize,
    problem: Option<BuildError>,
}

impl Worker {
    /// Begins a worker on `broker`.
    pub fn builder(broker: Arc<dyn Broker>) -> Builder {
        let limits = Limits {
            max_payload_bytes: DEFAULT_MAX_PAYLOAD_BYTES,
            cancel_grace: DEFAULT_CANCEL_GRACE,
            early_ack: DEFAULT_EARLY_ACK,
        };
        let secrets = Secrets::new(None);
        let tasks = BTreeMap::new();
        let worker = Worker {
            broker,
            name: host_name(),
            slots: 0,
            tasks,
            secrets,
            limits,
            payloads: None,
            clock: Clock::system(),
            beat: DEFAULT_BEAT,
            version: concat!("oarlock ", env!("CARGO_PKG_VERSION")).to_owned(),
            telemetry: Telemetry::default(),
            // Of its tasks, once they are known.
            tallies: Arc::new(Tallies::new(std::iter::empty())),
        };
        Builder { worker, slots: DEFAULT_SLOTS, problem: None }
    }
}

impl Builder {
    /// How many executions run at once, over all tasks: 1 to 65535, 8 by default.
    #[must_use]
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots;
        self
    }

    /// The readable part of the worker's id; the host's name by default.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.worker.name = name.to_owned();
        self
    }

    /// The largest output in bytes; 1 MiB by default. A larger one is a failure with code PAYLOAD_TOO_LARGE.
    #[must_use]
    pub fn max_payload_bytes(mut self, bytes: usize) -> Self {
        self.worker.limits.max_payload_bytes = bytes;
        self
    }

    /// Where payloads are kept that are too large for a message: larger outputs are put there, and references in inputs are
    /// read before the handler runs. Without it an output is bounded by [`Builder::max_payload_bytes`].
    #[must_use]
    pub fn payloads(mut self, payloads: Payloads) -> Self {
        self.worker.payloads = Some(payloads);
        self
    }

    /// The clock by which deadlines are judged; the machine's by default.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.worker.clock = clock;
        self
    }

    /// How often it tells the fleet that it lives: 1 s to 1 min, 5 s by default.
    #[must_use]
    pub fn beat(mut self, every: Duration) -> Self {
        self.worker.beat = every;
        self
    }

    /// The program and its version, for who looks at the fleet; this library's by default.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.worker.version = version.to_owned();
        oarlock_protocol::error::cut(&mut self.worker.version, LONGEST_VERSION);
        self
    }

    /// Where the spans of executions go; nowhere by default. Whoever started it ends it, once the worker is drained.
    #[must_use]
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.worker.telemetry = telemetry;
        self
    }

    /// Where the values of secrets are that tasks name; the environment alone by default.
    #[must_use]
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.worker.secrets = secrets;
        self
    }

    /// How long a handler may take to end once it is cancelled; 5 s by default. Then its future is dropped.
    #[must_use]
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.worker.limits.cancel_grace = grace;
        self
    }

    /// After how long a task that still runs is acknowledged, once the orchestrator has answered its sign of life; 30 s by
    /// default. From then on its heartbeat keeps it, so keep this below the broker's own limit (RabbitMQ:
    /// `consumer_timeout`, 30 min where not set). Until then a lost worker's tasks go back to their queue at once.
    #[must_use]
    pub fn early_ack(mut self, after: Duration) -> Self {
        self.worker.limits.early_ack = after;
        self
    }

    /// Executes the task `name`, taken from the queue of that name, by an async function with typed input and output. Where the
    /// work goes on elsewhere, it returns an [`Answer`](crate::Answer) instead of the output alone.
    #[must_use]
    pub fn task<I, O, F, Work>(self, name: &str, function: F) -> Self
    where
        F: Fn(I, TaskContext) -> Work + Send + Sync + 'static,
        Work: Future<Output = Result<O, TaskError>> + Send + 'static,
        I: DeserializeOwned + Send + 'static,
        O: IntoAnswer + Send + 'static,
    {
        self.task_on(name, name, function)
    }

    /// Executes the task `name` as [`Builder::task`] does, taken from `queue`, where a definition or routing sends it.
    #[must_use]
    pub fn task_on<I, O, F, Work>(self, queue: &str, name: &str, function: F) -> Self
    where
        F: Fn(I, TaskContext) -> Work + Send + Sync + 'static,
        Work: Future<Output = Result<O, TaskError>> + Send + 'static,
        I: DeserializeOwned + Send + 'static,
        O: IntoAnswer + Send + 'static,
    {
        self.handler(queue, name, Arc::new(Typed::new(function)))
    }

    /// Executes the task `name`, taken from `queue`, by a handler of JSON, such as a binding.
    #[must_use]
    pub fn handler(mut self, queue: &str, name: &str, handler: Arc<dyn Handler>) -> Self {
        for checked in [name, queue] {
            if let Err(invalid) = check_task_name(checked) {
                self.problem.get_or_insert(invalid.into());
            }
        }
        let binding = Binding { queue: queue.to_owned(), handler };
        if self.worker.tasks.insert(name.to_owned(), binding).is_some() {
            self.problem.get_or_insert(BuildError::Twice(name.to_owned()));
        }
        self
    }

    /// The worker, or the first thing that is wrong with it.
    pub fn build(mut self) -> Result<Worker, BuildError> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        check_task_name(&self.worker.name)?;
        if self.worker.tasks.is_empty() {
            return Err(BuildError::NoTask);
        }
        if !(SHORTEST_BEAT..=LONGEST_BEAT).contains(&self.worker.beat) {
            return Err(BuildError::Beat(self.worker.beat));
        }
        self.worker.slots = match u16::try_from(self.slots) {
            Ok(slots) if slots > 0 => slots,
            _ => return Err(BuildError::Slots(self.slots)),
        };
        self.worker.tallies = Arc::new(Tallies::new(self.worker.tasks.keys()));
        Ok(self.worker)
    }
}

/// The host's name, spelled so that it may be part of a queue's name, at most 60 characters; `worker` where it is unknown.
pub fn host_name() -> String {
    let told = std::env::var("HOSTNAME").or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"));
    let spelled: String = told
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(LONGEST_NAME)
        .collect();
    match spelled.trim_matches('-') {
        "" => "worker".to_owned(),
        name => name.to_owned(),
    }
}
