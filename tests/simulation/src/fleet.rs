//! The orchestrators and workers of a simulation: each is started again some time after it has ended.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oarlock_broker::embedded::Embedded;
use oarlock_orchestrator::members::memory::Memory as Everybody;
use oarlock_orchestrator::{Node, Settings};
use oarlock_protocol::Span;
use oarlock_protocol::security::SecurityContext;
use oarlock_worker::{Running, Worker};
use tokio::time::sleep;

use crate::broker::SimulatedBroker;
use crate::database::Database;
use crate::hands::Hands;
use crate::mutation::Mutation;
use crate::process::Process;
use crate::store::{SimulatedMembers, SimulatedStore};
use crate::world::{World, lock, ms};

/// Whose runs these are.
pub(crate) const TENANT: &str = "acme";
/// How long the key of a forgotten run is remembered.
pub(crate) const REMEMBERED_S: u64 = 10;

/// How large a simulation is.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    pub(crate) partitions: u32,
    pub(crate) nodes: usize,
    pub(crate) workers: usize,
    pub(crate) slots: usize,
    pub(crate) window: usize,
    pub(crate) cached_runs: usize,
    /// After how long a worker acknowledges what it still executes. Where that is soon, a lost worker costs a retry.
    pub(crate) early_ack_s: u64,
    /// Whether messages outlive the processes.
    pub(crate) keeps_messages: bool,
}

/// The processes.
pub(crate) struct Fleet {
    pub(crate) world: Arc<World>,
    broker: Mutex<Embedded>,
    pub(crate) database: Arc<Database>,
    everybody: Arc<Everybody>,
    hands: Arc<Hands>,
    pub(crate) size: Size,
    mutation: Mutation,
    nodes: Mutex<Vec<Option<Living>>>,
    /// All that live.
    processes: Mutex<Vec<Arc<Process>>>,
}

/// A node that lives.
#[derive(Clone)]
pub(crate) struct Living {
    pub(crate) node: Arc<Node>,
    pub(crate) process: Arc<Process>,
}

/// On whose behalf runs are started.
pub(crate) fn principal() -> SecurityContext {
    SecurityContext { user_id: "ada".to_owned(), tenant_id: TENANT.to_owned(), ..SecurityContext::default() }
}

impl Fleet {
    pub(crate) fn new(
        database: &Arc<Database>,
        hands: &Arc<Hands>,
        size: Size,
        mutation: Mutation,
    ) -> Arc<Self> {
        let world = Arc::clone(&database.world);
        Arc::new(Self {
            broker: Mutex::default(),
            database: Arc::clone(database),
            everybody: Arc::new(Everybody::with_clock(world.monotonic())),
            hands: Arc::clone(hands),
            nodes: Mutex::new(vec![None; size.nodes]),
            processes: Mutex::default(),
            size,
            mutation,
            world,
        })
    }

    /// Starts everything.
    pub(crate) fn start(self: &Arc<Self>) {
        for number in 0..self.size.nodes {
            tokio::spawn(Arc::clone(self).keep_node(number));
        }
        for number in 0..self.size.workers {
            tokio::spawn(Arc::clone(self).keep_worker(number));
        }
    }

    /// The broker of now.
    pub(crate) fn broker(&self) -> Embedded {
        lock(&self.broker).clone()
    }

    /// Ends every process, and all messages with them.
    pub(crate) fn cut_the_power(&self) {
        self.world.note("the power is cut");
        *lock(&self.broker) = Embedded::new();
        let processes = std::mem::take(&mut *lock(&self.processes));
        processes.iter().for_each(|process| process.kill());
        self.world.power_cuts.fetch_add(1, Ordering::Relaxed);
        self.world.struck.fetch_add(1, Ordering::Relaxed);
    }

    fn process(&self, name: &str, crash: u64) -> Arc<Process> {
        let crash = if self.size.keeps_messages { crash } else { 0 };
        let process = Process::new(name.to_owned(), &self.world, crash);
        let mut processes = lock(&self.processes);
        processes.retain(|process| !process.is_dead());
        processes.push(Arc::clone(&process));
        process
    }

    /// A node that lives, by chance.
    pub(crate) fn any_node(&self) -> Option<Living> {
        let living: Vec<Living> = lock(&self.nodes).iter().flatten().cloned().collect();
        let chosen = self.world.draw(|random| random.index(living.len()));
        living.get(chosen).cloned()
    }

