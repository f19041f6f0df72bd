//! The outbox: what was decided to be published and is not known to be confirmed.
//!
//! All that one commit adds is one field, named by the seq of that commit; it goes when the last of it is confirmed or closed. So a
//! commit of a hundred tasks writes one field and removes another, not a hundred of each. That a field still names what is confirmed
//! or closed by now does no harm: who takes the partition over publishes what is open of it, under the same ids.

use bytes::Bytes;
use oarlock_engine::map::Map;
use uuid::Uuid;

use super::{Place, Unreadable};

/// The field that says so: everything open is to be published again, and is not yet.
pub const EVERYTHING: &str = "everything";

/// The field of what the commit `seq` added.
pub fn field(seq: u64) -> String {
    seq.to_string()
}

/// The seq that a field is named by; none for [`EVERYTHING`].
pub fn seq(field: &str) -> Option<u64> {
    field.parse().ok()
}

/// The value of a field: the attempts, or the runs where it is the ends of these, and their places. None where there are none.
pub fn write<'a>(entries: impl Iterator<Item = (Uuid, &'a Place)>) -> Option<Bytes> {
    let mut text = String::with_capacity(1024);
    for (id, place) in entries {
        let mut buffer = Uuid::encode_buffer();
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push('"');
        text.push_str(id.as_hyphenated().encode_lower(&mut buffer));
        text.push_str("\":");
        text.push_str(&serde_json::to_string(&place.to_string()).ok()?);
    }
    if text.is_empty() {
        return None;
    }
    text.push('}');
    Some(text.into())
}

/// Reads the value of a field.
///
/// # Errors
/// A value that this release cannot read.
pub fn read(value: &[u8]) -> Result<Vec<(Uuid, Place)>, Unreadable> {
    let unreadable = |error: serde_json::Error| Unreadable::new("the outbox", error);
    let entries: Map<Uuid, String> = serde_json::from_slice(value).map_err(unreadable)?;
    entries.into_iter().map(|(id, place)| Ok((id, Place::parse(&place)?))).collect()
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::{RunId, RunKey, TaskPath};

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let run = RunKey::new("acme", RunId::keyed("acme", "d", "k"));
        let places = ["/", "/a", "/fan[3]/x", "/odd\"\n"].map(TaskPath::from);
        let entries: Vec<(Uuid, Place)> = places
            .into_iter()
            .zip(1..)
            .map(|(path, id)| (Uuid::from_u128(id), Place { run: run.clone(), path }))
            .collect();
        let value = write(entries.iter().map(|(id, place)| (*id, place))).unwrap();
        let mut read = read(&value).unwrap();
        read.sort();
        assert_eq!(read, entries);
    }

    #[test]
    fn nothing_is_not_written_and_what_is_no_outbox_is_refused() {
        assert_eq!(write(std::iter::empty()), None);
        for value in ["", "[]", "{\"x\":\"acme/\"}", "{\"67e55044-10b1-426f-9247-bb680e5fe0c8\":\"nowhere\"}"]
        {
            assert!(read(value.as_bytes()).is_err(), "{value}");
        }
        assert_eq!((seq("17"), seq(EVERYTHING), field(17).as_str()), (Some(17), None, "17"));
    }
}
