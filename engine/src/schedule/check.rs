//! Whether a schedule is one: asked before it is registered, by whoever reads it.

use std::fmt;

use oarlock_protocol::depth::{DEEPEST, nests_within};
use oarlock_protocol::payload::holds_reference;
use oarlock_protocol::schedule::ScheduleDefinition;
use oarlock_protocol::{Json, Span, Timestamp, name, priority};

use super::Calendar;

/// The largest input, in bytes of JSON: every start carries it, and what is larger is better read by the run itself.
pub const LARGEST_INPUT: usize = 64 * 1024;
/// The most due times that may wait: more are a workflow that is too slow for its schedule.
pub const MOST_QUEUED: u32 = 100;
/// The shortest time for which due times are made up: another orchestrator takes as long to take over from one that died.
pub const LEAST_CATCH_UP: Span = Span::from_secs(10);
/// The longest text for people, and the longest mark, in bytes.
const LONGEST_TEXT: usize = 512;

/// What is wrong with a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it, with an example of what is not.
    pub message: String,
}

impl Invalid {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.field, self.message)
    }
}

impl std::error::Error for Invalid {}

/// Checks a schedule that is to begin at `now`, and reads its expression.
///
/// # Errors
/// The first field that is wrong.
pub fn check(definition: &ScheduleDefinition, now: Timestamp) -> Result<Calendar, Invalid> {
    name::check_task_name(&definition.id).map_err(|_| {
        let told = format!(
            "'{}' is no name of a schedule: it has letters, digits, _, - and ., such as 'nightly_report'",
            brief(&definition.id)
        );
        Invalid::new("id", told)
    })?;
    name::check_identifier(&definition.workflow)
        .map_err(|error| Invalid::new("workflow", error.to_string()))?;
    check_texts(definition)?;
    check_input(&definition.input)?;
    if !(1..=MOST_QUEUED).contains(&definition.queue_limit) {
        return Err(Invalid::new("queueLimit", format!("it is a number from 1 to {MOST_QUEUED}, such as 1")));
    }
    if definition.priority.is_some_and(|given| given > priority::HIGHEST) {
        return Err(Invalid::new("priority", priority::WANTED));
    }
    if definition.catch_up < LEAST_CATCH_UP {
        return Err(Invalid::new(
            "catchUp",
            format!("it is at least {LEAST_CATCH_UP}, which a take-over may take, such as '1h'"),
        ));
    }
    if let (Some(start), Some(end)) = (definition.start, definition.end)
        && end < start
    {
        return Err(Invalid::new("end", format!("it is before `start`, which is {start}")));
    }
    let calendar = Calendar::read(&definition.cron, &definition.time_zone)?;
    if calendar.next(now).is_none() {
        let told = format!(
            "'{}' is never due: no such day exists; write, for example, '0 3 1 * *'",
            definition.cron
        );
        return Err(Invalid::new("cron", told));
    }
    Ok(calendar)
}

fn check_texts(definition: &ScheduleDefinition) -> Result<(), Invalid> {
    let texts = [
        ("description", &definition.description),
        ("dueAs", &definition.due_as),
        ("correlationId", &definition.correlation_id),
    ];
    for (field, text) in texts {
        if text.as_ref().is_some_and(|text| text.is_empty() || text.len() > LONGEST_TEXT) {
            return Err(Invalid::new(field, format!("it has 1 to {LONGEST_TEXT} bytes")));
        }
    }
    Ok(())
}

fn check_input(input: &Json) -> Result<(), Invalid> {
    if !(input.is_object() || input.is_null()) {
        return Err(Invalid::new("input", "it is an object, such as {\"region\": \"north\"}"));
    }
    if !nests_within(input, DEEPEST) || input.to_string().len() > LARGEST_INPUT {
        let told = format!(
            "it has at most {LARGEST_INPUT} bytes of JSON and {DEEPEST} levels; keep large data elsewhere and pass its address"
        );
        return Err(Invalid::new("input", told));
    }
    if holds_reference(input) {
        return Err(Invalid::new(
            "input",
            "it holds a `$payload`, which ends with its run; pass an address of your own",
        ));
    }
    Ok(())
}

fn brief(text: &str) -> String {
    text.chars().take(80).collect()
}
