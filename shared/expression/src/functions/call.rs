//! One call of a function: its arguments, read by type, and the meter it pays with.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::budget::Meter;
use crate::number::Number;
use crate::value;

/// What a function gives: a value, borrowed from an argument where it can be, or the reason there is none.
pub(crate) type Outcome<'b> = Result<Cow<'b, Json>, String>;

/// The arguments of a call.
pub(crate) struct Call<'b> {
    arguments: Vec<Cow<'b, Json>>,
    pub(crate) meter: &'b Meter,
}

impl<'b> Call<'b> {
    pub(crate) fn new(arguments: Vec<Cow<'b, Json>>, meter: &'b Meter) -> Self {
        Self { arguments, meter }
    }

    pub(crate) fn count(&self) -> usize {
        self.arguments.len()
    }

    /// An argument; null where the parser let fewer through.
    pub(crate) fn get(&self, index: usize) -> &Json {
        self.arguments.get(index).map_or(&Json::Null, |argument| argument.as_ref())
    }

    /// An argument for passing on.
    pub(crate) fn take(&mut self, index: usize) -> Cow<'b, Json> {
        match self.arguments.get_mut(index) {
            Some(argument) => std::mem::replace(argument, Cow::Owned(Json::Null)),
            None => Cow::Owned(Json::Null),
        }
    }

    /// A text; looking through it once is paid for here.
    pub(crate) fn text(&self, index: usize) -> Result<&str, String> {
        match self.get(index) {
            Json::String(text) => {
                self.meter.scan(text.len())?;
                Ok(text)
            }
            other => Err(wrong(index, "a string", other)),
        }
    }

    pub(crate) fn list(&self, index: usize) -> Result<&[Json], String> {
        match self.get(index) {
            Json::Array(items) => Ok(items),
            other => Err(wrong(index, "a list", other)),
        }
    }

    pub(crate) fn map(&self, index: usize) -> Result<&Map<String, Json>, String> {
        match self.get(index) {
            Json::Object(map) => Ok(map),
            other => Err(wrong(index, "a map", other)),
        }
    }

    pub(crate) fn number(&self, index: usize) -> Result<Number, String> {
        match self.get(index) {
            Json::Number(number) => Ok(Number::of(number)),
            other => Err(wrong(index, "a number", other)),
        }
    }

    /// A whole number of at least zero: a position, a width, a count.
    pub(crate) fn position(&self, index: usize) -> Result<usize, String> {
        let number = self.number(index)?;
        number.whole().and_then(|whole| usize::try_from(whole).ok()).ok_or_else(|| {
            format!("argument {} must be a whole number of at least 0, not {number}", index + 1)
        })
    }

    /// A text that was made by this call; pays for it.
    pub(crate) fn made<'r>(&self, text: String) -> Outcome<'r> {
        self.meter.produce(text.len())?;
        Ok(Cow::Owned(Json::String(text)))
    }

    /// Says that an argument has none of the types the function takes.
    pub(crate) fn wrong(&self, index: usize, wanted: &str) -> String {
        wrong(index, wanted, self.get(index))
    }
}

fn wrong(index: usize, wanted: &str, found: &Json) -> String {
    format!("argument {} must be {wanted}, not {}", index + 1, value::a_type(found))
}

/// A value made by a call that is paid for already, or costs nothing.
pub(crate) fn value_of<'b>(value: impl Into<Json>) -> Outcome<'b> {
    Ok(Cow::Owned(value.into()))
}

/// A number as a call's value.
pub(crate) fn number_of<'b>(number: Number) -> Outcome<'b> {
    number.json().map(Cow::Owned)
}
