//! What must hold after every event of every scenario.

use std::collections::{BTreeMap, BTreeSet};

use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};
use oarlock_protocol::{Json, TaskPath};

use super::world::World;
use crate::plan::{NodeKind, Step};
use crate::run::{Block, Body, Row, Run, Stage};
use crate::timers::Timers;

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
        a_status_that_ends_is_told_once(world);
        what_waits_is_known_outside(world);
        whatever_is_open_has_a_timer(world);
        timers_follow_from_the_run(world);
        variables_belong_to_what_is_at_work(world);
        waits_are_known(&world.run);
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
    let place = if block.is_root() { "" } else { block.as_str() };
    // What undoes a step begins when all else has ended.
    let undoes = |path: &TaskPath| path.as_str().ends_with(":compensate");
    let inside = |path: &&TaskPath| {
        let rest = path.as_str().strip_prefix(place).filter(|rest| rest.starts_with(['/', '[']));
        rest.is_some_and(|rest| !rest.starts_with("/:onError")) && !path.is_root() && !undoes(path)
    };
    run.rows.keys().filter(inside).cloned().collect()
}

/// Statuses that end something come once for each place, in each generation.
fn a_status_that_ends_is_told_once(world: &World) {
    let mut ended = BTreeSet::new();
    let mut opened_again = 0;
    for line in &world.trace {
        let (path, status) = line.split_once(' ').unwrap();
        if line == "/ RUNNING" && ended.contains("/") {
            // What in it did not complete is done again.
            ended.clear();
            opened_again += 1;
        }
        assert!(!ended.contains(path), "{path} has ended before: {:#?}", world.trace);
        if ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT", "SKIPPED"].contains(&status) {
            ended.insert(path);
        }
    }
    assert_eq!(
        opened_again, world.run.head.generation,
        "the run goes on after its end only where it is asked"
    );
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
        let timed = match &row.body {
            Body::Work(work) => match &work.stage {
                // Nothing but its total time limits it.
                Stage::Open(open) => !open.accepted || open.deadline.is_some(),
                Stage::Waiting { .. } => true,
                Stage::Ready { .. } => !paused,
                Stage::Held | Stage::Closed => false,
            },
            Body::Await(wait) => {
                !row.status.is_terminal() && (wait.until.is_some() || wait.timeout.is_some())
            }
            Body::Block(block) => goes_on_by_itself(world, row, block, path),
            Body::Plain => false,
        };
        assert!(!timed || world.timers.contains_key(path), "{path} has no timer");
        let over = row.status.is_terminal() && row.work().is_some_and(|work| work.stage != Stage::Closed);
        assert!(!over, "{path} is {} and still waits", row.status.as_str());
    }
}

/// What the effects have set and cleared is what an owner derives that knows the run alone.
fn timers_follow_from_the_run(world: &World) {
    if !world.forgotten {
        assert_eq!(world.timers, world.derived_timers(), "timers follow from the run");
    }
}

/// Whether the next move of a block comes from neither a step in it nor the block around it.
fn goes_on_by_itself(world: &World, row: &Row, block: &Block, path: &TaskPath) -> bool {
    if block.ending.is_some() || row.finished() || (row.status.is_terminal() && !block.rest) {
        return false;
    }
    match &world.plan.node(row.node).kind {
        NodeKind::ForEach(each) => {
            let items = match (block.items, row.input.as_ref()) {
                (Some(count), Some(_)) => count,
                (None, Some(Json::Array(list))) => list.len(),
                (None, Some(Json::Object(map))) => map.len(),
                _ => panic!("{path} has lost its items"),
            };
            let total = items.div_ceil(each.batch.unwrap_or(1));
            let at_once = each.concurrency.unwrap_or(total);
            assert!(block.active <= at_once, "{path}: {} iterations are at work", block.active);
            let is_left = block.begun < total || !block.again.is_empty();
            let step = Step { node: row.node, path: path.clone() };
            let timers = Timers::new(&world.plan, &world.run, &world.settings);
            is_left && block.active < at_once && !timers.waits_for_its_turn(&step)
        }
        NodeKind::Loop(_) => block.active == 0,
        _ => false,
    }
}

/// Variables of its own has only what is at work or may be done again, and the last iteration of a loop at work.
fn variables_belong_to_what_is_at_work(world: &World) {
    let run = &world.run;
    for path in run.scoped.keys() {
        let row = run.rows.get(path).unwrap_or_else(|| panic!("{path} is gone and has variables"));
        let step = world.plan.locate(path).unwrap();
        let around = world.plan.parent(&step).and_then(|around| run.rows.get(&around.path));
        let is_loop = |row: &&Row| matches!(world.plan.node(row.node).kind, NodeKind::Loop(_));
        let in_loop =
            around.filter(is_loop).is_some_and(|row| !row.settled || row.status != TaskStatus::Completed);
        let may_be_done_again = ["FAILED", "CANCELLED", "TIMED_OUT"].contains(&row.status.as_str());
        assert!(!row.finished() || in_loop || may_be_done_again, "{path} is done and has variables");
    }
}

/// A wait is known exactly as long as it waits.
fn waits_are_known(run: &Run) {
    let waiting = |row: &Row| matches!(row.body, Body::Await(_)) && !row.status.is_terminal();
    let waiting: BTreeSet<&TaskPath> =
        run.rows.iter().filter(|(_, row)| waiting(row)).map(|(path, _)| path).collect();
    assert_eq!(waiting, run.waits.iter().collect(), "the waits are those known");
}

fn nothing_is_left_over(world: &World) {
    for (path, row) in world.run.rows.iter().filter(|(path, _)| !path.is_root()) {
        assert!(row.settled && row.status.is_terminal(), "{path} is left {}", row.status.as_str());
    }
    let timers: Vec<&TaskPath> = world.timers.keys().filter(|path| !path.is_root()).collect();
    assert!(timers.is_empty(), "timers are left: {timers:?}");
    assert!(world.run.waits.is_empty(), "waits are left");
    let completed = world.run.head.status == WorkflowStatus::Completed;
    assert!(!completed || world.run.scoped.is_empty(), "variables are left");
}

/// Iterations begun, the other counts, and whether its rest goes on.
type Progress = (usize, [usize; 5], bool);

/// The derived progress of every block that goes on.
fn progress(run: &Run) -> BTreeMap<&TaskPath, Progress> {
    // The row of the run itself has no status of its own.
    let over = |path: &TaskPath| {
        path.is_root() && (run.head.handling || run.head.compensating || run.head.status.is_terminal())
    };
    let going_on = |path: &TaskPath, row: &Row| -> Option<Block> {
        let ends = row.status.is_terminal() || over(path);
        row.block().filter(|block| block.ending.is_none() && (!ends || block.rest)).cloned()
    };
    let counts = |block: Block| {
        let progress = [block.settled, block.active, block.completed, block.failed, block.frontier];
        (block.begun, progress, block.rest)
    };
    let blocks = run.rows.iter().filter_map(|(path, row)| Some((path, going_on(path, row)?)));
    blocks.map(|(path, block)| (path, counts(block))).collect()
}
