//! What a schedule does: `(schedule, how far it is, now, its last run) -> starts, cancels, how far it is then`.
//!
//! The owner of the schedule's partition looks whenever a time has come that the last look named, commits how far the schedule is
//! then, and only after that sends the starts. So what was decided is decided once: whoever takes over sends the same starts again,
//! under the same run ids, until each is answered. Nothing here reads a clock or sends anything.

mod calendar;
mod check;
#[cfg(test)]
mod tests;

use oarlock_protocol::message::StartMessage;
use oarlock_protocol::schedule::{Overlap, Schedule, ScheduleProblem, ScheduleState, ScheduledStart};
use oarlock_protocol::{FORMAT, Json, JsonMap, RunId, Span, Timestamp};

pub use calendar::Calendar;
pub use check::{Invalid, LARGEST_INPUT, LEAST_CATCH_UP, MOST_QUEUED, check};

/// A start that is not answered is sent again after this time: its message or the answer may be lost. The same start twice starts
/// one run.
pub const ASK_AGAIN: Span = Span::from_secs(2);
/// While something waits for a run to end, that is looked at this often: it is one read.
const LOOK_AGAIN: Span = Span::from_secs(1);
/// A run that does not end is told to again after this time.
const CANCEL_AGAIN: Span = Span::from_secs(10);
/// The most due times that one look decides: bounds a commit and what it sends. The others follow at the next look, at once.
const MOST_AT_ONCE: usize = 50;
/// The most starts that wait for their answers, so that a partition which does not answer is not flooded.
const MOST_STARTING: usize = 100;
/// The most due times that are counted as missed, one by one: a schedule of every second that nobody looked at for a year must not
/// hold its partition up.
const MOST_COUNTED: u64 = 1_000;

/// What is known of the last run of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastRun {
    /// There is none, or it has ended.
    Over,
    /// It is under way.
    UnderWay,
}

/// What a look comes to, beside how far the schedule is then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The starts to send now, for the first time or again.
    pub send: Vec<ScheduledStart>,
    /// The run to tell that it is to end.
    pub cancel: Option<RunId>,
    /// When to look again; never where absent.
    pub wake: Option<Timestamp>,
    /// How many due times were found to be missed.
    pub missed: u64,
}

/// How a start was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The run is there.
    Started,
    /// Not now: the same may be asked again.
    Later,
    /// It is refused for good, for this reason.
    Refused(String),
}

/// How far a schedule is that begins at `now`.
pub fn begin(schedule: &Schedule, calendar: &Calendar, now: Timestamp) -> ScheduleState {
    ScheduleState { next_due: first_due(schedule, calendar, now), ..ScheduleState::default() }
}

/// Goes on with what is written now: what is due follows from it from `now` on.
pub fn replace(schedule: &Schedule, calendar: &Calendar, state: &mut ScheduleState, now: Timestamp) {
    state.next_due = first_due(schedule, calendar, now).filter(|_| !schedule.paused);
}

/// Lets nothing become due any more, and lets go of what waits.
pub fn pause(state: &mut ScheduleState) {
    state.next_due = None;
    state.skipped += state.queued.drain(..).len() as u64;
}

/// The times that are due after the next one, at most so many in all.
pub fn upcoming(
    schedule: &Schedule,
    calendar: &Calendar,
    state: &ScheduleState,
    most: usize,
) -> Vec<Timestamp> {
    let following = |due: &Timestamp| due_after(schedule, calendar, *due);
    std::iter::successors(state.next_due, following).take(most).collect()
}

/// The run whose status a look at `now` has to know.
pub fn asks_for(schedule: &Schedule, state: &ScheduleState, now: Timestamp) -> Option<RunId> {
    let is_due = !state.queued.is_empty() || state.next_due.is_some_and(|due| due <= now);
    let counts = schedule.definition.overlap != Overlap::Allow && state.starting.is_empty();
    state.last_run.filter(|_| is_due && counts)
}

