//! Given a schedule and how far it is, when it is looked at, then this is started: one rule a test.

mod calendar;
mod random;

use oarlock_protocol::schedule::ScheduleDefinition;
use serde_json::json;

use super::*;

/// A schedule, and how far it is.
struct World {
    schedule: Schedule,
    calendar: Calendar,
    state: ScheduleState,
}

fn at(text: &str) -> Timestamp {
    serde_json::from_value(json!(text)).unwrap()
}

/// A time on the day of these tests.
fn on_day(time: &str) -> Timestamp {
    at(&format!("2026-11-27T{time}Z"))
}

impl World {
    /// Registered at 08:00:30, due every minute unless `fields` say otherwise.
    fn new(fields: Json) -> Self {
        let mut written = json!({"id": "nightly", "workflow": "report", "cron": "* * * * *"});
        for (field, value) in fields.as_object().unwrap() {
            written[field] = value.clone();
        }
        let definition: ScheduleDefinition = serde_json::from_value(written).unwrap();
        let now = on_day("08:00:30");
        let calendar = check(&definition, now).unwrap();
        let schedule = Schedule {
            format: FORMAT,
            tenant_id: "acme".to_owned(),
            definition,
            security_context: Default::default(),
            paused: false,
            pause_reason: None,
            created_at: now,
            updated_at: now,
        };
        let state = begin(&schedule, &calendar, now);
        Self { schedule, calendar, state }
    }

    fn look(&mut self, time: &str, last: LastRun) -> Look {
        look(&self.schedule, &self.calendar, &mut self.state, on_day(time), last)
    }

    /// Looks, and answers all that is sent; the minutes for which runs were started.
    fn started(&mut self, time: &str, last: LastRun) -> Vec<String> {
        let sent = self.look(time, last).send;
        sent.iter().for_each(|start| answered(&mut self.state, start.run, Answered::Started, on_day(time)));
        sent.iter().map(|start| start.due.to_string()[11..16].to_owned()).collect()
    }

    fn counts(&self) -> [u64; 4] {
        [self.state.started, self.state.skipped, self.state.missed, self.state.refused]
    }
}

#[test]
fn what_is_due_is_started_once_and_nothing_before_it_is() {
    let mut world = World::new(json!({}));
    assert_eq!(world.state.next_due, Some(on_day("08:01:00")));
    assert_eq!(
        world.look("08:00:59.999", LastRun::Over),
        Look { wake: Some(on_day("08:01:00")), ..Look::default() }
    );
    assert_eq!(world.started("08:01:00", LastRun::Over), ["08:01"]);
    assert_eq!(world.state.last_run, Some(world.schedule.key().run_due(on_day("08:01:00"))));
    assert_eq!(world.started("08:01:00", LastRun::Over), [""; 0]);
    assert_eq!(world.started("08:02:01", LastRun::Over), ["08:02"]);
    assert_eq!(world.counts(), [2, 0, 0, 0]);
}

#[test]
fn a_start_that_is_not_answered_is_sent_again_under_the_same_id() {
    let mut world = World::new(json!({}));
    let first = world.look("08:01:00", LastRun::Over);
    assert_eq!(first.wake, Some(on_day("08:01:02")));
    assert_eq!(world.look("08:01:01", LastRun::Over).send, []);
    let again = world.look("08:01:02", LastRun::Over);
    assert_eq!((again.send.len(), again.send[0].run), (1, first.send[0].run));
    // A crash: how far it is was committed, and the clock of the next owner is behind.
    assert_eq!(world.look("08:00:40", LastRun::Over).send.len(), 1);
    let run = first.send[0].run;
    answered(&mut world.state, run, Answered::Later, on_day("08:01:02"));
    assert_eq!(world.state.starting.len(), 1);
    answered(&mut world.state, run, Answered::Started, on_day("08:01:03"));
    answered(&mut world.state, run, Answered::Started, on_day("08:01:03"));
    assert_eq!((world.counts(), world.state.starting.len()), ([1, 0, 0, 0], 0));
}

