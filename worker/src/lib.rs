//! Executes tasks: the SDK and the runtime of a worker.
