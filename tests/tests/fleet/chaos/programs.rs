//! The processes of Oarlock that come and go: orchestrators and workers.

use std::time::Duration;

use super::super::harness::{Fleet, node_name};
use super::super::program::Program;
use super::chance::{Chance, Range};
use super::faults::{Group, Kind};
use super::load::Load;

pub(super) const ORCHESTRATORS: usize = 3;
pub(super) const WORKERS: usize = 4;
/// How many tasks a worker does at once.
const SLOTS: usize = 2;
/// How long one is away. The lease is within it: partitions are taken over, or not.
const AWAY: Range = (200, 7_000);

/// What one ends with that is told to: an orchestrator with 3 where the store is away, so that nothing can be handed over.
const ENDS_WITH: [i32; 2] = [0, 3];

pub(super) struct Orchestrators<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) load: &'a Load,
    pub(super) programs: Vec<Program>,
}

pub(super) struct Workers<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) programs: Vec<Program>,
}

fn choose(chance: &mut Chance) -> (Kind, Duration) {
    let kind = [Kind::Killed, Kind::Restarted, Kind::Stopped][chance.below(3)];
    (kind, chance.time(AWAY))
}

fn harm(program: &mut Program, kind: Kind) {
    assert!(program.runs(), "{} ended by itself:\n{}", program.name, program.log());
    match kind {
        Kind::Killed => program.kill(),
        Kind::Restarted => program.tell_to_end(),
        _ => program.pause(),
    }
}

/// Returns whether another has to be started in its place.
fn heal(program: &mut Program, kind: Kind) -> bool {
    match kind {
        Kind::Stopped => program.resume(),
        Kind::Restarted => {
            let code = program.exit_code();
            assert!(code.is_some_and(|code| ENDS_WITH.contains(&code)), "{code:?}: {}", program.log());
        }
        _ => {}
    }
    kind != Kind::Stopped
}

impl Group for Orchestrators<'_> {
    const NAME: &'static str = "orchestrators";
    const COUNT: usize = ORCHESTRATORS;
    const MOST_AWAY: usize = 2;
    const PAUSE: Range = (1_000, 5_000);

    fn choose(chance: &mut Chance, _several: bool) -> (Kind, Duration) {
        choose(chance)
    }

    fn harm(&mut self, index: usize, kind: Kind) {
        harm(&mut self.programs[index], kind);
    }

    fn heal(&mut self, index: usize, kind: Kind) {
        if heal(&mut self.programs[index], kind) {
            let mut program = self.fleet.orchestrator(&node_name(index));
            self.load.replace_client(index, program.client());
            self.programs[index] = program;
        }
    }

    fn settle(&mut self) {}
}

impl Group for Workers<'_> {
    const NAME: &'static str = "workers";
    const COUNT: usize = WORKERS;
    const MOST_AWAY: usize = 3;
    const PAUSE: Range = (1_000, 4_000);

    fn choose(chance: &mut Chance, _several: bool) -> (Kind, Duration) {
        choose(chance)
    }

    fn harm(&mut self, index: usize, kind: Kind) {
        harm(&mut self.programs[index], kind);
    }

    fn heal(&mut self, index: usize, kind: Kind) {
        if heal(&mut self.programs[index], kind) {
            self.programs[index] = worker(self.fleet);
        }
    }

    fn settle(&mut self) {}
}

/// Starts a worker with the tasks of the workflows. Each notes every call before anything else.
pub(super) fn worker(fleet: &Fleet) -> Program {
    let note = fleet.writes_log();
    let echo = "read -r input; printf '%s' \"$input\"";
    let tasks = [
        format!("quick={note}; {echo}"),
        format!("slow={note}; sleep 0.3; {echo}"),
        format!("undo={note}; {echo}"),
        format!("third={note}; [ $OARLOCK_ATTEMPT -ge 3 ] || exit 1; {echo}"),
        format!("broken={note}; exit 1"),
    ];
    let slots = SLOTS.to_string();
    let mut arguments: Vec<&str> = tasks.iter().flat_map(|task| ["--exec", task]).collect();
    arguments.extend(["--slots", &slots]);
    fleet.worker(&arguments)
}
