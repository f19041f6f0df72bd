//! Executes tasks: the SDK and the runtime of a worker.
//!
//! ```
//! use oarlock_worker::{TaskContext, TaskError, Worker};
//!
//! #[derive(serde::Deserialize)]
//! struct Order { amount: u64 }
//! #[derive(serde::Serialize)]
//! struct Receipt { charged: u64 }
//!
//! async fn charge(order: Order, _context: TaskContext) -> Result<Receipt, TaskError> {
//!     if order.amount > 1_000 {
//!         return Err(TaskError::new("CARD_DECLINED", "the limit is 1000").not_retryable());
//!     }
//!     Ok(Receipt { charged: order.amount })
//! }
//!
//! fn worker(broker: std::sync::Arc<dyn oarlock_broker::Broker>) -> Result<Worker, oarlock_worker::BuildError> {
//!     Worker::builder(broker).slots(8).task("payment.charge", charge).build()
//! }
//! ```
//!
//! A worker knows the broker and the messages; it never sees a store, a definition or the engine.
//!
//! | file | what it is |
//! |---|---|
//! | `builder` | which tasks a worker executes, and its limits |
//! | `handler`, `context`, `error` | what a task's code is, is given and may answer |
//! | `runtime` | takes tasks, runs them, answers |
//! | `metrics` | what `/metrics` tells of it |
//! | `exec`, `http` | the stock bindings: a command, an HTTP request |
//! | `secrets` | puts secrets into inputs, and takes them out of answers |
//! | `settings`, `hosts` | `worker.toml` and `--exec`, and which hosts may be called |

mod builder;
mod context;
mod error;
pub mod exec;
mod flag;
mod handler;
pub mod hosts;
#[cfg(feature = "http")]
pub mod http;
mod later;
mod metrics;
mod runtime;
mod secrets;
pub mod settings;
mod trace;

pub use builder::{BuildError, Builder, Worker, host_name};
pub use context::TaskContext;
pub use error::TaskError;
pub use exec::Exec;
pub use handler::{Answer, Finished, Handler, IntoAnswer, Usage};
#[cfg(feature = "http")]
pub use http::Http;
pub use oarlock_metrics::{Format, Scrape};
pub use runtime::{Drained, Running};
pub use secrets::{ENVIRONMENT_PREFIX, Secrets};
pub use settings::Settings;
