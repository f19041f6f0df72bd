//! Anomalies, from attempts as their owner tells them.

use oarlock_monitor::{Evidence, Severity};
use oarlock_protocol::instance::{Attempt as Stored, TaskMetrics};
use oarlock_protocol::{ErrorDetails, ExecutionId, RunId, RunKey, TaskInstanceId, TaskPath};

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn closed(number: u32, took_ms: u64, end: i64, error: Option<ErrorDetails>) -> ClosedAttempt {
    let run = RunKey::new("t", RunId::keyed("t", "d", "k"));
    let attempt = Stored {
        execution_id: ExecutionId::of(TaskInstanceId::of(run.run, "/a"), number),
        queue: "q".into(),
        worker_id: None,
        earlier_workers: Vec::new(),
        deliveries: 1,
        ready_at: at(end - took_ms as i64 - 5),
        scheduled_at: at(end - took_ms as i64 - 4),
        start_time: Some(at(end - took_ms as i64)),
        end_time: Some(at(end)),
        error,
        metrics: Some(TaskMetrics { execution_time_ms: took_ms, ..TaskMetrics::default() }),
        input_bytes: 10,
        output_bytes: 10,
    };
    ClosedAttempt {
        run,
        path: TaskPath::from("/a"),
        workflow: "w".into(),
        task: "pay".into(),
        number,
        is_child: false,
        put_off: false,
        attempt,
    }
}

fn watching() -> (Arc<Anomalies>, mpsc::Receiver<Change>) {
    Anomalies::new(Settings::default(), Clock::system())
}

#[test]
fn a_task_that_takes_three_times_as_long_is_found_and_told_once() {
    let (anomalies, mut changes) = watching();
    let mut end = 0;
    for number in 0..400 {
        end += 1000;
        anomalies.attempt_closed(&closed(1, 200 + number % 7 * 10, end, None));
    }
    assert!(changes.try_recv().is_err(), "nothing is unusual yet");
    for number in 0..30 {
        end += 1000;
        anomalies.attempt_closed(&closed(1, 700 + number % 7 * 10, end, None));
    }
    let Ok(Change::Began(finding)) = changes.try_recv() else { panic!("it has begun") };
    assert_eq!((finding.kind, finding.subject), (Kind::Duration, Subject::Task(Key::new("t", "pay"))));
    assert!(changes.try_recv().is_err(), "it is told once");
}

#[test]
fn what_says_nothing_of_the_task_is_not_judged() {
    let cancelled = ErrorDetails::system(Code::Cancelled, "told to end");
    assert_eq!(judged(&closed(1, 5, 10, Some(cancelled))), None);
    assert_eq!(judged(&ClosedAttempt { is_child: true, ..closed(1, 5, 10, None) }), None);
    let failed = judged(&closed(1, 5, 10, Some(ErrorDetails::system(Code::Panic, "ouch")))).unwrap();
    assert_eq!(failed.outcome, Outcome::Failed);
    assert_eq!(
        (failed.duration, failed.queue_time),
        (Some(Span::from_millis(5)), Some(Span::from_millis(5)))
    );
    assert_eq!(failed.memory, None, "the worker cannot tell");
}

#[test]
fn of_what_several_see_the_worse_is_told_with_the_earlier_beginning() {
    let finding = |since, severity| Finding {
        kind: Kind::Duration,
        subject: Subject::Task(Key::new("t", "pay")),
        since: at(since),
        severity,
        evidence: Evidence { baseline: 1.0, current: 2.0, count: 3, score: 4.0 },
        text: format!("{severity:?}"),
    };
    let [one] = &merged([finding(1, Severity::Warning), finding(2, Severity::Severe)])[..] else {
        panic!("one finding")
    };
    assert_eq!((one.since, &*one.text), (at(1), "Severe"));
}

#[test]
fn where_nothing_is_watched_no_attempt_is_looked_at() {
    let of = |enabled| Anomalies::new(Settings { enabled, ..Settings::default() }, Clock::system()).0;
    assert_eq!((of(true).observers().len(), of(false).observers().len()), (1, 0));
}
