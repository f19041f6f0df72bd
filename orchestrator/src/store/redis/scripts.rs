//! The scripts that Redis runs, one a file. [`super::connection`] loads them all; [`super::lane`] calls them.
//!
//! None decides anything beyond the rules of the port: tokens, seqs, ends of leases.

use std::sync::LazyLock;

use redis::Cmd;

/// A script and the name Redis knows it by.
pub(super) struct Script(redis::Script);

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $(
            $(#[$doc])*
            pub(super) static $name: LazyLock<Script> =
                LazyLock::new(|| Script(redis::Script::new(include_str!($file))));
        )*

        /// Every script, to be loaded.
        pub(super) fn all() -> impl Iterator<Item = &'static str> {
            [$(include_str!($file)),*].into_iter()
        }
    };
}

scripts! {
    /// Takes a partition or renews its lease.
    OWN = "own.lua";
    /// Frees a partition.
    RELEASE = "release.lua";
    /// Applies a commit.
    COMMIT = "commit.lua";
    /// Reads rows of a sorted set from a row on.
    PAGE = "page.lua";
    /// Fixes and answers the number of partitions.
    PARTITIONS = "partitions.lua";
    /// Says that a member lives.
    BEAT = "beat.lua";
    /// Takes a member out.
    LEAVE = "leave.lua";
}

impl Script {
    /// A call on these keys; its arguments are to follow.
    pub(super) fn call<K: AsRef<[u8]>>(&self, keys: &[K]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.0.get_hash()).arg(keys.len());
        for key in keys {
            command.arg(key.as_ref());
        }
        command
    }
}
