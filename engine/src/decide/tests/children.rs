//! Runs that start runs.

use oarlock_protocol::instance::WorkflowStatus::{Cancelled, Completed, Failed, Paused, Running};
use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::{AttemptAddress, Completion, Operation, Outcome, Parent};
use oarlock_protocol::{ErrorDetails, Json, RunId, RunKey, TaskPath};
use serde_json::json;

use super::steps::{With, parallel, plan, task, workflow};
use super::workers::error;
use super::world::{BEGIN, Faults, Setup, World, scenario};
use crate::child_message;
use crate::decide::{Decider, start};
use crate::event::Event;
use crate::settings::Settings;

const MINUTE: u64 = 60_000;

/// A step that starts a run of `invoice`.
fn child(id: &str) -> Json {
    json!({"id": id, "workflow": {"id": "invoice"}, "inputMappings": {"n": 1}})
}

/// A step that is done when its run was accepted.
fn detached(id: &str) -> Json {
    json!({"id": id, "workflow": {"id": "invoice", "version": 2, "wait": false}})
}

/// The workflow `w`, started by the step `/invoice` of another run.
fn below(depth: u32, wait: bool) -> Setup {
    let attempt = "0287b781-d717-572e-9ee3-19c031a0ac1e".parse().unwrap();
    let run = RunKey::new("acme", RunId::keyed("acme", "above", "it"));
    let address = AttemptAddress { run, task_path: TaskPath::from("/invoice"), execution_id: attempt };
    let mut setup = Setup::from(workflow(json!([task("a")])).with(json!({"output": {"sent": true}})));
    setup.parent = Some(Parent { address, depth, wait });
    setup
}

fn children_told(world: &mut World) -> Vec<String> {
    std::mem::take(&mut world.children_told)
}

fn child_of(instance: &WorkflowInstance, step: usize) -> RunId {
    instance.task_instances[step].child_id.unwrap()
}

fn resume() -> Event {
    Event::Operation(Operation::Resume)
}

#[test]
fn the_end_of_the_child_is_the_result_of_the_step() {
    let definition =
        workflow(json!([child("c")
            .with(json!({"variableMappings": [{"type": "DIRECT", "source": "sent", "target": "got"}]}))]))
        .with(json!({"variables": {"got": null}, "output": "${ tasks.c.output.sent }"}));
    scenario(definition, |world| {
        assert_eq!((world.status("/c"), world.open().as_str()), ("SCHEDULED", "/c"));
        assert!(world.offers.is_empty(), "it waits for no worker");
        world.progress("/c", 0);
        assert_eq!(world.status("/c"), "RUNNING");
        world.advance(3 * 24 * 60 * MINUTE);
        assert_eq!(world.status("/c"), "RUNNING", "a run has time limits of its own");
        children_told(world);
        world.complete("/c", json!({"sent": 7}));
        world.ended(Completed, "-");
        assert_eq!((world.variable("got"), world.run.output.clone()), (json!(7), Some(json!(7))));
    });
}

#[test]
fn the_start_names_the_attempt_that_the_child_is() {
    let mut setup = Setup::from(workflow(json!([child("c")])));
    setup.permissions = vec!["send".to_owned()];
    let world = World::start(&setup, Faults::None);
    let path = TaskPath::from("/c");
    let message = child_message::start(&world.plan, &world.run, &path).unwrap();
    let parent = message.parent.clone().unwrap();
    assert_eq!((parent.depth, parent.wait), (1, true));
    assert_eq!(parent.address.run, world.run.key);
    assert_eq!(parent.address.execution_id, world.attempt("/c"));
    assert_eq!(message.workflow_instance_id, RunId::child_of(world.attempt("/c")));
    assert_eq!(message.workflow_instance_id, child_of(&world.instance(), 0));
    assert_eq!(message.input, json!({"n": 1}));
    assert_eq!(message.correlation_id.as_deref(), Some("order-7"));
    assert_eq!(message.security_context, world.run.head.security_context);
    assert_eq!((message.workflow_definition_version, message.idempotency_key), (None, None));
    assert!(child_message::start(&world.plan, &world.run, &TaskPath::root()).is_none());
}

/// Plays a run and the one it starts until the child is in the hands of `play`; what the parent hears then.
fn told(wait: bool, play: impl Fn(&mut World)) -> Outcome {
    let mut world = World::start(&below(1, wait), Faults::None);
    play(&mut world);
    let result = child_message::result(&world.run).expect("there is something to tell");
    assert_eq!(Some(result.address), world.run.head.parent.clone().map(|parent| parent.address));
    assert_eq!(result.worker_id.as_str(), format!("run-{}", world.run.key.run));
    result.outcome
}

