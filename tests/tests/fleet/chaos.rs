//! Five orchestrators that come and go at random under a steady load: whatever was accepted ends once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use oarlock_protocol::{Span, Timestamp};
use serde_json::Value as Json;

use super::client::Client;
use super::evidence::{Disturbance, Found, assert_once, now};
use super::harness::{Fleet, LEASE, STEPS, ended, node_name, run_of, start_at_any};

const NODES: usize = 5;
const LASTS: Duration = Duration::from_secs(60);
/// So many clients start runs, each one after the other.
const CLIENTS: usize = 6;
/// The pause of a client between two starts.
const PACE: Duration = Duration::from_millis(250);
/// So many may be away at once: the others share all partitions.
const MOST_AWAY: usize = 3;
/// An attempt is executed again only when its owner is lost, and so often it is not lost while one attempt is open.
const MOST_EXECUTIONS: usize = 4;
/// What a client waits for an answer before it asks another node: a stopped one gives none.
const CLIENT_PATIENCE: Duration = Duration::from_secs(2);

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Killed,
    Told,
    Stopped,
}

/// A node that is away, and until when.
#[derive(Clone, Copy, Debug)]
struct Away {
    fate: Fate,
    until: Instant,
    since: Timestamp,
}

/// Numbers by chance, the same for the same seed.
struct Chance(u64);

impl Chance {
    /// A number below `most`.
    fn below(&mut self, most: usize) -> usize {
        // The generator of George Marsaglia, with 64 bits.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn time(&mut self, from_ms: usize, to_ms: usize) -> Duration {
        Duration::from_millis((from_ms + self.below(to_ms - from_ms)) as u64)
    }
}

/// What the clients and the chaos share.
struct Load {
    clients: Mutex<Vec<Client>>,
    ends: AtomicBool,
    next: AtomicUsize,
    retries: AtomicUsize,
}

impl Load {
    fn client(&self, turn: usize) -> Client {
        let clients = self.clients.lock().unwrap();
        clients[turn % clients.len()].clone()
    }

    /// Starts runs until it is told to end; those that were accepted.
    fn start_runs(&self) -> Vec<usize> {
        let mut accepted = Vec::new();
        while !self.ends.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let (retries, _) = start_at_any(|turn| self.client(n + turn), "steps", &n.to_string(), n);
            self.retries.fetch_add(retries, Ordering::Relaxed);
            accepted.push(n);
            std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
        }
        accepted
    }
}

/// The usual seed, unless the environment names another.
fn seed() -> u64 {
    std::env::var("OARLOCK_TEST_SEED").map_or(20_261_123, |seed| seed.parse().unwrap())
}

#[test]
fn whatever_was_accepted_ends_once_while_orchestrators_come_and_go() {
    let seed = seed();
    let mut fleet = Fleet::new();
    fleet.add_orchestrators(NODES);
    fleet.register(STEPS);
    for _ in 0..2 {
        fleet.add_worker(4).word_after("takes tasks from ");
    }
    let clients = fleet.clients().into_iter().map(|client| client.patience(CLIENT_PATIENCE)).collect();
    let load = Load {
        clients: Mutex::new(clients),
        ends: AtomicBool::new(false),
        next: AtomicUsize::new(0),
        retries: AtomicUsize::new(0),
    };
    let (accepted, fates, disturbances) = scope(|scope| {
        let starting: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| load.start_runs())).collect();
        let (fates, disturbances) = come_and_go(&mut fleet, &load, &mut Chance(seed));
        load.ends.store(true, Ordering::Relaxed);
        let accepted: Vec<_> = starting.into_iter().flat_map(|client| client.join().unwrap()).collect();
        (accepted, fates, disturbances)
    });
    let shares = fleet.settled();
    let client = fleet.orchestrators[0].client();
    let runs: Vec<(usize, Json)> =
        accepted.iter().map(|n| (*n, ended(&client, &run_of("steps", &n.to_string()).to_string()))).collect();
    let found = assert_once(&runs, &fleet.executions(), &disturbances, MOST_EXECUTIONS);
    print_table(seed, &fates, &load, found, &shares);
    assert!(found.runs > 100 && fates.values().sum::<usize>() > 15, "the minute was too quiet");
}

