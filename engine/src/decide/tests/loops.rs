//! `loop`: iterations one after the other, their pauses, and what is kept of them.

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{Cancelled, Completed, Failed};
use serde_json::json;

use super::steps::{With, for_each, looped, set, task, workflow};
use super::world::{Setup, World, scenario};

/// Asks until the answer is `done`.
fn poll(fields: Json) -> Json {
    let fields = json!({"until": "${ ask.output.done }"}).with(fields);
    looped("poll", fields, json!([task("ask").with(json!({"inputMappings": {"n": "${ index }"}}))]))
}

fn answer(world: &mut World, n: usize, done: bool) {
    world.complete(&format!("/poll[{n}]/ask"), json!({"done": done, "n": n}));
}

#[test]
fn it_goes_on_until_the_last_iteration_says_that_it_is_done() {
    let definition = workflow(json!([poll(json!({"output": "${ ask.output.n }"})), task("after")]));
    scenario(
        definition.with(json!({"output": "${ [poll.output, ask.output.n, tasks.ask.status] }"})),
        |world| {
            for n in 0..3 {
                assert_eq!(world.input(&format!("/poll[{n}]/ask")), json!({"n": n}));
                answer(world, n, n == 2);
            }
            assert_eq!((world.status("/poll"), world.open().as_str()), ("COMPLETED", "/after"));
            world.complete("/after", json!({}));
            world.ended(Completed, "-");
            assert_eq!(
                world.run.output,
                Some(json!([2, 2, "COMPLETED"])),
                "seen from outside is the last iteration"
            );
        },
    );
}

#[test]
fn while_is_asked_before_each_iteration() {
    let steps = json!([looped("l", json!({"while": "index < input.most"}), json!([task("t")]))]);
    for most in [0, 2] {
        let setup = Setup { input: json!({"most": most}), ..Setup::from(workflow(steps.clone())) };
        scenario(setup, |world| {
            (0..most).for_each(|n| world.complete(&format!("/l[{n}]/t"), json!({})));
            world.ended(Completed, "-");
            assert_eq!(world.status(&format!("/l[{most}]")), "-");
        });
    }
    let definition = workflow(json!([looped("l", json!({"while": "input.none"}), json!([task("t")]))]));
    scenario(definition, |world| world.ended(Failed, "EXPRESSION_FAILED"));
    let definition = workflow(json!([looped("l", json!({"until": "input.none"}), json!([task("t")]))]));
    scenario(definition, |world| {
        world.complete("/l[0]/t", json!({}));
        world.ended(Failed, "EXPRESSION_FAILED");
    });
}

#[test]
fn a_step_of_a_loop_that_had_no_iteration_is_skipped_for_those_outside() {
    let steps = json!([
        looped("l", json!({"while": "false"}), json!([task("t")])),
        set("s", json!({"seen": "${ tasks.t.status }"}))
    ]);
    scenario(workflow(steps), |world| assert_eq!(world.variable("seen"), json!("SKIPPED")));
}

#[test]
fn pauses_grow_as_far_as_they_may() {
    let pauses = json!({"delay": "10s", "backoffCoefficient": 2.0, "maxDelay": "25s"});
    scenario(workflow(json!([poll(pauses)])), |world| {
        for (n, pause) in [10_000, 20_000, 25_000, 25_000].into_iter().enumerate() {
            answer(world, n, false);
            world.advance(pause - 1);
            assert_eq!(world.open(), "", "after iteration {n}");
            world.advance(1);
            assert_eq!(world.open(), format!("/poll[{}]/ask", n + 1));
        }
        answer(world, 4, true);
        world.ended(Completed, "-");
    });
}

#[test]
fn it_fails_where_it_is_not_done_after_so_many() {
    scenario(workflow(json!([poll(json!({"max": 3}))])), |world| {
        (0..3).for_each(|n| answer(world, n, false));
        world.ended(Failed, "ITERATION_LIMIT");
    });
    scenario(workflow(json!([poll(json!({"max": 3}))])), |world| {
        (0..3).for_each(|n| answer(world, n, n == 2));
        world.ended(Completed, "-");
    });
}

