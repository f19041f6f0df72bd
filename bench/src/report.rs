//! What was measured, for people and for programs.

use std::collections::BTreeMap;

use oarlock_broker::rabbitmq::floor::Load;
use serde::Serialize;

use crate::Plan;
use crate::latency::Recorder;
use crate::rounds::{Measured, Round};

/// The figures of a measurement. Times are in milliseconds or, where the name says so, microseconds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was measured.
    #[serde(flatten)]
    pub plan: Plan,
    /// The processes; nothing where all was one.
    #[serde(flatten)]
    pub fleet: Option<Fleet>,
    /// The bytes of a task message's body.
    pub task_bytes: usize,
    /// The bytes of a result message's body.
    pub result_bytes: usize,
    /// Runs that ended in a second: the median of the rounds.
    pub runs_per_second: f64,
    /// Executions in a second: the median of the rounds.
    pub tasks_per_second: f64,
    /// The same of the floor.
    pub floor_tasks_per_second: Option<f64>,
    /// The median of the rounds' own ratios of both.
    pub ratio: Option<f64>,
    /// The ratio of each round.
    pub ratios: Vec<f64>,
    /// The most messages in a batch of the floor, and its queues of results: the best that was found.
    pub floor_batch: Option<usize>,
    /// As `floor_batch`.
    pub floor_inboxes: Option<usize>,
    /// From the start of a run to its end.
    pub p50_ms: Option<f64>,
    /// As `p50_ms`.
    pub p99_ms: Option<f64>,
    /// From a task's being ready to its begin.
    pub queue_p50_ms: Option<f64>,
    /// As `queue_p50_ms`.
    pub queue_p99_ms: Option<f64>,
    /// Processor time for each execution, or for each run where runs have none, by process, in microseconds.
    pub cpu_micros: BTreeMap<String, f64>,
    /// What the watched servers used for a task of the floor, in microseconds.
    pub floor_cpu_micros: BTreeMap<String, f64>,
    /// The greatest resident memory of each process, in bytes.
    pub peak_bytes: BTreeMap<String, u64>,
    /// Calls of scripts for each execution or run.
    pub script_calls: Option<f64>,
    /// What a run that has ended, or waits, takes in the store, in bytes.
    pub store_bytes_per_run: Option<u64>,
    /// The share of a core that each process used while nothing happened.
    pub idle_cpu_share: Option<BTreeMap<String, f64>>,
    /// How long another orchestrator took to start and own all partitions, after the first had left.
    pub take_over_seconds: Option<f64>,
}

/// The processes that were measured.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// How many orchestrators.
    pub orchestrators: usize,
    /// How many workers.
    pub workers: usize,
    /// How many partitions.
    pub partitions: u32,
}

impl Report {
    /// Puts the figures together.
    pub fn new(plan: Plan, fleet: Option<Fleet>, load: &Load, measured: &Measured) -> Self {
        let rounds = &measured.rounds;
        let executions = (plan.executions() * plan.workflows) as f64;
        let units = executions.max(plan.workflows as f64) * rounds.len() as f64;
        let ratios: Vec<f64> = rounds.iter().filter_map(|round| ratio(&plan, round)).collect();
        let floors = rounds.iter().filter_map(|round| Some(executions / round.floor?.as_secs_f64()));
        let (run, queue) = latencies(rounds);
        let micros = |seconds: f64| seconds * 1e6 / units;
        let mut cpu: BTreeMap<String, f64> =
            measured.used.iter().map(|(name, used)| (name.clone(), micros(used.cpu_seconds))).collect();
        let mut peak: BTreeMap<String, u64> =
            measured.used.iter().map(|(name, used)| (name.clone(), used.peak_bytes)).collect();
        if let Some(store) = &measured.store {
            cpu.insert("redis".to_owned(), micros(store.cpu_seconds));
            peak.insert("redis".to_owned(), store.peak_bytes);
        }
        let by_floor = measured.used_by_floor.iter().filter(|(_, seconds)| *seconds > 0.0);
        Self {
            plan,
            fleet,
            task_bytes: load.task_bytes,
            result_bytes: load.result_bytes,
            runs_per_second: median(rounds.iter().map(|round| plan.workflows as f64 / seconds(round))),
            tasks_per_second: median(rounds.iter().map(|round| executions / seconds(round))),
            floor_tasks_per_second: measured.window.map(|_| median(floors)),
            ratio: (!ratios.is_empty()).then(|| median(ratios.iter().copied())),
            ratios,
            floor_batch: measured.window.map(|window| window.batch),
            floor_inboxes: measured.window.map(|window| window.inboxes),
            p50_ms: run.quantile_ms(0.5),
            p99_ms: run.quantile_ms(0.99),
            queue_p50_ms: queue.quantile_ms(0.5),
            queue_p99_ms: queue.quantile_ms(0.99),
            cpu_micros: cpu,
            floor_cpu_micros: by_floor.map(|(name, seconds)| (name.clone(), micros(*seconds))).collect(),
            peak_bytes: peak,
            script_calls: measured.store.map(|store| store.script_calls as f64 / units),
            store_bytes_per_run: measured
                .store
                .map(|store| store.used_bytes / (plan.workflows * rounds.len()).max(1) as u64),
            idle_cpu_share: None,
            take_over_seconds: None,
        }
    }
}

/// All orchestrators together took as long as the slowest.
fn seconds(round: &Round) -> f64 {
    round.driven.iter().map(|driven| driven.seconds).fold(f64::MIN_POSITIVE, f64::max)
}

fn ratio(plan: &Plan, round: &Round) -> Option<f64> {
    let floor = round.floor?.as_secs_f64();
    (plan.executions() > 0).then(|| floor / seconds(round))
}

fn latencies(rounds: &[Round]) -> (Recorder, Recorder) {
    let (mut run, mut queue) = (Recorder::default(), Recorder::default());
    for driven in rounds.iter().flat_map(|round| &round.driven) {
        run.add_all(&driven.run);
        queue.add_all(&driven.queue);
    }
    (run, queue)
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::drive::Driven;
    use crate::plan::Shape;

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_own() {
        let plan = Plan { shape: Shape::Chain, workflows: 10, tasks: 5, in_flight: 2, payload: 0 };
        let round = |floor: f64, mine: f64| Round {
            floor: Some(Duration::from_secs_f64(floor)),
            driven: vec![
                Driven { runs: 5, seconds: mine / 2.0, ..Driven::default() },
                Driven { seconds: mine, ..Driven::default() },
            ],
        };
        let window = Some(oarlock_broker::rabbitmq::floor::Window { batch: 32, inboxes: 1 });
        let rounds = vec![round(1.0, 2.0), round(2.0, 2.5), round(0.9, 1.0)];
        let measured = Measured { rounds, window, used: Vec::new(), used_by_floor: Vec::new(), store: None };
        let load = Load { tasks: 50, in_flight: 2, task_bytes: 1, result_bytes: 1 };
        let report = Report::new(plan, None, &load, &measured);
        assert_eq!(report.ratios, [0.5, 0.8, 0.9]);
        assert_eq!((report.ratio, report.tasks_per_second), (Some(0.8), 25.0));
        assert_eq!(report.floor_tasks_per_second, Some(50.0));
    }
}
