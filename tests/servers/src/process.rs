//! A process: started so that it ends with this one, signalled and ended by its id.
//!
//! Called by the servers, and by tests that start the project's own programs. Never ends a process by its name.

#![allow(
    unsafe_code,
    reason = "what a child does between fork and exec is told to the standard library in an unsafe block"
)]

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Error, Result, containers, wait};

/// Docker needs a moment to tell that a container has ended.
const END: Duration = Duration::from_secs(10);

/// A running process of this one. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The name of its container, where it runs in one.
    container: Option<String>,
}

impl Process {
    /// Starts a command in a process group of its own, so that a Ctrl-C meant for the tests does not reach it first. On Linux it is
    /// killed when this process dies, however that happens. What it writes is appended to `log`.
    ///
    /// A program that is named without a path is a server's, and may run in a container; of that only its client dies then.
    pub fn start(command: Command, log: &Path) -> Result<Self> {
        let (mut command, container) = contained(command)?;
        let log = File::options().create(true).append(true).open(log);
        let log =
            log.and_then(|log| Ok((log.try_clone()?, log))).map_err(Error::io("the log of a server"))?;
        command.stdin(Stdio::null()).stdout(log.0).stderr(log.1).process_group(0);
        #[cfg(target_os = "linux")]
        {
            let parent = rustix::process::getpid();
            // SAFETY: between fork and exec only two system calls are made; nothing is allocated or locked.
            unsafe { command.pre_exec(move || die_with(parent)) };
        }
        let what = format!("starting {}", command.get_program().to_string_lossy());
        let child = from_a_lasting_thread(command).map_err(Error::io(what))?;
        Ok(Self { child, container })
    }

    /// Its process id; of a container 0 where it does not run.
    pub fn id(&self) -> u32 {
        self.container.as_deref().map_or_else(|| self.child.id(), containers::process_id)
    }

    /// Whether it still runs; a stopped one does.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal, unless it ended before.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if !self.runs() {
            return;
        }
        if let Some(container) = &self.container {
            // A signal to its client would not do: Docker passes on neither KILL nor STOP.
            containers::signal(container, name(signal));
        } else {
            // It can only have ended meanwhile, and then it stays known by this id until it is waited for.
            let _ = kill_process(Pid::from_child(&self.child), signal);
        }
    }

    /// Its exit code once it has ended; none before, and where a signal ended it.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten()?.code()
    }

    /// Stops its processor time: connections stay open and nothing answers, until [`Self::resume`].
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on after [`Self::pause`].
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end: SIGTERM.
    pub fn tell_to_end(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Ends it with SIGKILL and waits for its end.
    pub fn kill(&mut self) {
        if let Some(container) = self.container.clone() {
            // Its client ends when it has ended.
            containers::signal(&container, "KILL");
            let _ = wait::until("a container ends", END, || {
                (!self.runs()).then_some(()).ok_or(container.clone())
            });
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end with SIGTERM, and waits for that.
    pub(crate) fn terminate(&mut self, limit: Duration) -> Result<()> {
        self.signal(Signal::CONT);
        self.signal(Signal::TERM);
        let what = format!("process {} ends after SIGTERM", self.id());
        wait::until(&what, limit, || if self.runs() { Err("it runs".to_owned()) } else { Ok(()) })
    }
}

/// Runs a short command of a server to its end.
pub(crate) fn output(command: Command) -> Result<Output> {
    let (mut command, _) = contained(command)?;
    let what = format!("running {}", command.get_program().to_string_lossy());
    command.stdin(Stdio::null()).output().map_err(Error::io(what))
}

/// The command itself where its program has a path, which is where it is installed; else the same in a container.
fn contained(command: Command) -> Result<(Command, Option<String>)> {
    if Path::new(command.get_program()).is_absolute() {
        return Ok((command, None));
    }
    containers::contain(&command).map(|(command, name)| (command, Some(name)))
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::STOP => "STOP",
        Signal::CONT => "CONT",
        Signal::TERM => "TERM",
        _ => "KILL",
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(target_os = "linux")]
fn die_with(parent: Pid) -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the line above.
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(std::io::ErrorKind::NotFound.into()) }
}

/// What the starting thread is sent: a command, and where its child goes.
type Order = (Command, SyncSender<std::io::Result<Child>>);

/// Starts a command from a thread that lasts as long as this process. Linux kills the child when the *thread* that
/// started it ends; a test's thread ends with the test, a shared server does not.
fn from_a_lasting_thread(command: Command) -> std::io::Result<Child> {
    static STARTER: OnceLock<SyncSender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, orders) = sync_channel::<Order>(0);
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let gone = || std::io::Error::other("the thread that starts servers is gone");
    let (answer, child) = sync_channel(1);
    starter.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