/// Decides what is due at `now`, and what of it is to be sent.
pub fn look(
    schedule: &Schedule,
    calendar: &Calendar,
    state: &mut ScheduleState,
    now: Timestamp,
    last: LastRun,
) -> Look {
    let missed = let_go_of_missed(schedule, calendar, state, now);
    let more = take_due(schedule, calendar, state, now, last);
    let mut look = Look { missed, ..Look::default() };
    if is_busy(state, last) {
        look.cancel = cancel(schedule, state, now, last);
    } else if !state.queued.is_empty() {
        let next = state.queued.remove(0);
        state.starting.push(ScheduledStart { sent_at: None, ..next });
    }
    for start in &mut state.starting {
        if start.sent_at.is_none_or(|sent| sent.after(ASK_AGAIN) <= now || sent > now) {
            start.sent_at = Some(now);
            look.send.push(start.clone());
        }
    }
    let asks = state.starting.iter().filter_map(|start| Some(start.sent_at?.after(ASK_AGAIN)));
    let waits = (!state.queued.is_empty()).then(|| now.after(LOOK_AGAIN));
    let due = if more { Some(now) } else { state.next_due.filter(|due| *due > now) };
    look.wake = asks.chain(waits).chain(due).min();
    look
}

/// Decides about a run that somebody asks for, for the time `due`; whether it was asked for before. A look sends it.
///
/// # Errors
/// Why it cannot be started.
pub fn trigger(
    schedule: &Schedule,
    state: &mut ScheduleState,
    (run, due): (RunId, Timestamp),
    last: LastRun,
) -> Result<bool, String> {
    let known = state.starting.iter().chain(&state.queued).any(|start| start.run == run);
    if known || state.last_run == Some(run) {
        return Ok(true);
    }
    let before = state.skipped;
    if !may_take(schedule, state) {
        return Err("too many of its starts are not answered yet; try again later".to_owned());
    }
    take(schedule, state, ScheduledStart { run, due, triggered: true, sent_at: None }, last);
    if state.skipped == before || schedule.definition.overlap == Overlap::CancelOld {
        return Ok(false);
    }
    state.skipped = before;
    let run = state.last_run.map(|run| format!(" {run}")).unwrap_or_default();
    Err(match schedule.definition.overlap {
        Overlap::Queue => {
            format!("as many runs as `queueLimit` allows wait until its last run{run} has ended")
        }
        _ => format!("its last run{run} is under way, and `overlap` is SKIP; wait for it, or cancel it"),
    })
}

/// Takes in how a start was answered.
pub fn answered(state: &mut ScheduleState, run: RunId, answer: Answered, now: Timestamp) {
    let Some(at) = state.starting.iter().position(|start| start.run == run) else { return };
    if answer == Answered::Later {
        return;
    }
    let start = state.starting.remove(at);
    match answer {
        Answered::Started => {
            state.started += 1;
            if state.last_due.is_none_or(|last| last <= start.due) {
                state.last_due = Some(start.due);
                state.last_run = Some(run);
            }
        }
        Answered::Refused(reason) => {
            state.refused += 1;
            note(state, now, format!("the start due at {} was refused: {reason}", start.due));
        }
        Answered::Later => {}
    }
}

/// The message that starts a run.
pub fn start_message(schedule: &Schedule, start: &ScheduledStart) -> StartMessage {
    let definition = &schedule.definition;
    let mut input = definition.input.clone();
    if let Some(field) = &definition.due_as {
        let due = Json::String(start.due.to_string());
        match &mut input {
            Json::Object(fields) => drop(fields.insert(field.clone(), due)),
            other => *other = Json::Object(JsonMap::from_iter([(field.clone(), due)])),
        }
    }
    let occasion = format!("{}@{}", definition.id, start.due);
    StartMessage {
        format: FORMAT,
        workflow_instance_id: start.run,
        workflow_definition_id: definition.workflow.clone(),
        workflow_definition_version: definition.version,
        input,
        idempotency_key: Some(occasion.clone()),
        correlation_id: Some(definition.correlation_id.clone().unwrap_or(occasion)),
        priority: definition.priority,
        security_context: schedule.security_context.clone(),
        parent: None,
        traceparent: None,
    }
}

fn first_due(schedule: &Schedule, calendar: &Calendar, now: Timestamp) -> Option<Timestamp> {
    // `start` itself may be due.
    let before_start = |start: Timestamp| Timestamp::from_millis(start.as_millis().saturating_sub(1));
    let after = schedule.definition.start.map_or(now, |start| now.max(before_start(start)));
    due_after(schedule, calendar, after)
}

fn due_after(schedule: &Schedule, calendar: &Calendar, after: Timestamp) -> Option<Timestamp> {
    let due = calendar.next(after)?;
    schedule.definition.end.is_none_or(|end| due <= end).then_some(due)
}