/// Lets nodes come and go for a while, and brings all back.
fn come_and_go(
    fleet: &mut Fleet,
    load: &Load,
    chance: &mut Chance,
) -> (BTreeMap<Fate, usize>, Vec<Disturbance>) {
    let (begun, mut fates, mut disturbances) = (Instant::now(), BTreeMap::new(), Vec::new());
    let mut away: [Option<Away>; NODES] = [None; NODES];
    loop {
        let over = begun.elapsed() >= LASTS;
        for index in 0..NODES {
            if let Some(gone) = away[index].filter(|gone| over || gone.until <= Instant::now()) {
                disturbances.extend(bring_back(fleet, load, index, gone));
                away[index] = None;
            } else if away[index].is_none() {
                let program = &mut fleet.orchestrators[index];
                assert!(program.runs(), "{} ended by itself:\n{}", program.name, program.log());
            }
        }
        if over {
            return (fates, disturbances);
        }
        let index = chance.below(NODES);
        if away[index].is_none() && away.iter().flatten().count() < MOST_AWAY {
            let fate = [Fate::Killed, Fate::Told, Fate::Stopped][chance.below(3)];
            *fates.entry(fate).or_default() += 1;
            let since = now();
            let program = &mut fleet.orchestrators[index];
            match fate {
                Fate::Killed => program.kill(),
                Fate::Told => program.tell_to_end(),
                Fate::Stopped => program.pause(),
            }
            away[index] = Some(Away { fate, until: Instant::now() + chance.time(200, 6_000), since });
        }
        std::thread::sleep(chance.time(200, 1_800));
    }
}

/// Brings a node back. Returns when attempts of its partitions may have run twice: who hands over leaves nothing in doubt.
fn bring_back(fleet: &mut Fleet, load: &Load, index: usize, gone: Away) -> Option<Disturbance> {
    if gone.fate == Fate::Stopped {
        fleet.orchestrators[index].resume();
        // Until it has noticed, and until who took over has published again what was open.
        let to = now().after(Span::from_secs(LEASE.as_secs()));
        return Some(Disturbance { from: gone.since, to });
    }
    if gone.fate == Fate::Told {
        let program = &mut fleet.orchestrators[index];
        assert_eq!(program.exit_code(), Some(0), "{}", program.log());
    }
    let mut program = fleet.orchestrator(&node_name(index));
    load.clients.lock().unwrap()[index] = program.client().patience(CLIENT_PATIENCE);
    fleet.orchestrators[index] = program;
    (gone.fate == Fate::Killed).then_some(Disturbance { from: gone.since, to: gone.since })
}

fn print_table(seed: u64, fates: &BTreeMap<Fate, usize>, load: &Load, found: Found, shares: &[usize]) {
    let fate = |fate| fates.get(&fate).copied().unwrap_or(0);
    let rows = [
        ("seed", seed.to_string()),
        ("killed with SIGKILL", fate(Fate::Killed).to_string()),
        ("told to end with SIGTERM", fate(Fate::Told).to_string()),
        ("stopped and continued", fate(Fate::Stopped).to_string()),
        ("runs accepted and ended once", found.runs.to_string()),
        ("starts asked again", load.retries.load(Ordering::Relaxed).to_string()),
        ("tasks", (2 * found.runs).to_string()),
        ("executions", found.executions.to_string()),
        ("attempts executed again", found.repeated.to_string()),
        ("partitions each owns at the end", format!("{shares:?}")),
    ];
    for (name, value) in rows {
        println!("{name:<32} {value:>12}");
    }
}
