//! How the command ends. Every exit code is chosen here.

use std::io::Write;
use std::process::ExitCode;

use oarlock_protocol::instance::WorkflowStatus;
use serde_json::json;

/// The codes, as `--help` tells them.
pub(crate) const HELP: &str = "Exit codes: 0 done (a run: COMPLETED), 1 the run ended otherwise, 2 wrong usage or definition, \
3 a server cannot be reached, 4 waited too long.";

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
}

impl Failure {
    /// Wrong usage, a wrong definition, or a request the server refuses.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, kind: "INVALID", message: message.into(), answered: None }
    }

    /// A server cannot be reached, or cannot work now.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self { code: 3, kind: "UNREACHABLE", message: message.into(), answered: None }
    }

    /// The run did not end in the time that was given.
    pub(crate) fn too_long(message: impl Into<String>) -> Self {
        Self { code: 4, kind: "WAITED_TOO_LONG", message: message.into(), answered: None }
    }

    /// Names it by the code of a server's answer, such as NOT_FOUND.
    #[must_use]
    pub(crate) fn answered(self, code: String) -> Self {
        Self { answered: Some(code), ..self }
    }

    /// Tells the failure on stderr; with `json` as an object.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let mut stderr = std::io::stderr().lock();
        let told = match &self.answered {
            answered if json => {
                let code = answered.as_deref().unwrap_or(self.kind);
                writeln!(stderr, "{}", json!({"error": {"code": code, "message": self.message}}))
            }
            Some(code) => writeln!(stderr, "error: {} ({code})", self.message),
            None => writeln!(stderr, "error: {}", self.message),
        };
        // Where stderr is closed there is nobody to tell.
        drop(told);
        ExitCode::from(self.code)
    }
}
