//! What is unusual of the fleet: a queue that stands still, a worker that is silent, one that beats and does nothing. Each is listed by
//! every node, announced once when it begins and once when it is over; what somebody holds back is neither.

use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::{Consumer, Hears, QueueDeclaration, QueueKind, Subscription, topology};
use oarlock_monitor::{Finding, Kind, Severity, Subject};
use oarlock_orchestrator::Settings;
use oarlock_protocol::message::PauseSubject;
use oarlock_protocol::{Json, Span};
use oarlock_worker::{Running, TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Semaphore;

use super::system::{Parts, System, TENANT, eventually, next, settings};
use super::workers::Beats;

const WORKFLOW: &str = "{id: mail, version: 1, tasks: [{id: send, task: mail.send}]}";

/// Each is held back: by a pause of the task definition, by one of the queue, by a limit.
const HELD_BACK: [&str; 3] = [
    "{id: held, version: 1, tasks: [{id: a, task: held}]}",
    "{id: shut, version: 1, tasks: [{id: a, task: shut}]}",
    "{id: paced, version: 1, taskDefinitions: [{id: paced, rateLimit: {limit: 1, per: 1h}}], tasks: [{id: a, task: paced}]}",
];

/// Settings under which each kind is found, and over, within a second or two.
fn quick_to_judge() -> Settings {
    let mut settings = settings();
    settings.look = Span::from_millis(50);
    settings.workers_kept = Span::from_secs(3);
    let rules = &mut settings.anomalies.rules;
    rules.queue_still = Span::from_millis(800);
    rules.worker_idle = Span::from_millis(800);
    rules.calm = Span::from_secs(1);
    settings
}

async fn one_node() -> (Parts, System) {
    let parts = Parts::fresh().await;
    let system = parts.node("alone", quick_to_judge()).await;
    system.register(WORKFLOW).await;
    (parts, system)
}

/// A worker each of whose attempts waits until the gate has a permit for it.
async fn worker(system: &System, gate: &Arc<Semaphore>) -> Running {
    let gate = gate.clone();
    let handler = move |_: Json, _: TaskContext| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok::<_, TaskError>(json!({}))
        }
    };
    let builder = system.worker().beat(Duration::from_secs(1)).slots(2);
    builder.task("mail.send", handler).build().unwrap().start().await.unwrap()
}

/// Hears what is announced of a kind.
async fn announcements(system: &System, kind: &str) -> Box<dyn Consumer> {
    let name = format!("a-test-that-hears-{kind}");
    let hears = Hears { exchange: topology::EVENTS.to_owned(), pattern: format!("anomaly.{kind}.#") };
    let queue = QueueDeclaration {
        name: name.clone(),
        kind: QueueKind::Exclusive,
        delivery_limit: None,
        dead_letter: None,
        hears: vec![hears],
    };
    system.broker.declare(&queue).await.unwrap();
    system.broker.consume(Subscription { queue: name, prefetch: 10, priority: 0 }).await.unwrap()
}

/// The next announcement.
async fn announced(consumer: &mut dyn Consumer) -> Json {
    let delivery = next(consumer).await;
    serde_json::from_slice(&delivery.message.body).unwrap()
}

fn listed(system: &System, kind: Kind) -> Option<Finding> {
    let mut found = system.node.anomalies(TENANT).anomalies;
    found.retain(|finding| finding.kind == kind);
    assert!(found.len() < 2, "{found:?}");
    found.pop()
}

async fn is_found(system: &System, kind: Kind) -> Finding {
    eventually("it is found", || async { listed(system, kind) }).await
}

/// The finding once it rests on so many tasks: at first a look may not know yet which of them a worker has.
async fn is_found_of(system: &System, kind: Kind, count: u64) -> Finding {
    let of = |finding: &Finding| finding.evidence.count == count;
    eventually("it is found", || async { listed(system, kind).filter(of) }).await
}

async fn is_over(system: &System, kind: Kind) {
    eventually("it is over", || async { listed(system, kind).is_none().then_some(()) }).await;
}

