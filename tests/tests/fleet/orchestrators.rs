//! Orchestrators that die, that stand still past their lease, and that are told to end, each with work under way.

use std::thread::scope;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::client::Client;
use super::evidence::{Disturbance, assert_once};
use super::harness::{Fleet, LEASE, PARTITIONS, STEPS, ended, owned, run_of, start, start_at_any};
use super::program::{PATIENCE, until};

const RUNS: usize = 200;

/// Starts runs, by turns at every client.
fn start_runs(clients: &[Client], keys: std::ops::Range<usize>) -> Vec<(usize, String)> {
    let turns = clients.iter().cycle();
    keys.zip(turns).map(|(n, client)| (n, start(client, "steps", &n.to_string(), n))).collect()
}

fn all_ended(client: &Client, runs: &[(usize, String)]) -> Vec<(usize, Json)> {
    runs.iter().map(|(n, run)| (*n, ended(client, run))).collect()
}

/// Waits until some of the runs' tasks were executed: the others are in the air.
fn until_in_the_air(fleet: &Fleet, at_least: usize) {
    until("runs are in the air", PATIENCE, || (fleet.executions().len() >= at_least).then_some(()));
}

/// The epoch in which a node last took each partition, from its log.
fn epochs(log: &str) -> Vec<(u32, u64)> {
    let number = |line: &str, name: &str| {
        let (_, rest) = line.split_once(name)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let taken = log.lines().filter(|line| line.contains("partition taken"));
    let read = |line| Some((u32::try_from(number(line, "partition=")?).ok()?, number(line, "epoch=")?));
    taken.filter_map(read).collect()
}

#[test]
fn another_orchestrator_goes_on_where_a_killed_one_was() {
    let mut fleet = Fleet::of_two();
    fleet.register(STEPS);
    let clients = fleet.clients();
    let lost = owned(&clients[0], 2).unwrap();
    fleet.add_worker(4).word_after("takes tasks from ");
    let runs = start_runs(&clients, 0..RUNS);
    until_in_the_air(&fleet, RUNS / 2);
    let killed = Instant::now();
    let disturbance = Disturbance::by(|| fleet.orchestrators[0].kill());
    let taken = until("the other owns all partitions", PATIENCE, || {
        let owned = owned(&clients[1], 1).or_else(|| owned(&clients[1], 2))?;
        (owned.len() == PARTITIONS as usize).then(|| killed.elapsed())
    });
    println!(
        "take-over of {} partitions after kill -9: {} ms, lease {LEASE:?}",
        lost.len(),
        taken.as_millis()
    );
    assert!(taken < LEASE * 2, "after {taken:?}");
    let epochs = epochs(&fleet.orchestrators[1].log());
    for partition in lost {
        assert!(epochs.iter().any(|(taken, epoch)| *taken == partition && *epoch >= 2), "{epochs:?}");
    }
    let runs = all_ended(&clients[1], &runs);
    let found = assert_once(&runs, &fleet.executions(), &[disturbance], 2);
    assert!(runs.iter().any(|(_, run)| ended_after(run, disturbance)), "nothing was in the air");
    println!("{found}");
}

fn ended_after(run: &Json, disturbance: Disturbance) -> bool {
    let end: oarlock_protocol::Timestamp = serde_json::from_value(run["endTime"].clone()).unwrap();
    end > disturbance.to
}

#[test]
fn an_owner_that_stood_still_past_its_lease_is_fenced() {
    let mut fleet = Fleet::of_two();
    fleet.register(STEPS);
    let clients = fleet.clients();
    let lost = owned(&clients[0], 2).unwrap();
    fleet.add_worker(4).word_after("takes tasks from ");
    let mut runs = start_runs(&clients, 0..RUNS / 2);
    until_in_the_air(&fleet, RUNS / 4);
    let disturbance = Disturbance::by(|| fleet.orchestrators[0].pause());
    until("the other owns all partitions", PATIENCE, || {
        let owned = owned(&clients[1], 1).or_else(|| owned(&clients[1], 2))?;
        (owned.len() == PARTITIONS as usize).then_some(())
    });
    runs.extend(start_runs(&clients[1..], RUNS / 2..RUNS));
    let ended_meanwhile = all_ended(&clients[1], &runs);
    fleet.orchestrators[0].resume();
    until("the one that stood still says that it was fenced", PATIENCE, || {
        let log = fleet.orchestrators[0].log();
        let fenced = |partition: &u32| {
            log.lines()
                .any(|line| line.contains(&format!("partition={partition}}}")) && line.contains("fenced"))
        };
        lost.iter().all(fenced).then_some(())
    });
    let shares = fleet.settled();
    assert!(fleet.orchestrators[0].runs(), "the watchdog takes a stopped process for a stalled one");
    println!("after the return the two own {shares:?}");
    let later = start_runs(&clients, RUNS..RUNS + 20);
    let mut all = all_ended(&clients[0], &later);
    all.extend(ended_meanwhile.iter().map(|(n, run)| (*n, ended(&clients[0], run["id"].as_str().unwrap()))));
    assert_once(&all, &fleet.executions(), &[disturbance], 2);
    for ((_, before), (_, after)) in ended_meanwhile.iter().zip(&all[later.len()..]) {
        assert_eq!(before, after, "a run ends once");
    }
}

#[test]
fn an_orchestrator_that_is_told_to_end_hands_over_at_once() {
    let mut fleet = Fleet::new();
    // Whoever waited for this lease would be seen.
    fleet.set("ORCHESTRATOR__LEASE", "30s");
    fleet.add_pair();
    fleet.register(STEPS);
    let clients = fleet.clients();
    fleet.add_worker(4).word_after("takes tasks from ");
    let runs = start_runs(&clients, 0..RUNS);
    until_in_the_air(&fleet, RUNS / 4);
    let told = Instant::now();
    fleet.orchestrators[0].tell_to_end();
    let taken = until("the other owns all partitions", PATIENCE, || {
        let owned = owned(&clients[1], 1)?;
        (owned.len() == PARTITIONS as usize).then(|| told.elapsed())
    });
    println!("hand-over after SIGTERM: {} ms", taken.as_millis());
    assert!(taken < Duration::from_secs(3), "after {taken:?}");
    assert_eq!(fleet.orchestrators[0].exit_code(), Some(0));
    let runs = all_ended(&clients[1], &runs);
    let found = assert_once(&runs, &fleet.executions(), &[], 1);
    println!("{found}, all ended {} ms after SIGTERM", told.elapsed().as_millis());
    assert!(told.elapsed() < Duration::from_secs(25), "something waited for the lease");
}

#[test]
fn one_key_posted_to_both_orchestrators_at_once_starts_one_run() {
    let mut fleet = Fleet::of_two();
    fleet.register(STEPS);
    fleet.add_worker(4).word_after("takes tasks from ");
    let clients = fleet.clients();
    let answers = scope(|scope| {
        let ask = |index: usize| {
            let client = clients[index % 2].clone();
            scope.spawn(move || start_at_any(|_| client.clone(), "steps", "order-1", 7).1)
        };
        let asked: Vec<_> = (0..50).map(ask).collect();
        asked.into_iter().map(|answer| answer.join().unwrap()).collect::<Vec<_>>()
    });
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
    }
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "one of them started it");
    let run = run_of("steps", "order-1").to_string();
    assert_eq!(answers[0].json()["id"], run);
    let run = ended(&clients[1], &run);
    assert_once(&[(7, run)], &fleet.executions(), &[], 1);
    let listed = clients[0].get("/v1/runs").unwrap().json();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1, "{listed:#}");
}
