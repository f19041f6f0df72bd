//! Starts the binary in a folder of its own and waits, never longer than [`PATIENCE`], for what it does.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value as Json;

/// Far longer than anything here takes on a busy machine, short enough for a test that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A folder that is gone when the test ends.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with a workflow and the commands of its worker.
    pub(crate) fn with(workflow: &str, commands: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        folder.write("workflow.yaml", workflow);
        folder.commands(commands);
        folder
    }

    /// Writes the worker.toml that runs these tasks as these commands.
    pub(crate) fn commands(&self, commands: &[(&str, &str)]) {
        let lines = commands.iter().map(|(task, command)| format!("\"{task}\" = '''{command}'''\n"));
        self.write("worker.toml", &format!("[exec]\n{}", lines.collect::<String>()));
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.join(name), text).unwrap();
    }

    /// The text of a file; empty where there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.join(name)).unwrap_or_default()
    }

    /// Runs `oarlock` with these arguments to its end.
    pub(crate) fn oarlock(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end()
    }

    /// As [`Folder::oarlock`], with a text on stdin.
    pub(crate) fn oarlock_reading(&self, stdin: &str, arguments: &[&str]) -> Ended {
        let mut process = Process::start(self.command(arguments).stdin(Stdio::piped()));
        process.child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        process.end()
    }

    /// Starts `oarlock` with these arguments.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        Process::start(&mut self.command(arguments))
    }

    /// The command, with nothing in its environment that this machine has set.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oarlock"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }
}

/// A process that does not outlive the test.
pub(crate) struct Process {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts a command whose output is gathered.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = Self::start_unread(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        process.stdout = process.child.stdout.take().map(gather);
        process.stderr = process.child.stderr.take().map(gather);
        process
    }

    /// As [`Process::start`], with its stdout handed out.
    pub(crate) fn start_talking(command: &mut Command) -> (Self, ChildStdout) {
        let mut process = Self::start_unread(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let stdout = process.child.stdout.take().unwrap();
        process.stderr = process.child.stderr.take().map(gather);
        (process, stdout)
    }

    /// Starts a command that writes elsewhere.
    pub(crate) fn start_unread(command: &mut Command) -> Self {
        Self { child: command.spawn().unwrap(), stdout: None, stderr: None }
    }

    pub(crate) fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).unwrap();
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        eventually("the process ends", || self.child.try_wait().unwrap().is_some());
        let code = self.child.wait().unwrap().code();
        let text = |gathered: Option<JoinHandle<String>>| gathered.map(|thread| thread.join().unwrap());
        let stdout = text(self.stdout.take()).unwrap_or_default();
        let stderr = text(self.stderr.take()).unwrap_or_default();
        Ended { code, stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Ended {
    /// Asserts its exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that stderr says all of this.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "'{text}' is missing in stderr:\n{}", self.stderr);
        }
        self
    }

    /// Stdout, which has to be JSON and nothing else.
    #[track_caller]
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e} in stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr))
    }
}

/// Looks again and again until `holds`.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(LOOK_AGAIN);
    }
}

/// The task of a run (as JSON) that stands at this path.
#[track_caller]
pub(crate) fn task<'a>(run: &'a Json, path: &str) -> &'a Json {
    let tasks = run["taskInstances"].as_array().expect("a run has tasks");
    let found = tasks.iter().find(|task| task["executionContext"]["taskPath"] == path);
    found.unwrap_or_else(|| panic!("there is no {path} in {run:#}"))
}

fn gather(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
