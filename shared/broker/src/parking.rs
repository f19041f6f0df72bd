//! The form of a parked message: whole as it was, with headers that tell from where, when and why.
//!
//! Whoever cannot understand a message parks it: orchestrators and workers. Operators look at it and put it back or drop it.

use oarlock_protocol::Timestamp;
use uuid::Uuid;

use crate::port::REASON_HEADER;
use crate::{Message, Publication, topology};

/// The header that names a parked message: a UUID that tells the time.
const ID: &str = "x-parked-id";
/// The header that tells from which queue it came.
const FROM: &str = "x-parked-from";
/// The header that tells which user had published it, as the broker had checked.
const USER: &str = "x-parked-user";

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
    /// As it was.
    pub message: Message,
}

/// The message on its way to where operators look at it.
pub fn park(message: &Message, from: &str, user_id: Option<&str>, reason: &str) -> Publication {
    let mut message = message.clone();
    message.headers.retain(|(name, _)| !is_ours(name));
    let mut add = |name: &str, value: String| message.headers.push((name.to_owned(), value));
    add(REASON_HEADER, reason.to_owned());
    add(ID, Uuid::now_v7().to_string());
    add(FROM, from.to_owned());
    if let Some(user) = user_id {
        add(USER, user.to_owned());
    }
    Publication { queue: topology::PARKED.to_owned(), message }
}

impl Parked {
    /// Reads a parked message.
    pub fn read(mut message: Message) -> Self {
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
            message: Message::default(),
        };
        message.headers.retain(|(name, _)| !is_ours(name));
        Self { message, ..parked }
    }
}

fn is_ours(header: &str) -> bool {
    [ID, FROM, USER, REASON_HEADER].contains(&header)
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
        let parked = Parked::read(published.message);
        assert_eq!(parked.message, message);
        assert_eq!(parked.from.as_deref(), Some("oarlock.start"));
        assert_eq!(parked.user_id.as_deref(), Some("ada"));
        assert_eq!(parked.reason, "no JSON");
        assert!(parked.at.is_some_and(|at| at.as_millis() > 1_700_000_000_000));
        assert_eq!(again.message.headers.len(), 4);
    }
}
