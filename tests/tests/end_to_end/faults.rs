//! Owners that die and stores that do not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use async_trait::async_trait;
use oarlock_broker::embedded::Embedded;
use oarlock_orchestrator::Settings;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::{Claim, Error, Fields, Key, Ownership, Range, Store, Write};
use oarlock_orchestrator::watch::Changed;
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::message::{CompleteMessage, Completion, Kind};
use oarlock_protocol::{Json, RunKey, Span};
use oarlock_telemetry::{self as telemetry, Telemetry};
use oarlock_test_collector::Collector;
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::over::{Between, Fence, Over};
use super::system::{PATIENCE, System, TENANT, eventually, request, settings};

async fn step(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input)
}

const CHAIN: &str = "{id: chain, version: 1, tasks: [
    {id: a, task: step, inputMappings: {n: 1}}, {id: b, task: step, inputMappings: {n: '${ a.output.n + 1 }'}},
    {id: c, task: step, inputMappings: {n: '${ b.output.n + 1 }'}}], output: '${ tasks.c.output.n }'}";

#[tokio::test]
async fn a_new_owner_goes_on_where_the_old_one_died() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mut settings = settings();
    settings.lease = Span::from_millis(300);
    let wide: Vec<String> = (0..300).map(|n| format!("{{id: t{n}, task: step}}")).collect();
    let wide = format!("{{id: wide, version: 1, tasks: [{{id: all, parallel: [{}]}}]}}", wide.join(", "));
    let (chain, fan) = {
        let first = System::over(Arc::new(Embedded::new()), store.clone(), settings.clone()).await;
        first.register(CHAIN).await;
        first.register(&wide).await;
        let chain = first.begin("chain", json!({})).await;
        let fan = first.begin("wide", json!({})).await;
        assert_eq!(
            first.broker.depth("oarlock.tasks.step").await,
            Ok(256),
            "the window is full, the rest is ready"
        );
        (chain, fan)
        // Dropped as by a crash: nothing is flushed, and the broker's messages are gone.
    };
    let second = System::over(Arc::new(Embedded::new()), store, settings).await;
    let _worker = second.worker().task("step", step).build().unwrap().start().await.unwrap();
    let ended = second.end(&chain).await;
    assert_eq!((ended.status, ended.output), (WorkflowStatus::Completed, Some(json!(3))));
    assert!(ended.task_instances.iter().all(|task| task.attempts.len() == 1 && task.retry_count == 0));
    let ended = second.end(&fan).await;
    assert_eq!((ended.status, ended.metrics.completed_tasks), (WorkflowStatus::Completed, 300));
}

#[tokio::test]
async fn pain_14_an_owner_whose_lease_was_taken_changes_nothing_any_more() {
    let clock_ms = Arc::new(AtomicU64::new(0));
    let told = clock_ms.clone();
    let store: Arc<dyn Store> = Arc::new(Memory::with_clock(Arc::new(move || told.load(Ordering::Relaxed))));
    let system = System::over(Arc::new(Embedded::new()), store.clone(), settings()).await;
    system.register(CHAIN).await;
    let run = system.begin("chain", json!({})).await;
    // The store's clock jumps past the lease, as if the owner had been stopped that long, and another takes over.
    clock_ms.fetch_add(60_000, Ordering::Relaxed);
    let thief = Claim { holder: "thief".to_owned(), lease: Span::from_secs(5), token: None };
    let Ownership::Owned { token, seq, .. } = store.own(0, &thief).await.unwrap() else {
        panic!("the lease is over")
    };
    let start = system.node.start_run(request("chain", json!({})));
    let handed_back = async {
        while system.node.counters().lost_partitions.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        store.commit(0, &token, seq + 1, &[]).await.expect("what the fenced owner tried changed nothing");
        store.release(0, &token).await.unwrap();
    };
    let (started, ()) = tokio::join!(start, handed_back);
    let second = started.expect("asked again of whoever owns the partition next").run;
    let _worker = system.worker().task("step", step).build().unwrap().start().await.unwrap();
    assert_eq!(system.end(&run).await.status, WorkflowStatus::Completed);
    assert_eq!(system.end(&second).await.status, WorkflowStatus::Completed);
}

/// A store that fails one read when told to, gives no partition while it is told to wait, and never answers a commit while it stands.
#[derive(Default)]
struct Hiccup {
    stands: AtomicBool,
    /// How many commits it never answers.
    unanswered: AtomicU32,
    fail_reads: AtomicU32,
    /// How often it was asked for a partition by who did not own it.
    asked: AtomicU32,
    waits: tokio::sync::RwLock<()>,
}

#[async_trait]
impl Between for Hiccup {
    async fn own(&self, inner: &Memory, partition: u32, claim: &Claim) -> Result<Ownership, Error> {
        if claim.token.is_none() {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let _goes_on = self.waits.read().await;
        }
        inner.own(partition, claim).await
    }

