//! Any row and any head is read as it was written, whatever is left out of its stored form.

use oarlock_engine::NodeId;
use oarlock_engine::run::{
    Awaiting, Block, Body, Ending, Head, KEPT_ATTEMPTS, LimitKeys, Open, Row, Stage, Work,
};
use oarlock_protocol::instance::{Attempt, TaskMetrics, TaskStatus, WorkflowMetrics, WorkflowStatus};
use oarlock_protocol::message::Parent;
use oarlock_protocol::{ErrorDetails, ExecutionId, TaskInstanceId, TraceParent};
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::*;
use crate::layout::{head, row};

const STATUSES: [TaskStatus; 10] = [
    TaskStatus::Pending,
    TaskStatus::Ready,
    TaskStatus::Scheduled,
    TaskStatus::Running,
    TaskStatus::Completed,
    TaskStatus::Failed,
    TaskStatus::RetryPending,
    TaskStatus::Skipped,
    TaskStatus::Cancelled,
    TaskStatus::TimedOut,
];

fn run_id() -> RunId {
    RunId::keyed("acme", "w", "k")
}

fn path() -> TaskPath {
    TaskPath::from("/fan[3]/a")
}

/// Times that follow from others by chance, times that do not, and the ends of all time.
fn time() -> impl Strategy<Value = Timestamp> {
    let few = (0..3i64).prop_map(|later| BEGIN + later);
    let times =
        prop_oneof![8 => few, 4 => (0..10_000_000i64).prop_map(|later| BEGIN + later), 1 => any::<i64>()];
    times.prop_map(Timestamp::from_millis)
}

fn maybe_time() -> impl Strategy<Value = Option<Timestamp>> {
    prop::option::of(time())
}

fn data() -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,8}".prop_map(Json::from),
        (240..270usize).prop_map(|length| Json::from("x".repeat(length))),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from);
        let map = prop::collection::vec((".{0,4}", inner), 0..3);
        prop_oneof![list, map.prop_map(|entries| Json::Object(entries.into_iter().collect()))]
    })
    .boxed()
}

fn error() -> BoxedStrategy<ErrorDetails> {
    (select(&["BUSY", "WORSE", ""][..]), ".{0,5}", data(), any::<bool>())
        .prop_map(|(code, message, details, retryable)| ErrorDetails {
            code: code.to_owned(),
            message,
            details,
            retryable,
        })
        .boxed()
}

fn ending() -> BoxedStrategy<Ending> {
    prop_oneof![
        error().prop_map(|error| Ending::Failed { error, failed_at: "/x".into() }),
        Just(Ending::Cancelled { reason: "enough".to_owned() }),
        error().prop_map(|error| Ending::TimedOut { error }),
        Just(Ending::Enough),
        any::<bool>().prop_map(|with_output| Ending::Completed { with_output }),
    ]
    .boxed()
}

fn word() -> impl Strategy<Value = String> {
    select(&["default", "bench.echo", "w-1", "w-2", ""][..]).prop_map(str::to_owned)
}

fn metrics() -> impl Strategy<Value = TaskMetrics> {
    (0..4u64, 0..2u64, prop_oneof![Just(0), any::<u64>()]).prop_map(
        |(execution_time_ms, cpu_time_ms, memory_bytes)| TaskMetrics {
            execution_time_ms,
            cpu_time_ms,
            memory_bytes,
        },
    )
}

/// An attempt whose id is still to be given.
fn attempt() -> BoxedStrategy<Attempt> {
    let workers = (prop::option::of(word()), prop::collection::vec(word(), 0..3), 0..3u32);
    let times = (time(), time(), maybe_time(), maybe_time());
    let outcome = (prop::option::of(error()), prop::option::of(metrics()));
    (word(), workers, times, outcome, (any::<u64>(), 0..9u64))
        .prop_map(|(queue, (worker, earlier, deliveries), times, (error, metrics), bytes)| Attempt {
            execution_id: ExecutionId::from_uuid(Uuid::nil()),
            queue,
            worker_id: worker.map(WorkerId::from),
            earlier_workers: earlier.into_iter().map(WorkerId::from).collect(),
            deliveries,
            ready_at: times.0,
            scheduled_at: times.1,
            start_time: times.2,
            end_time: times.3,
            error,
            metrics,
            input_bytes: bytes.0,
            output_bytes: bytes.1,
        })
        .boxed()
}

