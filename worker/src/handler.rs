//! What executes a task: a typed async function, or anything that takes JSON and answers JSON.

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
    /// The task's output, or why there is none.
    pub result: Result<Json, TaskError>,
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

impl From<Result<Json, TaskError>> for Finished {
    fn from(result: Result<Json, TaskError>) -> Self {
        Self { result, usage: Usage::default() }
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
impl<F, I, O, Answer> Handler for Typed<F, I>
where
    F: Fn(I, TaskContext) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<O, TaskError>> + Send + 'static,
    I: DeserializeOwned + Send + 'static,
    O: Serialize + Send + 'static,
{
    async fn run(&self, input: Json, context: TaskContext) -> Finished {
        let input = match read::<I>(&input) {
            Ok(input) => input,
            Err(error) => return Err(error).into(),
        };
        (self.function)(input, context).await.and_then(|output| write(&output)).into()
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
