//! Freezes the JSON of every word and message: what another release or another language wrote must stay readable.
//!
//! A fixture is changed only together with `FORMAT`. A new field belongs into a fixture of its word, a new variant too.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a failing test names its line")]

use std::collections::BTreeSet;

use oarlock_protocol::definition::{
    CompensationWhen, OnExhausted, RetryStrategy, Task, TaskDefinition, TerminateStatus, WorkflowDefinition,
};
use oarlock_protocol::instance::{
    Attempt, HistoryEntry, InstanceKind, TaskExecutionContext, TaskInstance, TaskStatus, WorkflowInstance,
    WorkflowStatus, WorkflowSummary,
};
use oarlock_protocol::message::{
    Answer, AnswerMessage, BeatMessage, CancelMessage, CompleteMessage, Completion, ControlMessage, Kind,
    Operation, OperationMessage, Order, Outcome, PauseMessage, PayloadReference, PermitsMessage,
    ProgressMessage, RegisterMessage, ResultMessage, RunEvent, ScheduleMessage, SignalMessage, StartMessage,
    StartRequest, TaskEvent, TaskMessage, WatchMessage,
};
use oarlock_protocol::schedule::{Overlap, ScheduleDefinition, ScheduleView};
use oarlock_protocol::security::{DataClassification, SecurityContext, SecurityLevel};
use oarlock_protocol::{ErrorDetails, ExecutionId, FORMAT, Json, RunId, TaskInstanceId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// Reads a value as a word and writes it again.
type Again = fn(Json) -> Result<Json, String>;

/// Every fixture, the word it holds, and whether that word refuses unknown fields.
const FIXTURES: &[(&str, Again, Unknown)] = &[
    ("workflow_definition", again::<WorkflowDefinition>, Unknown::Refused),
    ("workflow_definition_smallest", again::<WorkflowDefinition>, Unknown::Refused),
    ("workflow_instance", again::<WorkflowInstance>, Unknown::Ignored),
    ("workflow_instance_failed", again::<WorkflowInstance>, Unknown::Ignored),
    ("workflow_instance_child", again::<WorkflowInstance>, Unknown::Ignored),
    ("workflow_instance_smallest", again::<WorkflowInstance>, Unknown::Ignored),
    ("workflow_summary", again::<WorkflowSummary>, Unknown::Ignored),
    ("workflow_summary_child", again::<WorkflowSummary>, Unknown::Ignored),
    ("history_entry", again::<HistoryEntry>, Unknown::Ignored),
    ("task_instance", again::<TaskInstance>, Unknown::Ignored),
    ("task_instance_waiting", again::<TaskInstance>, Unknown::Ignored),
    ("task_instance_child", again::<TaskInstance>, Unknown::Ignored),
    ("attempt", again::<Attempt>, Unknown::Ignored),
    ("task_execution_context", again::<TaskExecutionContext>, Unknown::Ignored),
    ("security_context", again::<SecurityContext>, Unknown::Ignored),
    ("security_context_smallest", again::<SecurityContext>, Unknown::Ignored),
    ("error_details", again::<ErrorDetails>, Unknown::Ignored),
    ("error_details_smallest", again::<ErrorDetails>, Unknown::Ignored),
    ("start_request", again::<StartRequest>, Unknown::Ignored),
    ("start_request_smallest", again::<StartRequest>, Unknown::Ignored),
    ("start", again::<StartMessage>, Unknown::Ignored),
    ("start_child", again::<StartMessage>, Unknown::Ignored),
    ("task", again::<TaskMessage>, Unknown::Ignored),
    ("task_deferred", again::<TaskMessage>, Unknown::Ignored),
    ("task_second_look", again::<TaskMessage>, Unknown::Ignored),
    ("result_completed", again::<ResultMessage>, Unknown::Ignored),
    ("result_failed", again::<ResultMessage>, Unknown::Ignored),
    ("result_deferred", again::<ResultMessage>, Unknown::Ignored),
    ("result_accepted", again::<ResultMessage>, Unknown::Ignored),
    ("result_refused", again::<ResultMessage>, Unknown::Ignored),
    ("progress", again::<ProgressMessage>, Unknown::Ignored),
    ("control_continue", again::<ControlMessage>, Unknown::Ignored),
    ("control_cancel", again::<ControlMessage>, Unknown::Ignored),
    ("control_closed", again::<ControlMessage>, Unknown::Ignored),
    ("cancel", again::<CancelMessage>, Unknown::Ignored),
    ("cancel_child", again::<CancelMessage>, Unknown::Ignored),
    ("signal", again::<SignalMessage>, Unknown::Ignored),
    ("complete", again::<CompleteMessage>, Unknown::Ignored),
    ("complete_failed", again::<CompleteMessage>, Unknown::Ignored),
    ("operation", again::<OperationMessage>, Unknown::Ignored),
    ("beat", again::<BeatMessage>, Unknown::Ignored),
    ("beat_leaving", again::<BeatMessage>, Unknown::Ignored),
    ("pause", again::<PauseMessage>, Unknown::Ignored),
    ("permits_ask", again::<PermitsMessage>, Unknown::Ignored),
    ("permits_ask_all", again::<PermitsMessage>, Unknown::Ignored),
    ("permits_told_all", again::<PermitsMessage>, Unknown::Ignored),
    ("permits_grant", again::<PermitsMessage>, Unknown::Ignored),
    ("permits_want", again::<PermitsMessage>, Unknown::Ignored),
    ("answer_accepted", again::<AnswerMessage>, Unknown::Ignored),
    ("answer_refused", again::<AnswerMessage>, Unknown::Ignored),
    ("answer_cancelling", again::<AnswerMessage>, Unknown::Ignored),
    ("answer_recorded", again::<AnswerMessage>, Unknown::Ignored),
    ("answer_registered", again::<AnswerMessage>, Unknown::Ignored),
    ("answer_ended", again::<AnswerMessage>, Unknown::Ignored),
    ("register", again::<RegisterMessage>, Unknown::Ignored),
    ("watch", again::<WatchMessage>, Unknown::Ignored),
    ("run_event", again::<RunEvent>, Unknown::Ignored),
    ("task_event", again::<TaskEvent>, Unknown::Ignored),
    ("payload_reference", again::<PayloadReference>, Unknown::Refused),
    ("schedule_put", again::<ScheduleMessage>, Unknown::Ignored),
    ("schedule_pause", again::<ScheduleMessage>, Unknown::Ignored),
    ("schedule_resume", again::<ScheduleMessage>, Unknown::Ignored),
    ("schedule_delete", again::<ScheduleMessage>, Unknown::Ignored),
    ("schedule_trigger", again::<ScheduleMessage>, Unknown::Ignored),
    ("schedule_view", again::<ScheduleView>, Unknown::Ignored),
    ("schedule_definition_smallest", again::<ScheduleDefinition>, Unknown::Refused),
];

/// What a reader does with a field it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unknown {
    Ignored,
    Refused,
}

