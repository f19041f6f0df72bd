//! The queue of spans and the task that sends them.
//!
//! A full queue drops what comes; a batch that a collector does not take is tried again for a while and dropped then. Both are
//! counted, and told once in a while. Nothing here ever waits on behalf of who hands a span over.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use oarlock_protocol::TraceId;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::settings::{Error, Settings};
use crate::span::Span;
use crate::wire;

/// The most spans of one request.
const BATCH: usize = 512;
/// How long a span waits for others at most.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// The pause before a batch is sent again, and the longest one.
const AGAIN: Duration = Duration::from_millis(500);
const LONGEST_AGAIN: Duration = Duration::from_secs(5);
/// After so long a batch is given up: a collector that starts again is back by then.
const GIVE_UP: Duration = Duration::from_secs(30);
/// How often dropped spans are told of.
const TELL: Duration = Duration::from_secs(60);

/// Where ended spans are handed over. Cheap to clone; [`Telemetry::default`] takes nothing and costs nothing.
#[derive(Clone, Default)]
pub struct Telemetry(Option<Arc<Shared>>);

struct Shared {
    spans: mpsc::Sender<Span>,
    sample_ratio: f64,
    counts: Arc<Counts>,
    ending: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What became of the spans that were handed over.
#[derive(Default)]
struct Counts {
    dropped: AtomicU64,
    sent: AtomicU64,
}

impl Telemetry {
    /// Begins to send spans, on the runtime that this is called on.
    ///
    /// # Errors
    /// The settings are wrong. Whether the collector can be reached shows later, in the log.
    pub fn start(settings: &Settings) -> Result<Self, Error> {
        settings.check()?;
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(ANSWER)
            .default_headers(settings.header_map()?)
            .user_agent(concat!("oarlock/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Client(error.without_url().to_string()))?;
        let (spans, queue) = mpsc::channel(settings.queue.max(1));
        let (ending, ended) = watch::channel(false);
        let counts = Arc::<Counts>::default();
        let exporter = Exporter {
            client,
            url: settings.url()?,
            resource: settings.resource.clone(),
            queue,
            ending: ended,
            counts: counts.clone(),
            is_away: false,
            told: 0,
            told_at: None,
        };
        let task = Mutex::new(Some(tokio::spawn(exporter.run())));
        let shared = Shared { spans, sample_ratio: settings.sample_ratio, counts, ending, task };
        Ok(Self(Some(Arc::new(shared))))
    }

    /// Whether spans are sent at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a trace that nobody else has decided about is recorded: the same answer in every process of equal settings.
    pub fn samples(&self, trace: TraceId) -> bool {
        self.0.as_ref().is_some_and(|shared| trace.is_among(shared.sample_ratio))
    }

    /// Hands a span over. It is dropped where too many wait.
    pub fn export(&self, span: Span) {
        let Some(shared) = &self.0 else { return };
        if shared.spans.try_send(span).is_err() {
            shared.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many spans were dropped, because too many waited or no collector took them.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.counts.dropped.load(Ordering::Relaxed))
    }

    /// How many spans a collector has taken.
    pub fn sent(&self) -> u64 {
        self.0.as_ref().map_or(0, |shared| shared.counts.sent.load(Ordering::Relaxed))
    }

    /// Sends what is left, for `within` at most, and ends. What is handed over from then on is dropped.
    pub async fn end(&self, within: Duration) {
        let Some(shared) = &self.0 else { return };
        shared.ending.send_replace(true);
        let task = shared.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if timeout(within, &mut task).await.is_err() {
            task.abort();
            tracing::warn!("the collector did not take the last spans in time; they are lost");
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Telemetry").field(&self.is_on()).finish()
    }
}

/// Sends what is in the queue.
struct Exporter {
    client: Client,
    url: Url,
    resource: Vec<(String, String)>,
    queue: mpsc::Receiver<Span>,
    ending: watch::Receiver<bool>,
    counts: Arc<Counts>,
    /// Whether the last batch was not taken.
    is_away: bool,
    /// How many of the dropped spans were told of, and when.
    told: u64,
    told_at: Option<Instant>,
}

/// Why a collector did not take a batch.
struct Refusal {
    reason: String,
    /// Whether the same may be taken later.
    is_passing: bool,
}

impl Exporter {
    async fn run(mut self) {
        loop {
            let batch = self.gather().await;
            if batch.is_empty() {
                break;
            }
            self.deliver(&batch).await;
        }
    }

    fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    /// The next batch: full, or what came within a second of its first span. Empty where all is over.
    async fn gather(&mut self) -> Vec<Span> {
        let mut batch = Vec::new();
        let mut comes_more = self.receive(&mut batch).await;
        let until = Instant::now() + GATHER;
        while comes_more && batch.len() < BATCH {
            comes_more = timeout_at(until, self.receive(&mut batch)).await.unwrap_or(false);
        }
        batch
    }

    /// Waits for a span at least; false where none comes any more.
    async fn receive(&mut self, batch: &mut Vec<Span>) -> bool {
        let room = BATCH - batch.len();
        tokio::select! {
            biased;
            taken = self.queue.recv_many(batch, room) => return taken > 0,
            _ = self.ending.wait_for(|ending| *ending), if !self.queue.is_closed() => {}
        }
        self.queue.close();
        self.queue.recv_many(batch, room).await > 0
    }

    /// Sends a batch until it is taken, refused for good, or not taken for too long.
    async fn deliver(&mut self, batch: &[Span]) {
        let body = Bytes::from(wire::encode(&self.resource, batch));
        let count = batch.len() as u64;
        let (until, mut pause) = (Instant::now() + GIVE_UP, AGAIN);
        loop {
            let refusal = match self.send(body.clone()).await {
                Ok(()) => {
                    self.counts.sent.fetch_add(count, Ordering::Relaxed);
                    return self.is_taken();
                }
                Err(refusal) => refusal,
            };
            let is_first = !std::mem::replace(&mut self.is_away, true);
            if !refusal.is_passing || self.is_ending() || Instant::now() + pause > until {
                self.counts.dropped.fetch_add(count, Ordering::Relaxed);
                return self.tell_dropped(&refusal.reason);
            }
            if is_first {
                let (endpoint, reason) = (self.url.as_str(), refusal.reason);
                tracing::warn!(endpoint, reason, "the collector does not take spans; trying on");
            }
            // The end of the process cuts the pause short: then each batch is tried once more.
            timeout(pause, self.ending.wait_for(|ending| *ending)).await.ok();
            pause = (pause * 2).min(LONGEST_AGAIN);
        }
    }

    fn is_taken(&mut self) {
        if std::mem::replace(&mut self.is_away, false) {
            tracing::info!(endpoint = self.url.as_str(), "the collector takes spans");
        }
        self.tell_dropped("more came than it took");
    }

    async fn send(&self, body: Bytes) -> Result<(), Refusal> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/x-protobuf");
        let answer = request
            .body(body)
            .send()
            .await
            .map_err(|error| Refusal { reason: chain(&error.without_url()), is_passing: true })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        // As OTLP tells them; anything else would be answered alike again.
        let is_passing = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        Err(Refusal { reason: format!("it answered {status}"), is_passing })
    }

    /// Tells of spans that were dropped since the last time, at most once a minute.
    fn tell_dropped(&mut self, reason: &str) {
        let dropped = self.counts.dropped.load(Ordering::Relaxed);
        if dropped > self.told && self.told_at.is_none_or(|at| at.elapsed() >= TELL) {
            tracing::warn!(dropped, endpoint = self.url.as_str(), reason, "spans were dropped");
            (self.told, self.told_at) = (dropped, Some(Instant::now()));
        }
    }
}

/// An error with what caused it: the outermost one says only that a request failed.
fn chain(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}
