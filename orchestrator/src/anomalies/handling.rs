//! What is done about a finding when it begins and when it ends: as configured for its kind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use oarlock_broker::{Announcement, Broker, Message, topology};
use oarlock_monitor::{Change, Finding, Key, Kind, Settings as Rules, Severity, Subject};
use oarlock_protocol::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

/// The type of the message that an event about a finding is.
const EVENT: &str = "oarlock.anomaly";

/// One way of handling a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handle {
    /// A message on the exchange `oarlock.events`.
    Event,
    /// It counts in `/metrics`.
    Metric,
    /// A line in the log.
    Log,
    /// The task definition is paused until somebody resumes it. Only of kinds that are about one.
    Pause,
}

/// What is unusual, and how it is handled.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether anything is watched.
    pub enabled: bool,
    /// When something is unusual.
    pub rules: Rules,
    /// How findings are handled.
    pub handle: Vec<Handle>,
    /// How findings of these kinds are handled instead.
    pub of: BTreeMap<Kind, Vec<Handle>>,
}

impl Default for Settings {
    fn default() -> Self {
        let handle = vec![Handle::Event, Handle::Metric, Handle::Log];
        Self { enabled: true, rules: Rules::default(), handle, of: BTreeMap::new() }
    }
}

impl Settings {
    /// Whether findings of a kind are handled so.
    pub fn handles(&self, kind: Kind, handle: Handle) -> bool {
        self.of.get(&kind).unwrap_or(&self.handle).contains(&handle)
    }

    /// Whether they can be used.
    ///
    /// # Errors
    /// What is wrong: a kind is to be paused that is about no task definition.
    pub fn check(&self) -> Result<(), String> {
        let wrong =
            self.of.iter().find(|(kind, handles)| handles.contains(&Handle::Pause) && !can_pause(**kind));
        match wrong {
            Some((kind, _)) => Err(format!(
                "{} cannot be handled by `pause`: it is about no task definition. Those that can are {}",
                name(*kind),
                Kind::ALL
                    .into_iter()
                    .filter(|kind| can_pause(*kind))
                    .map(name)
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
            None => Ok(()),
        }
    }
}

/// Whether findings of a kind are about a task definition.
fn can_pause(kind: Kind) -> bool {
    !matches!(kind, Kind::StuckRun | Kind::StalledQueue | Kind::SilentWorker | Kind::IdleWorker)
}

/// The name of a kind, as it is configured and shown.
pub(crate) fn name(kind: Kind) -> String {
    serde_json::to_value(kind).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Pauses a task definition.
#[async_trait]
pub(crate) trait Pauses: Send + Sync + 'static {
    /// Pauses it, with the reason why.
    ///
    /// # Errors
    /// Why it cannot be done.
    async fn pause_task(&self, task: &Key, reason: &str) -> Result<(), String>;
}

/// How often findings began, by kind and severity.
#[derive(Debug, Default)]
pub(crate) struct Begun([[AtomicU64; 3]; Kind::ALL.len()]);

impl Begun {
    fn count(&self, finding: &Finding) {
        let kind = Kind::ALL.iter().position(|kind| *kind == finding.kind);
        if let Some(count) = kind.and_then(|kind| self.0.get(kind)?.get(place(finding.severity))) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often findings of a kind and severity began, as far as they are counted.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Kind, Severity, u64)> {
        let severities = [Severity::Notice, Severity::Warning, Severity::Severe];
        Kind::ALL.into_iter().zip(&self.0).flat_map(move |(kind, counts)| {
            severities
                .into_iter()
                .zip(counts)
                .map(move |(severity, count)| (kind, severity, count.load(Ordering::Relaxed)))
        })
    }
}

fn place(severity: Severity) -> usize {
    match severity {
        Severity::Notice => 0,
        Severity::Warning => 1,
        Severity::Severe => 2,
    }
}

/// Handles what is found.
pub(crate) struct Handler {
    pub(crate) settings: Settings,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) pauses: Arc<dyn Pauses>,
    pub(crate) begun: Arc<Begun>,
    /// The name of this node.
    pub(crate) node: String,
}

impl Handler {
    /// Handles every change until nothing more can be found.
    pub(crate) async fn handle_for_ever(self, mut changes: mpsc::Receiver<Change>) {
        while let Some(change) = changes.recv().await {
            self.handle(&change).await;
        }
    }

