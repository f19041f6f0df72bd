//! The examples, each on a copy: the commands of its README as they are typed, and what comes of them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use crate::harness::{Ended, Folder, Process, eventually};
use crate::server::Server;

mod approval;
mod nightly_fan_out;
mod order_saga;
mod parent_children;
mod poll_job;
mod scheduled_report;

/// A copy of an example at the path its README names, in a folder of its own.
pub(crate) struct Example {
    pub(crate) folder: Folder,
    name: &'static str,
    readme: String,
}

impl Example {
    /// Copies the example `name`, without what earlier runs left in its `work`.
    pub(crate) fn copy(name: &'static str) -> Self {
        let folder = Folder::new();
        let to = folder.join("examples").join(name);
        fs::create_dir_all(&to).unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        let readme = fs::read_to_string(to.join("README.md")).unwrap();
        Self { folder, name, readme }
    }

    /// The text of one of its files; empty where there is none.
    pub(crate) fn read(&self, file: &str) -> String {
        self.folder.read(&format!("examples/{}/{file}", self.name))
    }

    /// Replaces a text that is there in one of its files.
    #[track_caller]
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{file} has no '{from}'");
        self.folder.write(&format!("examples/{}/{file}", self.name), &text.replace(from, to));
    }

    /// Types a command of the README into a shell, and waits for its end.
    #[track_caller]
    pub(crate) fn types(&self, command: &str) -> Ended {
        self.types_with(command, "")
    }

    /// The same with further arguments, which the README does not have.
    #[track_caller]
    pub(crate) fn types_with(&self, command: &str, more: &str) -> Ended {
        Process::start(&mut self.shell(&format!("{} {more}", self.told(command)))).end()
    }

    /// The same, to a server: `RUN` stands for the run.
    #[track_caller]
    pub(crate) fn types_to(&self, server: &Server, run: &str, command: &str, more: &str) -> Ended {
        let command = self.told(command).replace(" RUN", &format!(" {run}"));
        let mut shell = self.shell(&format!("{command} {more}"));
        Process::start(shell.env("OARLOCK_CLIENT__SERVER", server.url())).end()
    }

    /// Starts the server that a command of the README starts, on a free port.
    #[track_caller]
    pub(crate) fn serves(&self, command: &str) -> Server {
        let arguments = self.told(command).strip_prefix("oarlock dev ").unwrap().to_owned();
        Server::start(&self.folder, &arguments.split(' ').collect::<Vec<_>>())
    }

    /// Tries the definition out as the README says; every case passes, and all of it is taken.
    #[track_caller]
    pub(crate) fn passes(&self, definition: &str, mocks: &str) {
        let path = |file| format!("examples/{}/{file}", self.name);
        let command = format!("oarlock test {} --mocks {}", path(definition), path(mocks));
        let ended = self.types_with(&command, "--coverage 100").exits(0);
        assert!(self.readme.contains(&ended.stdout), "the README does not show this:\n{}", ended.stdout);
    }

    /// Asserts that no process is left in the example's folder.
    #[track_caller]
    pub(crate) fn is_quiet(&self) {
        let folder = self.folder.path().canonicalize().unwrap();
        let works_here = |process: fs::DirEntry| {
            fs::read_link(process.path().join("cwd")).is_ok_and(|place| place.starts_with(&folder))
        };
        eventually("nothing is left running", || {
            !fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(works_here)
        });
    }

    /// The command, if a code block of the README has it as a line.
    #[track_caller]
    fn told<'c>(&self, command: &'c str) -> &'c str {
        let blocks = self.readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        let mut lines = blocks.flat_map(str::lines);
        assert!(lines.any(|line| line == command), "the README does not say `{command}`");
        command
    }

    fn shell(&self, line: &str) -> Command {
        let ours = Path::new(env!("CARGO_BIN_EXE_oarlock")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        shell.env("PATH", format!("{}:{path}", ours.display()));
        shell
    }
}

/// The names of what is at these paths of a run, with their status.
pub(crate) fn statuses<'r>(run: &'r Json, paths: &[&str]) -> Vec<&'r str> {
    paths.iter().map(|path| crate::harness::task(run, path)["status"].as_str().unwrap()).collect()
}
