//! The same tests over RabbitMQ and one Redis.

const BACKEND: system::Backend = system::Backend::Servers;

#[path = "cancel.rs"]
mod cancel;
#[path = "children.rs"]
mod children;
#[path = "fairness.rs"]
mod fairness;
#[path = "messages.rs"]
mod messages;
#[path = "nodes.rs"]
mod nodes;
#[path = "operations.rs"]
mod operations;
#[path = "pauses.rs"]
mod pauses;
#[path = "readme.rs"]
mod readme;
#[path = "system.rs"]
mod system;
#[path = "take_over.rs"]
mod take_over;
#[path = "whole.rs"]
mod whole;
#[path = "work.rs"]
mod work;
