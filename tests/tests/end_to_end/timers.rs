//! What stands in the store for the timers of a run: one entry while it is under way, moved as seldom as may be; and what a
//! take-over finds by it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use oarlock_broker::embedded::Embedded;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::{Claim, Error, Key, Ownership, Store, Write};
use oarlock_orchestrator::{Clock, Settings};
use oarlock_protocol::instance::{TaskStatus, WorkflowInstance, WorkflowStatus};
use oarlock_protocol::{Json, RunKey, Span, Timestamp};
use oarlock_worker::{Running, TaskContext, TaskError};
use serde_json::json;

use super::over::{Between, Fence, Over};
use super::system::{System, eventually, settings};

/// A store that remembers what was written to the timers, and which runs were read.
#[derive(Default)]
struct Watched {
    /// Entries as they were written: none for one that was removed.
    timers: Mutex<Vec<(String, Option<i64>)>>,
    read: Mutex<BTreeSet<RunKey>>,
}

impl Watched {
    /// What was written for a run, in order.
    fn of(&self, run: &RunKey) -> Vec<(String, Option<i64>)> {
        let name = run.to_string();
        let all = self.timers.lock().unwrap().clone();
        let own =
            all.into_iter().filter_map(|(member, at)| Some((member.strip_prefix(&name)?.to_owned(), at)));
        own.collect()
    }
}

#[async_trait]
impl Between for Watched {
    async fn commit(&self, inner: &Memory, to: Fence<'_>, writes: &[Write]) -> Result<(), Error> {
        for write in writes {
            let timer = match write {
                Write::SortedSet { key: Key::Timers, member, score } => (member.clone(), Some(*score)),
                Write::SortedRemove { key: Key::Timers, member } => (member.clone(), None),
                _ => continue,
            };
            self.timers.lock().unwrap().push(timer);
        }
        to.commit(inner, writes).await
    }

    fn reads_hash(&self, key: &Key) -> Result<(), Error> {
        if let Key::Run(run) = key {
            self.read.lock().unwrap().insert(run.clone());
        }
        Ok(())
    }
}

/// A clock that the test moves on.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicI64>);

impl Ahead {
    fn clock(&self) -> Clock {
        let (machine, ahead) = (Clock::system(), self.0.clone());
        Clock::of(move || Timestamp::from_millis(machine.now().as_millis() + ahead.load(Ordering::Relaxed)))
    }

    fn by_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }
}

async fn node(store: &Arc<Over<Watched>>, ahead: &Ahead, window: usize) -> System {
    // A partition looks at its timers whenever it renews its lease: soon after the clock was moved.
    let settings = Settings { lease: Span::from_millis(600), window, ..settings() };
    System::with_clock(Arc::new(Embedded::new()), store.clone(), settings, ahead.clock()).await
}

async fn quick(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(Json::Null)
}

async fn hang(_: Json, context: TaskContext) -> Result<Json, TaskError> {
    context.cancelled().await;
    Err(TaskError::new("CANCELLED", "told to end"))
}

async fn fail(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    Err(TaskError::new("BAD", "not yet"))
}

async fn worker(system: &System, held: bool) -> Running {
    let worker = system.worker().task("step", quick);
    let worker = match held {
        true => worker.task("hold", hang).task("try", fail),
        false => worker.task("hold", quick).task("try", quick),
    };
    worker.build().unwrap().start().await.unwrap()
}

#[tokio::test]
async fn a_chain_of_steps_with_the_same_limits_writes_its_timer_at_its_start_and_at_its_end() {
    let (store, ahead) = (Arc::new(Over::<Watched>::default()), Ahead::default());
    let system = node(&store, &ahead, 256).await;
    let steps: Vec<String> = (0..20).map(|n| format!("{{id: s{n}, task: step}}")).collect();
    system.register(&format!("{{id: chain, version: 1, tasks: [{}]}}", steps.join(", "))).await;
    let _worker = worker(&system, false).await;
    let run = system.begin("chain", json!({})).await;
    assert_eq!(system.end(&run).await.status, WorkflowStatus::Completed);
    let written = store.of(&run);
    let mut written: Vec<_> = written.iter().map(|(place, at)| (place.as_str(), at.is_some())).collect();
    // Both of the end are of one commit.
    written.sort_unstable();
    assert_eq!(written, [("", false), ("", true), ("/", true)]);
}

