//! What steps of one kind have beside the fields all steps share: iterations, children, waits, joins, compensation.

use serde::{Deserialize, Serialize};

use super::{RetryPolicy, SwitchCase, Task, TaskKind, TaskTimeouts, Terminate};
use crate::{Json, JsonMap, Span};

/// `forEach`: the steps inside run once for each item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForEach {
    /// A list or a map, usually one `${ expression }`.
    pub items: Json,
    /// The name of the item in expressions; `index` counts from 0, and `key` is the key where the items are a map.
    #[serde(default = "item", rename = "as")]
    pub name: String,
    /// At most so many iterations at once; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How many iterations may fail; none where absent.
    #[serde(default, skip_serializing_if = "Tolerance::is_none")]
    pub tolerate: Tolerance,
    /// An expression, asked after each iteration; where it is true the rest is cancelled and the step is done.
    /// It sees `counts.total`, `counts.completed` and `counts.failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What each iteration gives to the list (or map) that is the step's output; null for one that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect: Option<Json>,
    /// Hands each iteration a list of so many items instead of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
}

/// How many iterations of a `forEach` may fail: a number, or a share such as `10%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "Json", into = "Json")]
pub enum Tolerance {
    /// So many.
    Count(u32),
    /// So many of a hundred, 0 to 100.
    Percent(u8),
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::Count(0)
    }
}

impl Tolerance {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `failed` of `total` are still borne.
    pub fn bears(self, failed: usize, total: usize) -> bool {
        match self {
            Self::Count(count) => failed <= count as usize,
            Self::Percent(share) => failed * 100 <= total * usize::from(share),
        }
    }
}

impl From<Tolerance> for Json {
    fn from(tolerance: Tolerance) -> Json {
        match tolerance {
            Tolerance::Count(count) => count.into(),
            Tolerance::Percent(share) => format!("{share}%").into(),
        }
    }
}

impl TryFrom<Json> for Tolerance {
    type Error = String;

    fn try_from(value: Json) -> Result<Self, String> {
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).map(Self::Count);
        let share = value.as_str().and_then(|text| text.strip_suffix('%')?.trim().parse().ok());
        let share = share.filter(|&share: &u8| share <= 100).map(Self::Percent);
        count.or(share).ok_or_else(|| format!("{value} is neither a number nor a share such as \"10%\""))
    }
}

/// `loop`: the steps inside run again and again, one iteration after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Loop {
    /// An expression, asked before each iteration; where it is false the loop is done.
    #[serde(default, rename = "while", skip_serializing_if = "Option::is_none")]
    pub while_: Option<String>,
    /// An expression, asked after each iteration, which it sees; where it is true the loop is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The pause between two iterations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Span>,
    /// Each pause is so many times the one before.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub backoff_coefficient: f64,
    /// No pause is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Span>,
    /// At most so many iterations; then the step fails with ITERATION_LIMIT.
    #[serde(default = "thousand")]
    pub max: u32,
    /// The latest so many iterations are kept; what was before them is forgotten.
    #[serde(default = "ten")]
    pub keep: u32,
    /// The step's output, evaluated where the last iteration ended: a value with `${ }` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
}

/// `workflow`: starts a run of another workflow, with `inputMappings` as its input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChildWorkflow {
    /// Which workflow.
    pub id: String,
    /// Which version of it; the newest at the start where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Whether the step lasts until the child has ended, and gives its output; else it is done when the child is accepted.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub wait: bool,
}

/// `wait`: the step lasts until a time, or until a signal, or until the first of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "WaitForm", into = "WaitForm")]
pub struct Wait {
    /// What it waits for: the first of them ends it. At least one.
    pub first: Vec<Awaited>,
    /// No longer than this; then `onTimeout` is done, or the step ends TIMED_OUT with TIMEOUT_WAIT.
    pub timeout: Option<Span>,
}

/// One thing a `wait` waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged, rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Awaited {
    /// So long: a span such as `10m`, or one `${ expression }` that gives one.
    Duration {
        /// How long.
        duration: String,
    },
    /// That instant: an RFC 3339 time, or one `${ expression }` that gives one.
    Until {
        /// When.
        until: String,
    },
    /// A signal of this name.
    Signal {
        /// Its name: a text with `${ }` in it.
        signal: String,
        /// JSON Schema of its payload: a signal that does not fit is refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<Json>,
    },
}

/// `join`: how many of the steps inside are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Join {
    /// So many must end COMPLETED.
    pub need: u32,
    /// Whether the others are cancelled then; else they go on, and only what waits for this step goes ahead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_rest: bool,
}

/// `compensateWith`: the task that undoes a step when the run fails later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compensation {
    /// The task that is dispatched.
    pub task: String,
    /// After which outcomes.
    #[serde(default)]
    pub when: CompensationWhen,
    /// What it is given: sees `taskInput` and `taskOutput` of the step it undoes.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub input_mappings: JsonMap,
    /// Instead of the task definition's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Instead of the task definition's, each where present.
    #[serde(default, skip_serializing_if = "TaskTimeouts::is_empty")]
    pub timeouts: TaskTimeouts,
}

/// After which outcomes a step is compensated. An unknown outcome, such as a timeout, is compensated in both cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CompensationWhen {
    /// It was completed.
    #[default]
    Completed,
    /// It was dispatched, even if it failed.
    Attempted,
}

