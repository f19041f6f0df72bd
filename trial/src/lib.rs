//! Tries a workflow definition out: the engine decides as it does in a fleet, tasks answer what a file of mocks says, and
//! time skips to whatever is due next.
//!
//! Called by `oarlock test`. No broker, no store, no worker, no clock: the same file gives the same report each time.

mod coverage;
mod expect;
mod mocks;
mod report;
mod world;

use std::sync::Arc;

use oarlock_engine::{Plan, Settings};
use oarlock_protocol::definition::WorkflowDefinition;

pub use coverage::{Branch, Coverage};
pub use mocks::{Case, Expect, Mock, Mocks, Outcome, SignalMock, Unreadable};
pub use report::{CaseReport, Reached, Report};

/// Tries every case of `mocks` on a definition.
///
/// # Errors
/// The reason why the definition cannot be made ready to run.
pub fn run(
    definition: WorkflowDefinition,
    mocks: &Mocks,
    settings: &Settings,
) -> Result<Report, oarlock_engine::plan::Error> {
    let plan = Plan::compile(Arc::new(definition))?;
    let mut coverage = Coverage::of(&plan);
    let cases = mocks.cases.iter().map(|case| world::play(&plan, case, settings, &mut coverage)).collect();
    Ok(Report { cases, coverage })
}
