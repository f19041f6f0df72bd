//! The limits and defaults a decision depends on: configuration, as plain data.

use oarlock_protocol::Span;
use oarlock_protocol::definition::TaskTimeouts;

use crate::router::Rule;

/// Limits and defaults of every decision.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The largest input, output or variable, in bytes of JSON.
    pub payload_bytes: usize,
    /// The most that one decision stores anew of inputs, outputs and variables, in bytes of JSON: the store refuses a
    /// commit that is too large, again and again. The handlers of a run that failed may store as much once more.
    pub decision_bytes: usize,
    /// The largest snapshot of variables a task is shown without naming them, in bytes of JSON.
    pub snapshot_bytes: usize,
    /// Limits in time where neither step nor task definition names one.
    pub timeouts: TaskTimeouts,
    /// How much later than a worker this side judges a time limit: the worker's answer is on its way then.
    pub slack: Span,
    /// How long an open attempt may take to answer a cancel.
    pub cancel_grace: Span,
    /// How often a task is offered again after workers that do not know it.
    pub refusals: u32,
    /// The pause before it is offered again.
    pub refusal_delay: Span,
    /// The most iterations a `forEach` may have.
    pub iterations: usize,
    /// How many runs may stand above one another, each started by the one above.
    pub depth: u32,
    /// How long a finished run is kept where its definition names no retention.
    pub retention: Span,
    /// Where tasks are sent.
    pub routes: Vec<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            payload_bytes: 1024 * 1024,
            decision_bytes: 64 * 1024 * 1024,
            snapshot_bytes: 16 * 1024,
            timeouts: TaskTimeouts {
                queue: Some(Span::from_secs(24 * 3600)),
                execution: Some(Span::from_secs(3600)),
                heartbeat: Some(Span::from_secs(30)),
                total: None,
            },
            slack: Span::from_secs(5),
            cancel_grace: Span::from_secs(10),
            refusals: 20,
            refusal_delay: Span::from_secs(1),
            iterations: 100_000,
            depth: 16,
            retention: Span::from_secs(7 * 24 * 3600),
            routes: Vec::new(),
        }
    }
}
