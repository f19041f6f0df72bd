//! `wait` by itself: times that are times, and a timeout that has something to end.

use oarlock_protocol::definition::{Awaited, Task, Wait};
use oarlock_protocol::{Json, Span, Timestamp};

use super::Checker;
use crate::code::Code;
use crate::expressions;
use crate::findings::{Finding, Findings, Mark};
use crate::place::Place;

impl Checker<'_, '_> {
    pub(super) fn wait(&mut self, wait: &Wait, task: &Task, step: &Place) {
        let place = step.key("wait");
        self.not_empty(wait.first.len(), &place.key("first"), "a `wait` for nothing");
        for (index, awaited) in wait.first.iter().enumerate() {
            self.awaited(awaited, &awaited_place(self.findings, &place, index));
        }
        self.not_zero(wait.timeout, &place.key("timeout"));
        if !task.on_timeout.is_empty() && wait.timeout.is_none() {
            let message = "`onTimeout` never happens: this `wait` has no `timeout`";
            let finding = Finding::new(Code::MissingField, &step.key("onTimeout"), message).mark(Mark::Key);
            self.tell(finding.help("Add one to the `wait`, such as `timeout: 24h`."));
        }
        if let (Some(timeout), [Awaited::Duration { duration }]) = (wait.timeout, &wait.first[..])
            && duration.trim().parse::<Span>().is_ok_and(|duration| duration >= timeout)
        {
            let message =
                format!("this wait of {} always ends by its `timeout` ({timeout})", duration.trim());
            self.senseless(&place.key("timeout"), message, "Remove it, or make it longer than the wait.");
        }
    }

    fn awaited(&mut self, awaited: &Awaited, place: &Place) {
        match awaited {
            Awaited::Duration { duration } => {
                let place = place.key("duration");
                if self.is_expression(duration, &place, Code::InvalidDuration, "`duration: 10m`") {
                    return;
                }
                match duration.trim().parse::<Span>() {
                    Ok(span) => self.not_zero(Some(span), &place),
                    Err(error) => {
                        let finding = Finding::new(Code::InvalidDuration, &place, error.to_string());
                        self.tell(finding.help("Write it as `10m`, or as one `${ expression }`."));
                    }
                }
            }
            Awaited::Until { until } => {
                let place = place.key("until");
                let how = "`until: \"2026-11-24T08:00:00Z\"`";
                if self.is_expression(until, &place, Code::InvalidTime, how) {
                    return;
                }
                if serde_json::from_value::<Timestamp>(Json::from(until.trim())).is_err() {
                    let message = format!("`{until}` is no point in time");
                    let finding = Finding::new(Code::InvalidTime, &place, message);
                    self.tell(
                        finding.help(format!("Write {how} with its offset, or one `${{ expression }}`.")),
                    );
                }
            }
            Awaited::Signal { signal, schema } => {
                if signal.trim().is_empty() {
                    let place = place.key("signal");
                    let finding =
                        Finding::new(Code::InvalidName, &place, "a signal without a name never comes");
                    self.tell(finding.help("Name it, such as `signal: approval`."));
                }
                self.schema(schema.as_ref(), &place.key("schema"));
            }
        }
    }

    /// Whether a time is given by an expression; where text stands around it, tells of that.
    fn is_expression(&mut self, text: &str, place: &Place, code: Code, how: &str) -> bool {
        if !expressions::is_template(text) {
            return false;
        }
        if !expressions::is_one_expression(text) && expressions::template(text).is_ok() {
            let finding =
                Finding::new(code, place, "a time is written out, or is wholly one `${ expression }`");
            self.tell(finding.help(format!("Write {how}, or let the expression give the whole text.")));
        }
        true
    }
}

/// Where something that a `wait` waits for stands: in the wait itself, or among several.
pub(super) fn awaited_place(findings: &Findings, wait: &Place, index: usize) -> Place {
    if findings.is_short_form(wait) { wait.clone() } else { wait.key("first").index(index) }
}