fn open() -> BoxedStrategy<Open> {
    let times = (maybe_time(), maybe_time(), maybe_time(), maybe_time(), maybe_time(), maybe_time());
    (times, prop::option::of(any::<u64>()), prop::option::of(word()), any::<bool>())
        .prop_map(|(times, progress, control_queue, accepted)| Open {
            execution_id: ExecutionId::from_uuid(Uuid::nil()),
            start_before: times.0,
            deadline: times.1,
            started: times.2,
            progress,
            seen: times.3,
            control_queue,
            accepted,
            ask_at: times.4,
            cancelled_until: times.5,
        })
        .boxed()
}

fn stage() -> BoxedStrategy<Stage> {
    prop_oneof![
        time().prop_map(|since| Stage::Ready { since }),
        open().prop_map(Stage::Open),
        (time(), time()).prop_map(|(until, since)| Stage::Waiting { until, since }),
        Just(Stage::Held),
        Just(Stage::Closed),
    ]
    .boxed()
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    prop_oneof![
        9 => prop::collection::vec(attempt(), 0..4),
        1 => prop::collection::vec(attempt(), KEPT_ATTEMPTS),
    ]
}

/// A task of any past: retried, made anew by a later generation, with ids that nothing derives.
fn work() -> BoxedStrategy<Work> {
    let marks = (word(), prop_oneof![Just(4), any::<u8>()], 0..3u64, prop::option::of(any::<u64>()));
    let numbers = (0..3u32, prop_oneof![3 => Just(0u32), 1 => 0..1000u32, 1 => Just(u32::MAX)], 0..3u32);
    let times = (time(), maybe_time());
    let keys = (prop::option::of(word()), prop::option::of(word()));
    let rest = ((prop::option::of(data()), keys), any::<bool>(), prop::bool::weighted(0.2), any::<u8>());
    (marks, numbers, times, rest, stage(), attempts())
        .prop_map(|(marks, numbers, times, ((state, keys), uncertain, is_odd, odd), stage, attempts)| {
            let id = if is_odd {
                TaskInstanceId::of(run_id(), "/")
            } else {
                TaskInstanceId::of(run_id(), path().as_str())
            };
            let kept = u32::try_from(attempts.len()).unwrap();
            let mut work = Work {
                id,
                generation: marks.2,
                queue: marks.0,
                priority: marks.1,
                stage,
                retry_count: numbers.0,
                attempt_count: kept.saturating_add(numbers.1),
                refusals: numbers.2,
                first_ready: times.0,
                first_dispatch: times.1,
                state,
                limit_keys: (keys.0.is_some() || keys.1.is_some())
                    .then(|| Box::new(LimitKeys { concurrency: keys.0, rate: keys.1 })),
                uncertain,
                closed_as: marks.3,
                attempts,
            };
            name_attempts(&mut work, kept, odd);
            work
        })
        .boxed()
}

/// Names attempts by their numbers, but for the one at `odd`.
fn name_attempts(work: &mut Work, kept: u32, odd: u8) {
    let first = u64::from(work.attempt_count - kept) + 1;
    let names: Vec<ExecutionId> =
        (first..).take(kept as usize).map(|number| work.attempt_named(number as u32)).collect();
    let latest = work.attempt_named(work.attempt_count);
    for (number, (attempt, name)) in work.attempts.iter_mut().zip(names).enumerate() {
        let is_odd = number == usize::from(odd);
        attempt.execution_id = if is_odd { ExecutionId::from_uuid(Uuid::from_u128(7)) } else { name };
    }
    if let Stage::Open(open) = &mut work.stage {
        open.execution_id = if odd < 20 { ExecutionId::from_uuid(Uuid::from_u128(8)) } else { latest };
    }
}

fn body() -> BoxedStrategy<Body> {
    let some = || prop::option::of(0..3usize);
    let block = (some(), prop::option::of(ending()), some(), any::<bool>(), maybe_time()).prop_map(
        |(case, ending, items, rest, pause)| Block { case, ending, items, rest, pause, ..Block::default() },
    );
    let until = prop::option::of((time(), 0..3usize));
    let signals = prop::collection::vec((word(), 0..3usize), 0..3);
    let wait = (until, maybe_time(), signals).prop_map(|(until, timeout, signals)| Awaiting {
        until,
        timeout,
        signals,
    });
    prop_oneof![
        1 => Just(Body::Plain),
        5 => work().prop_map(|work| Body::Work(Box::new(work))),
        2 => block.prop_map(Body::Block),
        2 => wait.prop_map(Body::Await),
    ]
    .boxed()
}

