//! Answers between orchestrators that are lost: who asked asks again, and what was asked for is done once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use oarlock_broker::embedded::Embedded;
use oarlock_broker::{
    Announcement, Broker, Consumer, Error, Health, Publication, QueueDeclaration, Subscription,
};
use oarlock_orchestrator::members::memory::Memory as Alone;
use oarlock_orchestrator::store::Store;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::{Clock, Node};
use oarlock_protocol::message::{
    CompleteMessage, Completion, Kind, Operation, OperationMessage, SignalMessage,
};
use oarlock_protocol::{FORMAT, RunKey};
use serde_json::json;
use tokio::sync::watch;

use super::system::{System, settings};

/// A broker that loses answers when told to.
struct Forgetful {
    inner: Embedded,
    loses: AtomicU32,
}

#[async_trait]
impl Broker for Forgetful {
    async fn declare(&self, queue: &QueueDeclaration) -> Result<(), Error> {
        self.inner.declare(queue).await
    }

    async fn declare_exchange(&self, exchange: &str) -> Result<(), Error> {
        self.inner.declare_exchange(exchange).await
    }

    async fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        let mut results = Vec::with_capacity(publications.len());
        for publication in publications {
            let is_answer = publication.message.kind == Kind::Answer.as_str();
            let left = |left: u32| left.checked_sub(1);
            if is_answer && self.loses.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
                results.push(Ok(()));
            } else {
                results.extend(self.inner.publish(vec![publication]).await);
            }
        }
        results
    }

    async fn announce(&self, announcements: Vec<Announcement>) -> Result<(), Error> {
        self.inner.announce(announcements).await
    }

    async fn consume(&self, subscription: Subscription) -> Result<Box<dyn Consumer>, Error> {
        self.inner.consume(subscription).await
    }

    async fn depth(&self, queue: &str) -> Result<u64, Error> {
        self.inner.depth(queue).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health()
    }

    fn keeps_messages(&self) -> bool {
        self.inner.keeps_messages()
    }
}

struct Asked {
    broker: Arc<Forgetful>,
    owner: System,
    /// Owns nothing: whatever it is asked, it asks the owner.
    other: Node,
    run: RunKey,
}

/// A run under way at its owner, and a node that has to ask.
async fn asked(yaml: &str) -> Asked {
    let broker = Arc::new(Forgetful { inner: Embedded::new(), loses: AtomicU32::new(0) });
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let owner = System::over(broker.clone(), store.clone(), settings()).await;
    owner.register(yaml).await;
    let run = owner.begin("w", json!({})).await;
    let alone = Arc::new(Alone::new());
    let other = Node::start(broker.clone(), store, alone, settings(), Clock::system()).await.unwrap();
    Asked { broker, owner, other, run }
}

#[tokio::test]
async fn a_task_that_is_completed_without_naming_its_attempt_is_completed_once() {
    let asked = asked("{id: w, version: 1, tasks: [{id: a, task: x}], output: '${ tasks.a.output }'}").await;
    asked.broker.loses.store(1, Ordering::Relaxed);
    let complete = CompleteMessage {
        format: FORMAT,
        run: asked.run.clone(),
        task_path: "/a".into(),
        execution_id: None,
        completion: Completion::Completed { output: json!(1) },
        requested_by: "ada".to_owned(),
    };
    assert!(asked.other.complete(complete).await.unwrap(), "asked again it was recorded before, not refused");
    assert_eq!(asked.owner.end(&asked.run).await.output, Some(json!(1)));
}

#[tokio::test]
async fn a_signal_and_a_pause_are_recorded_once() {
    let wait = "{id: w, version: 1, tasks: [{id: a, wait: {signal: go}}, {id: b, wait: {signal: go}}]}";
    let asked = asked(wait).await;
    asked.broker.loses.store(1, Ordering::Relaxed);
    let signal = SignalMessage {
        format: FORMAT,
        run: asked.run.clone(),
        signal_id: "s-1".to_owned(),
        name: "go".to_owned(),
        payload: json!(1),
    };
    assert!(asked.other.signal(signal).await.unwrap(), "asked again it was recorded before");
    let explained = asked.owner.node.explain(&asked.run).await.unwrap().unwrap();
    assert_eq!(explained.waits[0].task_path, "/b".into(), "only the first wait has it");
    asked.broker.loses.store(1, Ordering::Relaxed);
    let pause = OperationMessage {
        format: FORMAT,
        run: asked.run.clone(),
        operation: Operation::Pause,
        requested_by: "ada".to_owned(),
    };
    assert!(asked.other.operate(pause).await.unwrap(), "asked again it was recorded before");
}
