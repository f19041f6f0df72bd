//! One seed, from the first start to the last key.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use oarlock_broker::{Broker, topology};
use tokio::time::sleep;

use crate::client::{Client, Order};
use crate::database::Database;
use crate::definition::{RETENTION_S, definition};
use crate::fleet::{Fleet, REMEMBERED_S, Size, TENANT};
use crate::flow::Flow;
use crate::generate;
use crate::hands::Hands;
use crate::mutation::Mutation;
use crate::panics;
use crate::random::Random;
use crate::schedule::Scheduled;
use crate::verdict;
use crate::world::{World, lock};

/// Long after the last fault every run has ended: what asks ever less often asks within it.
const PATIENCE_MS: u64 = 2 * 3_600_000;

/// What a simulation found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What is wrong, in one sentence.
    pub wrong: Option<String>,
    /// Tells this course of events from any other.
    pub digest: u64,
    /// How many lines the trace has.
    pub lines: u64,
    /// Its last lines, or all of them.
    pub trace: Vec<String>,
    /// The faults and workflows, for people.
    pub plan: String,
    /// How many faults there were.
    pub faults: u64,
    /// How long it lasted in its own time.
    pub lasted_ms: u64,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, lines, digest, lasted_ms, faults, .. } = self;
        match &self.wrong {
            Some(wrong) => {
                write!(f, "seed {seed}: {wrong}\n  run it again: cargo xtask simulate --seed {seed}")
            }
            None => write!(f, "seed {seed}: nothing is wrong"),
        }?;
        write!(f, "\n  {lines} lines, digest {digest:016x}, {faults} faults, {lasted_ms} ms of its own time")
    }
}

/// Runs one seed on this thread.
///
/// # Errors
/// The runtime cannot be had.
pub fn simulate(seed: u64, mutation: Mutation, whole_trace: bool) -> std::io::Result<Report> {
    panics::listen();
    oarlock_protocol::chance::seed(Some(seed));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let report = runtime.block_on(whole(seed, mutation, whole_trace));
    drop(runtime);
    oarlock_protocol::chance::seed(None);
    Ok(report)
}

async fn whole(seed: u64, mutation: Mutation, whole_trace: bool) -> Report {
    let world = World::new(seed, whole_trace);
    let flows = generate::flows(Random::of(seed, "flows"));
    let mut random = Random::of(seed, "orders");
    let count = random.between(1, 4) as usize;
    let orders: Vec<Order> = (0..count)
        .map(|number| {
            let flow = &flows[random.index(flows.len())];
            Order::draw(&mut random, number, flow)
        })
        .collect();
    let size = Size {
        partitions: random.between(1, 3) as u32,
        nodes: random.between(1, 3) as usize,
        workers: random.between(1, 3) as usize,
        slots: random.between(1, 6) as usize,
        window: if random.percent(30) { random.between(1, 4) as usize } else { 64 },
        cached_runs: random.between(1, 6) as usize,
        early_ack_s: if random.percent(12) { 1 } else { 600 },
        keeps_messages: true,
    };
    // All in one process: its messages end with it.
    let size = match random.percent(12) {
        true => Size { nodes: 1, keeps_messages: false, early_ack_s: 600, ..size },
        false => size,
    };
    let scheduled = Scheduled::draw(&world);
    let plan = format!("{}{scheduled:?}\n", plan(&world, &size, &flows, &orders));
    let hands = Hands::new(&world, &flows);
    let database = Database::new(&world, &size, mutation);
    let fleet = Fleet::new(&database, &hands, size.clone(), mutation);
    tokio::select! {
        biased;
        () = world.alarm.notified() => {}
        () = course(&fleet, &hands, (&flows, &orders, scheduled.as_ref()), &size) => {}
    }
    let (digest, lines, trace) = world.told();
    let wrong = world.found().or_else(|| panics::heard().map(|told| format!("something panicked: {told}")));
    let faults = world.struck.load(Ordering::Relaxed);
    Report { seed, wrong, digest, lines, trace, plan, faults, lasted_ms: world.age_ms() }
}

fn plan(world: &World, size: &Size, flows: &[Flow], orders: &[Order]) -> String {
    let mut plan = format!("{:#?}\n{size:?}, lease {} ms\n", world.faults, world.lease_ms);
    for flow in flows {
        let text = definition(flow, flows)
            .ok()
            .and_then(|definition| serde_json::to_string_pretty(&definition).ok());
        plan.push_str(&text.unwrap_or_default());
        plan.push('\n');
    }
    for order in orders {
        plan.push_str(&format!("{order:?}\n"));
    }
    plan
}

async fn course(
    fleet: &Arc<Fleet>,
    hands: &Arc<Hands>,
    (flows, orders, scheduled): (&[Flow], &[Order], Option<&Scheduled>),
    size: &Size,
) {
    let world = &fleet.world;
    fleet.start();
    register(fleet, flows).await;
    if let Some(scheduled) = scheduled {
        scheduled.register(fleet).await;
    }
    let mut clients = Vec::new();
    for order in orders {
        let client = Client { fleet: fleet.clone(), order: order.clone() };
        clients.push(tokio::spawn(client.see_through()));
    }
    let tending = tokio::spawn(fleet.clone().tend(hands.clone(), orders.to_vec()));
    let rollbacks = tokio::spawn(roll_back(fleet.clone()));
    let cuts = tokio::spawn(cut_the_power(fleet.clone()));
    let faults_for = world.draw(|random| random.between(15_000, 45_000));
    sleep(Duration::from_millis(faults_for)).await;
    world.calm_down();
    rollbacks.abort();
    cuts.abort();
    if !schedule_ends(fleet, scheduled).await || !all_end(fleet, orders).await {
        return;
    }
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    tending.abort();
    let verdict = fleet
        .database
        .look(|mirror| verdict::of_runs(mirror, flows, orders, hands, size.early_ack_s < 100, world));
    world.check(verdict);
    world.check(begun_as_often_as_told(fleet, hands));
    nothing_is_left(fleet, size).await;
}