#[test]
fn skip_starts_nothing_beside_a_run_under_way() {
    let mut world = World::new(json!({"overlap": "SKIP"}));
    assert_eq!(world.started("08:01:00", LastRun::Over), ["08:01"]);
    assert_eq!(world.started("08:02:00", LastRun::UnderWay), [""; 0]);
    // Not answered yet is under way, too.
    assert_eq!(world.look("08:03:00", LastRun::Over).send.len(), 1);
    assert_eq!(world.look("08:04:00", LastRun::Over).send.len(), 1, "sent again, and nothing beside it");
    assert_eq!((world.counts(), world.state.starting.len()), ([1, 2, 0, 0], 1));
    // Of several that are due at once the first is started, which is then under way.
    let mut world = World::new(json!({"overlap": "SKIP"}));
    assert_eq!(world.started("08:03:00", LastRun::Over), ["08:01"]);
    assert_eq!(world.counts(), [1, 2, 0, 0]);
}

#[test]
fn queue_starts_one_after_the_other_and_keeps_no_more_than_it_may() {
    let mut world = World::new(json!({"overlap": "QUEUE", "queueLimit": 2}));
    assert_eq!(world.started("08:01:00", LastRun::Over), ["08:01"]);
    assert_eq!(world.started("08:04:00", LastRun::UnderWay), [""; 0]);
    assert_eq!((world.state.queued.len(), world.counts()), (2, [1, 1, 0, 0]));
    assert_eq!(world.look("08:04:10", LastRun::UnderWay).wake, Some(on_day("08:04:11")));
    assert_eq!(world.started("08:04:20", LastRun::Over), ["08:02"]);
    assert_eq!(world.started("08:04:21", LastRun::UnderWay), [""; 0]);
    assert_eq!(world.started("08:04:22", LastRun::Over), ["08:03"]);
    assert_eq!((world.state.queued.len(), world.counts()), (0, [3, 1, 0, 0]));
}

#[test]
fn cancel_old_tells_the_old_run_to_end_and_starts_the_newest_after_it() {
    let mut world = World::new(json!({"overlap": "CANCEL_OLD"}));
    assert_eq!(world.started("08:01:00", LastRun::Over), ["08:01"]);
    let old = world.state.last_run;
    assert_eq!(asks_for(&world.schedule, &world.state, on_day("08:02:00")), old);
    let look = world.look("08:02:00", LastRun::UnderWay);
    assert_eq!((look.cancel, look.send.len()), (old, 0));
    assert_eq!(world.look("08:02:01", LastRun::UnderWay).cancel, None);
    assert_eq!(world.look("08:02:10", LastRun::UnderWay).cancel, old, "it is told again");
    // The next is due before it has ended: only that is worth waiting for.
    assert_eq!(world.look("08:03:00", LastRun::UnderWay).send, []);
    assert_eq!(world.started("08:03:05", LastRun::Over), ["08:03"]);
    assert_eq!(world.counts(), [2, 1, 0, 0]);
}

#[test]
fn allow_starts_all_that_is_due_a_bounded_number_at_once() {
    let mut world = World::new(json!({"overlap": "ALLOW", "cron": "* * * * * *", "catchUp": "1h"}));
    let first = world.look("08:03:00", LastRun::UnderWay);
    assert_eq!((first.send.len(), first.wake), (MOST_AT_ONCE, Some(on_day("08:03:00"))));
    assert_eq!(world.look("08:03:00", LastRun::UnderWay).send.len(), MOST_STARTING - MOST_AT_ONCE);
    // As many wait for answers as may: the rest stays due.
    let full = world.look("08:03:00", LastRun::UnderWay);
    assert_eq!((full.send.len(), full.wake), (0, Some(on_day("08:03:02"))));
    let mut runs: Vec<RunId> = world.state.starting.iter().map(|start| start.run).collect();
    for _ in 0..3 {
        runs.iter().for_each(|run| answered(&mut world.state, *run, Answered::Started, on_day("08:03:00")));
        runs = world.look("08:03:00", LastRun::UnderWay).send.iter().map(|start| start.run).collect();
    }
    assert_eq!(world.counts(), [150, 0, 0, 0]);
    assert_eq!(world.state.next_due, Some(on_day("08:03:01")));
}