fn failure(outcome: Outcome) -> ErrorDetails {
    let Outcome::Failed { error } = outcome else { panic!("{outcome:?}") };
    error
}

#[test]
fn the_parent_hears_how_the_child_ended() {
    let done = told(true, |world| world.complete("/a", json!({})));
    assert_eq!(done, Outcome::Completed { output: json!({"sent": true}) });

    let id = RunId::keyed("acme", "w", "scenario");
    let failed = failure(told(true, |world| world.fail("/a", "BAD")));
    assert_eq!((failed.code.as_str(), failed.retryable), ("CHILD_FAILED", true));
    let inside = json!({"code": "BAD", "message": "BAD happened", "retryable": true});
    assert_eq!(failed.details, json!({"workflowInstanceId": id, "status": "FAILED", "error": inside}));

    let cancelled = failure(told(true, |world| {
        world.cancel();
        world.advance(10_000);
    }));
    assert_eq!((cancelled.code.as_str(), cancelled.retryable), ("CANCELLED", false));
    assert_eq!(cancelled.details["status"], "CANCELLED");
}

#[test]
fn an_error_too_large_for_a_parent_keeps_its_code() {
    let large = "x".repeat(40_000);
    let told = failure(told(true, |world| {
        let details = json!({"text": large[..32_000]});
        world.answer("/a", Outcome::Failed { error: ErrorDetails { details, ..error("BAD") } });
    }));
    assert_eq!(told.details["error"]["code"], "BAD");
    assert!(told.message.contains("BAD happened"));
}

#[test]
fn the_parent_is_told_once_and_only_of_what_it_waits_for() {
    for (wait, at_start) in [(true, 0), (false, 1)] {
        scenario(below(1, wait), |world| {
            assert_eq!(world.parent_told, at_start);
            world.complete("/a", json!({}));
            assert_eq!((world.parent_told, world.run.head.status), (1, Completed));
        });
    }
    scenario(workflow(json!([task("a")])), |world| {
        world.complete("/a", json!({}));
        assert_eq!(world.parent_told, 0, "nobody started it");
        assert_eq!(child_message::result(&world.run), None);
    });
    let under_way = World::start(&below(1, true), Faults::None);
    assert_eq!(child_message::result(&under_way.run), None);
    let id = RunId::keyed("acme", "w", "scenario");
    let accepted = told(false, |_| {});
    assert_eq!(accepted, Outcome::Completed { output: json!({"workflowInstanceId": id}) });
}

#[test]
fn a_failed_child_is_followed_by_another_run() {
    let step = child("c").with(json!({"retryPolicy": {"maxRetries": 1, "initialDelay": "1s"}}));
    scenario(workflow(json!([step])), |world| {
        let first = child_of(&world.instance(), 0);
        world.fail("/c", "CHILD_FAILED");
        assert_eq!((world.status("/c"), world.open().as_str()), ("RETRY_PENDING", ""));
        world.advance(1000);
        let second = child_of(&world.instance(), 0);
        assert_ne!(first, second);
        world.fail("/c", "CHILD_FAILED");
        world.ended(Failed, "CHILD_FAILED");
        assert_eq!(world.instance().task_instances[0].attempts.len(), 2);
    });
}

