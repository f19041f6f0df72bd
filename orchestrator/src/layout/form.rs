//! What the stored forms of head and row share. They are JSON, for people with a command line: what is usual or follows
//! from the rest is left out, times are milliseconds from the time at which the thing was made, and small data lies
//! inside, so that most steps are one field.
//!
//! A later release may add fields: one that is not known is ignored, one that is not there has its usual value.

use std::io::{Error, ErrorKind, Write};

use bytes::Bytes;
use oarlock_protocol::{Json, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

/// The largest input or output that lies inside what it belongs to, in bytes of JSON. It is written again with that, as
/// a field of its own is not; below this size another field costs a store more than the bytes.
pub(super) const SMALL: usize = 512;

/// Most heads and rows take less.
const USUAL_BYTES: usize = 512;

/// Whether a field has its usual value, and is left out.
pub(super) fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What differs from the value that follows from the rest.
pub(super) fn unless<T: PartialEq>(value: T, usual: &T) -> Option<T> {
    (value != *usual).then_some(value)
}

/// Reads a field that may be `null`, which is not the same as one that is left out.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A time as milliseconds after `base`. Any two times differ by a number that gives the later one back, if need be by
/// way of an overflow.
pub(super) fn since(base: Timestamp, time: Timestamp) -> i64 {
    time.as_millis().wrapping_sub(base.as_millis())
}

/// The time so many milliseconds after `base`.
pub(super) fn after(base: Timestamp, milliseconds: i64) -> Timestamp {
    Timestamp::from_millis(base.as_millis().wrapping_add(milliseconds))
}

/// An object as it is written, one piece of data after the other.
pub(super) struct Object(Vec<u8>);

impl Object {
    /// The JSON object of `value`, which has at least one field.
    pub(super) fn of(value: &impl Serialize) -> Self {
        let mut json = Vec::with_capacity(USUAL_BYTES);
        // Everything stored is made of words that always have a JSON form.
        let _ = serde_json::to_writer(&mut json, value);
        Self(json)
    }

    /// Puts `data` inside as `name`, where it is small; whether it was.
    pub(super) fn holds(&mut self, name: &str, data: &Json) -> bool {
        let Some(end) = self.0.len().checked_sub(1) else { return false };
        self.0.truncate(end);
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        let most = self.0.len() + SMALL;
        let is_small = serde_json::to_writer(Bounded { json: &mut self.0, most }, data).is_ok();
        if !is_small {
            self.0.truncate(end);
        }
        self.0.push(b'}');
        is_small
    }

    /// The bytes of it.
    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into()
    }
}

/// Takes bytes up to a length, then refuses: nobody writes a megabyte to find that it is no small thing.
struct Bounded<'a> {
    json: &'a mut Vec<u8>,
    most: usize,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if self.json.len() + bytes.len() > self.most {
            return Err(ErrorKind::WriteZero.into());
        }
        self.json.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
