//! What is unusual: found in attempts as they close, told to whoever asks, and announced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oarlock_broker::{Hears, QueueDeclaration, QueueKind, Subscription, topology};
use oarlock_monitor::{Kind, Severity, Subject};
use oarlock_orchestrator::Settings;
use oarlock_orchestrator::anomalies::Handle;
use oarlock_protocol::message::PauseSubject;
use oarlock_protocol::{Json, Span, Timestamp};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::system::{Parts, System, TENANT, eventually, next, settings};

const WORKFLOW: &str = r#"
id: pay
version: 1
tasks:
  - id: all
    forEach: {items: "${ range(input.count) }", as: item, concurrency: 20, tolerate: 10000}
    tasks:
      - {id: charge, task: payment.charge}
"#;

/// A node that knows a task after few attempts.
async fn quick_to_judge() -> (Parts, System) {
    let parts = Parts::fresh().await;
    let mut settings = settings();
    settings.anomalies.rules.warm_up = 30;
    settings.anomalies.of.insert(Kind::FailureRatio, vec![Handle::Event, Handle::Pause]);
    let system = parts.node("alone", Settings { ..settings }).await;
    system.register(WORKFLOW).await;
    (parts, system)
}

#[tokio::test]
async fn a_task_that_begins_to_fail_is_found_told_announced_once_and_paused() {
    let (_parts, system) = quick_to_judge().await;
    let hears = vec![Hears { exchange: topology::EVENTS.to_owned(), pattern: "anomaly.#".to_owned() }];
    let name = "a-test-that-hears".to_owned();
    let queue = QueueDeclaration {
        name: name.clone(),
        kind: QueueKind::Exclusive,
        delivery_limit: None,
        dead_letter: None,
        hears,
    };
    system.broker.declare(&queue).await.unwrap();
    let subscription = Subscription { queue: name, prefetch: 10, priority: 0 };
    let mut events = system.broker.consume(subscription).await.unwrap();

    let fails = Arc::new(AtomicBool::new(false));
    let handler = {
        let fails = fails.clone();
        move |_: Json, _: TaskContext| {
            let fails = fails.clone();
            async move {
                match fails.load(Ordering::Relaxed) {
                    true => Err(TaskError::new("CARD_DECLINED", "no money")),
                    false => Ok(json!({})),
                }
            }
        }
    };
    let _worker = system.worker().task("payment.charge", handler).build().unwrap().start().await.unwrap();
    system.run("pay", json!({"count": 200})).await;
    assert_eq!(system.node.anomalies(TENANT).anomalies, [], "nothing is unusual yet");
    fails.store(true, Ordering::Relaxed);
    // It may be paused before all of them have failed.
    system.begin("pay", json!({"count": 60})).await;

    let of_failures = |tenant: &'static str| {
        let found = system.node.anomalies(tenant).anomalies;
        found.into_iter().find(|finding| finding.kind == Kind::FailureRatio)
    };
    let finding = eventually("it is found", || async { of_failures(TENANT) }).await;
    assert_eq!(finding.severity, Severity::Severe, "{finding:?}");
    assert!(
        matches!(&finding.subject, Subject::Task(key) if &*key.definition == "payment.charge"),
        "{finding:?}"
    );
    assert_eq!(of_failures("another"), None, "it is no other tenant's affair");
    let event = loop {
        let delivery = next(&mut *events).await;
        let event: Json = serde_json::from_slice(&delivery.message.body).unwrap();
        // Beside it the failures may take another time than the others did.
        if event["change"]["kind"] == "FAILURE_RATIO" {
            break event;
        }
    };
    assert_eq!((event["change"]["type"].as_str(), event["node"].as_str()), (Some("BEGAN"), Some("alone")));
    let paused =
        eventually("the task is paused", || async { system.node.pauses().await.unwrap().pop() }).await;
    let task = PauseSubject::Task { tenant_id: TENANT.to_owned(), task: "payment.charge".to_owned() };
    assert_eq!(paused.subject, task);
    assert!(paused.reason.starts_with("anomaly: "), "{}", paused.reason);
}

#[tokio::test]
async fn a_run_that_nobody_moves_is_found_in_the_store() {
    let parts = Parts::fresh().await;
    let system = parts.node("alone", settings()).await;
    system.register(WORKFLOW).await;
    let run = system.begin("pay", json!({"count": 1})).await;
    let store = parts.store().await;
    let now = Timestamp::from_millis(system.node.anomalies(TENANT).at.as_millis());
    // Its own time limit, a day from now, has passed a week ago for who looks in eight days.
    let found =
        oarlock_orchestrator::lookout::overdue(&*store, 0, now.after(Span::from_secs(8 * 86_400)), 10).await;
    assert_eq!(found.len(), 1, "{run}");
    assert_eq!(oarlock_orchestrator::lookout::overdue(&*store, 0, now, 10).await, []);
}
