//! `wait`: for a time, for a signal, for the first of several.

use oarlock_protocol::Json;
use oarlock_protocol::instance::WorkflowStatus::{Cancelled, Completed, Failed, Running};
use serde_json::json;

use super::steps::{With, for_each, group, parallel, set, task, wait, workflow};
use super::world::{BEGIN, Setup, scenario};

fn given(input: Json, fields: Json) -> Setup {
    Setup { input, ..Setup::from(workflow(json!([wait("w", fields)]))) }
}

#[test]
fn a_wait_lasts_as_long_as_it_says() {
    let forms = [json!("90s"), json!("${ input.text }"), json!("${ input.number }"), json!("${ 45 * 2 }")];
    for duration in forms {
        scenario(given(json!({"text": "1m30s", "number": 90}), json!({"duration": duration})), |world| {
            world.advance(89_999);
            assert_eq!(world.status("/w"), "RUNNING");
            world.advance(1);
            world.ended(Completed, "-");
            assert_eq!(world.output("/w"), Json::Null);
        });
    }
}

#[test]
fn what_is_no_time_fails_it() {
    for fields in [
        json!({"duration": "soon"}),
        json!({"duration": "${ input.number - 1 }"}),
        json!({"until": "tomorrow"}),
        json!({"until": "${ input.none }"}),
        json!({"signal": "${ input.number }"}),
    ] {
        scenario(given(json!({"number": 0}), fields.clone()), |world| {
            assert_eq!(world.error("/").code, "EXPRESSION_FAILED", "{fields}");
        });
    }
}

#[test]
fn a_wait_until_an_instant_ends_then_or_at_once() {
    let at = serde_json::to_value(BEGIN.after(oarlock_protocol::Span::from_secs(60))).unwrap();
    scenario(given(json!({"at": at}), json!({"until": "${ input.at }"})), |world| {
        world.event(crate::event::Event::Timer { path: "/w".into() });
        world.advance(59_999);
        assert_eq!(world.status("/w"), "RUNNING");
        world.advance(1);
        world.ended(Completed, "-");
    });
    scenario(given(json!({}), json!({"until": "1970-01-01T00:00:00Z"})), |world| {
        world.settle();
        world.ended(Completed, "-");
    });
}

#[test]
fn a_signal_ends_a_wait_and_its_payload_is_the_output() {
    scenario(given(json!({"order": 7}), json!({"signal": "paid-${ input.order }"})), |world| {
        world.signal("1", "paid-8", json!({}));
        assert_eq!(world.status("/w"), "RUNNING");
        world.signal("2", "paid-7", json!({"by": "ada"}));
        world.ended(Completed, "-");
        assert_eq!(world.output("/w"), json!({"by": "ada"}));
    });
}

#[test]
fn an_early_signal_is_kept_and_the_oldest_is_taken() {
    scenario(
        workflow(json!([task("a"), wait("w", json!({"signal": "go"})), wait("v", json!({"signal": "go"}))])),
        |world| {
            world.signal("1", "other", json!(0));
            world.signal("2", "go", json!(1));
            world.signal("3", "go", json!(2));
            world.complete("/a", json!({}));
            world.ended(Completed, "-");
            assert_eq!((world.output("/w"), world.output("/v")), (json!(1), json!(2)));
            assert_eq!(world.run.mailbox.waiting.len(), 1);
        },
    );
}

#[test]
fn a_signal_counts_once() {
    scenario(
        workflow(json!([wait("w", json!({"signal": "go"})), wait("v", json!({"signal": "go"}))])),
        |world| {
            world.signal("1", "go", json!(1));
            world.signal("1", "go", json!(1));
            assert_eq!((world.status("/w"), world.status("/v")), ("COMPLETED", "RUNNING"));
            assert!(world.run.mailbox.waiting.is_empty());
            world.signal("2", "go", json!(2));
            world.ended(Completed, "-");
        },
    );
}

#[test]
fn the_first_of_several_wins() {
    let first = json!({"first": [{"signal": "yes"}, {"signal": "no"}, {"duration": "1m"}]});
    scenario(given(json!({}), first.clone()), |world| {
        world.signal("1", "no", json!("why"));
        assert_eq!(world.output("/w"), json!({"winner": "no", "index": 1, "payload": "why"}));
        world.ended(Completed, "-");
    });
    scenario(given(json!({}), first), |world| {
        world.advance(60_000);
        assert_eq!(world.output("/w"), json!({"winner": "duration", "index": 2, "payload": null}));
    });
    let times = json!({"first": [{"duration": "1m"}, {"until": "1970-01-02T00:00:00Z"}]});
    scenario(given(json!({}), times), |world| {
        world.settle();
        assert_eq!(world.output("/w"), json!({"winner": "until", "index": 1, "payload": null}));
    });
}

