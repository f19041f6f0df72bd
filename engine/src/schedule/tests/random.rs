//! Whatever the order of looks, crashes, lost messages and lost answers: each due time comes to one run at most, and what was due
//! within the catch-up window is started, or skipped as the policy says.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Time passes.
    Wait { seconds: u32 },
    /// It is looked at, and committed; then the owner goes on, or dies before it has sent anything.
    Look { dies: bool },
    /// A message arrives: a start, or an answer. Or it is lost.
    Message { which: usize, is_lost: bool },
    /// A run ends.
    End { which: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (1_u32..40).prop_map(|seconds| Step::Wait { seconds }),
        1 => (60_u32..400).prop_map(|seconds| Step::Wait { seconds }),
        4 => prop::bool::weighted(0.3).prop_map(|dies| Step::Look { dies }),
        6 => (0_usize..9, prop::bool::weighted(0.3)).prop_map(|(which, is_lost)| Step::Message { which, is_lost }),
        2 => (0_usize..9).prop_map(|which| Step::End { which }),
    ];
    prop::collection::vec(step, 1..80)
}

/// A message on its way.
#[derive(Clone, Copy)]
enum Message {
    Start(RunId),
    Answer(RunId),
}

/// The rest of the system: messages on their way, and the runs that were begun, each with whether it has ended.
#[derive(Default)]
struct Rest {
    messages: Vec<Message>,
    runs: BTreeMap<RunId, bool>,
    /// The due times that were given up as missed.
    missed: u64,
}

impl Rest {
    fn take(&mut self, world: &mut World, step: Step, now: &mut Timestamp) {
        match step {
            Step::Wait { seconds } => *now = now.after(Span::from_secs(u64::from(seconds))),
            Step::Look { dies } => {
                let asked = asks_for(&world.schedule, &world.state, *now);
                let is_over = asked.is_none_or(|run| self.runs.get(&run).is_none_or(|ended| *ended));
                let last = if is_over { LastRun::Over } else { LastRun::UnderWay };
                let look = look(&world.schedule, &world.calendar, &mut world.state, *now, last);
                self.missed += look.missed;
                if !dies {
                    self.messages.extend(look.send.iter().map(|start| Message::Start(start.run)));
                    if let Some(old) = look.cancel {
                        self.runs.insert(old, true);
                    }
                }
            }
            Step::Message { which, is_lost } if !self.messages.is_empty() => {
                let message = self.messages.remove(which % self.messages.len());
                match message {
                    _ if is_lost => {}
                    Message::Start(run) => {
                        self.runs.entry(run).or_insert(false);
                        self.messages.push(Message::Answer(run));
                    }
                    Message::Answer(run) => answered(&mut world.state, run, Answered::Started, *now),
                }
            }
            Step::End { which } if !self.runs.is_empty() => {
                let which = which % self.runs.len();
                if let Some(ended) = self.runs.values_mut().nth(which) {
                    *ended = true;
                }
            }
            Step::Message { .. } | Step::End { .. } => {}
        }
    }

    /// All goes well from now on, until nothing is open; no more becomes due.
    fn come_to_rest(&mut self, world: &mut World, now: &mut Timestamp) {
        for _ in 0..400 {
            self.take(world, Step::Look { dies: false }, now);
            while !self.messages.is_empty() {
                self.take(world, Step::Message { which: 0, is_lost: false }, now);
            }
            self.runs.values_mut().for_each(|ended| *ended = true);
            *now = now.after(ASK_AGAIN);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn each_due_time_comes_to_one_run_at_most_and_none_is_lost(
        steps in steps(),
        overlap in prop::sample::select(vec!["SKIP", "QUEUE", "CANCEL_OLD", "ALLOW"]),
        limit in 1_u32..4,
    ) {
        let end = on_day("08:20:00");
        let mut world = World::new(json!({
            "cron": "*/20 * * * * *", "overlap": overlap, "queueLimit": limit, "catchUp": "2m", "end": end,
        }));
        let all: BTreeMap<RunId, Timestamp> = std::iter::successors(world.state.next_due, |due| world.calendar.next(*due))
            .take_while(|due| *due <= end)
            .map(|due| (world.schedule.key().run_due(due), due))
            .collect();
        let (mut rest, mut now) = (Rest::default(), on_day("08:00:30"));
        for step in steps {
            rest.take(&mut world, step, &mut now);
            let running = rest.runs.values().filter(|ended| !**ended).count();
            prop_assert!(overlap == "ALLOW" || running <= 1, "{running} runs at once");
        }
        rest.come_to_rest(&mut world, &mut now);
        // What was to become due later is told apart from what is lost.
        let state = &world.state;
        prop_assert!(state.starting.is_empty() && state.queued.is_empty());
        let [started, skipped, missed, _] = world.counts();
        let later = all.values().filter(|due| state.next_due.is_some_and(|next| **due >= next)).count() as u64;
        prop_assert_eq!(started + skipped + missed + later, all.len() as u64);
        prop_assert_eq!((started, missed), (rest.runs.len() as u64, rest.missed));
        prop_assert!(overlap != "ALLOW" || skipped == 0);
        let begun: BTreeSet<RunId> = rest.runs.keys().copied().collect();
        prop_assert!(begun.iter().all(|run| all.contains_key(run)), "a run for no due time");
    }
}