fn any_row() -> impl Strategy<Value = Row> {
    let times = (time(), time(), maybe_time(), maybe_time());
    let data = (prop::option::of(data()), prop::option::of(data()));
    let failed_at = prop::option::of(word().prop_map(|text| TaskPath::from(text.as_str())));
    (select(&STATUSES[..]), any::<bool>(), times, data, prop::option::of(error()), failed_at, body())
        .prop_map(|(status, settled, times, (input, output), error, failed_at, body)| Row {
            node: NodeId::default(),
            status,
            settled,
            created_at: times.0,
            updated_at: times.1,
            start_time: times.2,
            end_time: times.3,
            input,
            output,
            error,
            failed_at,
            body,
            is_partial: false,
        })
}

fn any_head() -> impl Strategy<Value = Head> {
    let times = (time(), time(), maybe_time(), maybe_time(), maybe_time());
    let marks = (word(), word(), prop::option::of(word()), any::<bool>());
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), 0..3u64, 0..3u64);
    let ends = (prop::option::of(error()), prop::option::of(ending()));
    let counts = prop::collection::vec(prop_oneof![Just(0), any::<u64>()], 13);
    (select(&WorkflowStatus::ALL[..]), times, marks, flags, ends, counts).prop_map(
        |(status, times, (id, by, correlation_id, has_parent), flags, (error, ending), counts)| Head {
            format: FORMAT,
            workflow_definition_id: id,
            workflow_definition_version: 3,
            status,
            start_time: times.2,
            end_time: times.3,
            failed_at: error.as_ref().map(|_| path()),
            error,
            ending,
            handling: flags.0,
            held_back: flags.1,
            opened_at: times.4,
            correlation_id,
            priority: flags.0.then_some(u8::from(flags.2)),
            parent: has_parent.then(parent),
            traceparent: has_parent.then(traceparent),
            generation: flags.3,
            compensating: flags.2,
            closings: flags.4,
            security_context: serde_json::from_value(json!({"userId": "w-1", "tenantId": "acme"})).unwrap(),
            created_by: by,
            metrics: metrics_of(&counts),
            request_digest: "5d0c".to_owned(),
            created_at: times.0,
            updated_at: times.1,
        },
    )
}

fn traceparent() -> TraceParent {
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap()
}

fn parent() -> Parent {
    let execution_id = ExecutionId::from_uuid(Uuid::from_u128(9));
    let run = RunKey::new("acme", run_id());
    Parent { address: AttemptAddress { run, task_path: path(), execution_id }, depth: 2, wait: true }
}

fn metrics_of(counts: &[u64]) -> WorkflowMetrics {
    WorkflowMetrics {
        task_count: counts[0],
        completed_tasks: counts[1],
        failed_tasks: counts[2],
        skipped_tasks: counts[3],
        attempts: counts[4],
        retries: counts[5],
        total_queue_time_ms: counts[6],
        total_execution_time_ms: counts[7],
        total_retry_wait_ms: counts[8],
        total_cpu_time_ms: counts[9],
        total_memory_bytes: counts[10],
        total_input_bytes: counts[11],
        total_output_bytes: counts[12],
    }
}

/// Data where it lies inside.
fn inside(data: Option<&Json>) -> Option<Json> {
    data.filter(|data| data.to_string().len() <= 512).cloned()
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(500), failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_row_is_read_as_it_was_written(row in any_row()) {
        let encoded = row::encode(run_id(), &path(), &row);
        let read = row::decode(run_id(), &path(), &encoded.row);
        let (input, output) = (inside(row.input.as_ref()), inside(row.output.as_ref()));
        prop_assert_eq!((encoded.has_input, encoded.has_output), (input.is_some(), output.is_some()));
        prop_assert_eq!(read.unwrap(), Row { input, output, ..row });
    }

    #[test]
    fn any_head_is_read_as_it_was_written(head in any_head(), input in data(), output in data()) {
        let (origin, has_input) = head::encode_origin(&head, &input);
        let (moving, has_output) = head::encode_head(&head, Some(&output).filter(|output| !output.is_null()));
        let read = head::decode(&origin, &moving).unwrap();
        prop_assert_eq!(read.head, head);
        prop_assert_eq!(read.input, inside(Some(&input)));
        prop_assert_eq!(has_input, inside(Some(&input)).is_some());
        let output = inside(Some(&output)).filter(|output| !output.is_null());
        prop_assert_eq!(has_output, output.is_some());
        prop_assert_eq!(read.output, output);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(row in any_row(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = row::encode(run_id(), &path(), &row).row.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = row::decode(run_id(), &path(), &bytes);
        let _ = row::decode(run_id(), &path(), &bytes[..at]);
        let _ = head::decode(&bytes, &bytes);
    }
}
