//! Chaos over real parts: three RabbitMQ nodes, a Redis Cluster of three, three orchestrators and four workers, which are killed, stopped,
//! restarted and cut off while runs of many kinds are started steadily. Whatever was accepted ends once, and nothing is left over.
//!
//! `cargo xtask chaos` gives it a seed and more minutes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use self::faults::{Fault, trouble};
use self::follow::{Outcome, follow};
use self::load::{CLIENTS, Load};
use self::programs::{ORCHESTRATORS, Orchestrators, WORKERS, Workers, worker};
use self::servers::{Brokers, PREFIX, Stores};
use self::table::Circumstances;
use self::verdict::{Verdict, judge};
use self::workflows::WORKFLOWS;
use super::harness::Fleet;

mod chance;
mod faults;
mod follow;
mod leftovers;
mod load;
mod programs;
mod servers;
mod table;
mod verdict;
mod workflows;

/// How long a finished run is kept: longer than whoever follows it may be kept from seeing its end.
const RETENTION: Duration = Duration::from_secs(30);
/// How long its key is remembered after that.
const REMEMBERED: Duration = Duration::from_secs(5);
/// The longest until every run has ended after everything is healed.
const SETTLES: Duration = Duration::from_secs(60);
/// The longest that what is due to go takes to go, on a busy machine.
const GOES: Duration = Duration::from_secs(30);
/// Followers share the runs.
const FOLLOWERS: usize = 3;

/// The number that the environment names, else the usual one.
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap())
}

#[test]
fn whatever_was_accepted_ends_once_while_all_parts_fail() {
    let (seed, minutes) = (setting("OARLOCK_TEST_SEED", 20_261_126), setting("OARLOCK_TEST_MINUTES", 1));
    let begun = Instant::now();
    let (mut brokers, mut stores) = servers::start().unwrap();
    let mut fleet = begin(&brokers, &stores);
    println!("everything runs after {:.1} s", begun.elapsed().as_secs_f64());
    let load = Load::new(fleet.clients());
    let faults = Mutex::new(Vec::new());
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    let outcome = under_load(&mut fleet, &mut brokers, &mut stores, &load, (seed, until, &faults));
    let faults = faults.into_inner().unwrap();
    let mut verdict = judge(&outcome.ended, &fleet.executions(), &faults, !outcome.lost.is_empty());
    verdict.wrong.extend(left_over(&mut fleet, &brokers, &stores, &outcome));
    let retries = load.retries.load(Ordering::Relaxed);
    let around = Circumstances { seed, minutes, retries };
    table::print(&around, &faults, &outcome, &verdict);
    assert_well(&outcome, &verdict);
    let (runs, harm) = (60 * minutes, 10 * minutes);
    assert!(outcome.ended.len() as u64 >= runs && faults.len() as u64 >= harm, "it was too quiet");
}

/// Starts the processes, registers the workflows, and waits until RabbitMQ would keep the queues.
fn begin(brokers: &Brokers, stores: &Stores) -> Fleet {
    let mut fleet = Fleet::of(&brokers.places(), &stores.places(), PREFIX);
    fleet.set("STORE__CLUSTER", "true");
    fleet.set("BROKER__HEARTBEAT", "2s");
    fleet.set("ORCHESTRATOR__LEASE", "4s");
    fleet.set("RETENTION__FINISHED_RUNS", &format!("{}s", RETENTION.as_secs()));
    fleet.set("RETENTION__DEDUPLICATION", &format!("{}s", REMEMBERED.as_secs()));
    fleet.add_orchestrators(ORCHESTRATORS);
    WORKFLOWS.iter().for_each(|workflow| fleet.register(workflow.yaml));
    fleet.workers = (0..WORKERS).map(|_| worker(&fleet)).collect();
    fleet
}

/// Starts and follows runs while everything fails in turn, until all is well again and all have ended.
fn under_load(
    fleet: &mut Fleet,
    brokers: &mut Brokers,
    stores: &mut Stores,
    load: &Load,
    (seed, until, faults): (u64, Instant, &Mutex<Vec<Fault>>),
) -> Outcome {
    let programs = (std::mem::take(&mut fleet.orchestrators), std::mem::take(&mut fleet.workers));
    let (calm, limit) = (AtomicBool::new(false), until + SETTLES * 2);
    let (shared, over) = (&*fleet, &|| calm.load(Ordering::Relaxed));
    let (outcome, programs) = scope(|scope| {
        let starting: Vec<_> =
            (0..CLIENTS).map(|index| scope.spawn(move || load.start_runs(index, until))).collect();
        let following: Vec<_> =
            (0..FOLLOWERS).map(|_| scope.spawn(move || follow(load, over, limit))).collect();
        // The first runs make the queues of tasks.
        brokers.until_on_disk(&leftovers::queues());
        let orchestrators = Orchestrators { fleet: shared, load, programs: programs.0 };
        let workers = Workers { fleet: shared, programs: programs.1 };
        let orchestrators = scope.spawn(move || trouble(orchestrators, seed, until, faults).programs);
        let workers = scope.spawn(move || trouble(workers, seed, until, faults).programs);
        let brokers = scope.spawn(move || _ = trouble(brokers, seed, until, faults));
        let stores = scope.spawn(move || _ = trouble(stores, seed, until, faults));
        starting.into_iter().chain([brokers, stores]).for_each(|thread| thread.join().unwrap());
        let programs = (orchestrators.join().unwrap(), workers.join().unwrap());
        calm.store(true, Ordering::Relaxed);
        let outcomes = following.into_iter().map(|follower| follower.join().unwrap());
        (outcomes.reduce(Outcome::and).unwrap(), programs)
    });
    (fleet.orchestrators, fleet.workers) = programs;
    outcome
}

/// Waits until the runs have left, ends every process, and tells what is left that should not be.
fn left_over(fleet: &mut Fleet, brokers: &Brokers, stores: &Stores, outcome: &Outcome) -> Vec<String> {
    let children = outcome.ended.iter().map(|ended| ended.children.len()).sum();
    let limit = Instant::now() + RETENTION + REMEMBERED + GOES;
    let mut left = leftovers::until_nothing(|| leftovers::strange_keys(stores, children), limit);
    left.extend(leftovers::until_nothing(|| leftovers::messages(brokers), limit));
    let mut programs: Vec<_> = fleet.workers.iter_mut().chain(&mut fleet.orchestrators).collect();
    programs.iter_mut().for_each(|program| program.tell_to_end());
    for program in programs {
        let code = program.exit_code();
        left.extend((code != Some(0)).then(|| format!("{} ended with {code:?}", program.name)));
    }
    let limit = Instant::now() + GOES;
    left.extend(leftovers::until_nothing(|| leftovers::strange_queues(brokers), limit));
    left.extend(leftovers::remove(brokers, stores).unwrap());
    left
}

/// Fails with what is wrong, where something is.
#[track_caller]
fn assert_well(outcome: &Outcome, verdict: &Verdict) {
    let lost = outcome.lost.iter().map(|(n, why)| format!("{} {n} is lost: {why}", load::workflow(*n).id));
    let wrong: Vec<_> = lost.chain(verdict.wrong.iter().cloned()).collect();
    assert!(
        wrong.is_empty(),
        "{} things are wrong; the first:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
}
