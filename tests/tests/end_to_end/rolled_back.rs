//! A store that lost its last commits: whoever takes over publishes everything open again, and so does the next where that one
//! breaks off. What workers remember of the lost commits fails no task.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use oarlock_broker::embedded::Embedded;
use oarlock_broker::{
    Announcement, Broker, Consumer, Error as BrokerError, Health, Publication, QueueDeclaration,
    Subscription, topology,
};
use oarlock_orchestrator::Settings;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::{Claim, Error, Fields, Key, Ownership, Store};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{Json, Span};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;
use tokio::sync::watch;

use super::over::{Between, Over};
use super::system::{System, eventually, settings};

/// A broker that outlives its nodes, and takes no tasks when told to.
struct Lasting {
    inner: Embedded,
    refuses: AtomicBool,
}

#[async_trait]
impl Broker for Lasting {
    async fn declare(&self, queue: &QueueDeclaration) -> Result<(), BrokerError> {
        self.inner.declare(queue).await
    }

    async fn declare_exchange(&self, exchange: &str) -> Result<(), BrokerError> {
        self.inner.declare_exchange(exchange).await
    }

    async fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), BrokerError>> {
        let tasks = publications.iter().any(|publication| publication.queue.starts_with(topology::TASKS));
        if tasks && self.refuses.load(Ordering::Relaxed) {
            return vec![Err(BrokerError::Unavailable("told to".to_owned())); publications.len()];
        }
        self.inner.publish(publications).await
    }

    async fn announce(&self, announcements: Vec<Announcement>) -> Result<(), BrokerError> {
        self.inner.announce(announcements).await
    }

    async fn consume(&self, subscription: Subscription) -> Result<Box<dyn Consumer>, BrokerError> {
        self.inner.consume(subscription).await
    }

    async fn depth(&self, queue: &str) -> Result<u64, BrokerError> {
        self.inner.depth(queue).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health()
    }

    fn keeps_messages(&self) -> bool {
        true
    }
}

/// A store that tells once that it began anew, and then does not answer so many reads of timers.
#[derive(Default)]
struct Shaken {
    began_anew: AtomicBool,
    unread: AtomicU32,
}

#[async_trait]
impl Between for Shaken {
    async fn own(&self, inner: &Memory, partition: u32, claim: &Claim) -> Result<Ownership, Error> {
        let owned = inner.own(partition, claim).await?;
        Ok(match owned {
            Ownership::Owned { token, seq, .. } if claim.token.is_none() => {
                Ownership::Owned { token, seq, restarted: self.began_anew.swap(false, Ordering::Relaxed) }
            }
            other => other,
        })
    }

    fn reads_sorted(&self) -> Result<(), Error> {
        let fewer = |left: u32| left.checked_sub(1);
        let fails = self.unread.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        if fails.is_ok() { Err(Error::Unavailable("told to".to_owned())) } else { Ok(()) }
    }
}

/// A run whose only task was published and confirmed, and whose message is lost with the store's last commits.
async fn shaken() -> (Arc<Lasting>, Arc<Over<Shaken>>) {
    let broker = Arc::new(Lasting { inner: Embedded::new(), refuses: AtomicBool::new(false) });
    let store = Arc::new(Over::<Shaken>::default());
    let first = node(&broker, &store).await;
    first.register("{id: w, version: 1, tasks: [{id: a, task: x}]}").await;
    first.begin("w", json!({})).await;
    first.take(&topology::tasks("x")).await;
    eventually("its publication is known to be confirmed", || async {
        outbox(&store).await.is_empty().then_some(())
    })
    .await;
    drop(first);
    store.began_anew.store(true, Ordering::Relaxed);
    (broker, store)
}

async fn node(broker: &Arc<Lasting>, store: &Arc<Over<Shaken>>) -> System {
    let settings = Settings { lease: Span::from_secs(1), ..settings() };
    System::over(broker.clone(), store.clone(), settings).await
}

async fn outbox(store: &Over<Shaken>) -> Vec<String> {
    let entries = store.read_hash(0, &Key::Outbox, Fields::All).await.unwrap();
    entries.into_iter().map(|(entry, _)| entry).collect()
}

#[tokio::test]
async fn a_take_over_that_breaks_off_leaves_what_it_had_to_publish_to_the_next() {
    let (broker, store) = shaken().await;
    store.unread.store(1, Ordering::Relaxed);
    let second = node(&broker, &store).await;
    second.take(&topology::tasks("x")).await;
    eventually("nothing is left of it", || async { outbox(&store).await.is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn what_is_published_again_is_in_the_outbox_until_it_is_confirmed() {
    let (broker, store) = shaken().await;
    broker.refuses.store(true, Ordering::Relaxed);
    let second = node(&broker, &store).await;
    assert_eq!(outbox(&store).await.len(), 1);
    drop(second);
    broker.refuses.store(false, Ordering::Relaxed);
    let third = node(&broker, &store).await;
    third.take(&topology::tasks("x")).await;
}

/// Ends as it is told to the first time it is executed, and completes the next time.
fn patient() -> (Arc<AtomicU32>, impl Fn(Json, TaskContext) -> Patient + Send + Sync + 'static) {
    let begun = Arc::new(AtomicU32::new(0));
    let counter = begun.clone();
    let run = move |_: Json, context: TaskContext| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let run: Patient = Box::pin(async move {
            if number == 0 {
                context.cancelled().await;
                return Err(TaskError::new("STOPPED", "as told"));
            }
            Ok(json!(number))
        });
        run
    };
    (begun, run)
}

type Patient = Pin<Box<dyn Future<Output = Result<Json, TaskError>> + Send>>;

#[tokio::test]
async fn a_task_whose_cancel_was_lost_is_executed_again_by_the_worker_that_had_ended_it() {
    let broker = Arc::new(Lasting { inner: Embedded::new(), refuses: AtomicBool::new(false) });
    let store = Arc::new(Memory::new());
    let settings = Settings { lease: Span::from_secs(1), ..settings() };
    let system = System::over(broker, store.clone(), settings).await;
    system.register("{id: w, version: 1, tasks: [{id: a, task: x}], output: '${ tasks.a.output }'}").await;
    let (begun, run) = patient();
    let _worker = system.worker().task("x", run).build().unwrap().start().await.unwrap();
    let run = system.begin("w", json!({})).await;
    eventually("the task is executed", || async { (begun.load(Ordering::Relaxed) > 0).then_some(()) }).await;
    let moment = store.moment();
    system.node.cancel(run.clone(), "nobody wants it".to_owned()).await.unwrap();
    assert_eq!(system.end(&run).await.status, WorkflowStatus::Cancelled);
    store.go_back(&moment);
    let ended = system.end(&run).await;
    assert_eq!((ended.status, ended.output), (WorkflowStatus::Completed, Some(json!(1))));
    assert_eq!((ended.metrics.attempts, ended.metrics.retries), (2, 0));
}
