//! The macros: forms that evaluate an expression once for every item of a list or key of a map.
//!
//! The parser reads the form, `each` evaluates it, the documentation prints the table. `has` and `get` are no macros
//! of this kind: they have nodes of their own.

use std::ops::RangeInclusive;

/// A macro over a list's items or a map's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Macro {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
    SortBy,
}

impl Macro {
    pub(crate) const ALL: [Macro; 6] =
        [Self::All, Self::Exists, Self::ExistsOne, Self::Map, Self::Filter, Self::SortBy];

    /// The macro of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Exists => "exists",
            Self::ExistsOne => "exists_one",
            Self::Map => "map",
            Self::Filter => "filter",
            Self::SortBy => "sortBy",
        }
    }

    /// How it is written.
    pub(crate) fn form(self) -> &'static str {
        match self {
            Self::All => "list.all(x, condition)",
            Self::Exists => "list.exists(x, condition)",
            Self::ExistsOne => "list.exists_one(x, condition)",
            Self::Map => "list.map(x, value) or list.map(x, condition, value)",
            Self::Filter => "list.filter(x, condition)",
            Self::SortBy => "list.sortBy(x, key)",
        }
    }

    /// What it gives, in a sentence for the documentation.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::All => {
                "Whether the condition holds for every item; true for an empty list. Stops at the first that fails."
            }
            Self::Exists => {
                "Whether the condition holds for at least one item. Stops at the first that does."
            }
            Self::ExistsOne => "Whether the condition holds for exactly one item.",
            Self::Map => "The list of the values; with a condition, of those items only for which it holds.",
            Self::Filter => "The list of the items for which the condition holds.",
            Self::SortBy => {
                "The items in the order of their keys: all numbers, all texts or all bools; equal ones stay as they are."
            }
        }
    }

    /// An example and its result.
    pub(crate) fn example(self) -> (&'static str, &'static str) {
        match self {
            Self::All => ("[1, 2].all(n, n > 0)", "true"),
            Self::Exists => ("[1, 2].exists(n, n > 1)", "true"),
            Self::ExistsOne => ("[1, 2, 2].exists_one(n, n == 2)", "false"),
            Self::Map => ("[1, 2, 3].map(n, n > 1, n * 10)", "[20,30]"),
            Self::Filter => ("{'a': 1, 'b': 2}.filter(key, key != 'a')", r#"["b"]"#),
            Self::SortBy => ("[{'n': 2}, {'n': 1}].sortBy(x, x.n)", r#"[{"n":1},{"n":2}]"#),
        }
    }

    /// How many expressions follow the variable.
    pub(crate) fn bodies(self) -> RangeInclusive<usize> {
        match self {
            Self::Map => 1..=2,
            _ => 1..=1,
        }
    }
}
