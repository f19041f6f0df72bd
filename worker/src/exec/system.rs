//! The system calls that std has no safe form of: waiting with resource usage, and signals to a process group.

#![allow(
    unsafe_code,
    reason = "std can neither wait with rusage nor signal a group; each call is told safe below"
)]

use std::io;

use super::process::Exit;
use crate::handler::Usage;

/// Blocks until the child `pid` has ended, and leaves it to be reaped: until then its number names nothing else.
pub(super) fn wait_for_end(pid: libc::pid_t) -> io::Result<()> {
    let id = libc::id_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: `siginfo_t` is plain data for which zeros are a value; the call writes it and touches nothing else.
    repeat(|| unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, id, &raw mut info, libc::WEXITED | libc::WNOWAIT)
    })
}

/// Reaps the child `pid`, which has ended; its memory counts only beyond `inherited_bytes`.
pub(super) fn reap(pid: libc::pid_t, inherited_bytes: u64) -> io::Result<Exit> {
    let mut status: libc::c_int = 0;
    // SAFETY: `rusage` is plain data for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live locals, which is all the call writes.
    repeat(|| unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) })?;
    let peak = peak_bytes(&usage);
    let memory_bytes = if peak > inherited_bytes { peak } else { 0 };
    let cpu_time_ms = milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
    let code =
        if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
    Ok(Exit { code, usage: Usage { cpu_time_ms, memory_bytes } })
}

/// Sends a signal to the group of `leader`, which must not be reaped yet. A group that has ended is no error.
pub(super) fn signal_group(leader: libc::pid_t, signal: libc::c_int) {
    // SAFETY: takes two numbers and touches no memory. The caller holds the number of a child that is not reaped.
    let _ = unsafe { libc::killpg(leader, signal) };
}

/// Repeats a call while a signal interrupts it; a negative answer is its error.
fn repeat(mut call: impl FnMut() -> libc::c_int) -> io::Result<()> {
    loop {
        if call() >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn milliseconds(time: libc::timeval) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    seconds * 1000 + micros / 1000
}

fn peak_bytes(usage: &libc::rusage) -> u64 {
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit
}
