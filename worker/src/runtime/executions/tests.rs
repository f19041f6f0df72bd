//! Tests of the open executions: copies, cancels, and what is left when they end.

use std::sync::Arc;

use async_trait::async_trait;
use oarlock_broker::{Acknowledge, Error};
use oarlock_protocol::message::TaskMessage;
use oarlock_protocol::{RunId, TaskInstanceId, Timestamp};
use serde_json::json;

use super::super::channel::Channel;
use super::*;
use crate::context::Envelope;

struct Deaf;

#[async_trait]
impl Acknowledge for Deaf {
    async fn ack(&self, _: u64) -> Result<(), Error> {
        Ok(())
    }

    async fn ack_through(&self, _: u64) -> Result<(), Error> {
        Ok(())
    }

    async fn reject(&self, _: u64, _: bool) -> Result<(), Error> {
        Ok(())
    }
}

/// A table with one attempt, begun at `started` with an hour to run and a heartbeat of a minute.
fn one_running(started: Instant) -> (Executions, TaskContext) {
    let run = RunId::random();
    let instance = TaskInstanceId::of(run, "/a");
    let execution_id = ExecutionId::of(instance, 1);
    let message: TaskMessage = serde_json::from_value(json!({
        "format": 1, "task": "a", "input": null, "attempt": 1, "idempotencyKey": instance,
        "timeoutMs": 3_600_000, "heartbeatMs": 60_000,
        "executionContext": {
            "workflowInstanceId": run, "taskPath": "/a", "securityContext": {"userId": "u", "tenantId": "t"},
        },
    }))
    .unwrap();
    let envelope = Envelope {
        execution_id,
        reply_to: "inbox".into(),
        deliveries: 1,
        max_payload_bytes: 1000,
        trace: None,
    };
    let (context, _) = TaskContext::begin(message, envelope, Timestamp::from_millis(0), started);
    let executions = Executions::new(Duration::from_secs(60));
    let begun =
        executions.begin(&context, Channel::new(Arc::new(Deaf), Arc::default()).receipt(1), Duration::ZERO);
    assert!(matches!(begun, Begun::Run));
    (executions, context)
}

/// The signs that are sent at `now`, and how many deliveries are to be acknowledged early.
fn tick(executions: &Executions, now: Instant, taken: bool) -> (Vec<u64>, usize) {
    let mut signs = Vec::new();
    let due = executions.tick(now, |_, n| {
        signs.push(n);
        taken
    });
    (signs, due.acknowledge.len())
}

#[test]
fn signs_come_after_a_second_and_at_a_third_of_the_heartbeat() {
    let started = Instant::now();
    let at = |ms| started + Duration::from_millis(ms);
    let (executions, _) = one_running(started);
    let signs: Vec<_> =
        [0, 999, 1000, 20_999, 21_000, 40_999, 41_000].map(|ms| tick(&executions, at(ms), true).0).into();
    assert_eq!(signs, [vec![], vec![], vec![0], vec![], vec![1], vec![], vec![2]]);
}

#[test]
fn a_sign_that_found_no_room_stays_due() {
    let started = Instant::now();
    let (executions, _) = one_running(started);
    let later = started + Duration::from_secs(2);
    assert_eq!([tick(&executions, later, false).0, tick(&executions, later, true).0], [[0], [0]]);
    assert_eq!(tick(&executions, later, true).0, Vec::<u64>::new());
}

#[test]
fn a_long_attempt_is_acknowledged_early_once_and_only_when_it_is_known() {
    let started = Instant::now();
    let (executions, context) = one_running(started);
    let (minute, later) = (started + Duration::from_secs(60), started + Duration::from_secs(61));
    assert_eq!(tick(&executions, minute, true).1, 0, "nobody has answered");
    executions.answered(context.execution_id());
    assert_eq!(tick(&executions, started + Duration::from_secs(59), true).1, 0, "it is too young");
    assert_eq!(tick(&executions, minute, true).1, 1);
    assert_eq!(tick(&executions, later, true).1, 0, "it was acknowledged already");
    executions.end_all(Duration::ZERO);
    assert_eq!(executions.close(context.execution_id()), Ok(Some(Ending::Draining { acknowledged: true })));
}

#[test]
fn an_attempt_is_closed_once() {
    let (executions, context) = one_running(Instant::now());
    assert_eq!(executions.close(context.execution_id()), Ok(None));
    assert_eq!(executions.close(context.execution_id()), Err(AlreadyClosed));
    executions.end(context.execution_id(), Ending::Closed, Duration::ZERO);
    assert!(!context.is_cancelled(), "what is closed is not told to end");
}

#[test]
fn what_comes_while_its_answer_is_on_the_way_is_answered_again() {
    let (executions, context) = one_running(Instant::now());
    let id = context.execution_id();
    let deliver = |tag| {
        let receipt = Channel::new(Arc::new(Deaf), Arc::default()).receipt(tag);
        assert!(matches!(executions.begin(&context, receipt, Duration::ZERO), Begun::Copy));
    };
    let confirm = || {
        let confirmed = executions.confirmed(vec![(id, Bytes::from_static(b"{}"))]);
        (confirmed.receipts.len(), confirmed.again.len(), executions.len())
    };
    deliver(2);
    executions.close(id).unwrap();
    deliver(3);
    deliver(4);
    assert_eq!(confirm(), (2, 1, 1), "the answer was published before the last two came");
    deliver(5);
    assert_eq!(confirm(), (2, 1, 1));
    assert_eq!(confirm(), (1, 0, 0));
}

#[test]
fn the_first_reason_to_end_stays_unless_the_attempt_is_closed() {
    let (executions, context) = one_running(Instant::now());
    let id = context.execution_id();
    executions.end(id, Ending::Cancelled("first".into()), Duration::ZERO);
    executions.end(id, Ending::Cancelled("second".into()), Duration::ZERO);
    let due = executions.tick(Instant::now(), |_, _| true);
    assert_eq!(
        due.dropped.into_iter().map(|(_, ending)| ending).next(),
        Some(Ending::Cancelled("first".into()))
    );

    let (executions, context) = one_running(Instant::now());
    executions.end(context.execution_id(), Ending::Cancelled("first".into()), Duration::ZERO);
    executions.end(context.execution_id(), Ending::Closed, Duration::ZERO);
    assert_eq!(executions.close(context.execution_id()), Ok(Some(Ending::Closed)));
}
