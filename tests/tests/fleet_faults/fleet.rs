//! Two orchestrators and a worker, each with connections of its own, and what every test asks of them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oarlock_orchestrator::node::{Error, Started};
use oarlock_orchestrator::watch::Changed;
use oarlock_orchestrator::{Clock, Node, Settings};
use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::StartMessage;
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{FORMAT, Json, RunId, RunKey, Span};
use oarlock_worker::{Builder, Running, TaskContext, TaskError, Worker};
use serde_json::json;
use tokio::task::JoinSet;

use super::servers::Places;

/// Nothing here takes this long unless it hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
pub(super) const TENANT: &str = "acme";
pub(super) const PARTITIONS: u32 = 4;

/// Three steps of some 50 ms; the output is the input and three.
pub(super) const CHAIN: &str = "{id: chain, version: 1, tasks: [
    {id: a, task: step, inputMappings: {n: '${ input.n }'}}, {id: b, task: step, inputMappings: {n: '${ a.output }'}},
    {id: c, task: step, inputMappings: {n: '${ b.output }'}}], output: '${ tasks.c.output }'}";

/// A task that is under way all the time, and gives signs of life; how long it may be silent stands for `SILENCE`.
const LASTING: &str =
    "{id: lasting, version: 1, tasks: [{id: a, task: lasts, timeouts: {heartbeat: SILENCE}}],
    output: '${ tasks.a.output }'}";

/// The nodes and a worker.
pub(super) struct Fleet {
    pub(super) nodes: Vec<Arc<Node>>,
    _worker: Running,
    /// How often the end of each run was told, and what went wrong while it was counted.
    ends: Arc<Mutex<HashMap<RunKey, u32>>>,
}

/// A run of one task that lasts, and its worker.
pub(super) struct Lasting {
    run: RunKey,
    begun: Arc<AtomicU32>,
    _worker: Running,
}

/// A start that has an outcome.
pub(super) struct Start {
    pub(super) number: u64,
    pub(super) outcome: Result<Started, Error>,
    pub(super) lasted: Duration,
}

impl Fleet {
    /// Two nodes that own two of the partitions each, or one and three, and a worker; [`CHAIN`] is registered.
    pub(super) async fn start(places: &Places) -> Self {
        let one = node(places, "one").await;
        let nodes = loop {
            let two = node(places, "two").await;
            if share(&one, &two).await {
                break vec![one, two];
            }
            // Chance gave one of them everything.
            two.stop().await;
        };
        let ends = Arc::default();
        nodes.iter().for_each(|node| count_ends(node, &ends));
        register(&nodes[0], CHAIN).await;
        let worker = worker(places).build().unwrap().start().await.unwrap();
        Self { nodes, _worker: worker, ends }
    }

    /// Asks for runs of [`CHAIN`], at each node in turn, all at once.
    pub(super) fn begin(&self, numbers: Range<u64>) -> JoinSet<Start> {
        let mut starts = JoinSet::new();
        for (number, node) in numbers.zip(self.nodes.iter().cycle().cloned()) {
            starts.spawn(async move {
                let begun = Instant::now();
                let outcome = node.start_run(start(number)).await;
                Start { number, outcome, lasted: begun.elapsed() }
            });
        }
        starts
    }

    /// Asks for runs while nothing is wrong: all are accepted.
    pub(super) async fn begin_all(&self, numbers: Range<u64>) {
        for start in self.begin(numbers).join_all().await {
            start.outcome.unwrap();
        }
    }

