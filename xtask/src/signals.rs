//! Ctrl-C and its like: noticed, so that what was started is ended before this program is.
//!
//! Called by `main` once, and by whatever waits.

#![allow(unsafe_code, reason = "the standard library has no signals; each call is told safe below")]

use std::sync::atomic::{AtomicI32, Ordering};

static RECEIVED: AtomicI32 = AtomicI32::new(0);
static CHILD: AtomicI32 = AtomicI32::new(0);

/// From now on SIGINT, SIGTERM and SIGHUP are noted instead of ending this process.
pub(crate) fn watch() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler does nothing but atomic loads, stores and `kill`, all of which a signal handler may do.
        unsafe { libc::signal(signal, note as *const () as libc::sighandler_t) };
    }
}

/// The signal that told this process to end, if one did.
pub(crate) fn received() -> Option<i32> {
    Some(RECEIVED.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// Names the child that is to end with this process; 0 for none.
pub(crate) fn pass_to(child: u32) {
    CHILD.store(i32::try_from(child).unwrap_or(0), Ordering::Relaxed);
}

extern "C" fn note(signal: libc::c_int) {
    RECEIVED.store(signal, Ordering::Relaxed);
    let child = CHILD.load(Ordering::Relaxed);
    // The terminal sends Ctrl-C to the child by itself.
    if child > 0 && signal != libc::SIGINT {
        // SAFETY: a mere system call. The child is not waited for before its id is taken back, so the id is its own.
        unsafe { libc::kill(child, signal) };
    }
}

/// Tells a process group of this program's to end.
pub(crate) fn end_group(id: u32) {
    signal_group(id, libc::SIGTERM);
}

/// Ends a process group of this program's at once; nothing where nobody is left in it.
pub(crate) fn kill_group(id: u32) {
    signal_group(id, libc::SIGKILL);
}

fn signal_group(id: u32, signal: libc::c_int) {
    if let Some(group) = i32::try_from(id).ok().filter(|id| *id > 1) {
        // SAFETY: a mere system call. The group was made for a child of this program, and is named by that child's id.
        unsafe { libc::kill(-group, signal) };
    }
}