#[test]
fn what_is_older_than_the_catch_up_window_is_missed_and_told() {
    let mut world = World::new(json!({"overlap": "ALLOW", "catchUp": "5m"}));
    assert_eq!(
        world.started("08:10:00", LastRun::Over),
        ["08:05", "08:06", "08:07", "08:08", "08:09", "08:10"]
    );
    assert_eq!(world.counts(), [6, 0, 4, 0]);
    let told = world.state.last_problem.unwrap().message;
    assert!(told.starts_with("4 due times from 2026-11-27T08:01:00.000Z on were missed"), "{told}");
}

#[test]
fn years_of_every_second_are_looked_at_in_a_moment() {
    let mut world = World::new(json!({"cron": "* * * * * *", "catchUp": "10s"}));
    let now = at("2036-11-27T08:00:00Z");
    let look = look(&world.schedule, &world.calendar, &mut world.state, now, LastRun::Over);
    assert_eq!((look.missed, look.send.len()), (MOST_COUNTED, 1));
    assert_eq!(look.send[0].due, at("2036-11-27T07:59:50Z"));
    assert!(world.state.last_problem.unwrap().message.starts_with("at least 1000 due times"));
}

#[test]
fn start_and_end_are_due_themselves_and_nothing_beyond_them() {
    let bounds = json!({"overlap": "ALLOW", "start": "2026-11-27T08:05:00Z", "end": "2026-11-27T08:07:00Z"});
    let mut world = World::new(bounds);
    assert_eq!(upcoming(&world.schedule, &world.calendar, &world.state, 5).len(), 3);
    assert_eq!(world.look("08:04:00", LastRun::Over).wake, Some(on_day("08:05:00")));
    assert_eq!(world.started("08:09:00", LastRun::Over), ["08:05", "08:06", "08:07"]);
    assert_eq!((world.state.next_due, world.look("08:09:10", LastRun::Over)), (None, Look::default()));
    // A `start` that has passed makes up for nothing.
    let world = World::new(json!({"start": "2020-01-01T00:00:00Z"}));
    assert_eq!(world.state.next_due, Some(on_day("08:01:00")));
}

#[test]
fn a_pause_lets_nothing_become_due_and_lets_go_of_what_waits() {
    let mut world = World::new(json!({"overlap": "QUEUE"}));
    assert_eq!(world.started("08:01:00", LastRun::Over), ["08:01"]);
    assert_eq!(world.started("08:02:00", LastRun::UnderWay), [""; 0]);
    world.schedule.paused = true;
    pause(&mut world.state);
    assert_eq!(world.look("08:20:00", LastRun::Over), Look::default());
    // What is asked for is started, paused or not.
    let run = world.schedule.key().run_triggered("k");
    let asked = (run, on_day("08:20:00"));
    assert_eq!(trigger(&world.schedule, &mut world.state, asked, LastRun::Over), Ok(false));
    assert_eq!(world.started("08:20:01", LastRun::Over), ["08:20"]);
    world.schedule.paused = false;
    replace(&world.schedule, &world.calendar, &mut world.state, on_day("08:20:30"));
    assert_eq!(world.started("08:21:00", LastRun::Over), ["08:21"], "what was due meanwhile is not made up");
    assert_eq!(world.counts(), [3, 1, 0, 0]);
}

#[test]
fn what_is_asked_for_goes_by_the_overlap_policy_and_counts_once() {
    for (overlap, refused, waits) in
        [("SKIP", true, 0), ("QUEUE", false, 1), ("CANCEL_OLD", false, 1), ("ALLOW", false, 0)]
    {
        let mut world = World::new(json!({"overlap": overlap}));
        assert_eq!(world.started("08:01:00", LastRun::Over), ["08:01"]);
        let asked = (world.schedule.key().run_triggered("k"), on_day("08:01:10"));
        let first = trigger(&world.schedule, &mut world.state, asked, LastRun::UnderWay);
        assert_eq!((first.is_err(), world.state.queued.len()), (refused, waits), "{overlap}");
        if !refused {
            assert_eq!(
                trigger(&world.schedule, &mut world.state, asked, LastRun::UnderWay),
                Ok(true),
                "{overlap}"
            );
        }
        assert_eq!(world.counts(), [1, 0, 0, 0], "{overlap}");
    }
}

