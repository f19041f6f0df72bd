//! Schedules: exactly one run for each due time, also while the owners of their partitions die; and what is asked of them.

use oarlock_orchestrator::Settings;
use oarlock_orchestrator::node::{Error, Filter};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::{ScheduleAction, SignalMessage};
use oarlock_protocol::schedule::{ScheduleDefinition, ScheduleView};
use oarlock_protocol::{Clock, FORMAT, Json, RunKey, ScheduleKey, Span, Timestamp};
use serde_json::json;

use super::nodes::pair;
use super::system::{Parts, System, TENANT, eventually, request, settings};

const TICK: &str = "{id: tick, version: 1, tasks: [{id: a, set: {x: 1}}], output: '${ input.at }'}";
const HOLD: &str = "{id: hold, version: 1, tasks: [{id: a, wait: {signal: go}}]}";
const EVERY_SECOND: &str = "* * * * * *";

/// Registers a schedule at a node.
async fn put(system: &System, fields: Json) -> ScheduleKey {
    let definition: ScheduleDefinition = serde_json::from_value(fields).unwrap();
    let key = ScheduleKey::new(TENANT, definition.id.as_str());
    let principal = request("", Json::Null).security_context;
    assert!(!system.node.put_schedule(definition.clone(), principal.clone()).await.unwrap());
    assert!(system.node.put_schedule(definition, principal).await.unwrap(), "the same again changes nothing");
    key
}

async fn change(system: &System, key: &ScheduleKey, action: ScheduleAction) -> Result<bool, Error> {
    system.node.change_schedule(key, action, "ada".to_owned()).await
}

/// The schedule once it is as wanted.
async fn once(
    system: &System,
    key: &ScheduleKey,
    what: &str,
    is: impl Fn(&ScheduleView) -> bool,
) -> ScheduleView {
    let look = || async { system.node.schedule(key).await.ok().filter(|view| is(view)) };
    eventually(what, look).await
}

async fn runs_of(system: &System, workflow: &str) -> usize {
    let definition = Some(workflow.to_owned());
    let filter = Filter { tenant: TENANT.to_owned(), status: None, definition, limit: 1_000, after: None };
    system.node.list(&filter).await.unwrap().runs.len()
}

fn seconds_from_now(seconds: u64) -> Timestamp {
    Clock::system().now().after(Span::from_secs(seconds))
}

