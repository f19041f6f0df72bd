//! Takes the values of secrets out of what leaves the worker: `***` stands in their place.
//!
//! Found are a value as it is, escaped as in JSON (also twice), percent-encoded, and in base64. A value shorter than 4 bytes
//! is left alone.

use std::borrow::Cow;
use std::fmt;

use oarlock_protocol::depth::DEEPEST;
use oarlock_protocol::{Json, JsonMap};

use super::coding::View;
use super::forms::{self, Form};
use crate::TaskError;

/// What stands where a secret was.
pub(super) const HIDDEN: &str = "***";
/// How often a text is looked through: what is put together by hiding one secret may be another. Then it is hidden whole.
const MOST_LOOKS: usize = 8;
/// How many bytes of a text one byte of a secret may take: `\\u0041`, and one to spare.
const LONGEST_ESCAPE: usize = 8;

/// The secrets of one attempt, to be hidden in what it answers.
pub(crate) struct Mask {
    forms: Vec<Form>,
}

impl Mask {
    pub(super) fn new(values: impl IntoIterator<Item = String>) -> Self {
        Self { forms: values.into_iter().flat_map(|value| forms::of(&value)).collect() }
    }

    /// A text without the secrets.
    pub(crate) fn text(&self, text: String) -> String {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => text,
            Cow::Owned(hidden) => String::from_utf8_lossy(&hidden).into_owned(),
        }
    }

    /// Bytes that may be a text, without the secrets.
    pub(crate) fn bytes<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut shown = Cow::Borrowed(text);
        for _ in 0..MOST_LOOKS {
            let places = self.places(&shown);
            if places.is_empty() {
                return shown;
            }
            shown = Cow::Owned(without(&shown, &places));
        }
        Cow::Owned(HIDDEN.as_bytes().to_vec())
    }

    /// A value without the secrets: in texts, in keys, and in numbers, which become texts then. One that nests too deeply to be
    /// taken by anybody is cut off where it does.
    pub(crate) fn json(&self, value: Json) -> Json {
        self.within(value, DEEPEST + 1)
    }

    fn within(&self, value: Json, levels: usize) -> Json {
        match value {
            Json::Null | Json::Bool(_) => value,
            Json::Number(number) => {
                let text = number.to_string();
                let shown = self.text(text.clone());
                if shown == text { Json::Number(number) } else { Json::String(shown) }
            }
            Json::String(text) => Json::String(self.text(text)),
            Json::Array(_) | Json::Object(_) if levels == 0 => Json::from(HIDDEN),
            Json::Array(items) => items.into_iter().map(|item| self.within(item, levels - 1)).collect(),
            Json::Object(map) => Json::Object(self.map(map, levels - 1)),
        }
    }

    /// An error without the secrets.
    pub(crate) fn error(&self, error: TaskError) -> TaskError {
        TaskError {
            code: self.text(error.code),
            message: self.text(error.message),
            details: self.json(error.details),
            retryable: error.retryable,
        }
    }

    /// The most bytes of a text that one secret takes: who cuts a text looks so far beyond the cut.
    pub(crate) fn reach(&self) -> usize {
        LONGEST_ESCAPE * self.forms.iter().map(Form::len).max().unwrap_or_default()
    }

    fn map(&self, map: JsonMap, levels: usize) -> JsonMap {
        let mut shown = JsonMap::new();
        for (key, value) in map {
            let mut name = self.text(key);
            // Two keys may have become one; neither value is to be lost.
            let mut number = 1;
            while shown.contains_key(&name) || !self.places(name.as_bytes()).is_empty() {
                number += 1;
                name = format!("{HIDDEN}{number}");
            }
            shown.insert(name, self.within(value, levels));
        }
        shown
    }

    /// Where the secrets stand in a text: in order, apart from each other.
    pub(super) fn places(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut places = Vec::new();
        for form in &self.forms {
            form.find(text, |begin, end| places.push((begin, end)));
        }
        for view in decoded(text) {
            for form in &self.forms {
                form.find(&view.bytes, |begin, end| places.push(view.source(begin, end)));
            }
        }
        apart(places)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask")
    }
}

/// What a text may be read as, beside as it is.
fn decoded(text: &[u8]) -> Vec<View> {
    let mut views = Vec::new();
    let percents = text.contains(&b'%');
    if percents {
        views.push(View::plain(text).percent_decoded());
    }
    if text.contains(&b'+') {
        let spaced = View::plain(text).plus_decoded();
        views.push(if percents { spaced.percent_decoded() } else { spaced });
    }
    if text.contains(&b'\\') {
        let once = View::plain(text).unescaped();
        views.push(once.unescaped());
        views.push(once);
    }
    views
}

/// Places in order, those that touch or overlap as one.
pub(super) fn apart(mut places: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    places.sort_unstable();
    let mut apart: Vec<(usize, usize)> = Vec::with_capacity(places.len());
    for (begin, end) in places {
        match apart.last_mut() {
            Some(last) if begin <= last.1 => last.1 = last.1.max(end),
            _ => apart.push((begin, end)),
        }
    }
    apart
}

pub(super) fn without(text: &[u8], places: &[(usize, usize)]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(text.len());
    let mut at = 0;
    for &(begin, end) in places {
        shown.extend(text.get(at..begin).unwrap_or_default());
        shown.extend(HIDDEN.as_bytes());
        at = end;
    }
    shown.extend(text.get(at..).unwrap_or_default());
    shown
}

#[cfg(test)]
mod tests;