/// Checks that a finding was announced once as it began and once as it ended: what comes next is its end, whatever was looked at
/// meanwhile.
async fn began_and_ended_once(consumer: &mut dyn Consumer, finding: &Finding, node: &str) {
    let (begun, ended) = (announced(consumer).await, announced(consumer).await);
    let subject = serde_json::to_value(&finding.subject).unwrap();
    for (event, change) in [(&begun, "BEGAN"), (&ended, "ENDED")] {
        let told = (&event["change"]["type"], &event["node"]);
        assert_eq!(told, (&json!(change), &json!(node)), "{event:#}");
    }
    assert_eq!(begun["change"]["subject"], subject, "{begun:#}");
    let over = &ended["change"]["finding"];
    assert_eq!((&over["subject"], &ended["change"]["ending"]), (&subject, &json!("AS_USUAL")), "{ended:#}");
    assert!(over["text"].as_str().unwrap().starts_with("no longer: "), "{ended:#}");
}

#[tokio::test]
async fn a_queue_that_completes_nothing_beside_its_workers_is_found_until_it_moves_again() {
    let (_parts, system) = one_node().await;
    let mut told = announcements(&system, "stalled_queue").await;
    let gate = Arc::new(Semaphore::new(0));
    let _worker = worker(&system, &gate).await;
    let mut runs = Vec::new();
    for _ in 0..5 {
        runs.push(system.begin("mail", json!({})).await);
    }
    // Two of the five are in the hands of the worker.
    let finding = is_found_of(&system, Kind::StalledQueue, 3).await;
    assert_eq!(finding.subject, Subject::Queue { name: "mail.send".to_owned() });
    assert!(finding.severity >= Severity::Warning, "{finding:?}");
    let evidence = finding.evidence;
    assert!(evidence.current >= 800.0 && evidence.score >= 1.0, "{finding:?}");
    let (begins, ends) =
        ("queue `mail.send` has completed nothing for ", "3 ready tasks and 1 worker are there");
    assert!(finding.text.starts_with(begins) && finding.text.ends_with(ends), "{}", finding.text);

    gate.add_permits(5);
    for run in &runs {
        system.end(run).await;
    }
    is_over(&system, Kind::StalledQueue).await;
    began_and_ended_once(&mut *told, &finding, "alone").await;
}

#[tokio::test]
async fn a_queue_that_moves_is_not_stalled_however_long_it_has_work() {
    let parts = Parts::fresh().await;
    let mut settings = quick_to_judge();
    settings.anomalies.rules.queue_still = Span::from_millis(1_500);
    // What is usual is hardly known after a second.
    settings.anomalies.rules.queue_still_factor = 1.0;
    let system = parts.node("alone", settings).await;
    system.register(WORKFLOW).await;
    system.register("{id: stands, version: 1, tasks: [{id: a, task: stands}]}").await;
    let mut told = announcements(&system, "stalled_queue").await;
    let handler = async |_: Json, _: TaskContext| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok::<_, TaskError>(json!({}))
    };
    let worker = system.worker().slots(1).task("mail.send", handler).build().unwrap().start().await.unwrap();
    let mut last = None;
    for _ in 0..35 {
        last = Some(system.begin("mail", json!({})).await);
    }
    system.end(&last.unwrap()).await;
    worker.drain(Duration::from_secs(1)).await;
    // What is announced first is another queue, which does stand still.
    let _beating = Beats::of(&system, "stands");
    system.begin("stands", json!({})).await;
    let event = announced(&mut *told).await;
    assert_eq!(event["change"]["subject"], json!({"type": "QUEUE", "name": "stands"}), "{event:#}");
}