/// Counts what was due too long ago to be made up; how many.
fn let_go_of_missed(
    schedule: &Schedule,
    calendar: &Calendar,
    state: &mut ScheduleState,
    now: Timestamp,
) -> u64 {
    let window = i64::try_from(schedule.definition.catch_up.as_millis()).unwrap_or(i64::MAX);
    let oldest = Timestamp::from_millis(now.as_millis().saturating_sub(window));
    let mut missed = 0;
    let first = state.next_due;
    while let Some(due) = state.next_due.filter(|due| *due < oldest) {
        missed += 1;
        let after = if missed < MOST_COUNTED {
            due
        } else {
            Timestamp::from_millis(oldest.as_millis().saturating_sub(1))
        };
        state.next_due = due_after(schedule, calendar, after);
    }
    if let (Some(first), 1..) = (first, missed) {
        state.missed += missed;
        let least = if missed < MOST_COUNTED { "" } else { "at least " };
        let told = format!(
            "{least}{missed} due times from {first} on were missed: nobody could start them within {}; a longer `catchUp` makes up for more",
            schedule.definition.catch_up
        );
        note(state, now, told);
    }
    missed
}

/// Takes what is due; whether more is left than one look takes.
fn take_due(
    schedule: &Schedule,
    calendar: &Calendar,
    state: &mut ScheduleState,
    now: Timestamp,
    last: LastRun,
) -> bool {
    let key = schedule.key();
    for _ in 0..MOST_AT_ONCE {
        let Some(due) = state.next_due.filter(|due| *due <= now) else { return false };
        if !may_take(schedule, state) {
            // It goes on when one is answered, or asked for again.
            return false;
        }
        state.next_due = due_after(schedule, calendar, due);
        take(
            schedule,
            state,
            ScheduledStart { run: key.run_due(due), due, triggered: false, sent_at: None },
            last,
        );
    }
    state.next_due.is_some_and(|due| due <= now)
}

/// Whether another start may be decided.
fn may_take(schedule: &Schedule, state: &ScheduleState) -> bool {
    schedule.definition.overlap != Overlap::Allow || state.starting.len() < MOST_STARTING
}

/// Decides about one start.
fn take(schedule: &Schedule, state: &mut ScheduleState, start: ScheduledStart, last: LastRun) {
    let waits = is_busy(state, last) || !state.queued.is_empty();
    match schedule.definition.overlap {
        Overlap::Allow => state.starting.push(start),
        Overlap::Skip | Overlap::Queue if !waits => state.starting.push(start),
        Overlap::Skip => state.skipped += 1,
        Overlap::Queue if state.queued.len() < schedule.definition.queue_limit as usize => {
            state.queued.push(start)
        }
        Overlap::Queue => state.skipped += 1,
        Overlap::CancelOld => {
            // Only the newest is worth waiting for; when the old run was told to end stays known.
            let told = state.queued.first().and_then(|waiting| waiting.sent_at);
            state.skipped += state.queued.drain(..).len() as u64;
            state.queued.push(ScheduledStart { sent_at: told, ..start });
        }
    }
}

/// Whether a run of the schedule is under way, or may be.
fn is_busy(state: &ScheduleState, last: LastRun) -> bool {
    !state.starting.is_empty() || last == LastRun::UnderWay
}

/// The old run, where something waits until it is cancelled and it is time to tell it.
fn cancel(schedule: &Schedule, state: &mut ScheduleState, now: Timestamp, last: LastRun) -> Option<RunId> {
    if schedule.definition.overlap != Overlap::CancelOld
        || last != LastRun::UnderWay
        || !state.starting.is_empty()
    {
        return None;
    }
    let waiting = state.queued.first_mut()?;
    let is_time = waiting.sent_at.is_none_or(|told| told.after(CANCEL_AGAIN) <= now || told > now);
    if !is_time {
        return None;
    }
    waiting.sent_at = Some(now);
    state.last_run
}

fn note(state: &mut ScheduleState, at: Timestamp, message: String) {
    let mut message = message;
    oarlock_protocol::error::cut(&mut message, LONGEST_PROBLEM);
    state.last_problem = Some(ScheduleProblem { at, message });
}

/// The longest problem that is kept, in bytes: the state is written at every start.
const LONGEST_PROBLEM: usize = 1024;
