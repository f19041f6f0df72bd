//! Runs in every state, explained.

use std::sync::Arc;

use oarlock_engine::map::Map;
use oarlock_engine::{Decider, Effect, Event, Plan, Run, Settings, decide};
use oarlock_protocol::message::{AttemptAddress, Operation, PauseSubject, ProgressMessage, StartMessage};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{ErrorDetails, FORMAT, Json, RunId, TaskPath, Timestamp, WorkerId};
use oarlock_protocol::{code::Code, message::Outcome, message::ResultMessage};
use serde_json::json;

use crate::pauses::Pause;

use super::*;

/// 2026-01-01.
const BEGIN: i64 = 1_767_225_600_000;

/// A run whose events a test makes by hand.
struct World {
    plan: Plan,
    run: Run,
    now: Timestamp,
    settings: Settings,
    broker_problem: Option<String>,
    pauses: Vec<Pause>,
    limits: Map<String, u32>,
    waiting: Map<String, u64>,
    /// Whether ready tasks are let out at once.
    admits: bool,
}

impl World {
    fn begin(yaml: &str) -> Self {
        Self::begin_with(yaml, true)
    }

    fn begin_with(yaml: &str, admits: bool) -> Self {
        let report = oarlock_definition::read("test.yaml", yaml);
        let definition = report.definition.as_ref().unwrap_or_else(|| panic!("{}", report.render(false)));
        let plan = Plan::compile(Arc::new(definition.clone())).unwrap();
        let (settings, now) = (Settings::default(), Timestamp::from_millis(BEGIN));
        let request = StartMessage {
            format: FORMAT,
            workflow_instance_id: RunId::keyed("acme", "w", "1"),
            workflow_definition_id: "w".to_owned(),
            workflow_definition_version: None,
            input: Json::Null,
            idempotency_key: None,
            correlation_id: None,
            priority: None,
            security_context: SecurityContext {
                user_id: "ada".to_owned(),
                tenant_id: "acme".to_owned(),
                ..SecurityContext::default()
            },
            parent: None,
            traceparent: None,
        };
        let (run, effects) = decide::start(&plan, request, &settings, now).unwrap();
        let waiting = Map::default();
        let (pauses, limits) = (Vec::new(), Map::default());
        let mut world =
            Self { plan, run, now, settings, broker_problem: None, pauses, limits, waiting, admits };
        world.admit(effects);
        world
    }

    fn admit(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Offer { path, .. } = effect
                && self.admits
            {
                self.event(Event::Admitted { path });
            }
        }
    }

    fn event(&mut self, event: Event) {
        let mut decider = Decider::new(&self.plan, &mut self.run, &self.settings, self.now);
        decider.handle(event);
        let effects = decider.finish();
        self.admit(effects);
    }

    fn after(&mut self, seconds: u64) {
        self.now = self.now.after(Span::from_secs(seconds));
    }

    fn address(&self, path: &str) -> AttemptAddress {
        let task_path = TaskPath::from(path);
        let execution_id = self.run.open(&task_path).expect("an open attempt").1.execution_id;
        AttemptAddress { run: self.run.key.clone(), task_path, execution_id }
    }

    fn progress(&mut self, path: &str) {
        let progress = ProgressMessage {
            format: FORMAT,
            address: self.address(path),
            worker_id: WorkerId::from("w-7".to_owned()),
            n: 0,
            running_ms: 0,
            deliveries: 1,
            control_queue: Some("control".to_owned()),
            details: Json::Null,
        };
        self.event(Event::Progress(Box::new(progress)));
    }

    fn fail(&mut self, path: &str) {
        let error = ErrorDetails { code: "BUSY".to_owned(), ..ErrorDetails::system(Code::Panic, "not now") };
        self.answer(path, Outcome::Failed { error });
    }

    fn answer(&mut self, path: &str, outcome: Outcome) {
        let result = ResultMessage {
            format: FORMAT,
            address: self.address(path),
            worker_id: WorkerId::from("w-7".to_owned()),
            outcome,
            metrics: oarlock_protocol::instance::TaskMetrics::default(),
            deliveries: 1,
        };
        self.event(Event::Result(Box::new(result)));
    }

    fn explain(&self) -> Explanation {
        explain(&Facts {
            plan: &self.plan,
            run: &self.run,
            settings: &self.settings,
            now: self.now,
            windows: Map::from_iter([("x".to_owned(), 256)]),
            pauses: self.pauses.clone(),
            limits: self.limits.clone(),
            broker_problem: self.broker_problem.clone(),
            waiting: self.waiting.clone(),
        })
    }

    /// The only step that waits: its text, without what the times before it are.
    #[track_caller]
    fn only(&self) -> Waiting {
        let mut waits = self.explain().waits;
        assert_eq!(waits.len(), 1, "{waits:#?}");
        waits.remove(0)
    }
}

