//! What statistics add to a commit, and that they leave when their time is over.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use oarlock_broker::embedded::Embedded;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::store::{Error, Fields, Key, Range, Store, Write};
use oarlock_orchestrator::{Clock, Settings, statistics};
use oarlock_protocol::{Json, Span, Timestamp};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::over::{Between, Fence, Over};
use super::system::{System, eventually, settings};

/// A store that remembers what each commit wrote to statistics: field and bytes.
#[derive(Default)]
struct Counting {
    commits: Mutex<Vec<Vec<(String, usize)>>>,
    reads: Mutex<usize>,
}

#[async_trait]
impl Between for Counting {
    async fn commit(&self, inner: &Memory, to: Fence<'_>, writes: &[Write]) -> Result<(), Error> {
        let field = |write: &Write| match write {
            Write::HashSet { key: Key::Statistics { .. }, field, value } => {
                Some((field.clone(), field.len() + value.len()))
            }
            _ => None,
        };
        self.commits.lock().unwrap().push(writes.iter().filter_map(field).collect());
        to.commit(inner, writes).await
    }

    fn reads_hash(&self, key: &Key) -> Result<(), Error> {
        *self.reads.lock().unwrap() += usize::from(matches!(key, Key::Statistics { .. }));
        Ok(())
    }
}

const STEPS: usize = 40;

async fn step(_: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(json!({"done": true}))
}

/// Runs a chain of steps on a node of its own, whose clock is so many hours ahead.
async fn run_a_chain(store: &Arc<Over<Counting>>, kept: Span, ahead: &Arc<AtomicI64>) -> System {
    let settings = Settings { statistics: kept, lease: Span::from_millis(600), ..settings() };
    let (machine, offset) = (Clock::system(), ahead.clone());
    let clock = Clock::of(move || {
        Timestamp::from_millis(machine.now().as_millis() + offset.load(Ordering::Relaxed) * 3_600_000)
    });
    let system = System::with_clock(Arc::new(Embedded::new()), store.clone(), settings, clock).await;
    let steps: Vec<String> = (0..STEPS).map(|n| format!("{{id: s{n}, task: step}}")).collect();
    system.register(&format!("{{id: chain, version: 1, tasks: [{}]}}", steps.join(", "))).await;
    let _worker = system.worker().task("step", step).build().unwrap().start().await.unwrap();
    system.run("chain", json!({})).await;
    system
}

#[tokio::test]
async fn a_step_of_a_chain_writes_one_small_field_of_statistics_and_reads_none() {
    let store = Arc::new(Over::<Counting>::default());
    let ahead = Arc::default();
    let _system = run_a_chain(&store, Span::from_secs(3_600), &ahead).await;
    let commits = store.commits.lock().unwrap().clone();
    let touched: Vec<_> = commits.iter().filter(|fields| !fields.is_empty()).collect();
    // The last step ends the run, which is another definition. The hour may end meanwhile.
    let most = touched.iter().map(|fields| fields.len()).max().unwrap();
    assert!((STEPS - 1..=STEPS).contains(&touched.len()) && most == 2, "{touched:?}");
    assert_eq!(touched.iter().filter(|fields| fields.len() > 1).count(), 1, "{touched:?}");
    let largest = touched.iter().flat_map(|fields| fields.iter()).map(|(_, bytes)| *bytes).max().unwrap();
    assert!(largest <= 400, "{largest} bytes");
    assert_eq!(*store.reads.lock().unwrap(), 0);
}

#[tokio::test]
async fn none_are_written_where_none_are_to_be_kept() {
    let store = Arc::new(Over::<Counting>::default());
    let _system = run_a_chain(&store, Span::default(), &Arc::default()).await;
    assert!(store.commits.lock().unwrap().iter().all(Vec::is_empty));
    assert_eq!(timers(&store).await, [""; 0]);
}

/// The timers of statistics.
async fn timers(store: &Over<Counting>) -> Vec<String> {
    let all = Range { from: i64::MIN, to: i64::MAX, after: None, limit: 100, descending: false };
    let timers = store.inner.read_sorted(0, &Key::Timers, &all).await.unwrap();
    timers.into_iter().map(|(member, _)| member).filter(|member| member.starts_with("statistics@")).collect()
}

async fn is_kept(store: &Over<Counting>, hour: Timestamp) -> bool {
    !store.inner.read_hash(0, &Key::Statistics { hour }, Fields::All).await.unwrap().is_empty()
}

#[tokio::test]
async fn an_hour_leaves_when_its_time_is_over_and_not_before() {
    let (store, ahead) = (Arc::new(Over::<Counting>::default()), Arc::new(AtomicI64::new(0)));
    let first = run_a_chain(&store, Span::from_secs(2 * 3_600), &ahead).await;
    let hours: Vec<String> = timers(&store).await;
    let hour = statistics::hour_of(Clock::system().now());
    assert!(hours.contains(&format!("statistics@{hour}")), "{hours:?} at {hour}");
    drop(first);
    // Kept for longer by now: what was to be removed after three hours is not.
    ahead.store(3, Ordering::Relaxed);
    let second = run_a_chain(&store, Span::from_secs(5 * 3_600), &ahead).await;
    assert!(is_kept(&store, hour).await);
    drop(second);
    ahead.store(6, Ordering::Relaxed);
    let third = run_a_chain(&store, Span::from_secs(5 * 3_600), &ahead).await;
    let gone = || async { (!is_kept(&store, hour).await).then_some(()) };
    eventually("the first hour is removed", gone).await;
    let left = timers(&store).await;
    assert!(left.len() >= 2 && !left.iter().any(|timer| hours.contains(timer)), "{left:?}");
    drop(third);
    // Statistics are not wanted any more: what there is of them leaves, too, when its time has come.
    ahead.store(12, Ordering::Relaxed);
    let _fourth = run_a_chain(&store, Span::default(), &ahead).await;
    let none = || async { timers(&store).await.is_empty().then_some(()) };
    eventually("nothing is left of any hour", none).await;
}
