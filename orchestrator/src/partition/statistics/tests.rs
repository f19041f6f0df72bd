//! What is written with a commit, and that memory and store stay bounded.

use oarlock_protocol::instance::{Attempt, TaskMetrics, WorkflowMetrics, WorkflowStatus};
use oarlock_protocol::{ExecutionId, RunId, RunKey, TaskPath};
use uuid::Uuid;

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn closed_at(tenant: &str, task: &str, end: i64) -> ClosedAttempt {
    let at = |milliseconds: i64| Timestamp::from_millis(end + milliseconds);
    ClosedAttempt {
        run: RunKey::new(tenant, RunId::keyed(tenant, "w", "k")),
        path: TaskPath::from("/a"),
        workflow: "w".to_owned(),
        task: task.to_owned(),
        number: 1,
        is_child: false,
        put_off: false,
        attempt: Attempt {
            execution_id: ExecutionId::from_uuid(Uuid::from_u128(1)),
            queue: "work".to_owned(),
            worker_id: None,
            earlier_workers: Vec::new(),
            deliveries: 1,
            ready_at: at(-20),
            scheduled_at: at(-19),
            start_time: Some(at(-10)),
            end_time: Some(at(0)),
            error: None,
            metrics: Some(TaskMetrics { execution_time_ms: 8, cpu_time_ms: 5, memory_bytes: 31_457_280 }),
            input_bytes: 300,
            output_bytes: 20,
        },
    }
}

fn ended(workflow: &str) -> EndedRun {
    EndedRun {
        run: RunKey::new("acme", RunId::keyed("acme", workflow, "k")),
        workflow: workflow.to_owned(),
        status: WorkflowStatus::Completed,
        began: Timestamp::from_millis(5),
        ended: Timestamp::from_millis(90),
        metrics: WorkflowMetrics { task_count: 1, attempts: 1, ..WorkflowMetrics::default() },
    }
}

/// The fields that a commit writes, each with its hour and value.
fn written(statistics: &mut Statistics, seq: u64) -> Vec<(i64, String, String)> {
    let mut writes = Vec::new();
    statistics.write(seq, &mut writes);
    let field = |write| match write {
        Write::HashSet { key: Key::Statistics { hour }, field, value } => {
            (hour.as_millis(), field, String::from_utf8(value.to_vec()).unwrap())
        }
        other => panic!("{other:?}"),
    };
    writes.into_iter().map(field).collect()
}

fn fields(written: &[(i64, String, String)]) -> Vec<(i64, &str)> {
    written.iter().map(|(hour, field, _)| (*hour, field.as_str())).collect()
}

#[test]
fn a_commit_writes_one_small_field_for_each_definition_it_touched() {
    let mut statistics = Statistics::default();
    for _ in 0..100 {
        statistics.attempt_closed(&closed_at("acme", "charge", 100));
        statistics.attempt_closed(&closed_at("acme", "ship", 100));
    }
    statistics.run_ended(&ended("order"));
    let first = written(&mut statistics, 7);
    assert_eq!(fields(&first), [(0, "t/acme/charge/7"), (0, "t/acme/ship/7"), (0, "w/acme/order/7")]);
    assert!(first.iter().all(|(_, field, value)| field.len() + value.len() <= 256), "{first:#?}");
    assert_eq!(written(&mut statistics, 8), []);
    // A step of a chain.
    statistics.attempt_closed(&closed_at("acme", "ship", 200));
    let second = written(&mut statistics, 9);
    assert_eq!(fields(&second), [(0, "t/acme/ship/7")]);
    assert!(second[0].2.starts_with(r#"{"completed":101,"#), "{second:?}");
}

#[test]
fn an_attempt_that_was_a_run_is_counted_as_that_alone() {
    let mut statistics = Statistics::default();
    statistics.attempt_closed(&ClosedAttempt { is_child: true, ..closed_at("acme", "order", 100) });
    assert_eq!(written(&mut statistics, 1), []);
}

#[test]
fn each_hour_has_its_own_and_is_put_among_the_timers_once() {
    let mut statistics = Statistics::default();
    let times = [HOUR_MS - 1, HOUR_MS, HOUR_MS - 1].map(|end| closed_at("acme", "charge", end));
    times.iter().for_each(|closed| statistics.attempt_closed(closed));
    let mut writes = Vec::new();
    let new = statistics.write(1, &mut writes);
    assert_eq!(new, [HOUR_MS, 0].map(Timestamp::from_millis));
    assert_eq!(writes.len(), 2);
    statistics.attempt_closed(&times[0]);
    assert_eq!(statistics.write(2, &mut writes), []);
}

#[test]
fn what_left_memory_begins_a_field_of_its_own() {
    let mut statistics = Statistics::default();
    for hour in 0..3 {
        statistics.attempt_closed(&closed_at("acme", "charge", hour * HOUR_MS));
    }
    assert_eq!(written(&mut statistics, 1).len(), 3);
    assert_eq!(statistics.hours.len(), HOURS);
    statistics.attempt_closed(&closed_at("acme", "charge", 0));
    let again = written(&mut statistics, 2);
    assert_eq!(fields(&again), [(0, "t/acme/charge/2")]);
    assert!(again[0].2.starts_with(r#"{"completed":1,"#), "{again:?}");
}

#[test]
fn what_is_counted_for_an_hour_while_it_is_removed_is_removed_later() {
    let mut statistics = Statistics::default();
    statistics.attempt_closed(&closed_at("acme", "charge", 0));
    written(&mut statistics, 1);
    statistics.attempt_closed(&closed_at("acme", "charge", 0));
    statistics.forget(Timestamp::from_millis(0));
    assert_eq!(statistics.write(2, &mut Vec::new()), [Timestamp::from_millis(0)]);
    statistics.forget(Timestamp::from_millis(0));
    assert!(statistics.hours.is_empty());
}

#[test]
fn definitions_and_tenants_without_number_stay_bounded_and_all_are_counted() {
    let mut statistics = Statistics::default();
    for n in 0..MOST_SERIES + 10 {
        statistics.attempt_closed(&closed_at("acme", &format!("task{n}"), 0));
    }
    let first = written(&mut statistics, 1);
    assert_eq!(first.len(), MOST_SERIES + 1);
    let others = first.iter().find(|(_, field, _)| field == "t/acme/*/1").unwrap();
    assert!(others.2.starts_with(r#"{"completed":10,"#), "{others:?}");
    for n in 0..MOST_OTHERS + 10 {
        statistics.attempt_closed(&closed_at(&format!("tenant{n}"), "task", 0));
    }
    assert_eq!(written(&mut statistics, 2).len(), MOST_OTHERS - 1);
    assert_eq!(
        (statistics.hours[0].series.len(), statistics.hours[0].left_out),
        (MOST_SERIES + MOST_OTHERS, 11)
    );
}
