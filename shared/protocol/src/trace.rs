//! Names of traces and spans, and the `traceparent` by which a program hands its trace on to the next one: W3C Trace Context.
//!
//! Both names follow from the ids of Oarlock, so nothing is stored or remembered for them: a run is a trace, and each of its
//! attempts a span, under the same name in every process and after every take-over. Pure.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::{ExecutionId, RunId, chance};

/// The name of the header, of HTTP and of AMQP, that carries a [`TraceParent`].
pub const TRACEPARENT: &str = "traceparent";
/// The environment variable by which a process is handed a [`TraceParent`].
pub const TRACEPARENT_VARIABLE: &str = "TRACEPARENT";

/// The flag that says that who hands the trace on may have recorded it.
const SAMPLED: u8 = 1;
/// The bytes of a `traceparent` of version 00; later versions may have more behind them.
const LENGTH: usize = 55;

/// Names a trace: everything that is done because of one cause. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(NonZeroU128);

/// Names one piece of work in a trace. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(NonZeroU64);

/// What a program is told of the trace that it works in; in text `00-<trace>-<span>-<flags>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span in it that what follows belongs to.
    pub span: SpanId,
    /// Whether the trace is recorded: who is told no exports nothing of it.
    pub sampled: bool,
}

/// The text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no traceparent: it is 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, in small letters, and no id of zeros"
)]
pub struct InvalidTraceParent;

impl TraceId {
    /// The trace of a run that joined no other: both ids have 128 bits, so they are the same.
    pub fn of_run(run: RunId) -> Self {
        // Only the nil UUID is zero, and that names no run that was ever made.
        Self(NonZeroU128::new(run.as_uuid().as_u128()).unwrap_or(NonZeroU128::MIN))
    }

    /// The bytes, as they are sent.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_be_bytes()
    }

    /// Whether a trace is among the share `ratio` (0 to 1) of all that is recorded: the same answer in every process.
    ///
    /// All bits decide, mixed: ids that are made in one millisecond differ in few of them, and would be recorded together or not
    /// at all.
    pub fn is_among(self, ratio: f64) -> bool {
        const ALL: f64 = (1u128 << 64) as f64;
        let (high, low) = Uuid::from_u128(self.0.get()).as_u64_pair();
        // A ratio below 0, or none at all, becomes 0.
        ratio >= 1.0 || chance::mix(high ^ low) < (ratio * ALL) as u64
    }
}

impl SpanId {
    /// The span of a run, or of what became of it after an operator had opened it again `generation` times.
    pub fn of_run(run: RunId, generation: u64) -> Self {
        Self::of(run.as_uuid(), generation)
    }

    /// The span of an attempt.
    pub fn of_attempt(attempt: ExecutionId) -> Self {
        Self::of(attempt.as_uuid(), 0)
    }

    /// A name for what nobody else has to find.
    pub fn fresh() -> Self {
        Self::of(chance::fresh(), 0)
    }

    /// The bytes, as they are sent.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }

    /// Ids are hashes, or random in their second half: folded they differ wherever the ids do, as far as 64 bits can.
    fn of(id: Uuid, generation: u64) -> Self {
        let (high, low) = id.as_u64_pair();
        let folded = high ^ low.wrapping_add(generation.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self(NonZeroU64::new(folded).unwrap_or(NonZeroU64::MIN))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        read(text).ok_or(InvalidTraceParent)
    }
}

/// Reads a `traceparent` as W3C Trace Context asks: of a later version than 00 what is known of it counts.
fn read(text: &str) -> Option<TraceParent> {
    let (known, rest) = text.split_at_checked(LENGTH)?;
    let mut parts = known.split('-');
    let version = hex(parts.next()?, 2)?;
    let trace = hex(parts.next()?, 32)?;
    let span = hex(parts.next()?, 16)?;
    let flags = hex(parts.next()?, 2)?;
    let is_whole = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest.starts_with('-'),
    };
    (is_whole && parts.next().is_none()).then_some(())?;
    Some(TraceParent {
        trace: TraceId(NonZeroU128::new(trace)?),
        span: SpanId(NonZeroU64::new(u64::try_from(span).ok()?)?),
        sampled: flags & u128::from(SAMPLED) != 0,
    })
}

