//! The wire: the broker port, and its adapters in the folders of their names.
//!
//! Everything that crosses a process border goes through [`Broker`]: starts, tasks, results, progress, control.

pub mod embedded;
pub mod parking;
pub mod port;
pub mod rabbitmq;
pub mod topic;
pub mod topology;

pub use port::{
    Acknowledge, Announcement, Broker, Consumer, Delivery, Error, Health, Hears, Message, Publication,
    QueueDeclaration, QueueKind, Subscription,
};
