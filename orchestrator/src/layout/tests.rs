//! What lies where, and that it is read as it was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use oarlock_engine::{Decider, Effect, Event, Plan, Run, Settings, decide};
use oarlock_protocol::message::{AttemptAddress, Outcome, ResultMessage, StartMessage};
use oarlock_protocol::{FORMAT, Json, RunId, RunKey, TaskPath, Timestamp, WorkerId};
use serde_json::json;

use super::{Place, StoredRun, write_changes};
use crate::store::Write;

mod data;
mod frozen;
mod heads;
mod random;
mod sizes;

/// When every run of these tests begins.
const BEGIN: i64 = 1_795_740_482_464;

fn plan(tasks: &Json) -> Plan {
    let definition = json!({"id": "w", "version": 1, "tasks": tasks});
    Plan::compile(Arc::new(serde_json::from_value(definition).unwrap())).unwrap()
}

/// A task that hands its worker what `input` says.
fn task(id: &str, input: &str) -> Json {
    json!({"id": id, "task": "work", "inputMappings": {"text": input}})
}

fn start(plan: &Plan, input: Json) -> (Run, Vec<Effect>) {
    let context = json!({"userId": "ada", "tenantId": "acme"});
    let request = StartMessage {
        parent: None,
        traceparent: None,
        format: FORMAT,
        workflow_instance_id: RunId::keyed("acme", "w", "k"),
        workflow_definition_id: "w".to_owned(),
        workflow_definition_version: None,
        input,
        idempotency_key: None,
        correlation_id: None,
        priority: None,
        security_context: serde_json::from_value(context).unwrap(),
    };
    decide::start(plan, request, &Settings::default(), Timestamp::from_millis(BEGIN)).unwrap()
}

/// Decides about an event that comes so many milliseconds after the begin.
fn handle(plan: &Plan, run: &mut Run, later: i64, event: Event) {
    let settings = Settings::default();
    Decider::new(plan, run, &settings, Timestamp::from_millis(BEGIN + later)).handle(event);
}

fn admit(plan: &Plan, run: &mut Run, later: i64, path: &str) {
    handle(plan, run, later, Event::Admitted { path: TaskPath::from(path) });
}

/// The result of the open attempt at a place.
fn result(run: &Run, path: &str, outcome: Outcome) -> Event {
    let path = TaskPath::from(path);
    let execution_id = run.open(&path).unwrap().1.execution_id;
    Event::Result(Box::new(ResultMessage {
        format: FORMAT,
        address: AttemptAddress { run: run.key.clone(), task_path: path, execution_id },
        worker_id: WorkerId::from("vm-042794a5b056".to_owned()),
        outcome,
        metrics: oarlock_protocol::instance::TaskMetrics { execution_time_ms: 6, ..Default::default() },
        deliveries: 1,
    }))
}

fn complete(plan: &Plan, run: &mut Run, later: i64, path: &str, output: Json) {
    let event = result(run, path, Outcome::Completed { output });
    handle(plan, run, later, event);
}

/// The fields of a run in a store.
#[derive(Default)]
struct Stored(BTreeMap<String, Bytes>);

impl Stored {
    /// Writes what changed; how many bytes that took.
    fn commit(&mut self, run: &mut Run) -> usize {
        let mut writes = Vec::new();
        write_changes(run, &mut writes);
        let mut size = 0;
        for write in writes {
            match write {
                Write::HashSet { field, value, .. } => {
                    size += field.len() + value.len();
                    self.0.insert(field, value);
                }
                Write::HashDelete { field, .. } => drop(self.0.remove(&field)),
                other => panic!("{other:?}"),
            }
        }
        size
    }

    fn load(&self, run: &Run, plan: &Plan) -> Run {
        let stored = StoredRun::read(self.0.clone().into_iter().collect()).unwrap().unwrap();
        stored.into_run(run.key.clone(), plan, Timestamp::from_millis(BEGIN)).unwrap()
    }

    fn text(&self, field: &str) -> String {
        String::from_utf8(self.0[field].to_vec()).unwrap()
    }

    fn fields(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

#[test]
fn a_place_is_read_as_it_was_written() {
    for path in ["/", "/a", "/a/b:onError/c", "/fan[3]/x"] {
        let place =
            Place { run: RunKey::new("acme", RunId::keyed("acme", "d", "k")), path: TaskPath::from(path) };
        assert_eq!(Place::parse(&place.to_string()).unwrap(), place);
    }
    for text in ["", "acme", "acme/x", "acme/not-a-uuid/x"] {
        assert!(Place::parse(text).is_err(), "{text}");
    }
}
