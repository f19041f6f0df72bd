//! How the process is told to end.

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Failure;

/// Waits for Ctrl-C or SIGTERM, and tells which it was.
pub(crate) async fn told_to_end() -> Result<&'static str, Failure> {
    let cannot = |e: std::io::Error| Failure::usage(format!("signals cannot be heard: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| "interrupted by Ctrl-C").map_err(cannot),
        _ = terminate.recv() => Ok("ended by SIGTERM"),
    }
}