const ONE: &str = "{id: w, version: 1, tasks: [{id: a, task: x}]}";
const HELD: &str = "{id: w, version: 1, tasks: [{id: p, parallel: [{id: a, task: x}, {id: h, task: h}]}],
    taskDefinitions: [{id: h, retryPolicy: {maxRetries: 0, onExhausted: PAUSE}}]}";

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "'{part}' is missing:\n{text}");
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN).after(Span::from_secs(seconds))
}

#[test]
fn a_ready_task_waits_for_room_or_for_the_broker() {
    let mut world = World::begin_with(ONE, false);
    world.after(90);
    world.waiting.insert("x".to_owned(), 300);
    let ready = world.only();
    says(
        &ready.text,
        &["READY since 2026-01-01T00:00:00.000Z (1m 30s ago)", "fewer than 256", "300 messages wait"],
    );
    assert_eq!((ready.since, ready.until), (at(0), Some(at(24 * 3600))));
    world.broker_problem = Some("out of memory".to_owned());
    says(&world.only().text, &["when the broker takes messages again: out of memory."]);
}

#[test]
fn a_task_that_is_held_back_tells_by_whom_and_what_lets_it_go_on() {
    let mut world = World::begin_with(ONE, false);
    world.after(90);
    let pause = |subject| Pause {
        subject,
        since: at(60),
        requested_by: "ada".to_owned(),
        reason: "the provider is down".to_owned(),
        until: None,
    };
    let of = |tenant: &str| PauseSubject::Task { tenant_id: tenant.to_owned(), task: "x".to_owned() };
    world.pauses = vec![pause(of("other"))];
    says(&world.only().text, &["is let out in its turn"]);
    world.pauses.push(pause(of("acme")));
    let held = world.only();
    says(
        &held.text,
        &["held back: the task definition 'x' is paused since", "by ada (the provider is down)"],
    );
    assert_eq!((held.until, held.commands[0].as_str()), (None, "oarlock resume --task x"));
}

#[test]
fn a_ready_task_waits_for_a_permit_of_its_limit() {
    let text = ONE.replace("tasks:", "taskDefinitions: [{id: x, concurrencyLimit: 2}], tasks:");
    let mut world = World::begin_with(&text, false);
    let limit = format!("concurrency/{}/x", world.run.key.tenant);
    world.limits.insert(limit.clone(), 1);
    assert!(!world.only().text.contains("permit"));
    world.limits.insert(limit, 2);
    says(&world.only().text, &["waits for a permit of the limit of 'x' (`concurrencyLimit`): 2 of 2 open."]);
}

#[test]
fn a_scheduled_task_waits_for_a_worker() {
    let mut world = World::begin(ONE);
    world.after(5);
    let scheduled = world.only();
    says(
        &scheduled.text,
        &["Attempt 1 waits for a worker since", "in the queue 'x'", "(in 23h 59m), the attempt fails"],
    );
    assert!(!scheduled.text.contains("message waits"), "the broker has not told: {}", scheduled.text);
    world.waiting.insert("x".to_owned(), 0);
    says(&world.only().text, &["No message waits in that queue"]);
    let run = world.run.key.run;
    assert_eq!(scheduled.commands[0], format!("oarlock complete {run} /a --output JSON"));
}

#[test]
fn a_running_task_has_a_worker_and_limits() {
    let total = ONE.replace("task: x", "task: x, timeouts: {total: 40m, execution: 40m}");
    let mut world = World::begin(&total);
    world.after(10);
    world.progress("/a");
    world.after(60);
    let running = world.only();
    says(
        &running.text,
        &[
            "Attempt 1 runs on worker w-7 since 2026-01-01T00:00:10.000Z (1m ago)",
            "sign of life within the last 30s",
            "TIMEOUT_EXECUTION",
            "then the task is TIMED_OUT",
        ],
    );
    assert_eq!((running.since, running.until), (at(10), Some(at(2400))));
}

#[test]
fn a_task_that_was_told_to_end_has_little_time_for_it() {
    let mut world = World::begin(ONE);
    world.progress("/a");
    world.event(Event::Cancel { reason: "enough".to_owned() });
    let told = world.only();
    says(&told.text, &["It was told to end; its answer is waited for until", "(in 10s)"]);
    assert_eq!((told.until, told.commands.len()), (Some(at(10)), 0));
    says(&world.explain().text, &["It is cancelled (enough) and ends when what is open has closed."]);
}

