//! A span that has ended: plain data, made by whoever saw its end.

use oarlock_protocol::{SpanId, Timestamp, TraceId};

/// The longest text of an attribute or a failure, in bytes: the whole of an error is in the run, not in its trace.
const LONGEST_TEXT: usize = 1024;
/// The nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;

/// A piece of work that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace it is in.
    pub trace: TraceId,
    /// Its own name.
    pub id: SpanId,
    /// What it was done for; none where it is the cause of everything else in its trace.
    pub parent: Option<SpanId>,
    /// Who made it, such as `oarlock.worker`.
    pub scope: &'static str,
    /// What was done, in few different words.
    pub name: String,
    /// What kind of work it was.
    pub kind: Kind,
    /// When it began, in nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// When it ended, in nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// What there is to say of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened meanwhile.
    pub events: Vec<Event>,
    /// Why it failed, where it did.
    pub failure: Option<String>,
}

/// What kind of work a span is, as OpenTelemetry tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Neither sent nor taken.
    Internal,
    /// Handed to somebody else by way of a queue.
    Producer,
    /// Taken from a queue.
    Consumer,
}

/// Something that happened while a span lasted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// What.
    pub name: &'static str,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl Span {
    /// Adds an attribute.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.attributes.push((name, value.into()));
    }

    /// Says that it failed, with this code and these words.
    pub fn fail(&mut self, code: &str, message: &str) {
        self.set("error.type", code);
        self.failure = Some(cut(format!("{code}: {message}")));
    }

    /// Notes what happened at a time.
    pub fn note(&mut self, name: &'static str, at: Timestamp) {
        self.events.push(Event { at_ns: nanoseconds(at), name });
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(cut(text))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A time as spans have it; the epoch for one before it.
pub fn nanoseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(0).saturating_mul(MILLISECOND)
}

/// As much of a text as is sent.
fn cut(mut text: String) -> String {
    let end = (0..=LONGEST_TEXT.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    text
}
