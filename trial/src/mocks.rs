//! The file of mocks: what each case is started with, what its tasks answer, and what is expected of it.

use std::collections::BTreeMap;

use oarlock_expression::{Limits, Template};
use oarlock_protocol::code::Code;
use oarlock_protocol::{ErrorDetails, Json, JsonMap, Span, TaskPath, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::expect::names;

/// The cases of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mocks {
    /// Played one after the other, each from the start.
    pub cases: Vec<Case>,
}

/// One run of the workflow.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Case {
    /// A sentence that says what it shows.
    pub name: String,
    /// The run's input.
    #[serde(default)]
    pub input: Json,
    /// The permissions of who starts it.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// When it starts; 2026-01-01T00:00:00Z where absent.
    #[serde(default = "begin")]
    pub now: Timestamp,
    /// What tasks and child workflows answer, by place (`/ship_all[0]/ship`, `/ship_all[*]/ship`), by step (`ship`), or by
    /// the name of the task or workflow (`shipping.dispatch`): the first of these that is there.
    #[serde(default)]
    pub tasks: BTreeMap<String, Mock>,
    /// What the run is told, and when.
    #[serde(default)]
    pub signals: Vec<SignalMock>,
    /// The run is cancelled so long after its start.
    #[serde(default)]
    pub cancel_after: Option<Span>,
    /// What must come of it.
    #[serde(default)]
    pub expect: Expect,
}

/// What a task answers: the same to each attempt, or one outcome for each, the last for all that follow.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Mock {
    /// For each attempt.
    Attempts(Vec<Outcome>),
    /// For all.
    Always(Box<Outcome>),
}

/// How one attempt ends. With nothing but `after` it completes without output.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcome {
    /// It completes with this: a value with `${ }` in it, which sees `input`, `attempt` and `taskPath`.
    #[serde(default)]
    pub output: Option<Json>,
    /// It fails.
    #[serde(default)]
    pub fail: Option<Failure>,
    /// It answers DEFERRED: look again so much later.
    #[serde(default)]
    pub deferred: Option<Span>,
    /// With `deferred`: what is handed to the next look.
    #[serde(default)]
    pub state: Json,
    /// It answers ACCEPTED, and is completed so much later with `output` or `fail`.
    #[serde(default)]
    pub accepted: Option<Span>,
    /// Its worker is lost: nothing is heard of it.
    #[serde(default)]
    pub lost: bool,
    /// How long it takes; no time where absent.
    #[serde(default)]
    pub after: Span,
}

/// The error of a failed attempt.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// Its code, such as `CARD_DECLINED`.
    pub code: String,
    /// A sentence.
    #[serde(default)]
    pub message: String,
    /// Whatever else is told.
    #[serde(default)]
    pub details: Json,
    /// Whether another attempt may succeed.
    #[serde(default = "yes")]
    pub retryable: bool,
}

impl From<&Failure> for ErrorDetails {
    fn from(failure: &Failure) -> Self {
        let Failure { code, message, details, retryable } = failure.clone();
        Self { code, message, details, retryable }
    }
}

/// Something the run is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignalMock {
    /// The name a `wait` listens for.
    pub name: String,
    /// So long after the start.
    #[serde(default)]
    pub after: Span,
    /// What is told.
    #[serde(default)]
    pub payload: Json,
}

/// What must come of a case; what is absent is not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// How the run ends.
    #[serde(default)]
    pub status: Option<String>,
    /// Its output, exactly.
    #[serde(default)]
    pub output: Option<Json>,
    /// The code of its error.
    #[serde(default)]
    pub error: Option<String>,
    /// These variables, exactly.
    #[serde(default)]
    pub variables: JsonMap,
    /// These steps are begun, in this order, others between them; by step or place.
    #[serde(default)]
    pub path: Vec<String>,
    /// These steps are not begun.
    #[serde(default)]
    pub not_reached: Vec<String>,
    /// How long the run takes.
    #[serde(default)]
    pub took: Option<Span>,
}

impl Case {
    /// What is said about attempt `attempt` (from 1) of the task `task` at `path`: by place, else by step, else by task.
    pub fn outcome(&self, path: &TaskPath, task: &str, attempt: u32) -> Option<Outcome> {
        let by_pattern = || self.tasks.iter().find(|(name, _)| name.starts_with('/') && names(name, path));
        let by_step = || self.tasks.iter().find(|(name, _)| names(name, path));
        let exact = self.tasks.get(path.as_str());
        let mock = exact.or_else(|| by_pattern().map(|(_, mock)| mock));
        let mock = mock.or_else(|| by_step().map(|(_, mock)| mock)).or_else(|| self.tasks.get(task))?;
        match mock {
            Mock::Always(outcome) => Some((**outcome).clone()),
            Mock::Attempts(outcomes) => {
                let index = (attempt as usize).saturating_sub(1).min(outcomes.len().checked_sub(1)?);
                outcomes.get(index).cloned()
            }
        }
    }
}

impl Outcome {
    /// What the task answers, without how long it takes.
    ///
    /// # Errors
    /// The error it fails with; EXPRESSION_FAILED where its `output` cannot be evaluated.
    pub fn answer(&self, input: &Json, attempt: u32, path: &TaskPath) -> Result<Json, ErrorDetails> {
        if let Some(failure) = &self.fail {
            return Err(failure.into());
        }
        let Some(output) = &self.output else { return Ok(Json::Null) };
        let wrong =
            |reason: String| ErrorDetails::system(Code::ExpressionFailed, format!("mock output{reason}"));
        let template = Template::compile(output).map_err(|errors| {
            let first = errors.first().map(|e| format!("{}: {}", e.pointer, e.error.message));
            wrong(first.unwrap_or_default())
        })?;
        let scope = json!({"input": input, "attempt": attempt, "taskPath": path});
        template
            .evaluate(&scope, &Limits::default())
            .map_err(|e| wrong(format!("{}: {}", e.pointer, e.error.message)))
    }
}

/// A file of mocks that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

impl Mocks {
    /// Reads a file of mocks, YAML or JSON.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn read(file: &str, text: &str) -> Result<Self, Unreadable> {
        let value = oarlock_definition::read_data(file, text)
            .map_err(|diagnostics| Unreadable(diagnostics.iter().map(|d| d.render(false)).collect()))?;
        let mocks: Self = serde_path_to_error::deserialize(value)
            .map_err(|error| Unreadable(format!("{file}: {}: {}", error.path(), error.inner())))?;
        if mocks.cases.is_empty() {
            return Err(Unreadable(format!("{file}: `cases` is empty: there is nothing to try")));
        }
        Ok(mocks)
    }
}

fn begin() -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000)
}

fn yes() -> bool {
    true
}
