//! The worker of a measurement: it gives back what it is given.

use std::sync::Arc;

use oarlock_broker::Broker;
use oarlock_protocol::Json;
use oarlock_worker::{Running, TaskContext, TaskError, Worker};

use crate::Error;
use crate::shape::{FAILING, TASK};

/// Starts it.
///
/// # Errors
/// The broker does not let it have its control queue.
pub async fn start(broker: Arc<dyn Broker>, slots: usize) -> Result<Running, Error> {
    let builder = Worker::builder(broker).slots(slots).task(TASK, echo).task(FAILING, fail_once);
    let worker = builder.build().map_err(|error| Error::Plan(error.to_string()))?;
    Ok(worker.start().await?)
}

async fn echo(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input)
}

async fn fail_once(input: Json, context: TaskContext) -> Result<Json, TaskError> {
    if context.attempt() > 1 {
        return Ok(input);
    }
    Err(TaskError::new("FIRST", "the first attempt fails"))
}