    /// Begins a run of one task of so long, which fails where its worker is silent for `silence`; returns when it is known to run.
    pub(super) async fn begin_lasting(&self, places: &Places, lasts: Duration, silence: &str) -> Lasting {
        register(&self.nodes[0], &LASTING.replace("SILENCE", silence)).await;
        let begun = Arc::new(AtomicU32::new(0));
        let count = begun.clone();
        let worker = Worker::builder(places.broker()).task("lasts", move |_: Json, _: TaskContext| {
            count.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(lasts).await;
                Ok(json!("done"))
            }
        });
        let worker = worker.build().unwrap().start().await.unwrap();
        let start = StartMessage {
            parent: None,
            traceparent: None,
            workflow_definition_id: "lasting".to_owned(),
            workflow_instance_id: RunId::keyed(TENANT, "lasting", "0"),
            ..start(0)
        };
        let run = self.nodes[0].start_run(start).await.unwrap().run;
        eventually("the task is known to run", || async {
            let run = self.nodes[0].get(&run).await.unwrap().unwrap();
            run.task_instances[0].start_time.map(drop).ok_or_else(|| format!("{run:?}"))
        })
        .await;
        Lasting { run, begun, _worker: worker }
    }

    /// Waits until it has ended well: begun once, in one attempt.
    pub(super) async fn completes(&self, lasting: Lasting) {
        let ended = self.nodes[1].wait(&lasting.run, PATIENCE).await.unwrap().unwrap();
        assert_eq!(ended.output, Some(json!("done")), "{ended:#?}");
        assert_eq!((ended.metrics.attempts, ended.metrics.retries), (1, 0));
        assert_eq!(lasting.begun.load(Ordering::Relaxed), 1);
    }

    /// Waits for the answers to starts that were asked for during a fault: each came in time. Returns the accepted.
    pub(super) async fn accepted(&self, starts: JoinSet<Start>) -> Vec<u64> {
        let starts = starts.join_all().await;
        let all = starts.len();
        let slowest = starts.iter().map(|start| start.lasted).max().unwrap_or_default();
        assert!(slowest < PATIENCE, "a start was answered after {slowest:?}");
        let (accepted, refused): (Vec<_>, Vec<_>) =
            starts.into_iter().partition(|start| start.outcome.is_ok());
        let why = refused.first().and_then(|start| start.outcome.as_ref().err()).map(ToString::to_string);
        println!("of {all} starts {} were accepted, the slowest after {slowest:?}; {why:?}", accepted.len());
        // One without an answer may have been done nevertheless: then it has to end well, too.
        let mut begun: Vec<u64> = accepted.iter().map(|start| start.number).collect();
        for start in refused {
            if self.nodes[0].get(&key(start.number)).await.unwrap().is_some() {
                begun.push(start.number);
            }
        }
        begun
    }

    /// Waits until these runs have ended, COMPLETED with the right output, without a retry.
    pub(super) async fn all_end(&self, numbers: impl IntoIterator<Item = u64>) {
        for (number, node) in numbers.into_iter().zip(self.nodes.iter().cycle()) {
            let run = node.wait(&key(number), PATIENCE).await.unwrap();
            check(number, &run.unwrap_or_else(|| panic!("run {number} is not there")));
        }
    }

    /// The same, each of them once.
    pub(super) async fn all_complete(&self, numbers: impl IntoIterator<Item = u64>) {
        self.all_end(numbers).await;
        let ends = self.ends.lock().unwrap();
        let twice: Vec<_> = ends.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "ended more than once: {twice:?}");
    }

    /// Waits until every node tells this problem and is not ready. How long that took.
    pub(super) async fn until_it_says(&self, sentence: &str) -> Duration {
        let begun = Instant::now();
        eventually(&format!("every node says '{sentence}'"), || async {
            for node in &self.nodes {
                let told = node.readiness();
                if told.ready || !told.problems.iter().any(|problem| problem.contains(sentence)) {
                    return Err(format!("{told:?}"));
                }
            }
            Ok(())
        })
        .await;
        begun.elapsed()
    }

    /// Waits until every node is ready and the partitions have an owner each. How long that took.
    pub(super) async fn until_ready(&self) -> Duration {
        let begun = Instant::now();
        eventually("every node is ready", || async {
            let told: Vec<_> = self.nodes.iter().map(|node| node.readiness()).collect();
            let owned: usize = told.iter().map(|told| told.partitions_owned.len()).sum();
            let settled = told.iter().all(|told| told.ready) && owned == PARTITIONS as usize;
            settled.then_some(()).ok_or_else(|| format!("{told:?}"))
        })
        .await;
        begun.elapsed()
    }
}

