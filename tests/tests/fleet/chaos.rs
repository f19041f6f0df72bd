//! Five orchestrators that come and go at random under a steady load: whatever was accepted ends once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::client::{Answer, Client};
use super::evidence::{Disturbance, Found, assert_once};
use super::harness::{Fleet, STEPS, ended, node_name, run_of, start_at_any};
use super::program::Program;

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
/// Every so many-th start is sent again after it was accepted.
const ASKED_TWICE: usize = 5;
/// How many starts ago the run was started that a client looks at.
const LOOK_BACK: usize = 8;
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

/// What a client has seen.
#[derive(Default)]
struct Seen {
    /// Runs that were accepted.
    accepted: Vec<usize>,
    /// Runs that had ended, as they were then.
    ended: Vec<(usize, Json)>,
}

impl Load {
    fn client(&self, turn: usize) -> Client {
        let clients = self.clients.lock().unwrap();
        clients[turn % clients.len()].clone()
    }

    /// Starts runs until it is told to end, and looks at earlier ones.
    fn start_runs(&self) -> Seen {
        let mut seen = Seen::default();
        while !self.ends.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let first = self.start(n);
            seen.accepted.push(n);
            if n.is_multiple_of(ASKED_TWICE) {
                let again = self.start(n);
                assert!(again.replayed && again.body == first.body, "{first:?}, then {again:?}");
            }
            if let Some(earlier) = seen.accepted.len().checked_sub(LOOK_BACK) {
                let n = seen.accepted[earlier];
                seen.ended.extend(self.look(n).map(|run| (n, run)));
            }
            std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
        }
        seen
    }

    fn start(&self, n: usize) -> Answer {
        let (retries, answer) = start_at_any(|turn| self.client(n + turn), "steps", &n.to_string(), n);
        self.retries.fetch_add(retries, Ordering::Relaxed);
        answer
    }

    /// An accepted run, where a node shows it and it has ended.
    fn look(&self, n: usize) -> Option<Json> {
        let run = run_of("steps", &n.to_string());
        let answer = self.client(n).get(&format!("/v1/runs/{run}")).ok()?;
        assert_ne!(answer.status, 404, "never after an accepted start");
        let run = (answer.status == 200).then(|| answer.json())?;
        (!run["endTime"].is_null()).then_some(run)
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
    let (seen, fates, disturbances) = scope(|scope| {
        let starting: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| load.start_runs())).collect();
        let (fates, disturbances) = come_and_go(&mut fleet, &load, &mut Chance(seed));
        load.ends.store(true, Ordering::Relaxed);
        let seen: Vec<_> = starting.into_iter().map(|client| client.join().unwrap()).collect();
        (seen, fates, disturbances)
    });
    let shares = fleet.settled();
    let client = fleet.orchestrators[0].client();
    let run = |n: usize| ended(&client, &run_of("steps", &n.to_string()).to_string());
    let runs: BTreeMap<usize, Json> =
        seen.iter().flat_map(|seen| &seen.accepted).map(|n| (*n, run(*n))).collect();
    for (n, before) in seen.iter().flat_map(|seen| &seen.ended) {
        assert_eq!(*before, runs[n], "a run ends once");
    }
    let runs: Vec<_> = runs.into_iter().collect();
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
        for (index, place) in away.iter_mut().enumerate() {
            if let Some(gone) = place.take_if(|gone| over || gone.until <= Instant::now()) {
                bring_back(fleet, load, index, gone.fate);
            } else if place.is_none() {
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
            disturbances.extend(send_away(&mut fleet.orchestrators[index], fate));
            away[index] = Some(Away { fate, until: Instant::now() + chance.time(200, 6_000) });
        }
        std::thread::sleep(chance.time(200, 1_800));
    }
}

/// Returns when attempts of its partitions were open that may run twice: who hands over leaves nothing in doubt.
fn send_away(program: &mut Program, fate: Fate) -> Option<Disturbance> {
    match fate {
        Fate::Killed => Some(Disturbance::by(|| program.kill())),
        Fate::Stopped => Some(Disturbance::by(|| program.pause())),
        Fate::Told => {
            program.tell_to_end();
            None
        }
    }
}

fn bring_back(fleet: &mut Fleet, load: &Load, index: usize, fate: Fate) {
    let gone = &mut fleet.orchestrators[index];
    match fate {
        Fate::Stopped => return gone.resume(),
        Fate::Told => assert_eq!(gone.exit_code(), Some(0), "{}", gone.log()),
        Fate::Killed => {}
    }
    let mut program = fleet.orchestrator(&node_name(index));
    load.clients.lock().unwrap()[index] = program.client().patience(CLIENT_PATIENCE);
    fleet.orchestrators[index] = program;
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