    async fn handle(&self, change: &Change) {
        let (finding, began) = match change {
            Change::Began(finding) => (finding, true),
            Change::Ended { finding, .. } => (finding, false),
        };
        let handles = |handle| self.settings.handles(finding.kind, handle);
        if began && handles(Handle::Metric) {
            self.begun.count(finding);
        }
        if handles(Handle::Log) {
            log(finding, began);
        }
        if handles(Handle::Event) {
            self.announce(change, finding, began).await;
        }
        // Less of something is no harm, and what has ended is not paused any more by itself: somebody looks first.
        if began && finding.severity > Severity::Notice && handles(Handle::Pause) {
            self.pause(finding).await;
        }
    }

    async fn announce(&self, change: &Change, finding: &Finding, began: bool) {
        let body = json!({"format": oarlock_protocol::FORMAT, "node": self.node, "change": change});
        let message = Message {
            body: body.to_string().into(),
            message_id: oarlock_protocol::chance::fresh().to_string(),
            kind: EVENT.to_owned(),
            ..Message::default()
        };
        let what = if began { "began" } else { "ended" };
        let topic = format!("anomaly.{}.{what}", name(finding.kind).to_ascii_lowercase());
        let announcement = Announcement { exchange: topology::EVENTS.to_owned(), topic, message };
        if let Err(error) = self.broker.announce(vec![announcement]).await {
            tracing::debug!(%error, "an anomaly is not announced");
        }
    }

    async fn pause(&self, finding: &Finding) {
        let Subject::Task(task) = &finding.subject else { return };
        let reason = format!("anomaly: {}", finding.text);
        match self.pauses.pause_task(task, &reason).await {
            Ok(()) => tracing::warn!(
                tenant = %task.tenant,
                task = %task.definition,
                "paused because of an anomaly; `oarlock resume --task {}` lets it go on", task.definition
            ),
            Err(error) => {
                tracing::error!(tenant = %task.tenant, task = %task.definition, error, "cannot be paused");
            }
        }
    }
}

fn log(finding: &Finding, began: bool) {
    let (kind, since) = (name(finding.kind), finding.since);
    let text = &finding.text;
    match finding.severity {
        Severity::Severe if began => tracing::error!(anomaly = kind, %since, "{text}"),
        Severity::Warning if began => tracing::warn!(anomaly = kind, %since, "{text}"),
        _ => tracing::info!(anomaly = kind, %since, "{text}"),
    }
}

/// What was found, told to who asks: with the age of each.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnomaliesView {
    /// What is open, the worst first.
    pub anomalies: Vec<Finding>,
    /// When this was so.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use oarlock_broker::embedded::Embedded;
    use oarlock_broker::{Hears, QueueDeclaration, QueueKind, Subscription};
    use oarlock_monitor::{Ending, Evidence};

    use super::*;

    /// Remembers what was to be paused, and why.
    #[derive(Default)]
    struct Noted(Mutex<Vec<(String, String)>>);

    #[async_trait]
    impl Pauses for Noted {
        async fn pause_task(&self, task: &Key, reason: &str) -> Result<(), String> {
            self.0.lock().unwrap().push((task.definition.to_string(), reason.to_owned()));
            Ok(())
        }
    }

    /// Of a task named like its severity.
    fn finding(kind: Kind, severity: Severity) -> Finding {
        Finding {
            kind,
            subject: Subject::Task(Key::new("acme", &format!("{severity:?}"))),
            since: Timestamp::from_millis(0),
            severity,
            evidence: Evidence { baseline: 1.0, current: 2.0, count: 3, score: 4.0 },
            text: "it is unusual".to_owned(),
        }
    }

