//! Collects problems while a definition is read and checked, and turns them into diagnostics at the end.
//!
//! A finding names its place by the path; the bytes of the text are looked up only when it is told.

use std::collections::HashSet;
use std::ops::Range;

use crate::code::{Code, Severity};
use crate::diagnostic::Diagnostic;
use crate::near;
use crate::place::Place;
use crate::source::Source;
use crate::tree::{Node, Spot};

/// More errors, and more warnings, are not told: nobody reads further, and a hostile file must not fill the memory.
pub(crate) const MOST_FINDINGS: usize = 200;

/// What exactly at a place is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The value.
    Value,
    /// The key before the value.
    Key,
    /// These bytes of a text value, as the definition holds it.
    Within(Range<usize>),
    /// These bytes of the file.
    Bytes(Range<usize>),
}

/// One problem, not yet told.
pub(crate) struct Finding {
    code: Code,
    message: String,
    help: Option<String>,
    place: Place,
    mark: Mark,
    other: Option<Place>,
}

impl Finding {
    /// A problem of the value at `place`.
    pub(crate) fn new(code: Code, place: &Place, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            place: place.clone(),
            mark: Mark::Value,
            other: None,
        }
    }

    /// Points at something more exact than the value.
    pub(crate) fn mark(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }

    /// Names a second place that the problem is about; its line is added to the message.
    pub(crate) fn other(mut self, place: &Place) -> Self {
        self.other = Some(place.clone());
        self
    }

    /// Adds what to do about it; of several, each on its own line.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        let help = help.into();
        self.help = Some(match self.help {
            Some(first) => format!("{first}\n{help}"),
            None => help,
        });
        self
    }
}

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    errors: usize,
    warnings: usize,
    holes: HashSet<String>,
    short_forms: HashSet<String>,
}

impl Findings {
    /// Records a problem. Errors and warnings are counted apart, so that many warnings never hide an error.
    pub(crate) fn push(&mut self, finding: Finding) {
        let count = match finding.code.severity() {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= MOST_FINDINGS {
            self.list.push(finding);
        }
    }

    /// Records a problem of the meaning, unless it stands where the definition holds only a stand-in.
    pub(crate) fn push_checked(&mut self, finding: Finding) {
        if !self.is_hole(&finding.place) {
            self.push(finding);
        }
    }

    /// Whether further errors would not be told: then it is not worth looking closely.
    pub(crate) fn is_full(&self) -> bool {
        self.errors >= MOST_FINDINGS
    }

    /// Says that the definition holds a stand-in at `place`, whose problem was told already.
    pub(crate) fn hole(&mut self, place: &Place) {
        self.holes.insert(place.to_string());
    }

    /// Whether `place` is, or lies within, a stand-in.
    pub(crate) fn is_hole(&self, place: &Place) -> bool {
        if self.holes.is_empty() {
            return false;
        }
        let mut at = Some(place);
        while let Some(here) = at {
            if self.holes.contains(&here.to_string()) {
                return true;
            }
            at = here.parent();
        }
        false
    }

    /// Says that the list at `place` is written in its short form, as a mapping.
    pub(crate) fn short_form(&mut self, place: &Place) {
        self.short_forms.insert(place.to_string());
    }

    /// Whether the list at `place` is written as a mapping, whose keys stand for positions.
    pub(crate) fn is_short_form(&self, place: &Place) -> bool {
        !self.short_forms.is_empty() && self.short_forms.contains(&place.to_string())
    }

    /// Gives the last problem a help, if it is about `place` and has none.
    pub(crate) fn advise(&mut self, place: &Place, help: impl FnOnce() -> String) {
        let last = self.list.last_mut().filter(|finding| finding.help.is_none());
        if let Some(finding) = last.filter(|finding| finding.place.to_string() == place.to_string()) {
            finding.help = Some(help());
        }
    }

    /// The known name nearest to `name`; not searched once the list is full.
    pub(crate) fn nearest<'c>(
        &self,
        name: &str,
        known: impl IntoIterator<Item = &'c str>,
    ) -> Option<&'c str> {
        if self.is_full() { None } else { near::nearest(name, known) }
    }

    /// Whether an error was found.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The problems as diagnostics, in the order of the text.
    pub(crate) fn tell(self, source: &Source<'_>, root: Option<&Node>) -> Vec<Diagnostic> {
        let mut told: Vec<Diagnostic> = self.list.iter().map(|finding| finding.tell(source, root)).collect();
        told.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        told.dedup();
        if self.is_full() || self.warnings > MOST_FINDINGS {
            told.push(too_many(source));
        }
        told
    }
}

impl Finding {
    fn tell(&self, source: &Source<'_>, root: Option<&Node>) -> Diagnostic {
        let span = self.span(source, root);
        let (line, column) = source.position(span.start);
        Diagnostic {
            severity: self.code.severity(),
            code: self.code.as_str(),
            message: printable(&self.message) + &self.other_line(source, root),
            file: source.file.to_owned(),
            line,
            column,
            path: printable(&self.place.to_string()),
            excerpt: if source.text.is_empty() { String::new() } else { source.excerpt(span) },
            help: self.help.as_deref().map(printable),
        }
    }

    /// Where the second place is, to follow the message.
    fn other_line(&self, source: &Source<'_>, root: Option<&Node>) -> String {
        let (Some(other), Some(root)) = (&self.other, root) else { return String::new() };
        match root.locate(other) {
            Spot::Exact { node, .. } => format!(" (line {})", source.position(node.span.start).0),
            Spot::Around { .. } => String::new(),
        }
    }

    fn span(&self, source: &Source<'_>, root: Option<&Node>) -> Range<usize> {
        if let Mark::Bytes(span) = &self.mark {
            return span.clone();
        }
        let Some(root) = root else { return 0..0 };
        match (root.locate(&self.place), &self.mark) {
            (Spot::Exact { key, node }, Mark::Key) => key.unwrap_or_else(|| node.span.clone()),
            (Spot::Exact { node, .. }, Mark::Within(range)) => node.within(source, range),
            (Spot::Exact { node, .. }, _) => node.span.clone(),
            (Spot::Around { key, node }, _) => key.unwrap_or_else(|| node.span.clone()),
        }
    }
}

fn too_many(source: &Source<'_>) -> Diagnostic {
    let message = format!(
        "no more than {MOST_FINDINGS} errors and {MOST_FINDINGS} warnings are listed, and there may be more"
    );
    let finding = Finding::new(Code::TooManyProblems, &Place::root(), message);
    finding.help("Mend these first, then check again.").mark(Mark::Bytes(0..0)).tell(source, None)
}

/// A text without control characters: a definition must not steer the terminal it is shown on.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
