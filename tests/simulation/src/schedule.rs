//! A schedule beside the runs that clients ask for, in a quarter of all seeds: each of its due times comes to what its policy says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use oarlock_engine::schedule::Calendar;
use oarlock_orchestrator::Node;
use oarlock_protocol::schedule::{Overlap, ScheduleDefinition, ScheduleView};
use oarlock_protocol::{RunKey, ScheduleKey, Timestamp};
use serde_json::json;
use tokio::time::sleep;

use crate::fleet::{Fleet, TENANT, principal};
use crate::mirror::Mirror;
use crate::random::Random;
use crate::world::World;

/// The workflow whose runs may be under way beside one another, and the one whose may not.
const BESIDE: &str = "beside";
const ALONE: &str = "alone";

/// A schedule, and the workflow that it starts.
#[derive(Clone, Debug)]
pub(crate) struct Scheduled {
    pub(crate) definition: ScheduleDefinition,
    /// How long each run waits, in seconds.
    wait_s: u64,
}

/// Whether a run is one of a schedule's: those are foretold here.
pub(crate) fn is_scheduled(workflow: &str) -> bool {
    [BESIDE, ALONE].contains(&workflow)
}

/// Only one run at a time is under way where the policy says so. A store that goes back may have forgotten that one had begun.
pub(crate) fn one_at_a_time(mirror: &Mirror, world: &World) -> Result<(), String> {
    let open = |view: &&crate::mirror::RunView| {
        view.workflow() == ALONE && view.run_status().is_some_and(|status| !status.is_terminal())
    };
    let open = mirror.runs.values().filter(open).count();
    if open > 1 && world.rollbacks.load(Ordering::Relaxed) == 0 {
        return Err(format!("{open} runs of a schedule are under way at once"));
    }
    Ok(())
}

impl Scheduled {
    pub(crate) fn draw(world: &World) -> Option<Self> {
        let mut random = Random::of(world.seed, "schedule");
        if !random.percent(25) {
            return None;
        }
        let overlap = [Overlap::Skip, Overlap::Queue, Overlap::CancelOld, Overlap::Allow][random.index(4)];
        let every = random.between(1, 7);
        let end = world.now_ms() + random.between(10_000, 40_000) as i64;
        let definition = serde_json::from_value(json!({
            "id": "seldom",
            "workflow": if overlap == Overlap::Allow { BESIDE } else { ALONE },
            "cron": format!("*/{every} * * * * *"),
            "overlap": overlap,
            "queueLimit": random.between(1, 3),
            "end": Timestamp::from_millis(end),
        }));
        Some(Self { definition: definition.ok()?, wait_s: random.between(0, 4) })
    }

    /// Registers workflow and schedule, while there are no faults.
    pub(crate) async fn register(&self, fleet: &Fleet) {
        let workflow = serde_json::from_value(json!({
            "id": self.definition.workflow,
            "version": 1,
            "tasks": [{"id": "a", "wait": {"duration": format!("{}s", self.wait_s)}}],
            "retention": "60s",
        }));
        let workflow = match workflow {
            Ok(workflow) => workflow,
            Err(error) => return fleet.world.is_wrong(format!("a workflow cannot be written: {error}")),
        };
        let workflow: oarlock_protocol::definition::WorkflowDefinition = workflow;
        let put = |node: Arc<Node>| {
            let (workflow, definition) = (workflow.clone(), self.definition.clone());
            async move {
                node.register(TENANT, workflow).await?;
                node.put_schedule(definition, principal()).await
            }
        };
        fleet.world.hold_faults(true);
        loop {
            match fleet.call(put).await {
                Some(Ok(_)) => break,
                Some(Err(oarlock_orchestrator::node::Error::Refused(error))) => {
                    return fleet.world.is_wrong(format!("the schedule is refused: {error:?}"));
                }
                Some(Err(_)) | None => sleep(Duration::from_millis(100)).await,
            }
        }
        fleet.world.hold_faults(false);
    }

    /// The schedule when nothing of it is open any more; none where that does not come.
    pub(crate) async fn at_its_end(&self, fleet: &Fleet, until_ms: u64) -> Option<ScheduleView> {
        let key = ScheduleKey::new(TENANT, self.definition.id.as_str());
        while fleet.world.age_ms() < until_ms {
            let look = |node: Arc<Node>| {
                let key = key.clone();
                async move { node.schedule(&key).await }
            };
            if let Some(Ok(view)) = fleet.call(look).await {
                let state = &view.state;
                if state.next_due.is_none() && state.starting.is_empty() && state.queued.is_empty() {
                    return Some(view);
                }
            }
            sleep(Duration::from_secs(1)).await;
        }
        None
    }

    /// Holds what was started against what was due.
    pub(crate) fn verdict(&self, mirror: &Mirror, view: &ScheduleView, world: &World) -> Result<(), String> {
        let written = &self.definition;
        let calendar =
            Calendar::read(&written.cron, &written.time_zone).map_err(|error| error.to_string())?;
        let (end, key) = (written.end.unwrap_or_default(), view.schedule.key());
        let following = |due: &Timestamp| calendar.next(*due);
        let due: Vec<Timestamp> = std::iter::successors(calendar.next(view.schedule.created_at), following)
            .take_while(|due| *due <= end)
            .collect();
        let all = mirror.forgotten.iter().chain(&mirror.runs);
        let runs: BTreeSet<&RunKey> =
            all.filter(|(_, view)| is_scheduled(view.workflow())).map(|(run, _)| run).collect();
        let of = |due: &Timestamp| RunKey::new(TENANT, key.run_due(*due));
        let expected: BTreeSet<RunKey> = due.iter().map(of).collect();
        if let Some(stray) = runs.iter().find(|run| !expected.contains(**run)) {
            return Err(format!("run {stray} of a schedule was due at no time"));
        }
        let state = &view.state;
        if state.started + state.skipped != due.len() as u64 || state.missed + state.refused > 0 {
            return Err(format!("{} runs of a schedule were due, and it tells {state:?}", due.len()));
        }
        // Its start was confirmed, and the store may have lost that with its last commits: nobody asks for it again.
        let went_back = world.rollbacks.load(Ordering::Relaxed) > 0;
        let is_begun = |due: &&Timestamp| runs.contains(&of(due)) || went_back;
        if written.overlap == Overlap::Allow {
            return match due.iter().find(|due| !is_begun(due)) {
                Some(due) => Err(format!("the run of a schedule that was due at {due} was never begun")),
                None => Ok(()),
            };
        }
        // A start may have been on its way when the store went back, and be skipped as it is decided anew.
        if !went_back && runs.len() as u64 != state.started {
            return Err(format!("{} runs of a schedule were begun, and it tells {state:?}", runs.len()));
        }
        Ok(())
    }
}