    #[tokio::test]
    async fn each_way_does_its_own_at_the_beginning_and_only_some_at_the_end() {
        let broker = Arc::new(Embedded::new());
        let hears =
            |pattern: &str| Hears { exchange: topology::EVENTS.to_owned(), pattern: pattern.to_owned() };
        for (name, pattern) in [("begun", "anomaly.*.began"), ("ended", "anomaly.duration.ended")] {
            let (kind, hears) = (QueueKind::Exclusive, vec![hears(pattern)]);
            let name = name.to_owned();
            let queue = QueueDeclaration { name, kind, delivery_limit: None, dead_letter: None, hears };
            broker.declare(&queue).await.unwrap();
        }
        let (pauses, begun) = (Arc::new(Noted::default()), Arc::new(Begun::default()));
        let of = BTreeMap::from([
            (Kind::Duration, vec![Handle::Event, Handle::Metric, Handle::Pause]),
            (Kind::Memory, vec![Handle::Log]),
        ]);
        let handler = Handler {
            settings: Settings { of, ..Settings::default() },
            broker: broker.clone(),
            pauses: pauses.clone(),
            begun: begun.clone(),
            node: "alone".to_owned(),
        };
        let (changes, found) = mpsc::channel(20);
        // Of the kinds: all ways but the log, the log alone, and those of all kinds.
        for kind in [Kind::Duration, Kind::Memory, Kind::QueueTime] {
            for severity in [Severity::Notice, Severity::Warning, Severity::Severe] {
                changes.try_send(Change::Began(finding(kind, severity))).unwrap();
                let ended = Change::Ended { finding: finding(kind, severity), ending: Ending::AsUsual };
                changes.try_send(ended).unwrap();
            }
        }
        drop(changes);
        handler.handle_for_ever(found).await;
        let reason = "anomaly: it is unusual".to_owned();
        let paused = [("Warning".to_owned(), reason.clone()), ("Severe".to_owned(), reason)];
        assert_eq!(*pauses.0.lock().unwrap(), paused);
        let counted = begun.all().filter(|(.., count)| *count > 0).map(|(kind, _, count)| (kind, count));
        let each = |kind| [(kind, 1); 3];
        assert_eq!(counted.collect::<Vec<_>>(), [each(Kind::Duration), each(Kind::QueueTime)].concat());
        for (name, count, change) in [("begun", 6, "BEGAN"), ("ended", 3, "ENDED")] {
            let subscription = Subscription { queue: name.to_owned(), prefetch: 20, priority: 0 };
            let mut consumer = broker.consume(subscription).await.unwrap();
            let heard = consumer.receive(20).await.unwrap();
            assert_eq!(heard.len(), count, "{name}: {heard:?}");
            for delivery in &heard {
                let event: serde_json::Value = serde_json::from_slice(&delivery.message.body).unwrap();
                assert_eq!((&event["change"]["type"], &event["node"]), (&json!(change), &json!("alone")));
            }
        }
    }

    #[test]
    fn a_kind_is_handled_by_its_own_ways_or_by_those_of_all() {
        let of = BTreeMap::from([(Kind::FailureRatio, vec![Handle::Pause])]);
        let settings = Settings { of, ..Settings::default() };
        assert!(settings.handles(Kind::FailureRatio, Handle::Pause));
        assert!(!settings.handles(Kind::FailureRatio, Handle::Log));
        assert!(
            settings.handles(Kind::Duration, Handle::Log) && !settings.handles(Kind::Duration, Handle::Pause)
        );
        settings.check().unwrap();
    }

    #[test]
    fn what_is_about_no_task_definition_cannot_be_paused() {
        let of = BTreeMap::from([(Kind::StuckRun, vec![Handle::Pause])]);
        let told = Settings { of, ..Settings::default() }.check().unwrap_err();
        assert!(told.starts_with("STUCK_RUN cannot be handled by `pause`") && told.contains("FAILURE_RATIO"));
    }
}
