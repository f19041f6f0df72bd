//! Runs that start runs, over a broker that loses or refuses what they tell each other.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use oarlock_broker::embedded::Embedded;
use oarlock_broker::{
    Announcement, Broker, Consumer, Error, Health, Message, Publication, QueueDeclaration, Subscription,
    topology,
};
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::{Fields, Key, Store};
use oarlock_orchestrator::{Clock, Settings};
use oarlock_protocol::instance::{TaskStatus, WorkflowInstance, WorkflowStatus};
use oarlock_protocol::{Json, RunKey, Span, Timestamp};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;
use tokio::sync::watch;

use super::system::{System, TENANT, eventually, settings};

/// What becomes of a message that is published.
enum Fate {
    Passes,
    /// It is confirmed and gone.
    IsLost,
    Fails(Error),
}

type Rule = Box<dyn Fn(&Message) -> Fate + Send + Sync>;

/// A broker that does with messages as a rule says.
struct Tampered {
    inner: Embedded,
    keeps_messages: bool,
    rule: Mutex<Rule>,
    /// What did not pass.
    kept: Mutex<Vec<Publication>>,
}

impl Tampered {
    fn new(keeps_messages: bool, rule: impl Fn(&Message) -> Fate + Send + Sync + 'static) -> Arc<Self> {
        let rule: Mutex<Rule> = Mutex::new(Box::new(rule));
        Arc::new(Self { inner: Embedded::new(), keeps_messages, rule, kept: Mutex::default() })
    }

    /// From now on everything passes.
    fn mend(&self) {
        *self.rule.lock().unwrap() = Box::new(|_| Fate::Passes);
    }

    /// The first message that did not pass.
    async fn first_kept(&self) -> Publication {
        eventually("a message does not pass", || async { self.kept.lock().unwrap().first().cloned() }).await
    }
}

#[async_trait]
impl Broker for Tampered {
    async fn declare(&self, queue: &QueueDeclaration) -> Result<(), Error> {
        self.inner.declare(queue).await
    }

    async fn declare_exchange(&self, exchange: &str) -> Result<(), Error> {
        self.inner.declare_exchange(exchange).await
    }