fn again<T: DeserializeOwned + Serialize>(value: Json) -> Result<Json, String> {
    let word: T = serde_json::from_value(value).map_err(|e| e.to_string())?;
    serde_json::to_value(word).map_err(|e| e.to_string())
}

fn fixture(name: &str) -> Json {
    let path = format!("{}/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn every_word_is_written_as_it_was_read() {
    for (name, again, _) in FIXTURES {
        let frozen = fixture(name);
        assert_eq!(again(frozen.clone()).as_ref(), Ok(&frozen), "{name}");
    }
}

#[test]
fn the_table_names_every_file() {
    let listed: BTreeSet<String> = FIXTURES.iter().map(|(name, ..)| format!("{name}.json")).collect();
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<_>>(), listed);
}

#[test]
fn runs_and_messages_ignore_unknown_fields_and_definitions_refuse_them() {
    for (name, again, unknown) in FIXTURES {
        let mut value = fixture(name);
        let known = value.clone();
        value["laterField"] = json!({"of": "a later release"});
        match unknown {
            Unknown::Ignored => assert_eq!(again(value), Ok(known), "{name}"),
            Unknown::Refused => refused(again(value), name),
        }
    }
}

#[test]
fn every_part_of_a_definition_refuses_unknown_fields() {
    let definition = fixture("workflow_definition");
    let mut places = Vec::new();
    objects(&definition, String::new(), &mut places);
    let free = ["/input", "/variables", "/output"];
    let free_inside = [
        "/inputMappings",
        "/set",
        "Schema",
        "/schema",
        "/transformation/",
        "/value",
        "/terminate/output",
        "/loop/output",
        "/variables",
    ];
    let strict = places.iter().filter(|place| {
        !free.iter().any(|free| place.starts_with(free))
            && !free_inside.iter().any(|free| place.contains(free))
    });
    let mut checked = 0;
    for place in strict {
        let mut value = definition.clone();
        value.pointer_mut(place).unwrap()["laterField"] = json!(1);
        refused(again::<WorkflowDefinition>(value), place);
        checked += 1;
    }
    assert!(checked > 30, "only {checked} places were checked");
}