#[test]
fn a_second_attempt_tells_why_there_is_one() {
    let retried = "{id: w, version: 1, tasks: [{id: a, task: x}], taskDefinitions: [{id: x, retryPolicy:
        {maxRetries: 3, initialDelay: 20s, jitter: 0, strategy: FIXED}}]}";
    let mut world = World::begin(retried);
    world.after(1);
    world.fail("/a");
    let waits = world.only();
    says(
        &waits.text,
        &["It failed at 2026-01-01T00:00:01.000Z (0s ago) (BUSY: not now). Attempt 2 begins at", "(in 20s)."],
    );
    assert_eq!(waits.until, Some(at(21)));
    world.after(20);
    world.event(Event::Timer { path: "/a".into() });
    says(&world.only().text, &["Attempt 2 waits for a worker", "The attempt before failed (BUSY: not now)."]);
}

#[test]
fn a_paused_run_tells_what_holds_it_and_what_is_held_back_with_it() {
    let mut world = World::begin_with(HELD, false);
    world.event(Event::Admitted { path: "/p/h".into() });
    world.fail("/p/h");
    world.after(60);
    let explained = world.explain();
    says(&explained.text, &["is PAUSED", "until an operator lets it go on"]);
    let [ready, held] = &explained.waits[..] else { panic!("{explained:#?}") };
    says(&ready.text, &["is dispatched when the run goes on."]);
    says(&held.text, &["waits for an operator since", "(1m ago)", "Its last error is BUSY: not now."]);
    let run = world.run.key.run;
    assert_eq!(held.commands[0], format!("oarlock resume {run}"));
    assert_eq!(explained.commands, [format!("oarlock resume {run}"), format!("oarlock cancel {run}")]);
}

#[test]
fn a_task_that_was_handed_on_lasts_until_somebody_completes_it() {
    let mut world = World::begin(ONE);
    world.after(1);
    world.answer("/a", Outcome::Accepted);
    let handed = world.only();
    says(&handed.text, &["Attempt 1 runs on worker w-7", "lasts until somebody completes it"]);
    assert!(!handed.text.contains("TIMEOUT_EXECUTION"), "{}", handed.text);
    assert_eq!(handed.until, None);
}

#[test]
fn a_task_that_was_deferred_says_so() {
    let mut world = World::begin(ONE);
    world.answer("/a", Outcome::Deferred { after_ms: 60_000, state: Json::Null });
    says(
        &world.only().text,
        &["Its worker asked at", "to look at it again later. Attempt 2 begins at", "(in 1m)."],
    );
}

#[test]
fn a_wait_tells_what_would_end_it() {
    let wait = "{id: w, version: 1, tasks: [{id: a, wait: {first: [{signal: it's on}, {signal: stop},
        {duration: 2h}], timeout: 1h}, onTimeout: [{id: tell, task: x}]}]}";
    let mut world = World::begin(wait);
    world.after(600);
    let told = world.only();
    says(
        &told.text,
        &[
            "It waits for the signal 'it's on', or for the signal 'stop', or until 2026-01-01T02:00:00.000Z (in 1h 50m)",
            "since 2026-01-01T00:00:00.000Z (10m ago).",
            "Where nothing came by 2026-01-01T01:00:00.000Z (in 50m), its onTimeout steps run.",
        ],
    );
    let run = world.run.key.run;
    let signal = |name: &str| format!("oarlock signal {run} {name} --payload JSON");
    assert_eq!(told.commands, [signal("'it'\\''s on'"), signal("stop")]);
    assert_eq!(told.until, Some(at(3600)));
    world.after(3000);
    world.event(Event::Timer { path: "/a".into() });
    assert_eq!(world.only().task_path, "/a:onTimeout/tell".into(), "it has waited too long");
}

#[test]
fn a_loop_between_two_iterations_tells_when_the_next_begins() {
    let repeat = "{id: w, version: 1, tasks: [{id: l, loop: {until: \"${ a.output }\", delay: 5m, max: 9},
        tasks: [{id: a, task: x}]}]}";
    let mut world = World::begin(repeat);
    world.after(1);
    assert_eq!(world.only().task_path, "/l[0]/a".into(), "within one only what is inside is told");
    world.answer("/l[0]/a", Outcome::Completed { output: json!(false) });
    world.after(60);
    let paused = world.only();
    says(&paused.text, &["Iteration 0 has ended at", "(1m ago), and iteration 1 begins at", "(in 4m)."]);
    assert_eq!((paused.since, paused.until), (at(1), Some(at(301))));
}

