//! Decides what a run does next: pure, without I/O.
