//! Reads and checks workflow definitions.