/// A number of exactly so many digits, in small letters.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == digits && text.bytes().all(is_digit)).then(|| u128::from_str_radix(text, 16).ok())?
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Reads a field that counts only where it is valid: nothing fails because its trace is told wrongly.
///
/// # Errors
/// None for a value of the format that is read, whatever it is.
pub fn if_valid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TraceParent>, D::Error> {
    let value = crate::Json::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn run() -> RunId {
        "fd1bd8e8-056a-55ae-b4f2-218b02f72be3".parse().unwrap()
    }

    #[test]
    fn a_traceparent_is_written_as_it_was_read() {
        let parent: TraceParent = GIVEN.parse().unwrap();
        assert!(parent.sampled);
        assert_eq!(parent.to_string(), GIVEN);
        assert_eq!(serde_json::to_string(&parent).unwrap(), format!("\"{GIVEN}\""));
        assert_eq!(serde_json::from_str::<TraceParent>(&format!("\"{GIVEN}\"")).unwrap(), parent);
    }

    #[test]
    fn what_a_later_version_adds_is_left_out_and_so_are_unknown_flags() {
        let later = GIVEN.replacen("00-", "cc-", 1);
        for text in [later.clone(), format!("{later}-more"), GIVEN.replace("-01", "-ff")] {
            assert_eq!(text.parse::<TraceParent>().unwrap().to_string(), GIVEN, "{text}");
        }
        let not_sampled: TraceParent = GIVEN.replace("-01", "-fe").parse().unwrap();
        assert!(!not_sampled.sampled);
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        let wrong = [
            String::new(),
            "00".to_owned(),
            format!("{GIVEN}-more"),
            format!("{GIVEN} "),
            GIVEN.to_uppercase(),
            GIVEN.replacen("00-", "ff-", 1),
            GIVEN.replacen("00-", "cc-", 1) + "more",
            GIVEN.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GIVEN.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GIVEN.replace("00f067aa0ba902b7", "+0f067aa0ba902b7"),
            GIVEN.replace("-01", "-0g"),
            GIVEN.replace("-01", "--1"),
            GIVEN.replace('-', "_"),
            "ä".repeat(28),
        ];
        for text in wrong {
            assert_eq!(text.parse::<TraceParent>(), Err(InvalidTraceParent), "{text}");
        }
    }

    #[test]
    fn a_field_that_is_no_traceparent_is_as_good_as_none() {
        #[derive(Deserialize)]
        struct Message {
            #[serde(default, deserialize_with = "if_valid")]
            traceparent: Option<TraceParent>,
        }
        let read = |text: &str| serde_json::from_str::<Message>(text).unwrap().traceparent;
        for text in ["{}", r#"{"traceparent":null}"#, r#"{"traceparent":7}"#, r#"{"traceparent":"00-1"}"#] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&format!(r#"{{"traceparent":"{GIVEN}"}}"#)), Some(GIVEN.parse().unwrap()));
    }

    #[test]
    fn the_trace_of_a_run_is_its_id_and_the_spans_follow_from_theirs() {
        let attempt: ExecutionId = "0287b781-d717-572e-9ee3-19c031a0ac1e".parse().unwrap();
        let shown =
            TraceParent { trace: TraceId::of_run(run()), span: SpanId::of_attempt(attempt), sampled: true };
        // Other programs, and later releases, must find the same spans.
        assert_eq!(shown.to_string(), "00-fd1bd8e8056a55aeb4f2218b02f72be3-9c64ae41e6b7fb30-01");
        assert_eq!(SpanId::of_run(run(), 0).to_string(), "49e9f963079d7e4d");
        assert_ne!(SpanId::of_run(run(), 0), SpanId::of_run(run(), 1));
    }

    #[test]
    fn no_name_is_zero() {
        let nil = Uuid::nil();
        // Both halves alike fold to nothing.
        let twin = Uuid::from_u64_pair(7, 7);
        for id in [nil, twin] {
            assert_ne!(SpanId::of_attempt(ExecutionId::from_uuid(id)).to_bytes(), [0; 8]);
            assert_ne!(SpanId::of_run(RunId::from_uuid(id), 0).to_bytes(), [0; 8]);
        }
        assert_ne!(TraceId::of_run(RunId::from_uuid(nil)).to_bytes(), [0; 16]);
    }

    #[test]
    fn a_ratio_records_its_share_of_the_runs_whatever_made_their_ids() {
        let made: [fn(u64) -> RunId; 2] =
            [|_| RunId::random(), |number| RunId::keyed("acme", "pay", &number.to_string())];
        for make in made {
            let traces: Vec<TraceId> = (0..4000).map(|number| TraceId::of_run(make(number))).collect();
            let share = |ratio| traces.iter().filter(|trace| trace.is_among(ratio)).count();
            assert_eq!((share(0.0), share(1.0), share(-1.0), share(f64::NAN)), (0, 4000, 0, 0));
            // Six standard deviations wide.
            assert!((810..=1190).contains(&share(0.25)), "{}", share(0.25));
            assert!(traces.iter().all(|trace| !trace.is_among(0.2) || trace.is_among(0.3)));
        }
    }
}
