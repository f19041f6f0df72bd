//! The table of functions: each with its form, a sentence, an example and what it does.
//!
//! The parser finds functions here, the evaluator calls them, the documentation prints them and a test checks every
//! example. A function is pure: it gets values and a meter, pays before it makes, and never panics on its arguments.

mod call;
mod encoding;
mod general;
mod list;
mod map;
mod math;
mod text;
mod time;

pub(crate) use call::{Call, Outcome};
use call::{number_of, value_of};

/// One function of the language; `x.name(y)` is `name(x, y)`.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    /// The form in which it is called, with the type of its result.
    pub(crate) signature: &'static str,
    /// What it gives, in a sentence or two.
    pub(crate) about: &'static str,
    /// An expression and the compact JSON of its result.
    pub(crate) example: (&'static str, &'static str),
    /// The fewest and the most arguments.
    pub(crate) arguments: (usize, usize),
    pub(crate) apply: for<'b> fn(Call<'b>) -> Outcome<'b>,
}

impl Function {
    /// Whether it only hands its arguments on, whatever they are.
    pub(crate) fn passes_on(&self) -> bool {
        self.name == "coalesce"
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The functions by subject, in the order of the documentation.
pub(crate) static GROUPS: [(&str, &[Function]); 7] = [
    ("Any value", general::FUNCTIONS),
    ("Text", text::FUNCTIONS),
    ("Numbers", math::FUNCTIONS),
    ("Lists", list::FUNCTIONS),
    ("Maps", map::FUNCTIONS),
    ("Time", time::FUNCTIONS),
    ("Encoding and hashes", encoding::FUNCTIONS),
];

/// Every function.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    GROUPS.iter().flat_map(|(_, functions)| functions.iter())
}

/// The function of that name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}