#[test]
fn a_run_of_a_run_is_named() {
    let parent = "{id: w, version: 1, tasks: [{id: c, workflow: {id: invoice, version: 2}}]}";
    let mut world = World::begin(parent);
    world.after(5);
    let asked = world.only();
    let child = RunId::child_of(world.address("/c").execution_id);
    says(
        &asked.text,
        &[&format!("Run {child} of invoice@2 was asked for at"), "It is asked at", "whether it lives"],
    );
    assert_eq!(asked.commands[0], format!("oarlock explain {child}"));
    world.progress("/c");
    says(
        &world.only().text,
        &[&format!("It lasts until run {child} of invoice@2 has ended, which began at")],
    );
    world.event(Event::Cancel { reason: "enough".to_owned() });
    says(&world.only().text, &["It was told to end, and is told again at", "(in 10s)"]);
}

#[test]
fn what_undoes_a_step_names_it_and_its_run_cannot_be_retried() {
    let undone =
        "{id: w, version: 1, tasks: [{id: a, task: x, compensateWith: {task: y}}, {id: b, task: x}]}";
    let mut world = World::begin(undone);
    world.answer("/a", Outcome::Completed { output: Json::Null });
    world.fail("/b");
    let explained = world.explain();
    says(
        &explained.text,
        &["is COMPENSATING", "because of what came at /b (BUSY: not now)", "is undone before"],
    );
    says(&explained.waits[0].text, &["It undoes /a. Attempt 1 waits for a worker"]);
    let run = world.run.key.run;
    assert_eq!(explained.commands, [format!("oarlock pause {run}")]);
    world.answer("/a:compensate", Outcome::Completed { output: Json::Null });
    let explained = world.explain();
    says(&explained.text, &["ended FAILED", "was undone: start it anew"]);
    assert!(explained.commands.is_empty());
}

#[test]
fn a_run_that_was_opened_again_tells_no_limit_that_nobody_knows() {
    let limited = ONE.replace("version: 1", "version: 1, timeouts: {total: 1h}");
    let mut world = World::begin(&limited);
    says(&world.explain().text, &["It ends TIMED_OUT at 2026-01-01T01:00:00.000Z (in 1h)"]);
    world.fail("/a");
    world.event(Event::Operation(Operation::Retry));
    let explained = world.explain();
    assert!(
        explained.status == WorkflowStatus::Running && !explained.text.contains("TIMED_OUT"),
        "{explained:#?}"
    );
    says(&explained.waits[0].text, &["Attempt 2", "The attempt before failed (BUSY: not now)."]);
}

#[test]
fn handlers_at_work_are_told_with_what_called_them() {
    let handled = "{id: w, version: 1, tasks: [{id: a, task: x}], onError: [{id: tell, task: y}]}";
    let mut world = World::begin(handled);
    world.fail("/a");
    let explained = world.explain();
    says(
        &explained.text,
        &["It failed at /a (BUSY: not now); its error handlers are at work, then it ends."],
    );
    assert_eq!(explained.waits[0].task_path, "/:onError/tell".into());
}

#[test]
fn a_run_that_ended_tells_how_and_how_long_it_is_kept() {
    let mut world = World::begin(ONE);
    world.after(61);
    world.fail("/a");
    world.after(60);
    let explained = world.explain();
    says(
        &explained.text,
        &[
            "ended FAILED at 2026-01-01T00:01:01.000Z (1m ago), after 1m 1s.",
            "kept until 2026-01-08T",
            "arose at /a: BUSY",
        ],
    );
    assert_eq!(explained.commands, [format!("oarlock retry {}", world.run.key.run)]);
    assert!(explained.waits.is_empty());
}

#[test]
fn no_more_than_fifty_steps_are_told_and_the_others_counted() {
    let tasks: Vec<Json> = (0..60).map(|n| json!({"id": format!("t{n}"), "task": "x"})).collect();
    let world = World::begin(
        &json!({"id": "w", "version": 1, "tasks": [{"id": "p", "parallel": tasks}]}).to_string(),
    );
    let explained = world.explain();
    assert_eq!((explained.waits.len(), explained.more), (50, 10));
}

#[test]
fn long_errors_are_cut() {
    let error = ErrorDetails::system(Code::Panic, format!("{}\nsecond line", "é".repeat(400)));
    let text = error_text(&error);
    assert!(text.ends_with("é…") && text.chars().count() == "PANIC: ".len() + 301, "{text}");
    assert_eq!(error_text(&ErrorDetails::system(Code::Panic, "short\n")), "PANIC: short");
}