    async fn commit(&self, inner: &Memory, to: Fence<'_>, writes: &[Write]) -> Result<(), Error> {
        if self.stands.load(Ordering::Relaxed) {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        to.commit(inner, writes).await
    }

    fn reads_hash(&self, _: &Key) -> Result<(), Error> {
        let fails =
            self.fail_reads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if fails.is_ok() { Err(Error::Unavailable("a hiccup".to_owned())) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_store_that_fails_once_costs_no_lease() {
    let store = Arc::new(Over::<Hiccup>::default());
    let mut settings = settings();
    settings.lease = Span::from_secs(600);
    let system = System::over(Arc::new(Embedded::new()), store.clone(), settings).await;
    system.register(CHAIN).await;
    store.fail_reads.store(1, Ordering::Relaxed);
    let run = system.begin("chain", json!({})).await;
    assert_eq!(system.node.counters().lost_partitions.load(Ordering::Relaxed), 1);
    let _worker = system.worker().task("step", step).build().unwrap().start().await.unwrap();
    // Under the old lease of ten minutes this would not end in time.
    assert!(system.node.ready_within(PATIENCE).await);
    assert_eq!(system.end(&run).await.status, WorkflowStatus::Completed);
}

#[tokio::test]
async fn a_partition_that_comes_while_its_node_ends_is_given_back_at_once() {
    let store = Arc::new(Over::<Hiccup>::default());
    let mut settings = settings();
    settings.lease = Span::from_secs(600);
    let system = System::over(Arc::new(Embedded::new()), store.clone(), settings.clone()).await;
    system.register(CHAIN).await;
    let counters = system.node.counters();
    let takeovers = counters.takeovers.load(Ordering::Relaxed);
    let waits = store.waits.write().await;
    let asked = store.asked.load(Ordering::Relaxed);
    store.fail_reads.store(1, Ordering::Relaxed);
    let ends = async {
        while counters.lost_partitions.load(Ordering::Relaxed) == 0
            || store.asked.load(Ordering::Relaxed) == asked
        {
            tokio::task::yield_now().await;
        }
        tokio::join!(system.node.stop(), async { drop(waits) });
    };
    let starts = async {
        system.node.start_run(request("chain", json!({}))).await.ok();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = starts => {}
        () = ends => {}
    }
    assert_eq!(counters.takeovers.load(Ordering::Relaxed), takeovers, "its runs were taken up, to be left");
    // Under the lease of ten minutes this would not be ready in time.
    let next = System::over(Arc::new(Embedded::new()), store.clone(), settings).await;
    assert!(next.node.ready_within(PATIENCE).await);
}

#[tokio::test]
async fn a_partition_that_nobody_waits_to_hand_over_gives_its_messages_back() {
    let (broker, store) = (Arc::new(Embedded::new()), Arc::new(Over::<Hiccup>::default()));
    let settings = Settings { lease: Span::from_secs(1), ..settings() };
    let stuck = System::over(broker.clone(), store.clone(), settings.clone()).await;
    stuck.register(CHAIN).await;
    store.stands.store(true, Ordering::Relaxed);
    let start = request("chain", json!({}));
    stuck.tell_inbox(Kind::Start.as_str(), serde_json::to_vec(&start).unwrap()).await;
    let commits = || async { (store.unanswered.load(Ordering::Relaxed) > 0).then_some(()) };
    eventually("the start is on its way into the store", commits).await;
    let stopping = tokio::time::timeout(std::time::Duration::from_millis(50), stuck.node.stop());
    assert!(stopping.await.is_err(), "it cannot be stopped in order");
    store.stands.store(false, Ordering::Relaxed);
    let next = System::over(broker, store.clone(), settings).await;
    let run = RunKey::new(TENANT, start.workflow_instance_id);
    eventually("the next owner begins the run", || async { next.node.get(&run).await.unwrap() }).await;
    drop(stuck);
}

#[tokio::test]
async fn what_is_not_committed_is_told_to_no_collector() {
    let collector = Collector::start().await;
    let telemetry = Telemetry::start(&telemetry::Settings::new(collector.endpoint(), "oarlock")).unwrap();
    let store = Arc::new(Over::<Hiccup>::default());
    let settings = Settings { telemetry: telemetry.clone(), ..settings() };
    let system = System::over(Arc::new(Embedded::new()), store.clone(), settings).await;
    system.register("{id: one, version: 1, tasks: [{id: a, task: step}]}").await;
    system.begin("one", json!({})).await;
    let all = || store.inner.read_hash(0, &Key::Outbox, Fields::All);
    eventually("nothing but the result is to be committed", || async {
        all().await.unwrap().is_empty().then_some(())
    })
    .await;
    store.stands.store(true, Ordering::Relaxed);
    let _worker = system.worker().task("step", step).build().unwrap().start().await.unwrap();
    let commits = || async { (store.unanswered.load(Ordering::Relaxed) > 0).then_some(()) };
    eventually("the end of the run is on its way into the store", commits).await;
    drop(system);
    telemetry.end(PATIENCE).await;
    assert_eq!((collector.spans(), telemetry.dropped()), (Vec::new(), 0));
}

#[tokio::test]
async fn an_attempt_that_was_begun_long_ago_begins_anew_at_a_take_over() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mut settings = settings();
    settings.lease = Span::from_millis(300);
    settings.engine.slack = Span::from_millis(0);
    // Longer than the second after which a worker first tells that it has begun.
    settings.engine.timeouts.execution = Some(Span::from_millis(2_500));
    let begun = Arc::new(tokio::sync::Notify::new());
    let run = {
        let first = System::over(Arc::new(Embedded::new()), store.clone(), settings.clone()).await;
        first.register("{id: one, version: 1, tasks: [{id: a, task: step}]}").await;
        let told = begun.clone();
        let hang = move |_: Json, context: TaskContext| {
            let told = told.clone();
            async move {
                context.heartbeat(json!("begun"));
                told.notify_one();
                context.cancelled().await;
                Ok::<_, TaskError>(Json::Null)
            }
        };
        let _worker = first.worker().task("step", hang).build().unwrap().start().await.unwrap();
        let mut changes = first.node.watch().subscribe();
        let run = first.begin("one", json!({})).await;
        begun.notified().await;
        while !matches!(changes.recv().await.unwrap().what, Changed::Task { status: TaskStatus::Running, .. })
        {
        }
        run
    };
    // Its execution time runs out while nobody owns the partition.
    let out = store.read_sorted(0, &Key::Timers, &all()).await.unwrap()[0].1;
    let now = || oarlock_orchestrator::Clock::system().now().as_millis();
    while now() <= out {
        tokio::task::yield_now().await;
    }
    let second = System::over(Arc::new(Embedded::new()), store, settings).await;
    let _worker = second.worker().task("step", step).build().unwrap().start().await.unwrap();
    let ended = second.end(&run).await;
    assert_eq!((ended.status, ended.task_instances[0].attempts.len()), (WorkflowStatus::Completed, 1));
}

#[tokio::test]
async fn an_attempt_that_was_handed_on_is_not_published_again_at_a_take_over() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let settings = Settings { lease: Span::from_millis(300), ..settings() };
    let run = {
        let first = System::over(Arc::new(Embedded::new()), store.clone(), settings.clone()).await;
        // Only what has a time limit is looked at by a take-over.
        first.register("{id: one, version: 1, tasks: [{id: a, task: step, timeouts: {total: 1h}}]}").await;
        let run = first.begin("one", json!({})).await;
        let task: Json = serde_json::from_slice(&first.take("oarlock.tasks.step").await.body).unwrap();
        let accepted = json!({"format": 1, "tenantId": TENANT, "workflowInstanceId": run.run, "taskPath": "/a",
            "executionId": task["executionContext"]["executionId"], "workerId": "by-hand", "status": "ACCEPTED"});
        let mut changes = first.node.watch().subscribe();
        first.tell_inbox("oarlock.result", accepted.to_string()).await;
        while !matches!(changes.recv().await.unwrap().what, Changed::Task { status: TaskStatus::Running, .. })
        {
        }
        run
    };
    let second = System::over(Arc::new(Embedded::new()), store, settings).await;
    let output = json!({"by": "hand"});
    let complete = CompleteMessage {
        format: oarlock_protocol::FORMAT,
        run: run.clone(),
        task_path: "/a".into(),
        execution_id: None,
        completion: Completion::Completed { output: output.clone() },
        requested_by: "ada".to_owned(),
    };
    assert!(!second.node.complete(complete).await.unwrap());
    let ended = second.end(&run).await;
    assert_eq!(
        (ended.status, ended.task_instances[0].output.clone()),
        (WorkflowStatus::Completed, Some(output))
    );
    assert_eq!(second.broker.depth("oarlock.tasks.step").await.unwrap_or(0), 0, "no worker is asked again");
}

fn all() -> Range {
    Range { from: i64::MIN, to: i64::MAX, after: None, limit: 10, descending: false }
}

/// A store of which every third commit is applied and answered as lost, and every fifth not applied at all.
#[derive(Default)]
struct Forgetful {
    commits: AtomicU32,
}

#[async_trait]
impl Between for Forgetful {
    async fn commit(&self, inner: &Memory, to: Fence<'_>, writes: &[Write]) -> Result<(), Error> {
        let number = self.commits.fetch_add(1, Ordering::Relaxed);
        if number % 5 == 4 {
            return Err(Error::Unavailable("it did not listen".to_owned()));
        }
        to.commit(inner, writes).await?;
        if number % 3 == 2 { Err(Error::Unavailable("its answer was lost".to_owned())) } else { Ok(()) }
    }
}

#[tokio::test]
async fn commits_whose_answers_are_lost_are_sent_again_and_count_once() {
    let store = Arc::new(Over::<Forgetful>::default());
    let system = System::over(Arc::new(Embedded::new()), store.clone(), settings()).await;
    system.register(CHAIN).await;
    let _worker = system.worker().task("step", step).build().unwrap().start().await.unwrap();
    for _ in 0..3 {
        let ended = tokio::time::timeout(PATIENCE, system.run("chain", json!({}))).await.unwrap();
        assert_eq!((ended.status, ended.output), (WorkflowStatus::Completed, Some(json!(3))));
    }
    assert!(store.commits.load(Ordering::Relaxed) > 15);
}