#[test]
fn a_failed_child_is_taken_as_any_failure() {
    let step = child("c").with(json!({"onError": [task("mend")]}));
    scenario(workflow(json!([step, task("after")])), |world| {
        world.fail("/c", "CHILD_FAILED");
        world.complete("/c:onError/mend", json!({}));
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_silent_child_is_asked_after_a_minute_and_then_ever_less_often() {
    scenario(workflow(json!([child("c")])), |world| {
        for minutes in [1, 1, 2, 4, 8, 16, 32, 60, 60] {
            world.advance(minutes * MINUTE - 1);
            assert_eq!(children_told(world), [""; 0], "not yet");
            world.advance(1);
            assert_eq!(children_told(world), ["/c asked"], "after {minutes} more minutes");
        }
        world.complete("/c", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn an_answer_to_the_question_says_that_it_runs_and_sets_no_limit() {
    scenario(workflow(json!([child("c")])), |world| {
        world.advance(MINUTE);
        let alive = |world: &World| {
            let mut run = world.run.clone();
            run.key = RunKey::new("acme", child_of(&world.instance(), 0));
            let address = child_message::start(&world.plan, &world.run, &TaskPath::from("/c"));
            let address = address.unwrap().parent.unwrap().address;
            Event::Progress(Box::new(child_message::alive(address, &run, world.now)))
        };
        world.event(alive(world));
        assert_eq!(world.status("/c"), "RUNNING");
        let timer = world.next_timer();
        world.event(alive(world));
        assert_eq!(world.next_timer(), timer, "the next question comes as it would have");
        assert!(world.told.is_empty(), "a run has no control queue");
        world.advance(MINUTE);
        assert_eq!(children_told(world), ["/c asked", "/c asked"]);
        world.complete("/c", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_cancel_is_repeated_until_the_child_has_ended() {
    scenario(workflow(json!([child("c")])), |world| {
        world.cancel();
        assert_eq!(children_told(world), ["/c cancelled"]);
        for _ in 0..30 {
            world.advance(10_000);
            assert_eq!(children_told(world), ["/c cancelled"], "it is not asked whether it lives");
        }
        assert_eq!((world.run.head.status, world.open().as_str()), (Running, "/c"));
        world.fail("/c", "CANCELLED");
        world.ended(Cancelled, "CANCELLED");
        assert_eq!(world.status("/c"), "CANCELLED");
    });
}

#[test]
fn a_failing_sibling_cancels_the_child_and_waits_for_it() {
    scenario(workflow(json!([parallel("p", json!([child("c"), task("a")]))])), |world| {
        world.fail("/p/a", "BAD");
        assert_eq!(
            (children_told(world), world.run.head.status),
            (vec!["/p/c cancelled".to_owned()], Running)
        );
        // It had ended well before it heard of it.
        world.complete("/p/c", json!({}));
        world.ended(Failed, "BAD");
        assert_eq!(world.status("/p/c"), "COMPLETED");
    });
}

#[test]
fn a_child_that_takes_longer_than_the_step_may_is_cancelled_and_not_waited_for() {
    let step = child("c").with(json!({"timeouts": {"total": "30s"}}));
    scenario(workflow(json!([step])), |world| {
        world.advance(35_000);
        assert_eq!(children_told(world), ["/c cancelled"]);
        world.ended(Failed, "TIMEOUT_TOTAL");
        assert_eq!(world.status("/c"), "TIMED_OUT");
    });
}

#[test]
fn a_run_goes_no_deeper_than_it_may() {
    for (depth, deepest) in [(15, false), (16, true)] {
        let mut setup = below(depth, true);
        setup.definition = workflow(json!([child("c")]));
        scenario(setup, |world| {
            if deepest {
                world.ended(Failed, "DEPTH_LIMIT");
                assert!(world.instance().task_instances[0].attempts.is_empty(), "nothing was started");
            } else {
                let start = child_message::start(&world.plan, &world.run, &TaskPath::from("/c"));
                assert_eq!(start.unwrap().parent.unwrap().depth, depth + 1);
                world.complete("/c", json!({}));
                world.ended(Completed, "-");
            }
        });
    }
}

#[test]
fn a_step_that_does_not_wait_is_done_with_the_name_of_its_run() {
    scenario(workflow(json!([detached("c"), task("after")])), |world| {
        let id = child_of(&world.instance(), 0);
        let start = child_message::start(&world.plan, &world.run, &TaskPath::from("/c")).unwrap();
        assert_eq!(start.workflow_definition_version, Some(2));
        assert!(!start.parent.unwrap().wait);
        world.complete("/c", json!({"workflowInstanceId": id}));
        assert_eq!(world.open(), "/after");
        world.cancel();
        world.fail("/after", "CANCELLED");
        world.ended(Cancelled, "CANCELLED");
        assert_eq!(children_told(world), [""; 0], "it runs on by itself");
    });
}

#[test]
fn a_step_that_does_not_wait_is_cancelled_without_an_answer() {
    scenario(workflow(json!([detached("c")])), |world| {
        world.cancel();
        world.advance(10_000);
        world.ended(Cancelled, "CANCELLED");
        assert_eq!(children_told(world), [""; 0]);
    });
}

#[test]
fn a_paused_run_starts_no_other() {
    scenario(workflow(json!([task("a"), child("c")])), |world| {
        world.event(Event::Operation(Operation::Pause));
        world.complete("/a", json!({}));
        assert_eq!((world.run.head.status, world.status("/c"), world.open().as_str()), (Paused, "READY", ""));
        world.event(resume());
        assert_eq!((world.status("/c"), world.open().as_str()), ("SCHEDULED", "/c"));
        world.complete("/c", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_step_that_is_ended_from_outside_cancels_its_run() {
    scenario(workflow(json!([child("c")])), |world| {
        let path = TaskPath::from("/c");
        let completion = Completion::Completed { output: json!({"by": "hand"}) };
        world.event(Event::Complete { path, execution_id: Some(world.attempt("/c")), completion });
        world.ended(Completed, "-");
        assert_eq!(children_told(world), ["/c cancelled"]);
    });
}

#[test]
fn only_a_run_whose_end_nobody_waits_for_can_be_retried() {
    let status = |wait| -> (WorkflowStatus, usize) {
        let mut world = World::start_unchecked(&below(1, wait));
        world.fail("/a", "BAD");
        world.admits = false;
        world.event(Event::Operation(Operation::Retry));
        (world.run.head.status, world.rejected.len())
    };
    assert_eq!(status(true), (Failed, 1));
    assert_eq!(status(false), (Running, 0));
}

#[test]
fn what_is_refused_lost_or_never_began_is_a_failure_of_the_step() {
    let world = World::start(&Setup::from(workflow(json!([child("c")]))), Faults::None);
    let address = || {
        let start = child_message::start(&world.plan, &world.run, &TaskPath::from("/c")).unwrap();
        start.parent.unwrap().address
    };
    let id = child_of(&world.instance(), 0);
    let refusal = ErrorDetails { retryable: false, ..error("NOT_FOUND") };
    let refused = failure(child_message::refused(address(), &refusal).outcome);
    assert_eq!((refused.code.as_str(), refused.retryable), ("CHILD_FAILED", false));
    assert_eq!(refused.details["error"], json!(refusal));
    assert_eq!(failure(child_message::lost(address()).outcome).code, "CHILD_LOST");
    let cancelled = child_message::never_began(address());
    assert_eq!((cancelled.address, cancelled.deliveries), (address(), 1));
    assert_eq!(failure(cancelled.outcome).details["workflowInstanceId"], json!(id));
    let cancel = child_message::cancel(&world.run, &TaskPath::from("/c"), world.attempt("/c"));
    assert_eq!((cancel.run.run, cancel.parent.unwrap().address), (id, address()));
}

#[test]
fn a_child_that_its_parent_cancelled_in_commits_that_were_lost_is_followed_by_another() {
    scenario(workflow(json!([child("c")])), |world| {
        let (first, path) = (world.attempt("/c"), TaskPath::from("/c"));
        let message = child_message::start(&world.plan, &world.run, &path).unwrap();
        let cancel = child_message::cancel(&world.run, &path, first);
        let invoice = plan(json!({"id": "invoice", "version": 1, "tasks": [task("a")]}));
        let settings = Settings::default();
        let (mut run, _) = start(&invoice, message, &settings, BEGIN).unwrap();
        // The message outlived the commit of the parent that it came from.
        let mut decider = Decider::new(&invoice, &mut run, &settings, BEGIN);
        decider.handle(Event::Cancel { reason: cancel.reason });
        decider.finish();
        world.event(Event::Result(Box::new(child_message::result(&run).unwrap())));
        assert_eq!(world.status("/c"), "RETRY_PENDING");
        world.advance(1000);
        assert_ne!(world.attempt("/c"), first);
        let address = child_message::start(&world.plan, &world.run, &path).unwrap().parent.unwrap().address;
        world.event(Event::Result(Box::new(child_message::never_began(address))));
        world.advance(1000);
        world.complete("/c", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_child_that_somebody_else_cancelled_fails_its_step() {
    scenario(workflow(json!([child("c")])), |world| {
        world.fail("/c", "CANCELLED");
        world.ended(Failed, "CANCELLED");
    });
}

#[test]
fn a_run_and_the_one_it_starts_understand_each_other() {
    let settings = Settings::default();
    let mut parent = World::start(&Setup::from(workflow(json!([child("c")]))), Faults::None);
    let message = child_message::start(&parent.plan, &parent.run, &TaskPath::from("/c")).unwrap();
    let invoice = plan(json!({"id": "invoice", "version": 1, "tasks": [{"id": "s", "set": {"x": 1}}],
        "variables": {"x": 0}, "output": {"n": "${ input.n + variables.x }"}}));
    let (run, _) = start(&invoice, message, &settings, BEGIN).unwrap();
    assert_eq!((run.head.created_by.as_str(), run.depth()), ("ada", 1));
    parent.event(Event::Result(Box::new(child_message::result(&run).unwrap())));
    parent.ended(Completed, "-");
    let step = &parent.instance().task_instances[0];
    assert_eq!((step.output.clone(), step.child_id), (Some(json!({"n": 2})), Some(run.key.run)));
    let shown = crate::view::instance(&invoice, &run).parent.unwrap();
    assert_eq!((shown.workflow_instance_id, shown.task_path.as_str()), (parent.run.key.run, "/c"));
}