/// The keys of a [`TaskKind`] as they are written: one names the kind, and `tasks` stands beside `forEach` and `loop`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Kind {
    /// Hands the named task to a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// Does the `tasks` beside it once for each item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    for_each: Option<ForEach>,
    /// Does the `tasks` beside it again and again.
    #[serde(default, rename = "loop", skip_serializing_if = "Option::is_none")]
    repeat: Option<Loop>,
    /// A group: its steps in order. Beside `forEach` and `loop`, what each iteration does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<Task>>,
    /// A group whose steps all begin at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parallel: Option<Vec<Task>>,
    /// The first case that holds, and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    switch: Option<Vec<SwitchCase>>,
    /// Gives variables values, with `${ }` in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<JsonMap>,
    /// Ends the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terminate: Option<Terminate>,
    /// Starts a run of another workflow, with `inputMappings` as its input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workflow: Option<ChildWorkflow>,
    /// Waits for a time, for a signal, or for the first of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wait: Option<Wait>,
}

impl From<TaskKind> for Kind {
    fn from(kind: TaskKind) -> Self {
        let none = Self::default();
        match kind {
            TaskKind::Task(task) => Self { task: Some(task), ..none },
            TaskKind::Tasks(tasks) => Self { tasks: Some(tasks), ..none },
            TaskKind::Parallel(tasks) => Self { parallel: Some(tasks), ..none },
            TaskKind::Switch(cases) => Self { switch: Some(cases), ..none },
            TaskKind::Set(values) => Self { set: Some(values), ..none },
            TaskKind::Terminate(terminate) => Self { terminate: Some(terminate), ..none },
            TaskKind::ForEach(each, tasks) => Self { for_each: Some(each), tasks: Some(tasks), ..none },
            TaskKind::Loop(repeat, tasks) => Self { repeat: Some(repeat), tasks: Some(tasks), ..none },
            TaskKind::Workflow(child) => Self { workflow: Some(child), ..none },
            TaskKind::Wait(wait) => Self { wait: Some(wait), ..none },
        }
    }
}

impl TryFrom<Kind> for TaskKind {
    type Error = &'static str;

    fn try_from(keys: Kind) -> Result<Self, &'static str> {
        let Kind { task, for_each, repeat, tasks, parallel, switch, set, terminate, workflow, wait } = keys;
        let (each, repeated, group) = match (for_each, repeat, tasks) {
            (Some(each), None, tasks) => (Some(Self::ForEach(each, tasks.unwrap_or_default())), None, None),
            (None, Some(repeat), tasks) => (None, Some(Self::Loop(repeat, tasks.unwrap_or_default())), None),
            (None, None, tasks) => (None, None, tasks.map(Self::Tasks)),
            (Some(_), Some(_), _) => return Err("a step is either a `forEach` or a `loop`"),
        };
        let kinds = [
            task.map(Self::Task),
            each,
            repeated,
            group,
            parallel.map(Self::Parallel),
            switch.map(Self::Switch),
            set.map(Self::Set),
            terminate.map(Self::Terminate),
            workflow.map(Self::Workflow),
            wait.map(Self::Wait),
        ];
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => Ok(kind),
            (None, _) => Err("a step without a kind"),
            (Some(_), Some(_)) => Err("a step of several kinds"),
        }
    }
}

/// A `wait` as it is written: one thing beside `timeout`, or `first` with several.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WaitForm {
    /// So long: a span such as `10m`, or one `${ expression }` that gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    /// That instant: an RFC 3339 time, or one `${ expression }` that gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// A signal of this name: a text with `${ }` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    /// JSON Schema of the signal's payload: one that does not fit is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema: Option<Json>,
    /// Several things, of which the first that comes ends the wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    first: Vec<Awaited>,
    /// No longer than this; then `onTimeout` is done, or the step ends TIMED_OUT with TIMEOUT_WAIT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Span>,
}

impl From<Wait> for WaitForm {
    fn from(Wait { mut first, timeout }: Wait) -> Self {
        let rest = Self { timeout, ..Self::default() };
        if first.len() != 1 {
            return Self { first, ..rest };
        }
        match first.remove(0) {
            Awaited::Duration { duration } => Self { duration: Some(duration), ..rest },
            Awaited::Until { until } => Self { until: Some(until), ..rest },
            Awaited::Signal { signal, schema } => Self { signal: Some(signal), schema, ..rest },
        }
    }
}

impl TryFrom<WaitForm> for Wait {
    type Error = &'static str;

    fn try_from(form: WaitForm) -> Result<Self, &'static str> {
        let WaitForm { duration, until, signal, schema, mut first, timeout } = form;
        let several = !first.is_empty();
        first.extend(duration.map(|duration| Awaited::Duration { duration }));
        first.extend(until.map(|until| Awaited::Until { until }));
        first.extend(signal.map(|signal| Awaited::Signal { signal, schema }));
        match (several, first.len()) {
            (_, 0) => Err("a `wait` for nothing"),
            (true, _) | (false, 1) => Ok(Self { first, timeout }),
            (false, _) => Err("a `wait` for several things without `first`"),
        }
    }
}

fn item() -> String {
    "item".to_owned()
}

fn one() -> f64 {
    1.0
}

#[allow(clippy::float_cmp, reason = "it is the default exactly or another")]
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

fn thousand() -> u32 {
    1000
}

fn ten() -> u32 {
    10
}

fn yes() -> bool {
    true
}
