//! What an iteration of a large `forEach` costs in time: no more than one of a small one.

#![allow(clippy::unwrap_used, reason = "a test that fails names its line")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use oarlock_engine::decide::{Decider, start};
use oarlock_engine::{Effect, Event, Plan, Settings};
use oarlock_protocol::message::{AttemptAddress, Outcome, ResultMessage, StartMessage};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{FORMAT, RunId, Timestamp, WorkerId};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

fn plan() -> Plan {
    let task = json!({"id": "t", "task": "work", "inputMappings": {"n": "${ item }"}});
    let each = json!({"items": "${ input.items }", "concurrency": 20, "collect": "${ t.output.n }"});
    let definition =
        json!({"id": "w", "version": 1, "tasks": [{"id": "f", "forEach": each, "tasks": [task]}]});
    Plan::compile(Arc::new(serde_json::from_value(definition).unwrap())).unwrap()
}

fn request(items: usize) -> StartMessage {
    let context = SecurityContext { user_id: "ada".into(), tenant_id: "acme".into(), ..Default::default() };
    StartMessage {
        parent: None,
        traceparent: None,
        format: FORMAT,
        workflow_instance_id: RunId::keyed("acme", "w", "cost"),
        workflow_definition_id: "w".into(),
        workflow_definition_version: None,
        input: json!({"items": (0..items).collect::<Vec<_>>()}),
        idempotency_key: None,
        correlation_id: None,
        priority: None,
        security_context: context,
    }
}

/// Runs it to its end; the time of the quickest hundred items of the later half. What else a machine does only adds.
fn quickest_hundred(items: usize) -> f64 {
    let (plan, settings) = (plan(), Settings::default());
    let (mut run, effects) = start(&plan, request(items), &settings, NOW).unwrap();
    let mut waiting = VecDeque::from(effects);
    let (mut begin, mut closed, mut quickest) = (Instant::now(), 0, f64::INFINITY);
    while let Some(effect) = waiting.pop_front() {
        let event = match effect {
            Effect::Offer { path, .. } => Event::Admitted { path },
            Effect::SetTimer { path, at } if at <= NOW => Event::Timer { path },
            Effect::Publish { path, execution_id, .. } => {
                closed += 1;
                if closed % 100 == 0 {
                    if closed > items / 2 {
                        quickest = quickest.min(begin.elapsed().as_secs_f64());
                    }
                    begin = Instant::now();
                }
                Event::Result(Box::new(ResultMessage {
                    format: FORMAT,
                    address: AttemptAddress { run: run.key.clone(), task_path: path, execution_id },
                    worker_id: WorkerId::from("one".to_owned()),
                    outcome: Outcome::Completed { output: json!({"n": closed}) },
                    metrics: Default::default(),
                    deliveries: 1,
                }))
            }
            _ => continue,
        };
        let mut decider = Decider::new(&plan, &mut run, &settings, NOW);
        decider.handle(event);
        waiting.extend(decider.finish());
        let written: Vec<_> = std::mem::take(&mut run.changes).rows.into_iter().collect();
        run.compact(&plan, &written);
    }
    assert!(run.head.status.is_terminal() && closed == items);
    quickest
}

#[test]
fn an_item_of_ten_thousand_takes_as_long_as_one_of_a_hundred() {
    // Others slow a measurement down now and then, all of a large one at once; a cost that grows does so every time.
    let measure = || {
        let large = quickest_hundred(10_000);
        let small = (0..30).map(|_| quickest_hundred(100)).fold(f64::INFINITY, f64::min);
        (large, small)
    };
    let measured: Vec<(f64, f64)> = (0..3).map(|_| measure()).collect();
    assert!(measured.iter().any(|(large, small)| *large < small * 1.5), "seconds a hundred: {measured:?}");
}
