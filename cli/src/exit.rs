//! How the command ends. Every exit code is chosen here.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use oarlock_protocol::RunId;
use oarlock_protocol::instance::WorkflowStatus;
use serde_json::{Value, json};

use crate::secret;

/// The codes, as `--help` tells them.
pub(crate) const HELP: &str = "Exit codes: 0 done (a run: COMPLETED), 1 the run ended otherwise, 2 wrong usage or definition, \
3 a server cannot be reached, 4 waited too long, or the server is not ready.";

/// The exit code of a run that ended so.
pub(crate) fn of_run(status: WorkflowStatus) -> ExitCode {
    ExitCode::from(u8::from(status != WorkflowStatus::Completed))
}

/// Why the command could not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    kind: &'static str,
    message: String,
    /// The code a server gave it.
    answered: Option<String>,
    /// The run it is about, which goes on.
    run: Option<RunId>,
}

impl Failure {
    /// Wrong usage, a wrong definition, or a request the server refuses.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(2, "INVALID", message)
    }

    /// A server cannot be reached, or cannot work now.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(3, "UNREACHABLE", message)
    }

    /// The run did not end in the time that was given.
    pub(crate) fn too_long(message: impl Into<String>) -> Self {
        Self::new(4, "WAITED_TOO_LONG", message)
    }

    /// The server answers that it cannot work now.
    pub(crate) fn not_ready(message: impl Into<String>) -> Self {
        Self::new(4, "NOT_READY", message)
    }

    fn new(code: u8, kind: &'static str, message: impl Into<String>) -> Self {
        Self { code, kind, message: secret::hide(&message.into()), answered: None, run: None }
    }

    /// Whether another server, or the same one later, may do what was asked.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.code == 3
    }

    /// Names the run it is about.
    #[must_use]
    pub(crate) fn about(self, run: RunId) -> Self {
        Self { run: Some(run), ..self }
    }

    /// Names it by the code of a server's answer, such as NOT_FOUND.
    #[must_use]
    pub(crate) fn answered(self, code: String) -> Self {
        Self { answered: Some(code), ..self }
    }

    /// Says what to do next, where a server answered with that code.
    #[must_use]
    pub(crate) fn with_remedy(mut self, code: &str, remedy: &str) -> Self {
        if self.answered.as_deref() == Some(code) {
            self.message.push_str("; ");
            self.message.push_str(remedy);
        }
        self
    }

    /// Tells the failure on stderr; with `json` as an object.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let mut stderr = std::io::stderr().lock();
        let told = match &self.answered {
            answered if json => {
                let code = answered.as_deref().unwrap_or(self.kind);
                let mut error = json!({"code": code, "message": self.message});
                if let (Some(run), Value::Object(error)) = (&self.run, &mut error) {
                    error.insert("run".to_owned(), json!(run));
                }
                writeln!(stderr, "{}", json!({"error": error}))
            }
            Some(code) => {
                // The code stands with the sentence, before a list that follows it.
                let (sentence, list) =
                    self.message.split_at(self.message.find('\n').unwrap_or(self.message.len()));
                writeln!(stderr, "error: {sentence} ({code}){list}")
            }
            None => writeln!(stderr, "error: {}", self.message),
        };
        // Where stderr is closed there is nobody to tell.
        drop(told);
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
