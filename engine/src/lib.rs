//! Decides what a run does next: `(run, event, now) -> changes and effects`.
//!
//! Pure: nothing here awaits, reads a clock, rolls dice or names a server. The same run and event give the same decision,
//! which is why a decision may be made twice. `orchestrator` commits the changes, then performs the effects.

pub mod admission;
pub mod child_message;
pub mod decide;
pub mod effect;
pub mod event;
pub mod map;
pub mod mapping;
pub mod payloads;
pub mod permits;
pub mod plan;
pub mod retry;
pub mod router;
pub mod run;
pub mod schema;
pub mod scope;
pub mod security;
pub mod settings;
pub mod task_message;
pub mod timers;
pub mod view;
pub mod window;

pub use decide::Decider;
pub use effect::Effect;
pub use event::Event;
pub use plan::{NodeId, Plan};
pub use run::Run;
pub use settings::Settings;
pub use timers::Timers;
