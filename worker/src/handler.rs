//! What executes a task: a typed async function, or anything that takes JSON and answers JSON; and what it may answer.

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use oarlock_protocol::Json;
use oarlock_protocol::code::Code;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{TaskContext, TaskError};

/// Executes the attempts of a task. It may be run many times at once, and twice for one attempt.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Executes one attempt. A panic is a failure with code PANIC.
    async fn run(&self, input: Json, context: TaskContext) -> Finished;

    /// How long the handler needs to end what it has begun once its context is cancelled; then its future is dropped.
    fn end_grace(&self) -> Duration {
        Duration::ZERO
    }
}

/// How a handler ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// What it answers, or why it cannot.
    pub result: Result<Answer, TaskError>,
    /// What it cost, as far as the handler can tell.
    pub usage: Usage,
}

/// What an execution cost; 0 where the handler cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, user and system.
    pub cpu_time_ms: u64,
    /// The greatest resident memory.
    pub memory_bytes: u64,
}

impl From<Result<Answer, TaskError>> for Finished {
    fn from(result: Result<Answer, TaskError>) -> Self {
        Self { result, usage: Usage::default() }
    }
}

impl From<Result<Json, TaskError>> for Finished {
    fn from(result: Result<Json, TaskError>) -> Self {
        result.map(Answer::Completed).into()
    }
}

/// What a handler that did not fail answers. A typed function may return it in the place of its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<O = Json> {
    /// The work is done; this came of it.
    Completed(O),
    /// The work is under way elsewhere: the task is to be looked at again. No retry is spent.
    Deferred {
        /// How much later; at most ten years.
        after: Duration,
        /// What the next look is given as [`TaskContext::state`]; at most 16 KiB of JSON.
        state: Json,
    },
    /// Somebody else completes the task, from outside; until then it stays open.
    Accepted,
}

impl<O> Answer<O> {
    /// To be looked at again so much later, with a state for that look.
    pub fn again(after: Duration, state: impl Into<Json>) -> Self {
        Self::Deferred { after, state: state.into() }
    }
}

/// What a typed function may return: an output that can be written as JSON, or an [`Answer`] that has one.
pub trait IntoAnswer {
    /// The answer, its output written as JSON.
    ///
    /// # Errors
    /// INVALID_OUTPUT where the output has no JSON form.
    fn into_answer(self) -> Result<Answer, TaskError>;
}

impl<O: Serialize> IntoAnswer for O {
    fn into_answer(self) -> Result<Answer, TaskError> {
        write(&self).map(Answer::Completed)
    }
}

// `Answer` itself is not `Serialize`, so this is no second answer to the same question.
impl<O: Serialize> IntoAnswer for Answer<O> {
    fn into_answer(self) -> Result<Answer, TaskError> {
        match self {
            Self::Completed(output) => output.into_answer(),
            Self::Deferred { after, state } => Ok(Answer::Deferred { after, state }),
            Self::Accepted => Ok(Answer::Accepted),
        }
    }
}

/// A handler made of an async function with typed input and output.
pub(crate) struct Typed<F, I> {
    function: F,
    input: PhantomData<fn(I)>,
}

impl<F, I> Typed<F, I> {
    pub(crate) fn new(function: F) -> Self {
        Self { function, input: PhantomData }
    }
}

#[async_trait]
impl<F, I, O, Work> Handler for Typed<F, I>
where
    F: Fn(I, TaskContext) -> Work + Send + Sync + 'static,
    Work: Future<Output = Result<O, TaskError>> + Send + 'static,
    I: DeserializeOwned + Send + 'static,
    O: IntoAnswer + Send + 'static,
{
    async fn run(&self, input: Json, context: TaskContext) -> Finished {
        let input = match read::<I>(&input) {
            Ok(input) => input,
            Err(error) => return Finished { result: Err(error), usage: Usage::default() },
        };
        (self.function)(input, context).await.and_then(IntoAnswer::into_answer).into()
    }
}

fn read<I: DeserializeOwned>(input: &Json) -> Result<I, TaskError> {
    // The path to the fault costs time, so only a second look, after a failure, finds it.
    I::deserialize(input).or_else(|_| serde_path_to_error::deserialize(input)).map_err(|error| {
        let message = match error.path().to_string().as_str() {
            "." => format!("the input cannot be read: {}", error.inner()),
            path => format!("the input cannot be read at `{path}`: {}", error.inner()),
        };
        TaskError::system(Code::InvalidInput, message)
    })
}

fn write<O: Serialize>(output: &O) -> Result<Json, TaskError> {
    serde_json::to_value(output).map_err(|error| {
        TaskError::system(Code::InvalidOutput, format!("the output cannot be written as JSON: {error}"))
            .not_retryable()
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Order {
        #[allow(dead_code, reason = "only its reading is tested")]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    struct Item {
        #[allow(dead_code, reason = "only its reading is tested")]
        sku: String,
    }

    #[test]
    fn an_unreadable_input_names_the_field_and_is_not_retryable() {
        let error = read::<Order>(&json!({"items": [{"sku": "a"}, {"sku": 7}]})).unwrap_err();
        assert_eq!((error.code.as_str(), error.retryable), ("INVALID_INPUT", false));
        assert!(error.message.contains("`items[1].sku`"), "{}", error.message);
        assert!(read::<Order>(&json!({"items": [{"sku": "a"}]})).is_ok());
    }

    #[test]
    fn an_output_that_is_no_json_is_told() {
        let keyed_by_list = std::collections::BTreeMap::from([(vec![1], 2)]);
        let error = write(&keyed_by_list).unwrap_err();
        assert_eq!(error.code, "INVALID_OUTPUT");
    }
}
