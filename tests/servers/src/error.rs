//! What may go wrong with a server of the tests. Every text names the server and what to do or where to look.

/// Why a server of the tests does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is not on this machine: install it.
    #[error("{0} is not installed: `cargo xtask test` installs it or says how")]
    NotInstalled(&'static str),
    /// A server ended where it should run; what it wrote last.
    #[error("{server} ended by itself; the end of its log:\n{log}")]
    Ended {
        /// Which server.
        server: &'static str,
        /// The last lines of its log.
        log: String,
    },
    /// Something did not happen in time.
    #[error("waited {seconds} s in vain until {what}; the last answer: {last}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long, in seconds.
        seconds: u64,
        /// What the last look showed.
        last: String,
    },
    /// A server answered, but not as it should.
    #[error("{request}: {answer}")]
    Refused {
        /// What was asked.
        request: String,
        /// What came.
        answer: String,
    },
    /// A file, a socket or a process.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// For `map_err`: an error of the system, with what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