    fn settings(&self, name: &str) -> Settings {
        let mut settings = Settings {
            node: name.to_owned(),
            partitions: self.size.partitions,
            lease: Span::from_millis(self.world.lease_ms),
            window: self.size.window,
            cached_runs: self.size.cached_runs,
            // Messages come back often here, and none of their workers was ended by them.
            delivery_limit: 10_000,
            deduplication: Span::from_secs(REMEMBERED_S),
            // What nodes tell each other moves no run.
            look: Span::from_secs(20),
            ..Settings::default()
        };
        settings.producers.insert("*".to_owned(), principal());
        settings.engine.cancel_grace = Span::from_secs(20);
        let silence = if self.size.early_ack_s < 100 { 8 } else { 300 };
        settings.engine.timeouts.heartbeat = Some(Span::from_secs(silence));
        settings
    }

    async fn keep_node(self: Arc<Self>, number: usize) {
        let mut generation = 0;
        loop {
            generation += 1;
            let name = format!("node{number}.{generation}");
            let process = self.process(&name, self.world.faults.crash);
            let broker = self.way_to_the_broker(&process, self.mutation);
            let store = SimulatedStore::new(&process, &self.database);
            let members = SimulatedMembers::new(&process, &self.everybody);
            let clock = self.world.clock(self.world.draw_skew_ms());
            let starting = Node::start(broker, store, members, self.settings(&name), clock);
            let started = tokio::select! {
                biased;
                () = process.dead() => None,
                started = starting => started.ok(),
            };
            if let Some(node) = started {
                self.world.note(&format!("{name} lives"));
                self.live(number, Living { node: Arc::new(node), process }).await;
            }
            let pause = self.world.draw(|random| random.between(100, 2 * self.world.lease_ms));
            sleep(ms(pause)).await;
        }
    }

    /// Lets a node live until it crashes, or leaves in order.
    async fn live(&self, number: usize, living: Living) {
        lock(&self.nodes)[number] = Some(living.clone());
        loop {
            tokio::select! {
                biased;
                () = living.process.dead() => break,
                () = sleep(Duration::from_secs(1)) => {}
            }
            if self.world.strikes(self.world.faults.leaves) {
                self.world.note(&format!("{} leaves in order", living.process.name));
                lock(&self.nodes)[number] = None;
                tokio::select! {
                    biased;
                    () = living.process.dead() => {}
                    () = living.node.stop() => {}
                    () = sleep(ms(4 * self.world.lease_ms)) => {}
                }
                break;
            }
        }
        lock(&self.nodes)[number] = None;
        living.process.kill();
    }

    /// Lets a worker work until it crashes, or leaves in order.
    async fn work(&self, process: &Process, running: Running) {
        loop {
            tokio::select! {
                biased;
                () = process.dead() => return,
                () = sleep(Duration::from_secs(1)) => {}
            }
            if self.world.strikes(self.world.faults.leaves) {
                self.world.note(&format!("{} leaves in order", process.name));
                let grace = self.world.draw(|random| random.between(0, 3_000));
                tokio::select! {
                    biased;
                    () = process.dead() => {}
                    _ = running.drain(ms(grace)) => {}
                }
                return;
            }
        }
    }

    fn way_to_the_broker(&self, process: &Arc<Process>, mutation: Mutation) -> Arc<SimulatedBroker> {
        SimulatedBroker::new(process, self.broker(), &self.database, mutation, self.size.keeps_messages)
    }

    async fn keep_worker(self: Arc<Self>, number: usize) {
        let mut generation = 0;
        loop {
            generation += 1;
            let name = format!("worker{number}-{generation}");
            let process = self.process(&name, self.world.faults.worker_crash);
            let broker = self.way_to_the_broker(&process, Mutation::None);
            let worker = Worker::builder(broker)
                .name(&name)
                .slots(self.size.slots)
                .cancel_grace(Duration::from_secs(2))
                .early_ack(Duration::from_secs(self.size.early_ack_s))
                // As seldom as may be: nothing rests on it, and hours pass here.
                .beat(Duration::from_secs(60))
                .clock(self.world.clock(self.world.draw_skew_ms()))
                .handler("work", "work", self.hands.clone())
                .handler("work", "undo", self.hands.clone())
                .build();
            if let Ok(worker) = worker {
                let started = tokio::select! {
                    biased;
                    () = process.dead() => None,
                    started = worker.start() => started.ok(),
                };
                if let Some(running) = started {
                    self.work(&process, running).await;
                }
                process.kill();
            }
            let pause = self.world.draw(|random| random.between(50, 3_000));
            sleep(ms(pause)).await;
        }
    }
}