#[test]
fn only_the_latest_iterations_are_kept() {
    scenario(workflow(json!([poll(json!({"keep": 2})), task("last")])), |world| {
        for n in 0..5 {
            assert!(world.written.rows.iter().all(|path| world.run.rows.contains_key(path)));
            answer(world, n, n == 4);
        }
        let kept: Vec<String> = world
            .instance()
            .task_instances
            .iter()
            .map(|t| t.execution_context.task_path.to_string())
            .collect();
        assert_eq!(kept, ["/poll", "/poll[3]", "/poll[3]/ask", "/poll[4]", "/poll[4]/ask", "/last"]);
        assert_eq!(
            world.stored(),
            ["/last", "/poll", "/poll[3]", "/poll[3]/ask", "/poll[4]", "/poll[4]/ask"]
        );
        world.complete("/last", json!({}));
        assert_eq!(world.run.head.metrics.task_count, 6, "what is forgotten is still counted");
    });
}

#[test]
fn iterations_that_may_have_to_be_undone_are_kept() {
    let undone = task("t").with(json!({"compensateWith": {"task": "undo"}}));
    let steps =
        json!([looped("l", json!({"until": "index == 3", "keep": 1}), json!([undone])), task("last")]);
    scenario(workflow(steps), |world| {
        (0..4).for_each(|n| world.complete(&format!("/l[{n}]/t"), json!({})));
        world.fail("/last", "BAD");
        for n in [3, 2, 1, 0] {
            assert_eq!(world.open(), format!("/l[{n}]/t:compensate"));
            world.complete(&format!("/l[{n}]/t:compensate"), json!({}));
        }
        world.ended(Failed, "BAD");
    });
}

#[test]
fn an_iteration_that_fails_fails_the_loop() {
    scenario(
        workflow(json!([
            poll(json!({})).with(json!({"onError": [set("s", json!({"why": "${ error.taskPath }"}))]}))
        ])),
        |world| {
            answer(world, 0, false);
            world.fail("/poll[1]/ask", "BAD");
            assert_eq!((world.status("/poll"), world.variable("why")), ("FAILED", json!("/poll[1]/ask")));
            world.ended(Completed, "-");
        },
    );
}

#[test]
fn a_cancel_ends_a_pause() {
    scenario(workflow(json!([poll(json!({"delay": "10s"}))])), |world| {
        answer(world, 0, false);
        world.cancel();
        world.ended(Cancelled, "CANCELLED");
        assert_eq!((world.status("/poll[0]"), world.status("/poll")), ("COMPLETED", "CANCELLED"));
    });
}

#[test]
fn a_thousand_iterations_without_a_pause_are_spread_over_decisions() {
    let count = set("s", json!({"n": "${ variables.n + 1 }"}));
    let steps = json!([looped("l", json!({"until": "variables.n == 1000"}), json!([count]))]);
    scenario(workflow(steps).with(json!({"variables": {"n": 0}})), |world| {
        for n in [256, 512, 768, 1_000] {
            assert_eq!(world.variable("n"), json!(n));
            world.settle_once();
        }
        world.ended(Completed, "-");
    });
}

#[test]
fn a_loop_in_an_iteration_counts_its_own() {
    let inner = looped(
        "l",
        json!({"while": "index < item", "output": "${ string(item) + string(index) }"}),
        json!([task("t")]),
    );
    let each = for_each("f", json!({"items": [2, 1], "collect": "${ l.output }"}), json!([inner]));
    scenario(workflow(json!([each])), |world| {
        assert_eq!(world.open(), "/f[0]/l[0]/t /f[1]/l[0]/t");
        world.complete("/f[0]/l[0]/t", json!({}));
        world.complete("/f[1]/l[0]/t", json!({}));
        world.complete("/f[0]/l[1]/t", json!({}));
        assert_eq!(world.output("/f"), json!(["21", "10"]));
    });
}

#[test]
fn an_early_timer_begins_no_iteration() {
    scenario(workflow(json!([poll(json!({"delay": "10s"}))])), |world| {
        answer(world, 0, false);
        world.event(crate::event::Event::Timer { path: "/poll".into() });
        assert_eq!(world.open(), "");
        world.advance(10_000);
        answer(world, 1, true);
    });
}
