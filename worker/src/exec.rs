//! A task as a command: its input as JSON on stdin, its output as JSON from stdout.
//!
//! Which commands there are is the worker's configuration (`settings`), never a definition's. A command runs through
//! `sh -c` in a process group of its own, and nothing of the group outlives the attempt.
//!
//! | the command | is answered as |
//! |---|---|
//! | exits with 0 and writes one JSON value (or nothing: `null`) | its output |
//! | exits with 0 and writes something else | INVALID_OUTPUT |
//! | exits with 75 and writes `{"after": "10s", "state": …}` | DEFERRED: it is run again later, with that state |
//! | exits with 76 and writes `{"accepted": true}` | ACCEPTED: somebody else completes the task |
//! | exits with 75 or 76 and writes something else | INVALID_OUTPUT; EXIT_75 or EXIT_76 where it writes nothing |
//! | exits with `n`, or is ended by signal `n - 128` | EXIT_n, the tail of stderr in the details |
//! | exits with `n`, its last line on stderr being `oarlock-error: CODE message` | that code and message |
//! | writes more than a payload may have | PAYLOAD_TOO_LARGE; it is ended |
//!
//! What the command does belongs to the span in `TRACEPARENT`, where the run is traced. The state of the last look is in `OARLOCK_STATE`, as JSON; at the first look there is no such variable. Secrets stand in the
//! input on stdin; the worker's own variables that hold some are not handed on.

mod conversation;
mod interpret;
mod process;
mod system;
mod tail;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use oarlock_protocol::Json;
use oarlock_protocol::code::Code;
use oarlock_protocol::trace::TRACEPARENT_VARIABLE;

use crate::handler::{Finished, Handler, Usage};
use crate::{ENVIRONMENT_PREFIX, TaskContext, TaskError};
use process::Process;

/// The environment variable that holds the state of the last look.
const STATE: &str = "OARLOCK_STATE";
/// How long a command may take to end after SIGTERM, unless configured otherwise.
pub const DEFAULT_KILL_GRACE: Duration = Duration::from_secs(2);
/// What ending costs after the grace: SIGKILL, the last bytes of the pipes, the answer.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// Executes a task by a command.
#[derive(Clone, Debug)]
pub struct Exec {
    command_line: String,
    folder: PathBuf,
    kill_grace: Duration,
}

impl Exec {
    /// Runs `command_line` by `sh -c` in `folder`.
    pub fn new(command_line: &str, folder: PathBuf) -> Self {
        Self { command_line: command_line.to_owned(), folder, kill_grace: DEFAULT_KILL_GRACE }
    }

    /// How long the command may take to end after SIGTERM before it gets SIGKILL; 2 s by default.
    #[must_use]
    pub fn kill_grace(mut self, grace: Duration) -> Self {
        self.kill_grace = grace;
        self
    }

    fn command(&self, context: &TaskContext) -> Command {
        let security = context.security_context();
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.command_line).current_dir(&self.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
            .env("OARLOCK_RUN", context.workflow_instance_id().to_string())
            .env("OARLOCK_TASK_PATH", context.task_path().as_str())
            .env("OARLOCK_ATTEMPT", context.attempt().to_string())
            .env("OARLOCK_EXECUTION_ID", context.execution_id().to_string())
            .env("OARLOCK_IDEMPOTENCY_KEY", context.idempotency_key().to_string())
            .env("OARLOCK_TENANT", &security.tenant_id)
            .env("OARLOCK_USER", &security.user_id);
        match context.state() {
            Some(state) => command.env(STATE, state.to_string()),
            // The worker may run in a command itself.
            None => command.env_remove(STATE),
        };
        match context.traceparent() {
            Some(trace) => command.env(TRACEPARENT_VARIABLE, trace.to_string()),
            // The worker's own is that of whoever started the worker.
            None => command.env_remove(TRACEPARENT_VARIABLE),
        };
        let secrets = std::env::vars_os().map(|(name, _)| name);
        for name in secrets.filter(|name| name.as_encoded_bytes().starts_with(ENVIRONMENT_PREFIX.as_bytes()))
        {
            command.env_remove(name);
        }
        command
    }

    fn not_started(&self, error: &std::io::Error) -> TaskError {
        let folder = self.folder.display();
        let message = format!(
            "'{}' could not be started in {folder}: {error}; check that the folder exists and `sh` is in PATH",
            self.command_line
        );
        TaskError::system(Code::Exit(127), message)
    }
}

#[async_trait]
impl Handler for Exec {
    async fn run(&self, input: Json, context: TaskContext) -> Finished {
        let mut process = match Process::start(self.command(&context)).await {
            Ok(process) => process,
            Err(error) => return Finished { result: Err(self.not_started(&error)), usage: Usage::default() },
        };
        // A JSON value always has a text.
        let input = serde_json::to_vec(&input).unwrap_or_default();
        let limit = context.max_payload_bytes();
        let spoken = conversation::converse(&mut process, &input, limit, self.kill_grace, &context).await;
        let usage = spoken.exit.as_ref().map_or_else(|_| Usage::default(), |exit| exit.usage);
        let result = interpret::result(&self.command_line, limit, spoken, context.mask());
        Finished { result, usage }
    }

    fn end_grace(&self) -> Duration {
        self.kill_grace + AFTER_KILL
    }
}
