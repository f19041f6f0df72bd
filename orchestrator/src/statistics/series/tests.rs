//! What a series counts, its stored form and its size.

use oarlock_protocol::instance::TaskMetrics;
use oarlock_protocol::{ErrorDetails, ExecutionId, Json, Timestamp};
use uuid::Uuid;

use super::*;

const fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_740_482_464 + milliseconds)
}

/// An attempt that was ready at 0, began at 5 and ended at 12.
fn attempt(code: Option<&str>) -> Attempt {
    let failed = |code: &str| ErrorDetails {
        code: code.to_owned(),
        message: String::new(),
        details: Json::Null,
        retryable: true,
    };
    Attempt {
        execution_id: ExecutionId::from_uuid(Uuid::from_u128(1)),
        queue: "work".to_owned(),
        worker_id: None,
        earlier_workers: Vec::new(),
        deliveries: 1,
        ready_at: at(0),
        scheduled_at: at(1),
        start_time: Some(at(5)),
        end_time: Some(at(12)),
        error: code.map(failed),
        metrics: None,
        input_bytes: 13,
        output_bytes: 2,
    }
}

#[test]
fn each_outcome_is_counted_once() {
    let mut series = TaskSeries::default();
    series.record(&attempt(None), 1, false);
    series.record(&attempt(None), 2, true);
    series.record(&attempt(Some("CANCELLED")), 1, false);
    series.record(&attempt(Some("CARD_DECLINED")), 1, false);
    series.record(&attempt(Some("CARD_DECLINED")), 2, false);
    let told = serde_json::to_string(&series).unwrap();
    let expected = r#"{"completed":1,"failed":{"CARD_DECLINED":2},"cancelled":1,"putOff":1,"retries":2,"queue":[0,25,5,5,9,5],"execution":[0,35,7,7,11,5],"input":[0,65,13,13,14,5],"output":[0,10,2,2,4,5]}"#;
    assert_eq!(told, expected);
    assert_eq!((series.attempts(), series.failures()), (5, 2));
    assert_eq!(serde_json::from_str::<TaskSeries>(&told).unwrap(), series);
}

#[test]
fn what_the_worker_measured_counts_and_what_it_cannot_tell_does_not() {
    let mut series = TaskSeries::default();
    let measured = TaskMetrics { execution_time_ms: 3, cpu_time_ms: 0, memory_bytes: 1 << 20 };
    series.record(&Attempt { metrics: Some(measured), ..attempt(None) }, 1, false);
    let untold = TaskMetrics { execution_time_ms: 3, ..TaskMetrics::default() };
    series.record(&Attempt { metrics: Some(untold), ..attempt(None) }, 1, false);
    series.record(&Attempt { start_time: None, ..attempt(Some("TIMEOUT_QUEUE")) }, 1, false);
    assert_eq!((series.execution.count(), series.execution.greatest()), (2, 3));
    assert_eq!((series.cpu.count(), series.cpu.greatest()), (1, 0));
    assert_eq!((series.memory.count(), series.memory.least()), (1, 1 << 20));
    // Nobody had begun it: all of its time was in the queue.
    assert_eq!((series.queue.count(), series.queue.greatest()), (3, 12));
}

#[test]
fn codes_beyond_the_first_eight_are_counted_together() {
    let mut series = TaskSeries::default();
    let long = "X".repeat(500);
    for code in (0..20).map(|n| format!("CODE_{n}")).chain([long, "CODE_1".to_owned(), OTHER.to_owned()]) {
        series.record(&attempt(Some(&code)), 1, false);
    }
    assert_eq!((series.failed.len(), series.failed["CODE_1"], series.failed[OTHER]), (MOST_CODES + 1, 2, 14));
    let mut first = TaskSeries::default();
    first.record(&attempt(Some(&"Y".repeat(500))), 1, false);
    assert!(first.failed.keys().all(|code| code.len() <= LONGEST_CODE + '…'.len_utf8()), "{first:?}");
}

#[test]
fn runs_are_counted_by_status() {
    let mut series = WorkflowSeries::default();
    let metrics = WorkflowMetrics {
        task_count: 3,
        attempts: 4,
        retries: 1,
        total_execution_time_ms: 90,
        total_input_bytes: 26,
        total_output_bytes: 8,
        ..WorkflowMetrics::default()
    };
    let ends = [
        WorkflowStatus::Completed,
        WorkflowStatus::Completed,
        WorkflowStatus::Failed,
        WorkflowStatus::TimedOut,
    ];
    ends.into_iter().for_each(|status| series.record(status, Span::from_millis(100), &metrics));
    series.record(WorkflowStatus::Running, Span::from_millis(100), &metrics);
    let told = serde_json::to_string(&series).unwrap();
    let expected = r#"{"completed":2,"failed":1,"timedOut":1,"duration":[0,400,100,100,26,4],"tasks":[0,12,3,3,6,4],"attempts":[0,16,4,4,8,4],"retries":[0,4,1,1,0,4],"execution":[0,360,90,90,25,4],"input":[0,104,26,26,18,4],"output":[0,32,8,8,12,4]}"#;
    assert_eq!(told, expected);
    assert_eq!((series.runs(), serde_json::from_str::<WorkflowSeries>(&told).unwrap()), (4, series.clone()));
    let mut twice = series.clone();
    twice.merge(&series);
    assert_eq!((twice.runs(), twice.duration.count(), twice.timed_out), (8, 8, 2));
}

/// A number that looks random, from 0 to 1: the same in each run.
fn drawn(n: u32) -> f64 {
    f64::from(n.wrapping_mul(2_654_435_769).rotate_left(13).wrapping_mul(2_246_822_519) >> 8)
        / f64::from(1 << 24)
}

/// How many bytes a task's series takes after so many attempts whose numbers lie within a factor of `spread`.
fn bytes_after(attempts: u32, spread: f64) -> usize {
    let mut series = TaskSeries::default();
    for n in 0..attempts {
        // Three together are nearly normal, as logarithms of times are.
        let of = |base: f64, lane: u32| {
            let mean = (drawn(9 * n + lane) + drawn(9 * n + lane + 3) + drawn(9 * n + lane + 6)) / 3.0;
            (base * spread.powf(mean)) as u64
        };
        let metrics = TaskMetrics {
            execution_time_ms: of(40.0, 1),
            cpu_time_ms: of(10.0, 2),
            memory_bytes: of(3e7, 2),
        };
        let begun = of(2.0, 0) as i64;
        let attempt = Attempt {
            start_time: Some(at(begun)),
            end_time: Some(at(begun + 50)),
            metrics: Some(metrics),
            input_bytes: of(300.0, 1),
            output_bytes: of(100.0, 0),
            ..attempt((n % 50 == 0).then_some("CARD_DECLINED"))
        };
        series.record(&attempt, 1 + u32::from(n % 50 == 1), false);
    }
    serde_json::to_vec(&series).unwrap().len()
}

#[test]
fn a_series_of_a_task_takes_at_most_450_bytes_and_of_a_busy_one_at_most_1400() {
    let sizes = [(1, 3.0), (100, 3.0), (10_000, 3.0), (100, 30.0), (10_000, 30.0), (200_000, 1e9)]
        .map(|(attempts, spread)| bytes_after(attempts, spread));
    println!("bytes of a series: {sizes:?}");
    let most = [220, 350, 450, 480, 720, 1_400];
    assert!(sizes.iter().zip(most).all(|(size, most)| *size <= most), "{sizes:?}");
}
