//! A first worker: one task, typed.

use oarlock_worker::{TaskContext, TaskError, Worker};

#[derive(serde::Deserialize)]
struct Order {
    amount: u64,
}

async fn charge(order: Order, context: TaskContext) -> Result<u64, TaskError> {
    if order.amount == 0 {
        return Err(TaskError::new("NOTHING_TO_CHARGE", "the order is empty").not_retryable());
    }
    println!("charging {} for attempt {}", order.amount, context.attempt());
    Ok(order.amount * 2)
}

pub fn worker(
    broker: std::sync::Arc<dyn oarlock_broker::Broker>,
) -> Result<Worker, oarlock_worker::BuildError> {
    Worker::builder(broker).slots(8).task("payment.charge", charge).build()
}
