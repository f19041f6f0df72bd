//! The embedded broker: queues in this process, with the semantics of the port.
