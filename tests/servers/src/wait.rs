//! Waiting for what a server will show: looks again and again, until a limit.

use std::time::{Duration, Instant};

use crate::{Error, Result};

/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` returns a value. `Err(text)` says what is there instead: look again.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> std::result::Result<T, String>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(last) if begun.elapsed() >= limit => {
                return Err(Error::TooLate { what: what.to_owned(), seconds: limit.as_secs(), last });
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
