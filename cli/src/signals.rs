//! How the process is told to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// Hears Ctrl-C and SIGTERM from its making on: what comes before anybody waits is not lost.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to hear. From now on neither ends the process by itself.
    pub(crate) fn hear() -> Result<Self, Failure> {
        let hear =
            |kind| signal(kind).map_err(|error| Failure::usage(format!("signals cannot be heard: {error}")));
        Ok(Self { interrupt: hear(SignalKind::interrupt())?, terminate: hear(SignalKind::terminate())? })
    }

    /// Waits for the next of them, and tells which it was.
    pub(crate) async fn told_to_end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupted by Ctrl-C",
            _ = self.terminate.recv() => "ended by SIGTERM",
        }
    }
}