fn refused(read: Result<Json, String>, what: &str) {
    let error = read.expect_err(what);
    // What a `wait` may be for is told by its fields, so an unknown one leaves none that fits.
    let told = if what.contains("/wait/first/") { "did not match any variant" } else { "laterField" };
    assert!(error.contains(told), "{what}: {error}");
}

fn objects(value: &Json, place: String, places: &mut Vec<String>) {
    match value {
        Json::Object(map) => {
            map.iter().for_each(|(key, inner)| objects(inner, format!("{place}/{key}"), places));
            places.push(place);
        }
        Json::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(index, inner)| objects(inner, format!("{place}/{index}"), places));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn a_step_does_one_thing() {
    let both = json!({"id": "a", "task": "x", "set": {"b": 1}});
    assert!(serde_json::from_value::<Task>(both).is_err());
    assert!(serde_json::from_value::<Task>(json!({"id": "a"})).is_err());
}

#[test]
fn what_was_left_out_by_an_older_writer_has_its_default() {
    let task: TaskDefinition = serde_json::from_value(json!({"id": "a"})).unwrap();
    assert_eq!((task.version, task.continue_on_failure, task.retry_policy), (1, false, None));
    let error: ErrorDetails = serde_json::from_value(json!({"code": "A", "message": "b"})).unwrap();
    assert!(error.retryable && error.details.is_null());
    let mut result = fixture("result_completed");
    for field in ["metrics", "deliveries", "output"] {
        result.as_object_mut().unwrap().remove(field);
    }
    let result: ResultMessage = serde_json::from_value(result).unwrap();
    assert_eq!((result.deliveries, result.metrics), (1, Default::default()));
    assert_eq!(result.outcome, Outcome::Completed { output: Json::Null });
    let cancelling = json!({"format": 1, "status": "CANCELLING"});
    let cancelling: AnswerMessage = serde_json::from_value(cancelling).unwrap();
    assert_eq!(cancelling.answer, Answer::Cancelling { under_way: None });
}

#[test]
fn every_outcome_order_completion_and_answer_has_its_fixture() {
    for (name, ..) in FIXTURES.iter().filter(|(name, ..)| name.starts_with("result_")) {
        let result: ResultMessage = serde_json::from_value(fixture(name)).unwrap();
        assert_eq!(outcome_fixture(&result.outcome), *name);
    }
    for (name, ..) in FIXTURES.iter().filter(|(name, ..)| name.starts_with("control_")) {
        let control: ControlMessage = serde_json::from_value(fixture(name)).unwrap();
        assert_eq!(order_fixture(&control.order), *name);
    }
    for (name, ..) in FIXTURES.iter().filter(|(name, ..)| name.starts_with("complete")) {
        let complete: CompleteMessage = serde_json::from_value(fixture(name)).unwrap();
        assert_eq!(completion_fixture(&complete.completion), *name);
    }
    for (name, ..) in FIXTURES.iter().filter(|(name, ..)| name.starts_with("answer_")) {
        let answer: AnswerMessage = serde_json::from_value(fixture(name)).unwrap();
        assert_eq!(answer_fixture(&answer.answer), *name);
    }
}

/// A new outcome does not compile until its fixture is named here; the file must then be in the table.
fn outcome_fixture(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Completed { .. } => "result_completed",
        Outcome::Failed { .. } => "result_failed",
        Outcome::Deferred { .. } => "result_deferred",
        Outcome::Accepted => "result_accepted",
        Outcome::Refused => "result_refused",
    }
}

fn order_fixture(order: &Order) -> &'static str {
    match order {
        Order::Continue { .. } => "control_continue",
        Order::Cancel { .. } => "control_cancel",
        Order::Closed => "control_closed",
    }
}

fn completion_fixture(completion: &Completion) -> &'static str {
    match completion {
        Completion::Completed { .. } => "complete",
        Completion::Failed { .. } => "complete_failed",
    }
}

fn answer_fixture(answer: &Answer) -> &'static str {
    match answer {
        Answer::Accepted { .. } => "answer_accepted",
        Answer::Refused { .. } => "answer_refused",
        Answer::Cancelling { .. } => "answer_cancelling",
        Answer::Recorded { .. } => "answer_recorded",
        Answer::Registered { .. } => "answer_registered",
        Answer::Ended { .. } => "answer_ended",
    }
}

