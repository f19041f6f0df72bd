//! One of the protections taken out, to show that the simulation would find it missing. No product code knows of these.

/// What is taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutation {
    /// Nothing.
    #[default]
    None,
    /// The store takes every commit as if it bore its owner's token.
    NoToken,
    /// The store takes every commit of the owner as if it were the next one.
    NoSeq,
    /// The store forgets what belongs into the outbox.
    NoOutbox,
    /// A result counts for whatever attempt of its task is open.
    NoDuplicateCheck,
}

impl Mutation {
    /// Whether every commit is held against what was taken out. Where something is, only what comes of it tells.
    pub(crate) fn is_watched(self) -> bool {
        self == Self::None
    }
}
