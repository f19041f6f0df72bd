//! A first worker: one task, with typed input and output.

use oarlock_worker::{BuildError, TaskContext, TaskError, Worker};

#[derive(serde::Deserialize)]
struct Order {
    amount: u64,
}

async fn charge(order: Order, context: TaskContext) -> Result<String, TaskError> {
    if order.amount == 0 {
        return Err(TaskError::new("NOTHING_TO_CHARGE", "the order is empty").not_retryable());
    }
    Ok(format!("charged {} under the key {}", order.amount, context.idempotency_key()))
}

pub fn worker(broker: std::sync::Arc<dyn oarlock_broker::Broker>) -> Result<Worker, BuildError> {
    Worker::builder(broker).slots(8).task("payment.charge", charge).build()
}
