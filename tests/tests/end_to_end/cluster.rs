//! The same tests over RabbitMQ and a Redis Cluster of three.

const BACKEND: system::Backend = system::Backend::Cluster;

#[path = "cancel.rs"]
mod cancel;
#[path = "children.rs"]
mod children;
#[path = "messages.rs"]
mod messages;
#[path = "nodes.rs"]
mod nodes;
#[path = "operations.rs"]
mod operations;
#[path = "queues.rs"]
mod queues;
#[path = "readme.rs"]
mod readme;
#[path = "schedules.rs"]
mod schedules;
#[path = "system.rs"]
mod system;
#[path = "take_over.rs"]
mod take_over;
#[path = "whole.rs"]
mod whole;
#[path = "work.rs"]
mod work;
