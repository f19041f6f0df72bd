//! The tests over the embedded broker and the store in memory.

const BACKEND: system::Backend = system::Backend::Embedded;

#[path = "cancel.rs"]
mod cancel;
#[path = "children.rs"]
mod children;
#[path = "children_faults.rs"]
mod children_faults;
#[path = "fairness.rs"]
mod fairness;
#[path = "faults.rs"]
mod faults;
#[path = "iterations.rs"]
mod iterations;
#[path = "limits.rs"]
mod limits;
#[path = "lost_answers.rs"]
mod lost_answers;
#[path = "messages.rs"]
mod messages;
#[path = "nodes.rs"]
mod nodes;
#[path = "operations.rs"]
mod operations;
#[path = "pauses.rs"]
mod pauses;
#[path = "payloads.rs"]
mod payloads;
#[path = "readme.rs"]
mod readme;
#[path = "rolled_back.rs"]
mod rolled_back;
#[path = "schemas.rs"]
mod schemas;
#[path = "system.rs"]
mod system;
#[path = "take_over.rs"]
mod take_over;
#[path = "timers.rs"]
mod timers;
#[path = "whole.rs"]
mod whole;
#[path = "work.rs"]
mod work;
