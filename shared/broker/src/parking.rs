//! The form of a parked message: whole as it was, with headers that tell from where, when and why.
//!
//! Whoever cannot understand a message parks it: orchestrators and workers. Operators look at it and put it back or drop it.

use oarlock_protocol::error::cut;
use oarlock_protocol::{Timestamp, chance};
use uuid::Uuid;

use crate::port::REASON_HEADER;
use crate::{Message, Publication, topology};

/// The header that names a parked message: a UUID that tells the time.
const ID: &str = "x-parked-id";
/// The header that tells from which queue it came.
const FROM: &str = "x-parked-from";
/// The header that tells which user had published it, as the broker had checked.
const USER: &str = "x-parked-user";

/// The header that tells how large the body was, where only its beginning is kept.
const CUT: &str = "x-parked-cut";

/// The longest reason, in bytes: a reader's words may repeat the whole message.
const LONGEST_REASON: usize = 1_024;
/// The largest headers that are kept, in bytes: properties have to fit into one frame.
const LARGEST_HEADERS: usize = 16 * 1024;
/// The largest body that is kept whole, in bytes: what a server takes by default.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
/// As much as is kept of a larger one, in bytes.
const EXCERPT: usize = 64 * 1024;

/// A message that waits for an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Parked {
    /// Names it.
    pub id: String,
    /// From which queue it came; absent where who parked it did not say.
    pub from: Option<String>,
    /// Who had published it, as the broker had checked.
    pub user_id: Option<String>,
    /// Why it was parked.
    pub reason: String,
    /// When; absent where who parked it did not say.
    pub at: Option<Timestamp>,
    /// How large the body was, where only its beginning is kept.
    pub cut_from: Option<u64>,
    /// Who parked it, as the broker has checked.
    pub parked_by: Option<String>,
    /// As it was.
    pub message: Message,
}

/// The message on its way to where operators look at it. It always fits: a long reason, large headers and a body that no
/// server takes are cut.
pub fn park(message: &Message, from: &str, user_id: Option<&str>, reason: &str) -> Publication {
    let most = if message.body.len() > LARGEST_BODY { EXCERPT } else { message.body.len() };
    park_cut(message, from, user_id, reason, most)
}

/// As [`park`], with no more than the beginning of the body, for a server that takes less.
pub fn park_excerpt(message: &Message, from: &str, user_id: Option<&str>, reason: &str) -> Publication {
    park_cut(message, from, user_id, reason, message.body.len().min(EXCERPT))
}

fn park_cut(message: &Message, from: &str, user_id: Option<&str>, reason: &str, most: usize) -> Publication {
    let size = message.body.len();
    let mut message = Message { body: message.body.slice(..most), ..message.clone() };
    message.headers.retain(|(name, _)| !is_ours(name));
    let bytes: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > LARGEST_HEADERS {
        message.headers.clear();
    }
    let mut reason = reason.to_owned();
    cut(&mut reason, LONGEST_REASON);
    let mut add = |name: &str, value: String| message.headers.push((name.to_owned(), value));
    add(REASON_HEADER, reason);
    add(ID, chance::fresh_by_time().to_string());
    add(FROM, from.to_owned());
    if let Some(user) = user_id {
        add(USER, user.to_owned());
    }
    if most < size {
        add(CUT, size.to_string());
    }
    Publication { queue: topology::PARKED.to_owned(), message }
}

impl Parked {
    /// Reads a parked message; `parked_by` is the user of the broker who published it there.
    pub fn read(mut message: Message, parked_by: Option<String>) -> Self {
        let header = |wanted: &str| {
            message.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        let told = header(ID);
        let at = told.as_deref().and_then(time_of);
        let parked = Self {
            id: told.unwrap_or_else(|| message.message_id.clone()),
            from: header(FROM),
            user_id: header(USER),
            reason: header(REASON_HEADER).unwrap_or_else(|| "not told".to_owned()),
            at,
            cut_from: header(CUT).and_then(|size| size.parse().ok()),
            parked_by,
            message: Message::default(),
        };
        message.headers.retain(|(name, _)| !is_ours(name));
        Self { message, ..parked }
    }
}

fn is_ours(header: &str) -> bool {
    [ID, FROM, USER, CUT, REASON_HEADER].contains(&header)
}

fn time_of(id: &str) -> Option<Timestamp> {
    let (seconds, nanos) = Uuid::parse_str(id).ok()?.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)?;
    Some(Timestamp::from_millis(millis.saturating_add(i64::from(nanos / 1_000_000))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parked_message_is_read_as_it_was() {
        let headers = vec![("traceparent".to_owned(), "00-1".to_owned())];
        let message = Message { message_id: "m".to_owned(), headers, ..Message::default() };
        let published = park(&message, "oarlock.start", Some("ada"), "no JSON");
        // Parked twice, as after a crash: the last reason counts, nothing piles up.
        let again = park(&published.message, "oarlock.start", None, "still no JSON");
        let parked = Parked::read(published.message, None);
        assert_eq!(parked.message, message);
        assert_eq!(parked.from.as_deref(), Some("oarlock.start"));
        assert_eq!(parked.user_id.as_deref(), Some("ada"));
        assert_eq!(parked.reason, "no JSON");
        assert!(parked.at.is_some_and(|at| at.as_millis() > 1_700_000_000_000));
        assert_eq!(again.message.headers.len(), 4);
    }

    #[test]
    fn whatever_is_parked_fits() {
        let headers = vec![("large".to_owned(), "x".repeat(200_000))];
        let message = Message { body: vec![b'x'; LARGEST_BODY + 1].into(), headers, ..Message::default() };
        let published = park(&message, "oarlock.start", None, &"ä".repeat(100_000));
        assert_eq!(published.message.body.len(), EXCERPT);
        let bytes: usize =
            published.message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes < 2_000, "{bytes}");
        let parked = Parked::read(published.message, Some("ada".to_owned()));
        assert_eq!(parked.cut_from, Some(LARGEST_BODY as u64 + 1));
        assert_eq!(parked.parked_by.as_deref(), Some("ada"));
    }
}