#[tokio::test]
async fn each_due_time_has_exactly_one_run_while_the_owners_die() {
    let parts = Parts::fresh().await;
    let settings = Settings { partitions: 8, lease: Span::from_secs(1), ..settings() };
    let one = parts.node("one", settings.clone()).await;
    let two = parts.node("two", settings.clone()).await;
    one.register(TICK).await;
    let end = seconds_from_now(9);
    let mut keys = Vec::new();
    // Several, so that each owner that dies had one of them, most likely.
    for id in ["a", "b", "c", "d"] {
        let fields = json!({
            "id": id, "workflow": "tick", "cron": EVERY_SECOND, "overlap": "ALLOW", "dueAs": "at", "end": end,
        });
        keys.push(put(&two, fields).await);
    }
    for key in &keys {
        once(&two, key, "two were started", |view| view.state.started >= 2).await;
    }
    // Dropped as by a crash: what was decided is committed and perhaps not sent, or sent and not heard.
    drop(one);
    let three = parts.node("three", settings.clone()).await;
    once(&three, &keys[0], "it goes on", |view| view.state.started >= 4).await;
    drop(two);
    let mut all = 0;
    for key in &keys {
        let is_done = |view: &ScheduleView| view.state.next_due.is_none() && view.state.starting.is_empty();
        let view = once(&three, key, "its end has come", is_done).await;
        let first = view.schedule.created_at.as_millis() / 1_000 + 1;
        let due: Vec<Timestamp> =
            (first..=end.as_millis() / 1_000).map(|second| Timestamp::from_millis(second * 1_000)).collect();
        assert!(due.len() >= 8, "{due:?}");
        for due in &due {
            let run = three.end(&RunKey::new(TENANT, key.run_due(*due))).await;
            assert_eq!((run.status, run.output), (WorkflowStatus::Completed, Some(json!(due.to_string()))));
            assert_eq!(run.created_by, "ada", "on behalf of who registered the schedule");
        }
        let state = &view.state;
        assert_eq!((state.started, state.missed, state.skipped), (due.len() as u64, 0, 0), "{state:?}");
        assert_eq!(state.last_run, due.last().map(|due| key.run_due(*due)));
        all += due.len();
    }
    assert_eq!(runs_of(&three, "tick").await, all, "and no other");
    assert!(three.node.parked().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_overlap_policies_hold_between_partitions() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(HOLD).await;
    let schedule = |overlap: &str| json!({"id": overlap, "workflow": "hold", "cron": EVERY_SECOND, "overlap": overlap, "queueLimit": 1});
    // SKIP: nothing beside the first, until that has ended.
    let skip = put(&one, schedule("SKIP")).await;
    let view = once(&two, &skip, "three were skipped", |view| view.state.skipped >= 3).await;
    let first = RunKey::new(TENANT, view.state.last_run.unwrap());
    assert_eq!(view.state.started, 1);
    two.node.signal(go(&first)).await.unwrap();
    once(&two, &skip, "the next was started", |view| view.state.started == 2).await;
    change(&one, &skip, ScheduleAction::Delete).await.unwrap();
    // QUEUE: one waits, and is started when the first has ended.
    let queue = put(&two, schedule("QUEUE")).await;
    let view = once(&one, &queue, "the queue is full", |view| view.state.skipped >= 2).await;
    assert_eq!((view.state.started, view.state.queued.len()), (1, 1));
    let waiting = view.state.queued[0].run;
    one.node.signal(go(&RunKey::new(TENANT, view.state.last_run.unwrap()))).await.unwrap();
    once(&one, &queue, "what waited was started", |view| view.state.last_run == Some(waiting)).await;
    change(&one, &queue, ScheduleAction::Delete).await.unwrap();
    // CANCEL_OLD: each makes room for the next.
    let cancel = put(&one, schedule("CANCEL_OLD")).await;
    let view = once(&one, &cancel, "the first was started", |view| view.state.started == 1).await;
    let old = RunKey::new(TENANT, view.state.last_run.unwrap());
    once(&one, &cancel, "the second was started", |view| view.state.started >= 2).await;
    assert_eq!(one.end(&old).await.status, WorkflowStatus::Cancelled);
    change(&one, &cancel, ScheduleAction::Delete).await.unwrap();
}

fn go(run: &RunKey) -> SignalMessage {
    let (signal_id, name) = ("s".to_owned(), "go".to_owned());
    SignalMessage { format: FORMAT, run: run.clone(), signal_id, name, payload: Json::Null }
}

#[tokio::test]
async fn a_schedule_is_paused_triggered_and_removed_through_any_node() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(TICK).await;
    // Due so seldom that it is not meanwhile.
    let fields =
        json!({"id": "yearly", "workflow": "tick", "cron": "@yearly", "overlap": "ALLOW", "dueAs": "at"});
    let key = put(&one, fields.clone()).await;
    assert_eq!(two.node.schedule(&key).await.unwrap().next.len(), 5);
    let pause = || ScheduleAction::Pause { reason: Some("a test".to_owned()) };
    assert!(!change(&two, &key, pause()).await.unwrap());
    assert!(change(&one, &key, pause()).await.unwrap(), "it was paused before");
    let view = one.node.schedule(&key).await.unwrap();
    assert_eq!((view.schedule.paused, view.state.next_due, view.next.len()), (true, None, 0));
    assert_eq!(view.schedule.pause_reason.as_deref(), Some("a test"));
    // Written anew it stays paused.
    let mut changed = fields;
    changed["cron"] = json!("@monthly");
    put(&two, changed).await;
    assert!(two.node.schedule(&key).await.unwrap().schedule.paused);
    // Asked for twice under one key, at both nodes, one run is started.
    let (run, existing) = one.node.trigger_schedule(&key, "k".to_owned(), "ada".to_owned()).await.unwrap();
    assert!(!existing);
    let started = once(&one, &key, "it was started", |view| view.state.started == 1).await;
    assert_eq!(started.state.last_run, Some(run));
    assert_eq!(two.node.trigger_schedule(&key, "k".to_owned(), "ada".to_owned()).await.unwrap(), (run, true));
    assert_eq!(one.end(&RunKey::new(TENANT, run)).await.status, WorkflowStatus::Completed);
    assert_eq!(runs_of(&two, "tick").await, 1);
    assert!(!change(&two, &key, ScheduleAction::Resume).await.unwrap());
    assert!(two.node.schedule(&key).await.unwrap().state.next_due.is_some());
    let ids = |views: Vec<ScheduleView>| {
        views.into_iter().map(|view| view.schedule.definition.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(two.node.schedules(TENANT).await.unwrap()), ["yearly"]);
    assert!(two.node.schedules("other").await.unwrap().is_empty());
    change(&one, &key, ScheduleAction::Delete).await.unwrap();
    for error in [
        change(&one, &key, ScheduleAction::Delete).await.unwrap_err(),
        change(&one, &key, ScheduleAction::Resume).await.unwrap_err(),
        one.node.schedule(&key).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("has no schedule 'yearly'"), "{error}");
    }
}

#[tokio::test]
async fn a_start_that_is_refused_is_told_and_the_next_is_tried() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    let fields = json!({"id": "early", "workflow": "tick", "cron": EVERY_SECOND, "dueAs": "at"});
    let key = put(&one, fields).await;
    let view = once(&two, &key, "a start was refused", |view| view.state.refused >= 1).await;
    let told = view.state.last_problem.unwrap().message;
    assert!(told.contains("was refused: NOT_FOUND: no workflow 'tick'"), "{told}");
    two.register(TICK).await;
    once(&two, &key, "one was started", |view| view.state.started >= 1).await;
    change(&one, &key, ScheduleAction::Delete).await.unwrap();
    assert!(one.node.parked().await.unwrap().is_empty(), "who asked has heard of it");
}