    async fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        let mut results = Vec::new();
        for publication in publications {
            let fate = self.rule.lock().unwrap()(&publication.message);
            if !matches!(fate, Fate::Passes) {
                self.kept.lock().unwrap().push(publication.clone());
            }
            match fate {
                Fate::Passes => results.extend(self.inner.publish(vec![publication]).await),
                Fate::IsLost => results.push(Ok(())),
                Fate::Fails(error) => results.push(Err(error)),
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
        self.keeps_messages
    }
}

fn fails(message: &Message, what: &str) -> Fate {
    match message.message_id.ends_with(what) {
        true => Fate::Fails(Error::Unavailable("not now".to_owned())),
        false => Fate::Passes,
    }
}

/// Loses the first message whose id ends so.
fn loses_first(what: &'static str) -> impl Fn(&Message) -> Fate + Send + Sync {
    let lost = AtomicBool::new(false);
    move |message| match message.message_id.ends_with(what) && !lost.swap(true, Ordering::Relaxed) {
        true => Fate::IsLost,
        false => Fate::Passes,
    }
}

const CHILD: &str = "{id: child, version: 1, tasks: [{id: a, task: step}], output: done}";
const PARENT: &str =
    "{id: parent, version: 1, tasks: [{id: c, workflow: {id: child}}], output: '${ tasks.c.output }'}";

async fn step(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(Json::Null)
}

/// A system over that broker, by a clock that the test moves.
async fn system(broker: &Arc<Tampered>) -> (System, Arc<AtomicI64>) {
    let ahead = Arc::new(AtomicI64::new(0));
    let (machine, offset) = (Clock::system(), ahead.clone());
    let clock =
        Clock::of(move || Timestamp::from_millis(machine.now().as_millis() + offset.load(Ordering::Relaxed)));
    let mut settings = settings();
    // A partition looks at its timers whenever it renews its lease: soon after the clock was moved.
    settings.lease = Span::from_millis(600);
    settings.engine.cancel_grace = Span::from_millis(300);
    let system = System::with_clock(broker.clone(), Arc::new(Memory::new()), settings, clock).await;
    register(&system).await;
    (system, ahead)
}

async fn register(system: &System) {
    system.register(CHILD).await;
    system.register(PARENT).await;
}

async fn worker(system: &System) -> oarlock_worker::Running {
    system.worker().task("step", step).build().unwrap().start().await.unwrap()
}

async fn get(system: &System, run: &RunKey) -> Option<WorkflowInstance> {
    system.node.get(run).await.unwrap()
}

async fn child_of(system: &System, run: &RunKey) -> RunKey {
    let parent = get(system, run).await.unwrap();
    RunKey::new(TENANT, parent.task_instances[0].child_id.unwrap())
}

/// Waits until the only partition has handled every message that was sent before.
async fn all_handled(system: &System) {
    system.tell_inbox("of no kind", "{}").await;
    system.take(topology::PARKED).await;
}

#[tokio::test]
async fn a_start_that_is_lost_is_sent_again_after_a_minute() {
    let broker = Tampered::new(false, loses_first("-start"));
    let (system, ahead) = system(&broker).await;
    let _worker = worker(&system).await;
    let run = system.begin("parent", json!({})).await;
    broker.first_kept().await;
    all_handled(&system).await;
    assert_eq!(get(&system, &child_of(&system, &run).await).await, None);
    ahead.fetch_add(61_000, Ordering::Relaxed);
    let ended = system.end(&run).await;
    assert_eq!((ended.status, ended.output), (WorkflowStatus::Completed, Some(json!("done"))));
    assert_eq!(ended.task_instances[0].attempts.len(), 1, "it is the same run");
}

#[tokio::test]
async fn pain_15_an_end_of_a_child_that_is_lost_is_told_again() {
    let broker = Tampered::new(false, loses_first("-end"));
    let (system, ahead) = system(&broker).await;
    let _worker = worker(&system).await;
    let run = system.begin("parent", json!({})).await;
    broker.first_kept().await;
    assert_eq!(get(&system, &run).await.unwrap().status, WorkflowStatus::Running);
    ahead.fetch_add(61_000, Ordering::Relaxed);
    let ended = system.end(&run).await;
    assert_eq!((ended.status, ended.output), (WorkflowStatus::Completed, Some(json!("done"))));
    let child = get(&system, &child_of(&system, &run).await).await.unwrap();
    assert_eq!(child.metrics.attempts, 1, "it ran once");
}

#[tokio::test]
async fn a_question_of_a_run_that_lives_is_answered_as_running() {
    let broker = Tampered::new(false, |_| Fate::Passes);
    let (system, ahead) = system(&broker).await;
    let run = system.begin("parent", json!({})).await;
    ahead.fetch_add(61_000, Ordering::Relaxed);
    let running = || async {
        let task = get(&system, &run).await?.task_instances.remove(0);
        (task.status == TaskStatus::Running).then_some(task)
    };
    let task = eventually("the child says that it lives", running).await;
    let child = task.child_id.unwrap();
    assert_eq!(task.attempts[0].worker_id.as_ref().unwrap().as_str(), format!("run-{child}"));
    let _worker = worker(&system).await;
    assert_eq!(system.end(&run).await.status, WorkflowStatus::Completed);
}

#[tokio::test]
async fn a_cancel_that_is_lost_is_repeated() {
    let broker = Tampered::new(false, loses_first("-cancel"));
    let (system, _) = system(&broker).await;
    let run = system.begin("parent", json!({})).await;
    system.node.cancel(run.clone(), "enough".to_owned()).await.unwrap();
    broker.first_kept().await;
    let child = child_of(&system, &run).await;
    assert_eq!(system.end(&run).await.status, WorkflowStatus::Cancelled);
    assert_eq!(get(&system, &child).await.unwrap().status, WorkflowStatus::Cancelled);
}

#[tokio::test]
async fn a_run_that_is_cancelled_before_its_start_arrives_never_begins() {
    let broker = Tampered::new(false, loses_first("-start"));
    let (system, _) = system(&broker).await;
    let run = system.begin("parent", json!({})).await;
    let start = broker.first_kept().await;
    let child = child_of(&system, &run).await;
    system.node.cancel(run.clone(), "enough".to_owned()).await.unwrap();
    let ended = system.end(&run).await;
    let error = ended.task_instances[0].error.clone().unwrap();
    assert_eq!((ended.status, error.code.as_str()), (WorkflowStatus::Cancelled, "CANCELLED"));
    assert!(error.message.contains("before it had begun"), "{}", error.message);
    system.publish(&start.queue, start.message).await;
    all_handled(&system).await;
    assert_eq!(get(&system, &child).await, None);
}

#[tokio::test]
async fn what_runs_tell_each_other_outlives_their_owner() {
    for what in ["-start", "-end"] {
        let broker = Tampered::new(true, move |message| fails(message, what));
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let settings = Settings { lease: Span::from_millis(300), ..settings() };
        let run = {
            let first = System::over(broker.clone(), store.clone(), settings.clone()).await;
            register(&first).await;
            let _worker = worker(&first).await;
            let run = first.begin("parent", json!({})).await;
            broker.first_kept().await;
            eventually("all else is confirmed", || unconfirmed(&*store, 1)).await;
            run
            // Dropped as by a crash.
        };
        broker.mend();
        let second = System::over(broker.clone(), store.clone(), settings).await;
        let _worker = worker(&second).await;
        let ended = second.end(&run).await;
        assert_eq!((ended.status, ended.output), (WorkflowStatus::Completed, Some(json!("done"))), "{what}");
        eventually("the outbox is empty", || unconfirmed(&*store, 0)).await;
    }
}

/// Whether the outbox names so many messages.
async fn unconfirmed(store: &dyn Store, count: usize) -> Option<()> {
    let entries = store.read_hash(0, &Key::Outbox, Fields::All).await.unwrap();
    (entries.len() == count).then_some(())
}

#[tokio::test]
async fn a_run_is_kept_until_its_end_is_told_and_is_not_started_again_after_that() {
    let broker = Tampered::new(false, |message| fails(message, "-end"));
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let settings = Settings { deduplication: Span::default(), ..settings() };
    let system = System::over(broker.clone(), store, settings).await;
    register(&system).await;
    system
        .register(
            "{id: short, version: 1, retention: 1ms, tasks: [{id: a, set: {x: 1}}], variables: {x: 0}, output: done}",
        )
        .await;
    system
        .register(
            "{id: above, version: 1, tasks: [{id: c, workflow: {id: short}}], output: '${ tasks.c.output }'}",
        )
        .await;
    let run = system.begin("above", json!({})).await;
    // It has failed twice: the time for which the run is kept was over in between.
    let twice = || async { (broker.kept.lock().unwrap().len() > 1).then_some(()) };
    eventually("its end is not told", twice).await;
    broker.mend();
    let ended = system.end(&run).await;
    assert_eq!((ended.status, ended.output), (WorkflowStatus::Completed, Some(json!("done"))));
    let child = child_of(&system, &run).await;
    let gone = || async { get(&system, &child).await.is_none().then_some(()) };
    eventually("the run has left", gone).await;
    // A question that was on its way meanwhile.
    let parent = json!({"tenantId": TENANT, "workflowInstanceId": run.run, "taskPath": "/c",
        "executionId": ended.task_instances[0].attempts[0].execution_id, "depth": 1, "wait": true});
    let start = json!({"format": 1, "workflowInstanceId": child.run, "workflowDefinitionId": "short",
        "securityContext": ended.security_context, "parent": parent});
    let before = system.node.counters().stale_events.load(Ordering::Relaxed);
    let mut changes = system.node.watch().subscribe();
    system.tell_inbox("oarlock.start", start.to_string()).await;
    let answered =
        || async { (system.node.counters().stale_events.load(Ordering::Relaxed) > before).then_some(()) };
    eventually("the answer comes too late", answered).await;
    while let Ok(change) = changes.try_recv() {
        assert_ne!(change.run, child, "it begins anew: {:?}", change.what);
    }
}

#[tokio::test]
async fn an_end_that_the_broker_takes_only_in_brief_fails_the_step() {
    let broker = Tampered::new(false, |message| {
        let text = String::from_utf8_lossy(&message.body).into_owned();
        match message.message_id.ends_with("-end") && text.contains("COMPLETED") {
            true => Fate::Fails(Error::Refused("it is too large".to_owned())),
            false => Fate::Passes,
        }
    });
    let (system, _) = system(&broker).await;
    let _worker = worker(&system).await;
    let ended = system.run("parent", json!({})).await;
    let error = ended.error.unwrap();
    assert_eq!((ended.status, error.code.as_str()), (WorkflowStatus::Failed, "PAYLOAD_TOO_LARGE"));
    assert!(error.message.contains("it is too large"), "{}", error.message);
}