/// A node with connections of its own.
pub(super) async fn node(places: &Places, name: &str) -> Arc<Node> {
    node_with(places, settings(name)).await
}

/// The settings of a node.
pub(super) fn settings(name: &str) -> Settings {
    let mut settings = Settings { node: name.to_owned(), partitions: PARTITIONS, ..Settings::default() };
    settings.lease = Span::from_secs(3);
    settings.producers.insert("*".to_owned(), start(0).security_context);
    settings
}

/// A node with connections and settings of its own.
pub(super) async fn node_with(places: &Places, settings: Settings) -> Arc<Node> {
    let (broker, store) = (places.broker(), places.store());
    let node = Node::start(broker, store.clone(), store, settings, Clock::system()).await.unwrap();
    assert!(node.ready_within(PATIENCE).await, "{:?}", node.readiness());
    Arc::new(node)
}

/// Whether two nodes come to share the partitions, each with one at least.
pub(super) async fn share(one: &Node, two: &Node) -> bool {
    let shares = eventually("the nodes share the partitions", || async {
        let told = [one, two].map(Node::readiness);
        let shares = told.each_ref().map(|told| told.partitions_owned.len());
        let settled = told.iter().all(|told| told.ready && told.members.len() == 2);
        let settled = settled && shares.iter().sum::<usize>() == PARTITIONS as usize;
        settled.then_some(shares).ok_or_else(|| format!("{told:?}"))
    })
    .await;
    !shares.contains(&0)
}

pub(super) async fn register(node: &Node, yaml: &str) {
    let report = oarlock_definition::read("test.yaml", yaml);
    let definition = report.definition.as_ref().unwrap_or_else(|| panic!("{}", report.render(false)));
    node.register(TENANT, definition.clone()).await.unwrap();
}

/// A worker with a connection of its own, for [`CHAIN`].
pub(super) fn worker(places: &Places) -> Builder {
    Worker::builder(places.broker()).slots(8).task("step", step)
}

async fn step(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    // What is tested is long enough to be caught under way.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(json!(input["n"].as_u64().unwrap() + 1))
}

/// The start of a run of [`CHAIN`]; its number is its key and its input.
pub(super) fn start(number: u64) -> StartMessage {
    StartMessage {
        parent: None,
        traceparent: None,
        format: FORMAT,
        workflow_instance_id: key(number).run,
        workflow_definition_id: "chain".to_owned(),
        workflow_definition_version: None,
        input: json!({"n": number}),
        idempotency_key: Some(number.to_string()),
        correlation_id: None,
        priority: None,
        security_context: SecurityContext {
            user_id: "ada".to_owned(),
            tenant_id: TENANT.to_owned(),
            ..SecurityContext::default()
        },
    }
}

pub(super) fn key(number: u64) -> RunKey {
    RunKey::new(TENANT, RunId::keyed(TENANT, "chain", &number.to_string()))
}

/// Whether a run of [`CHAIN`] ended as it should.
pub(super) fn check(number: u64, run: &WorkflowInstance) {
    assert_eq!(run.status, WorkflowStatus::Completed, "run {number}: {run:#?}");
    assert_eq!(run.output, Some(json!(number + 3)), "run {number}");
    assert_eq!((run.metrics.attempts, run.metrics.retries), (3, 0), "run {number}: {run:#?}");
}

fn count_ends(node: &Node, ends: &Arc<Mutex<HashMap<RunKey, u32>>>) {
    let (mut changes, ends) = (node.watch().subscribe(), ends.clone());
    tokio::spawn(async move {
        while let Ok(change) = changes.recv().await {
            if matches!(change.what, Changed::Run { status } if status.is_terminal()) {
                *ends.lock().unwrap().entry(change.run).or_default() += 1;
            }
        }
    });
}

/// Does what blocks its thread.
pub(super) fn work<T>(blocking: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(blocking)
}

/// Polls `look` until it answers; `Err` says what is there instead. Fails when that takes too long.
pub(super) async fn eventually<T, F: Future<Output = Result<T, String>>>(
    what: &str,
    look: impl Fn() -> F,
) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(last) => assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}; {last}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