#[test]
fn a_wait_that_takes_too_long_fails() {
    scenario(given(json!({}), json!({"signal": "go", "timeout": "1m"})), |world| {
        world.advance(60_000);
        assert_eq!(world.status("/w"), "TIMED_OUT");
        world.ended(Failed, "TIMEOUT_WAIT");
    });
    let passed = wait("w", json!({"signal": "go", "timeout": "1m"})).with(json!({"continueOnFailure": true}));
    scenario(workflow(json!([passed, task("after")])), |world| {
        world.advance(60_000);
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
    let handled = wait("w", json!({"signal": "go", "timeout": "1m"}))
        .with(json!({"onError": [set("s", json!({"why": "${ error.code }"}))]}));
    scenario(workflow(json!([handled])), |world| {
        world.advance(60_000);
        assert_eq!(world.variable("why"), json!("TIMEOUT_WAIT"));
    });
    scenario(given(json!({}), json!({"duration": "2m", "timeout": "1m"})), |world| {
        world.advance(300_000);
        world.ended(Failed, "TIMEOUT_WAIT");
    });
}

fn late(steps: Json) -> Json {
    wait("w", json!({"signal": "go", "timeout": "1m"})).with(json!({"onTimeout": steps}))
}

#[test]
fn steps_for_the_timeout_let_the_run_go_on() {
    scenario(workflow(json!([late(json!([task("remind")])), task("after")])), |world| {
        world.advance(60_000);
        assert_eq!((world.status("/w"), world.open().as_str()), ("TIMED_OUT", "/w:onTimeout/remind"));
        world.signal("1", "go", json!({}));
        assert_eq!(world.open(), "/w:onTimeout/remind", "it waits no more");
        world.complete("/w:onTimeout/remind", json!({}));
        assert_eq!(world.open(), "/after");
        world.complete("/after", json!({}));
        world.ended(Completed, "-");
    });
    scenario(workflow(json!([late(json!([task("remind")]))])), |world| {
        world.signal("1", "go", json!({}));
        world.advance(60_000);
        assert_eq!((world.status("/w"), world.status("/w:onTimeout")), ("COMPLETED", "-"));
    });
}

#[test]
fn steps_for_the_timeout_that_fail_fail_the_wait() {
    scenario(workflow(json!([late(json!([task("remind")]))])), |world| {
        world.advance(60_000);
        world.fail("/w:onTimeout/remind", "BAD");
        world.ended(Failed, "BAD");
        assert_eq!(world.run.head.failed_at, Some("/w:onTimeout/remind".into()));
    });
    let handled = late(json!([task("remind")])).with(json!({"onError": [task("handler")]}));
    scenario(workflow(json!([handled])), |world| {
        world.advance(60_000);
        world.fail("/w:onTimeout/remind", "BAD");
        world.complete("/w:onError/handler", json!({}));
        world.ended(Completed, "-");
    });
}

#[test]
fn a_cancel_ends_a_wait_and_its_late_steps() {
    scenario(workflow(json!([late(json!([task("remind"), task("more")]))])), |world| {
        world.cancel();
        assert_eq!(world.status("/w"), "CANCELLED");
        world.ended(Cancelled, "CANCELLED");
    });
    scenario(workflow(json!([late(json!([task("remind"), task("more")]))])), |world| {
        world.advance(60_000);
        world.cancel();
        world.complete("/w:onTimeout/remind", json!({}));
        world.ended(Cancelled, "CANCELLED");
        assert_eq!((world.status("/w:onTimeout"), world.status("/w:onTimeout/more")), ("CANCELLED", "-"));
    });
    scenario(
        workflow(json!([parallel("p", json!([task("a"), wait("w", json!({"duration": "1h"}))]))])),
        |world| {
            world.fail("/p/a", "BAD");
            world.ended(Failed, "BAD");
            assert_eq!(world.status("/p/w"), "CANCELLED");
        },
    );
}

#[test]
fn a_full_mailbox_refuses_and_one_that_was_emptied_takes_again() {
    let steps = json!([task("a"), wait("w", json!({"signal": "go"})), task("b")]);
    scenario(workflow(steps), |world| {
        (0..100).for_each(|n| world.signal(&format!("s{n}"), "go", json!(n)));
        assert!(world.rejected.is_empty());
        world.signal("more", "go", json!(100));
        assert_eq!(world.rejected[0].code, "MAILBOX_FULL");
        world.complete("/a", json!({}));
        world.signal("more", "go", json!(100));
        assert_eq!(world.run.mailbox.waiting.len(), 100, "what was refused was not remembered");
        world.complete("/b", json!({}));
    });
    scenario(workflow(json!([task("a")])), |world| {
        let large = json!("x".repeat(100 * 1024));
        (0..2).for_each(|n| world.signal(&format!("s{n}"), "go", large.clone()));
        assert!(world.rejected.is_empty());
        world.signal("more", "go", large.clone());
        assert_eq!(world.rejected[0].code, "MAILBOX_FULL");
        world.complete("/a", json!({}));
    });
}

#[test]
fn a_signal_that_cannot_be_taken_is_refused() {
    scenario(workflow(json!([task("a")])), |world| {
        world.signal("", "go", json!({}));
        world.signal("1", &"n".repeat(201), json!({}));
        world.signal("2", "go", json!("x".repeat(1024 * 1024)));
        world.signal("3", "go", super::steps::nested(1_000));
        world.complete("/a", json!({}));
        world.ended(Completed, "-");
        world.signal("4", "go", json!({}));
        let mut codes: Vec<&str> = world.rejected.iter().map(|error| error.code.as_str()).collect();
        codes.dedup();
        assert_eq!(codes, ["INVALID_INPUT", "PAYLOAD_TOO_LARGE", "CONFLICT"]);
    });
}

#[test]
fn of_two_waits_for_one_name_the_older_is_served() {
    let late = group("g", json!([task("a"), wait("a_late_one", json!({"signal": "go"}))]));
    scenario(workflow(json!([parallel("p", json!([wait("w", json!({"signal": "go"})), late]))])), |world| {
        world.advance(5);
        world.complete("/p/g/a", json!({}));
        world.signal("1", "go", json!(1));
        assert_eq!((world.status("/p/w"), world.status("/p/g/a_late_one")), ("COMPLETED", "RUNNING"));
        world.signal("2", "go", json!(2));
        world.ended(Completed, "-");
    });
    let each = for_each("f", json!({"items": vec![0; 11]}), json!([wait("w", json!({"signal": "go"}))]));
    scenario(workflow(json!([each])), |world| {
        for n in 0..11 {
            assert_eq!(world.status(&format!("/f[{n}]/w")), "RUNNING");
            world.signal(&n.to_string(), "go", json!(n));
            assert_eq!(world.output(&format!("/f[{n}]/w")), json!(n), "in the order of the items");
        }
    });
}

#[test]
fn each_iteration_waits_for_its_own_signal() {
    let inner = wait("w", json!({"signal": "paid-${ item }"}));
    let each = for_each("f", json!({"items": ["a", "b"], "collect": "${ w.output }"}), json!([inner]));
    scenario(workflow(json!([each])), |world| {
        world.signal("1", "paid-b", json!(2));
        assert_eq!((world.status("/f[0]/w"), world.status("/f[1]/w")), ("RUNNING", "COMPLETED"));
        world.signal("2", "paid-a", json!(1));
        assert_eq!(world.output("/f"), json!([1, 2]));
    });
}

#[test]
fn what_a_signal_gives_is_bounded_with_all_the_decision_stores() {
    let mut setup = given(json!({}), json!({"signal": "go", "timeout": "1h"}));
    setup.settings.decision_bytes = 1_000;
    scenario(setup, |world| {
        world.signal("1", "go", json!("x".repeat(2_000)));
        world.ended(Failed, "PAYLOAD_TOO_LARGE");
    });
}

#[test]
fn a_wait_in_a_run_that_pauses_goes_on_waiting() {
    scenario(workflow(json!([wait("w", json!({"duration": "1m"})), task("a")])), |world| {
        world.operate(oarlock_protocol::message::Operation::Pause);
        world.advance(60_000);
        assert_eq!(
            (world.status("/w"), world.status("/a"), world.open().as_str()),
            ("COMPLETED", "READY", "")
        );
        world.operate(oarlock_protocol::message::Operation::Resume);
        assert_eq!(world.run.head.status, Running);
        world.complete("/a", json!({}));
    });
}