#[test]
fn a_refusal_is_counted_and_told_and_the_next_is_tried() {
    let mut world = World::new(json!({}));
    let run = world.look("08:01:00", LastRun::Over).send[0].run;
    let reason = "NOT_FOUND: no workflow 'report' is registered".to_owned();
    answered(&mut world.state, run, Answered::Refused(reason), on_day("08:01:00"));
    let told = world.state.last_problem.clone().unwrap().message;
    assert_eq!(
        told,
        "the start due at 2026-11-27T08:01:00.000Z was refused: NOT_FOUND: no workflow 'report' is registered"
    );
    assert_eq!(world.started("08:02:00", LastRun::Over), ["08:02"]);
    assert_eq!((world.counts(), world.state.last_due), ([1, 0, 0, 1], Some(on_day("08:02:00"))));
}

#[test]
fn a_start_says_for_which_time_it_is() {
    let start = |fields| {
        let mut world = World::new(fields);
        let sent = world.look("08:01:00", LastRun::Over).send;
        start_message(&world.schedule, &sent[0])
    };
    let plain = start(json!({"input": {"of": "sales"}}));
    assert_eq!(plain.input, json!({"of": "sales"}));
    assert_eq!(plain.correlation_id.as_deref(), Some("nightly@2026-11-27T08:01:00.000Z"));
    assert_eq!(plain.idempotency_key, plain.correlation_id);
    let told = start(json!({"input": {"of": "sales"}, "dueAs": "day", "correlationId": "mine"}));
    assert_eq!(told.input, json!({"of": "sales", "day": "2026-11-27T08:01:00.000Z"}));
    assert_eq!(told.correlation_id.as_deref(), Some("mine"));
    assert_eq!(start(json!({"dueAs": "day"})).input, json!({"day": "2026-11-27T08:01:00.000Z"}));
    assert_eq!((plain.priority, start(json!({"priority": 0})).priority), (None, Some(0)));
}

#[test]
fn a_wrong_schedule_names_the_field_and_shows_a_right_one() {
    let now = on_day("08:00:00");
    for (field, value, told) in [
        ("id", json!("a/b"), "such as 'nightly_report'"),
        ("workflow", json!("no-dash"), "identifier"),
        ("cron", json!("* * *"), "it has 3 fields instead of 5 or 6; write minute, hour"),
        ("cron", json!("61 * * * *"), "such as '30 3 * * MON-FRI'"),
        ("cron", json!("@sometimes"), "@hourly"),
        ("cron", json!("0 0 30 2 *"), "never due"),
        ("cron", json!("* * * * * * 2030"), "7 fields"),
        ("timeZone", json!("Berlin"), "did you mean 'Europe/Berlin'?"),
        ("timeZone", json!("CET+1"), "such as 'Europe/Berlin' or 'UTC'"),
        ("queueLimit", json!(0), "from 1 to 100"),
        ("catchUp", json!("1s"), "at least 10s"),
        ("end", json!("2026-01-01T00:00:00Z"), "before `start`"),
        ("input", json!([1]), "an object"),
        ("input", json!({"a": "x".repeat(LARGEST_INPUT)}), "at most 65536 bytes"),
        ("dueAs", json!(""), "1 to 512 bytes"),
    ] {
        let mut written =
            json!({"id": "a", "workflow": "b", "cron": "@daily", "start": "2026-12-01T00:00:00Z"});
        written[field] = value;
        let definition: ScheduleDefinition = serde_json::from_value(written).unwrap();
        let error = check(&definition, now).unwrap_err();
        assert_eq!(error.field, field);
        assert!(error.to_string().contains(told), "{error}");
    }
}