/// Before there are faults: a workflow that is lost cannot be started.
async fn register(fleet: &Fleet, flows: &[Flow]) {
    fleet.world.hold_faults(true);
    for flow in flows {
        let written = match definition(flow, flows) {
            Ok(written) => written,
            Err(error) => return fleet.world.is_wrong(format!("a workflow cannot be written: {error}")),
        };
        loop {
            let call = |node: Arc<oarlock_orchestrator::Node>| {
                let written = written.clone();
                async move { node.register(TENANT, written).await }
            };
            match fleet.call(call).await {
                Some(Ok(_)) => break,
                Some(Err(oarlock_orchestrator::node::Error::Refused(error))) => {
                    return fleet.world.is_wrong(format!("{} is refused: {error:?}", flow.id));
                }
                Some(Err(_)) | None => sleep(Duration::from_millis(100)).await,
            }
        }
    }
    fleet.world.hold_faults(false);
}

/// Lets the store lose its last commits now and then.
async fn roll_back(fleet: Arc<Fleet>) {
    let world = &fleet.world;
    for _ in 0..world.faults.rollbacks {
        let (pause, lost) = world.draw(|random| (random.between(1_000, 12_000), random.between(10, 2_500)));
        sleep(Duration::from_millis(pause)).await;
        let kept = fleet.database.keep();
        sleep(Duration::from_millis(lost)).await;
        fleet.database.go_back(kept);
    }
}

/// Where all is one process, that ends now and then: with its messages, without its store.
async fn cut_the_power(fleet: Arc<Fleet>) {
    if fleet.size.keeps_messages {
        return;
    }
    loop {
        let pause = fleet.world.draw(|random| random.between(2_000, 15_000));
        sleep(Duration::from_millis(pause)).await;
        fleet.cut_the_power();
    }
}

/// Whether the schedule has come to its end, and to what it must.
async fn schedule_ends(fleet: &Fleet, scheduled: Option<&Scheduled>) -> bool {
    let (Some(scheduled), world) = (scheduled, &fleet.world) else { return true };
    let Some(view) = scheduled.at_its_end(fleet, world.age_ms() + PATIENCE_MS).await else {
        world.is_wrong("the schedule has not come to its end, long after the last fault".to_owned());
        return false;
    };
    world.check(fleet.database.look(|mirror| scheduled.verdict(mirror, &view, world)));
    true
}

async fn all_end(fleet: &Fleet, orders: &[Order]) -> bool {
    let world = &fleet.world;
    let until = world.age_ms() + PATIENCE_MS;
    loop {
        let open = fleet.database.look(|mirror| {
            let missing = orders.iter().find(|order| mirror.find(&order.run).is_none());
            let missing =
                missing.map(|order| format!("run {} of {} was never begun", order.run, order.workflow));
            let open = mirror
                .runs
                .iter()
                .find(|(_, view)| view.run_status().is_some_and(|status| !status.is_terminal()));
            missing.or_else(|| open.map(|(run, view)| still_open(run, view)))
        });
        match open {
            None => return true,
            Some(sentence) if world.age_ms() > until => {
                world.is_wrong(sentence);
                return false;
            }
            Some(_) => sleep(Duration::from_secs(1)).await,
        }
    }
}

fn still_open(run: &oarlock_protocol::RunKey, view: &crate::mirror::RunView) -> String {
    let status = view.run_status().map_or("", |status| status.as_str());
    let steps: Vec<String> = view
        .rows
        .iter()
        .filter(|(_, row)| !row.status.is_terminal())
        .map(|(path, row)| format!("{path} {}", row.status.as_str()))
        .collect();
    format!(
        "run {run} of {} is still {status}, long after the last fault: {}",
        view.workflow(),
        steps.join(", ")
    )
}

/// Nothing is published or executed again without a reason: an unheard confirm, a take-over, a second delivery.
fn begun_as_often_as_told(fleet: &Fleet, hands: &Hands) -> Result<(), String> {
    let (takes, calm) =
        (fleet.database.takes.load(Ordering::Relaxed), fleet.world.struck.load(Ordering::Relaxed) == 0);
    let mail = lock(&fleet.database.mail);
    let begun = hands.look(|ledger| ledger.begun.clone());
    for (attempt, times) in begun {
        let mail = mail.get(&attempt.to_string()).copied().unwrap_or_default();
        if times > mail.delivered || (calm && times > 1) || mail.published > takes + mail.unheard {
            return Err(format!(
                "attempt {attempt} was executed {times} times, and nothing explains it: {mail:?}"
            ));
        }
    }
    Ok(())
}

async fn nothing_is_left(fleet: &Fleet, size: &Size) {
    let world = &fleet.world;
    let until = world.age_ms() + (RETENTION_S + REMEMBERED_S + 60) * 1_000 + 4 * world.faults.skew_ms;
    loop {
        sleep(Duration::from_secs(5)).await;
        let left = fleet.database.look(verdict::of_the_store);
        if left.is_ok() {
            break;
        }
        if world.age_ms() > until {
            return world.check(left);
        }
    }
    let inboxes = (0..size.partitions).map(topology::inbox);
    let others = [topology::DEAD, topology::PARKED, topology::START].map(str::to_owned);
    for queue in inboxes.chain(others).chain([topology::tasks("work")]) {
        let depth = fleet.broker().depth(&queue).await.unwrap_or(0);
        if depth > 0 {
            return world.is_wrong(format!("{depth} messages are left in {queue}"));
        }
    }
}
