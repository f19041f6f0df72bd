//! How urgent a run or a step is: its range, and how it is read where somebody gives it. Which task goes first is
//! decided in `engine`, never here.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::Json;

/// The soonest. Ten are enough to tell the urgent from what can wait, and few enough that each is a class of its own.
pub const HIGHEST: u8 = 9;

/// What a value that is none should have been.
pub const WANTED: &str = "a priority is a whole number from 0 to 9: 9 is the soonest, 4 the default";

/// Reads a field that may hold a priority; used with `#[serde(default)]`, for an absent one.
///
/// # Errors
/// Anything but `null` and a whole number from 0 to [`HIGHEST`]; the error tells what is wanted.
pub fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    let Some(value) = Option::<Json>::deserialize(deserializer)? else { return Ok(None) };
    let number = value.as_u64().and_then(|number| u8::try_from(number).ok());
    number.filter(|number| *number <= HIGHEST).map(Some).ok_or_else(|| D::Error::custom(WANTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_takes_whole_numbers_from_0_to_9_and_tells_so() {
        #[derive(Deserialize)]
        struct Start {
            #[serde(default, deserialize_with = "given")]
            priority: Option<u8>,
        }
        let read = |text: &str| serde_json::from_str::<Start>(text).map(|start| start.priority);
        assert_eq!(read("{}").unwrap(), None);
        assert_eq!(read(r#"{"priority":null}"#).unwrap(), None);
        assert_eq!(read(r#"{"priority":0}"#).unwrap(), Some(0));
        assert_eq!(read(r#"{"priority":9}"#).unwrap(), Some(HIGHEST));
        for wrong in ["10", "-1", "256", "1.5", "\"high\"", "[]"] {
            let error = read(&format!(r#"{{"priority":{wrong}}}"#)).unwrap_err().to_string();
            assert!(error.starts_with(WANTED), "{wrong}: {error}");
        }
    }
}
