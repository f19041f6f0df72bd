//! What must hold after every event of every scenario.

use std::collections::{BTreeMap, BTreeSet};

use oarlock_protocol::TaskPath;
use oarlock_protocol::instance::WorkflowStatus;

use super::world::World;
use crate::run::{Block, Row, Run, Stage};

/// What must hold from one event to the next.
#[derive(Default)]
pub(super) struct Invariants {
    /// The steps below each ending block: none is added to them.
    below_ending: BTreeMap<TaskPath, BTreeSet<TaskPath>>,
    generation: u64,
}

impl Invariants {
    /// Checks a world after an event; `loaded` is its run as it is read back.
    pub(super) fn check(&mut self, world: &World, loaded: &Run) {
        self.nothing_begins_in_an_ending_block(&world.run);
        a_status_that_ends_is_told_once(&world.trace);
        what_waits_is_known_outside(world);
        whatever_is_open_has_a_timer(world);
        assert_eq!(progress(&world.run), progress(loaded), "progress is derived from what is stored");
        if world.run.head.status.is_terminal() {
            nothing_is_left_over(world);
        }
    }

    fn nothing_begins_in_an_ending_block(&mut self, run: &Run) {
        if std::mem::replace(&mut self.generation, run.head.generation) != run.head.generation {
            self.below_ending.clear();
        }
        let ending = run.rows.iter().filter(|(_, row)| row.block().is_some_and(|b| b.ending.is_some()));
        for (block, _) in ending {
            let below = below(run, block);
            match self.below_ending.get(block) {
                Some(before) => assert_eq!(before, &below, "nothing begins below {block}, which is ending"),
                None => drop(self.below_ending.insert(block.clone(), below)),
            }
        }
    }
}

fn below(run: &Run, block: &TaskPath) -> BTreeSet<TaskPath> {
    let (prefix, handlers) =
        if block.is_root() { ("/".to_owned(), "/:onError") } else { (format!("{block}/"), "never a path") };
    // What undoes a step begins when all else has ended.
    let undoes = |path: &TaskPath| path.as_str().ends_with(":compensate");
    let inside = |path: &&TaskPath| {
        path.as_str().starts_with(&prefix) && !path.as_str().starts_with(handlers) && !undoes(path)
    };
    run.rows.keys().filter(inside).cloned().collect()
}

/// Statuses that end something come once for each place.
fn a_status_that_ends_is_told_once(trace: &[String]) {
    let mut ended = BTreeSet::new();
    for line in trace {
        let (path, status) = line.split_once(' ').unwrap();
        assert!(!ended.contains(path), "{path} has ended before: {trace:#?}");
        if line == "/ RUNNING" {
            // The run, or what in it did not complete, is done again.
            ended.clear();
        }
        if ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT", "SKIPPED"].contains(&status) {
            ended.insert(path);
        }
    }
}

/// Admission and outbox hold exactly what the rows say.
fn what_waits_is_known_outside(world: &World) {
    let places = |stage: fn(&Stage) -> bool| -> BTreeSet<&TaskPath> {
        let holds = |row: &Row| row.work().is_some_and(|work| stage(&work.stage));
        world.run.rows.iter().filter(|(_, row)| holds(row)).map(|(path, _)| path).collect()
    };
    let open = places(|stage| matches!(stage, Stage::Open(_)));
    assert_eq!(open, world.published.values().collect(), "open attempts are those published");
    let mut ready = places(|stage| matches!(stage, Stage::Ready { .. }));
    if world.run.head.status == WorkflowStatus::Paused {
        ready.clear();
    }
    assert_eq!(ready, world.offers.iter().collect(), "ready tasks are those offered");
}

fn whatever_is_open_has_a_timer(world: &World) {
    let paused = world.run.head.status == WorkflowStatus::Paused;
    for (path, row) in &world.run.rows {
        let timed = match row.work().map(|work| &work.stage) {
            // Nothing but its total time limits it.
            Some(Stage::Open(open)) => !open.accepted || open.deadline.is_some(),
            Some(Stage::Waiting { .. }) => true,
            Some(Stage::Ready { .. }) => !paused,
            Some(Stage::Held | Stage::Closed) | None => false,
        };
        assert!(!timed || world.timers.contains_key(path), "{path} has no timer");
        let over = row.status.is_terminal() && row.work().is_some_and(|work| work.stage != Stage::Closed);
        assert!(!over, "{path} is {} and still waits", row.status.as_str());
    }
}

fn nothing_is_left_over(world: &World) {
    for (path, row) in world.run.rows.iter().filter(|(path, _)| !path.is_root()) {
        assert!(row.settled && row.status.is_terminal(), "{path} is left {}", row.status.as_str());
    }
    let timers: Vec<&TaskPath> = world.timers.keys().filter(|path| !path.is_root()).collect();
    assert!(timers.is_empty(), "timers are left: {timers:?}");
}

/// The derived progress of every block that goes on.
fn progress(run: &Run) -> BTreeMap<&TaskPath, (usize, usize, usize)> {
    // The row of the run itself has no status of its own.
    let over = |path: &TaskPath| path.is_root() && (run.head.handling || run.head.status.is_terminal());
    let going_on = |path: &TaskPath, row: &Row| -> Option<Block> {
        let ends = row.status.is_terminal() || over(path);
        row.block().filter(|block| block.ending.is_none() && !ends).cloned()
    };
    let blocks = run.rows.iter().filter_map(|(path, row)| Some((path, going_on(path, row)?)));
    blocks.map(|(path, block)| (path, (block.settled, block.active, block.frontier))).collect()
}
