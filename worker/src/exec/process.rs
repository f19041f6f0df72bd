//! A command in a process group of its own: started, signalled, and waited for with what it cost.
//!
//! One thread per command starts it, waits for it, ends what is left of its group, and reaps it, in that order: as long
//! as the leader is not reaped its number is its own, so no signal can hit a stranger. The threads are as many as the
//! worker's slots.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::system;
use crate::handler::Usage;

/// A running command. Dropping it ends its whole group at once.
pub(super) struct Process {
    group: Group,
    pipes: Option<Pipes>,
    exit: oneshot::Receiver<io::Result<Exit>>,
}

/// The worker's ends of the command's pipes.
pub(super) struct Pipes {
    pub(super) stdin: pipe::Sender,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

/// How a command ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    /// Its exit status, or 128 and the signal's number.
    pub(super) code: i32,
    /// What it and the processes it waited for have cost.
    pub(super) usage: Usage,
}

/// A signal to a process group.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    /// Asks it to end.
    Terminate,
    /// Ends it.
    Kill,
}

/// The process group of a command; dropping it ends it. It knows when the number is no longer the group's.
struct Group(Arc<Leader>);

struct Leader {
    pid: libc::pid_t,
    reaped: Mutex<bool>,
}

impl Process {
    /// Starts `command`, whose three streams are piped.
    pub(super) async fn start(command: Command) -> io::Result<Self> {
        let (tell_start, started) = oneshot::channel();
        let (tell_exit, exit) = oneshot::channel();
        // A thread of its own: the runtime's blocking pool would keep the process from stopping while a command runs.
        std::thread::Builder::new()
            .name("oarlock-exec".to_owned())
            .spawn(move || attend(command, tell_start, tell_exit))?;
        let (group, mut child) = started.await.map_err(io::Error::other)??;
        let pipes = Pipes::of(&mut child)?;
        Ok(Self { group, pipes: Some(pipes), exit })
    }

    /// The pipes; they are there once.
    pub(super) fn take_pipes(&mut self) -> Option<Pipes> {
        self.pipes.take()
    }

    /// Signals the whole group, if it still is.
    pub(super) fn signal(&self, signal: Signal) {
        self.group.0.signal(signal);
    }

    /// Returns once the command has ended. Cancel-safe; to be awaited to its end once.
    pub(super) async fn exit(&mut self) -> io::Result<Exit> {
        (&mut self.exit).await.map_err(io::Error::other)?
    }
}

impl Pipes {
    fn of(child: &mut Child) -> io::Result<Self> {
        let missing = || io::Error::other("the command has no pipes");
        let stdin: OwnedFd = child.stdin.take().ok_or_else(missing)?.into();
        let stdout: OwnedFd = child.stdout.take().ok_or_else(missing)?.into();
        let stderr: OwnedFd = child.stderr.take().ok_or_else(missing)?.into();
        Ok(Self {
            stdin: pipe::Sender::from_owned_fd(stdin)?,
            stdout: pipe::Receiver::from_owned_fd(stdout)?,
            stderr: pipe::Receiver::from_owned_fd(stderr)?,
        })
    }
}

impl Leader {
    fn signal(&self, signal: Signal) {
        let number = match signal {
            Signal::Terminate => libc::SIGTERM,
            Signal::Kill => libc::SIGKILL,
        };
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reaped {
            system::signal_group(self.pid, number);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.0.signal(Signal::Kill);
    }
}

/// Starts the command, waits for its end, ends what is left of its group, and reaps it.
fn attend(
    mut command: Command,
    tell_start: oneshot::Sender<io::Result<(Group, Child)>>,
    tell_exit: oneshot::Sender<io::Result<Exit>>,
) {
    let started = command.process_group(0).spawn().and_then(|child| {
        let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
        Ok((Arc::new(Leader { pid, reaped: Mutex::new(false) }), child))
    });
    let (leader, child) = match started {
        Ok(started) => started,
        Err(error) => return drop(tell_start.send(Err(error))),
    };
    let inherited = own_peak_bytes();
    // Where nobody waits for it any more, this drops the group, which ends it.
    drop(tell_start.send(Ok((Group(Arc::clone(&leader)), child))));
    drop(tell_exit.send(wait(&leader, inherited)));
}

fn wait(leader: &Leader, inherited_bytes: u64) -> io::Result<Exit> {
    let ended = system::wait_for_end(leader.pid);
    let mut reaped = leader.reaped.lock().unwrap_or_else(PoisonError::into_inner);
    *reaped = true;
    ended?;
    system::signal_group(leader.pid, libc::SIGKILL);
    system::reap(leader.pid, inherited_bytes)
}

/// The greatest memory this process has had. On Linux a child begins its own count with it, so a smaller command's peak
/// cannot be told; elsewhere it does not.
fn own_peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