#[tokio::test]
async fn a_worker_that_is_killed_is_found_and_announced_by_one_node_and_listed_by_all() {
    let (parts, one) = one_node().await;
    let other = parts.node("other", quick_to_judge()).await;
    let mut told = announcements(&one, "silent_worker").await;
    let gate = Arc::new(Semaphore::new(0));
    let leaves = worker(&one, &gate).await;
    let killed = worker(&one, &gate).await;
    let id = killed.worker_id().to_string();
    for node in [&one, &other] {
        eventually("they are seen", || async { (node.node.workers().len() == 2).then_some(()) }).await;
    }
    // One says that it goes; the other, which has an attempt, does not.
    leaves.drain(Duration::from_secs(1)).await;
    one.begin("mail", json!({})).await;
    for node in [&one, &other] {
        let has = |open: u32| move |worker: &oarlock_orchestrator::fleet::WorkerEntry| worker.open == open;
        eventually("it is at work", || async { node.node.workers().iter().any(has(1)).then_some(()) }).await;
    }
    drop(killed);
    let finding = is_found(&one, Kind::SilentWorker).await;
    assert_eq!(finding.subject, Subject::Worker { id: id.clone() });
    assert_eq!((finding.severity, finding.evidence.count), (Severity::Severe, 1), "{finding:?}");
    assert!(finding.evidence.baseline == 1000.0 && finding.evidence.current >= 3000.0, "{finding:?}");
    let begins = format!("worker `{id}` was last heard ");
    let ends = "though it beats every 1.0 s, and has 1 attempt";
    assert!(finding.text.starts_with(&begins) && finding.text.ends_with(ends), "{}", finding.text);
    assert_eq!(is_found(&other, Kind::SilentWorker).await.subject, finding.subject);
    // It is forgotten after a while, and with it what was found of it.
    is_over(&one, Kind::SilentWorker).await;
    is_over(&other, Kind::SilentWorker).await;
    began_and_ended_once(&mut *told, &finding, "alone").await;
}

#[tokio::test]
async fn a_worker_that_beats_and_does_nothing_is_found_until_its_queue_is_no_longer_deep() {
    let (_parts, system) = one_node().await;
    let mut told = announcements(&system, "idle_worker").await;
    let beating = Beats::of(&system, "mail.send");
    for _ in 0..3 {
        system.begin("mail", json!({})).await;
    }
    let finding = is_found_of(&system, Kind::IdleWorker, 3).await;
    assert_eq!(finding.subject, Subject::Worker { id: "stuck.1".to_owned() });
    assert!(finding.evidence.current >= 800.0, "{finding:?}");
    let (begins, ends) =
        ("worker `stuck.1` beats but has done nothing for ", "though 3 tasks are in its queue");
    assert!(finding.text.starts_with(begins) && finding.text.ends_with(ends), "{}", finding.text);
    // It is there all the time, and its queue stands still for it: both are told.
    is_found(&system, Kind::StalledQueue).await;
    assert_eq!(listed(&system, Kind::SilentWorker), None);
    for _ in 0..2 {
        system.take(&topology::tasks("mail.send")).await;
    }
    is_over(&system, Kind::IdleWorker).await;
    began_and_ended_once(&mut *told, &finding, "alone").await;
    drop(beating);
}

#[tokio::test]
async fn what_is_held_back_on_purpose_is_neither_a_stalled_queue_nor_an_idle_worker() {
    let (_parts, system) = one_node().await;
    for definition in HELD_BACK {
        system.register(definition).await;
    }
    let task = PauseSubject::Task { tenant_id: TENANT.to_owned(), task: "held".to_owned() };
    for subject in [task, PauseSubject::Queue { queue: "shut".to_owned() }] {
        system.node.pause(subject, "the provider is down", "ada").await.unwrap();
    }
    let handler = async |_: Json, _: TaskContext| Ok::<_, TaskError>(json!({}));
    let builder = system.worker().task("held", handler).task("shut", handler).task("paced", handler);
    let _worker = builder.slots(1).build().unwrap().start().await.unwrap();
    // The only one in an hour.
    system.run("paced", json!({})).await;
    for workflow in ["held", "shut", "paced"] {
        for _ in 0..3 {
            system.begin(workflow, json!({})).await;
        }
    }
    // What stands still beside them, and later, is found.
    let _beating = Beats::of(&system, "mail.send");
    for _ in 0..3 {
        system.begin("mail", json!({})).await;
    }
    is_found(&system, Kind::IdleWorker).await;
    is_found(&system, Kind::StalledQueue).await;
    let found = system.node.anomalies(TENANT).anomalies;
    let of: Vec<&Subject> = found.iter().map(|finding| &finding.subject).collect();
    let (queue, worker) =
        (Subject::Queue { name: "mail.send".to_owned() }, Subject::Worker { id: "stuck.1".to_owned() });
    assert!(of.len() == 2 && of.contains(&&queue) && of.contains(&&worker), "{found:?}");
}