#[test]
fn every_kind_of_message_has_its_type_and_fixture() {
    for kind in Kind::ALL {
        let (text, name) = match kind {
            Kind::Start => ("oarlock.start", "start"),
            Kind::Task => ("oarlock.task", "task"),
            Kind::Result => ("oarlock.result", "result_completed"),
            Kind::Progress => ("oarlock.progress", "progress"),
            Kind::Control => ("oarlock.control", "control_continue"),
            Kind::Cancel => ("oarlock.cancel", "cancel"),
            Kind::Signal => ("oarlock.signal", "signal"),
            Kind::Answer => ("oarlock.answer", "answer_accepted"),
            Kind::Register => ("oarlock.register", "register"),
            Kind::Watch => ("oarlock.watch", "watch"),
            Kind::Complete => ("oarlock.complete", "complete"),
            Kind::Operation => ("oarlock.operation", "operation"),
            Kind::Beat => ("oarlock.beat", "beat"),
            Kind::Schedule => ("oarlock.schedule", "schedule_put"),
            Kind::Pause => ("oarlock.pause", "pause"),
            Kind::Permits => ("oarlock.permits", "permits_want"),
            Kind::RunEvent => ("oarlock.run_event", "run_event"),
            Kind::TaskEvent => ("oarlock.task_event", "task_event"),
        };
        assert_eq!((kind.as_str(), Kind::parse(text)), (text, Some(kind)));
        assert_eq!(fixture(name)["format"], FORMAT, "{name}");
    }
    assert_eq!(Kind::parse("oarlock.later"), None);
}

/// Freezes the text of every variant: a new one does not compile until it is named here.
macro_rules! frozen {
    ($($word:ident { $($variant:ident => $text:literal),* })*) => {$({
        for word in [$($word::$variant),*] {
            let text = match word { $($word::$variant => $text),* };
            assert_eq!(serde_json::to_value(word).unwrap(), text);
            assert_eq!(serde_json::from_value::<$word>(json!(text)).unwrap(), word);
        }
    })*};
}

#[test]
fn the_text_of_every_choice_is_frozen() {
    frozen! {
        WorkflowStatus {
            Pending => "PENDING", Running => "RUNNING", Paused => "PAUSED", Compensating => "COMPENSATING",
            Completed => "COMPLETED", Failed => "FAILED", Cancelled => "CANCELLED", TimedOut => "TIMED_OUT"
        }
        TaskStatus {
            Pending => "PENDING", Ready => "READY", Scheduled => "SCHEDULED", Running => "RUNNING",
            Completed => "COMPLETED", Failed => "FAILED", RetryPending => "RETRY_PENDING",
            Skipped => "SKIPPED", Cancelled => "CANCELLED", TimedOut => "TIMED_OUT"
        }
        InstanceKind {
            Task => "TASK", Group => "GROUP", Parallel => "PARALLEL", Switch => "SWITCH", Set => "SET",
            Terminate => "TERMINATE", OnError => "ON_ERROR", ForEach => "FOR_EACH", Loop => "LOOP",
            Iteration => "ITERATION", Workflow => "WORKFLOW", Wait => "WAIT", OnTimeout => "ON_TIMEOUT",
            Compensation => "COMPENSATION"
        }
        CompensationWhen { Completed => "COMPLETED", Attempted => "ATTEMPTED" }
        Operation { Pause => "PAUSE", Resume => "RESUME", Retry => "RETRY" }
        Overlap { Skip => "SKIP", Queue => "QUEUE", CancelOld => "CANCEL_OLD", Allow => "ALLOW" }
        RetryStrategy { Fixed => "FIXED", Linear => "LINEAR", Exponential => "EXPONENTIAL" }
        OnExhausted { Fail => "FAIL", Pause => "PAUSE" }
        TerminateStatus { Completed => "COMPLETED", Failed => "FAILED" }
        SecurityLevel { Low => "LOW", Medium => "MEDIUM", High => "HIGH", Critical => "CRITICAL" }
        DataClassification {
            Public => "PUBLIC", Internal => "INTERNAL", Confidential => "CONFIDENTIAL", Restricted => "RESTRICTED"
        }
    }
    assert!(WorkflowStatus::ALL.iter().all(|status| json!(status) == status.as_str()));
}

#[test]
fn ids_made_from_names_never_change() {
    let run = RunId::keyed("acme", "order_fulfilment", "shop-order-1001");
    let task = TaskInstanceId::of(run, "/charge");
    let message: TaskMessage = serde_json::from_value(fixture("task")).unwrap();
    let context = message.execution_context;
    assert_eq!(
        (context.workflow_instance_id, message.idempotency_key, context.execution_id),
        (run, task, Some(ExecutionId::of(task, 2)))
    );
    let schedule: ScheduleView = serde_json::from_value(fixture("schedule_view")).unwrap();
    let starting = &schedule.state.starting[0];
    assert_eq!(starting.run, schedule.schedule.key().run_due(starting.due));
}
