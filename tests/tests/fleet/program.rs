//! One process of the binary `oarlock`, with a log of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use oarlock_test_servers::Process;

use super::client::Client;

/// Nothing here takes this long unless it hangs, on a machine that many share.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// An orchestrator or a worker of a fleet. Killed when dropped.
pub(crate) struct Program {
    pub(crate) name: String,
    process: Process,
    log: PathBuf,
}

impl Program {
    /// Starts `oarlock` with these arguments and settings, and nothing else in its environment.
    pub(crate) fn start(
        name: &str,
        folder: &Path,
        arguments: &[&str],
        settings: &[(String, String)],
    ) -> Self {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(folder).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(settings.iter().cloned());
        let log = folder.join(format!("{name}.log"));
        let process = Process::start(command, &log).unwrap();
        Self { name: name.to_owned(), process, log }
    }

    /// What it wrote so far: what it says to people and what it logs.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The first word after `before` in its log, when it is there.
    #[track_caller]
    pub(crate) fn word_after(&mut self, before: &str) -> String {
        let what = format!("{} says '{before}'", self.name);
        until(&what, PATIENCE, || {
            let log = self.log();
            let word = log.lines().find_map(|line| {
                let (_, rest) = line.split_once(before)?;
                Some(rest.split([' ', ';', ',']).next().unwrap_or_default().to_owned())
            });
            assert!(word.is_some() || self.process.runs(), "{} ended:\n{log}", self.name);
            word
        })
    }

    /// Where it answers HTTP, an orchestrator.
    #[track_caller]
    pub(crate) fn client(&mut self) -> Client {
        Client::new(&self.word_after("listening on http://"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.process.runs()
    }

    /// SIGKILL; returns when it is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM; returns at once.
    pub(crate) fn tell_to_end(&mut self) {
        self.process.tell_to_end();
    }

    /// Waits until it has ended, and returns its exit code.
    #[track_caller]
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        until(&format!("{} ends", self.name), PATIENCE, || (!self.process.runs()).then_some(()));
        self.process.exit_code()
    }

    /// SIGSTOP.
    pub(crate) fn pause(&mut self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub(crate) fn resume(&mut self) {
        self.process.resume();
    }
}

/// The binary that was built beside this test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // target/PROFILE/deps/fleet-HASH
    let binary = test.ancestors().nth(2).unwrap().join("oarlock");
    assert!(
        binary.is_file(),
        "these tests start {}, which is not built: run `cargo build -p oarlock`, or `cargo xtask test`",
        binary.display()
    );
    binary
}

/// Looks again and again, at most `limit`, until `look` finds something.
#[track_caller]
pub(crate) fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}