#[tokio::test]
async fn a_stored_time_that_was_too_early_moves_when_it_has_passed() {
    let (store, ahead) = (Arc::new(Over::<Watched>::default()), Ahead::default());
    let system = node(&store, &ahead, 256).await;
    system
        .register(
            "{id: two, version: 1, tasks: [{id: a, task: step, timeouts: {queue: 10s}},
            {id: b, task: late, timeouts: {queue: 10h}}]}",
        )
        .await;
    let _worker = worker(&system, false).await;
    let run = system.begin("two", json!({})).await;
    eventually("the second step is under way", || async {
        let run = system.node.get(&run).await.unwrap().unwrap();
        (run.task_instances.len() == 2).then_some(())
    })
    .await;
    assert_eq!(store.of(&run).len(), 1, "what is stored is early enough");
    ahead.by_seconds(60);
    let moved = eventually("it has passed", || async { store.of(&run).get(1).cloned() }).await;
    let begun = store.of(&run)[0].1.unwrap();
    let later = moved.1.unwrap() - begun;
    assert!((9 * 3_600_000..11 * 3_600_000).contains(&later), "{later} ms later");
    let run = system.node.get(&run).await.unwrap().unwrap();
    assert_eq!(run.status, WorkflowStatus::Running, "nothing was due");
}

const RUNS: &str = "{id: ended, version: 1, tasks: [{id: a, task: step}]}
---
{id: open, version: 1, tasks: [{id: a, task: hold}]}
---
{id: ready, version: 1, tasks: [{id: p, parallel: [{id: a, task: hold}, {id: b, task: hold}]}]}
---
{id: waiting, version: 1, tasks: [{id: a, wait: {duration: 50s}}]}
---
{id: retrying, version: 1, tasks: [{id: a, task: try, retryPolicy: {maxRetries: 3, initialDelay: 50s}}]}
---
{id: child, version: 1, tasks: [{id: a, workflow: {id: open}}]}";

fn statuses(run: &WorkflowInstance) -> Vec<TaskStatus> {
    run.task_instances.iter().map(|task| task.status).collect()
}

#[tokio::test]
async fn a_take_over_finds_what_is_open_ready_waits_and_is_tried_again_and_loads_nothing_that_has_ended() {
    let (store, ahead) = (Arc::new(Over::<Watched>::default()), Ahead::default());
    let mut runs = Vec::new();
    let first = node(&store, &ahead, 1).await;
    let held = worker(&first, true).await;
    for definition in RUNS.split("---") {
        first.register(definition).await;
    }
    for (name, is_there) in [
        ("ended", "COMPLETED"),
        ("open", "SCHEDULED"),
        ("ready", "READY"),
        ("waiting", "RUNNING"),
        ("retrying", "RETRY_PENDING"),
        ("child", "SCHEDULED"),
    ] {
        let run = first.begin(name, json!({})).await;
        eventually(name, || async {
            let run = first.node.get(&run).await.unwrap().unwrap();
            statuses(&run).iter().any(|status| status.as_str() == is_there).then_some(())
        })
        .await;
        runs.push(run);
    }
    drop((first, held));
    store.read.lock().unwrap().clear();
    let second = node(&store, &ahead, 1).await;
    let read = store.read.lock().unwrap().clone();
    assert!(!read.contains(&runs[0]), "a run that has ended is not loaded");
    assert!(runs[1..].iter().all(|run| read.contains(run)), "every run under way is");
    let _worker = worker(&second, false).await;
    for run in [&runs[1], &runs[2], &runs[5]] {
        assert_eq!(second.end(run).await.status, WorkflowStatus::Completed);
    }
    for run in [&runs[3], &runs[4]] {
        assert_eq!(second.node.get(run).await.unwrap().unwrap().status, WorkflowStatus::Running);
    }
    ahead.by_seconds(60);
    for run in [&runs[3], &runs[4]] {
        assert_eq!(second.end(run).await.status, WorkflowStatus::Completed);
    }
}

#[tokio::test]
async fn a_timer_that_cannot_be_read_does_no_harm() {
    let (store, ahead) = (Arc::new(Over::<Watched>::default()), Ahead::default());
    {
        let first = node(&store, &ahead, 256).await;
        first.register("{id: one, version: 1, tasks: [{id: a, task: step}]}").await;
    }
    let claim = Claim { holder: "a-test".to_owned(), lease: Span::from_millis(1), token: None };
    let owned = eventually("the partition is free", || async {
        match store.own(0, &claim).await.unwrap() {
            Ownership::Owned { token, seq, .. } => Some((token, seq)),
            Ownership::HeldBy { .. } => None,
        }
    })
    .await;
    let strange = ["", "acme", "acme/x", "acme/not-a-run/a", "//", "\u{0}"];
    let timer = |member: &str| Write::SortedSet { key: Key::Timers, member: member.to_owned(), score: 1 };
    let writes: Vec<_> = strange.into_iter().map(timer).collect();
    store.commit(0, &owned.0, owned.1 + 1, &writes).await.unwrap();
    let second = node(&store, &ahead, 256).await;
    let _worker = worker(&second, false).await;
    assert_eq!(second.run("one", json!({})).await.status, WorkflowStatus::Completed);
}
