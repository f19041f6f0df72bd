//! `oarlock top` on a terminal, against a real server: what it shows, what its keys do, and how it leaves the terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::harness::{Folder, Process, eventually};
use crate::server::Server;

const WORKFLOW: &str = "id: pictures\nversion: 1\ntasks:\n  - {id: resize, task: resize}\n";
/// Leaves the second screen that programs draw on.
const LEAVES: &str = "\u{1b}[?1049l";

/// `oarlock top` on a terminal of 100 columns.
struct Looking {
    process: Process,
    keys: File,
    /// The end that it has, to see how it leaves it.
    end: File,
    written: Arc<Mutex<String>>,
}

impl Looking {
    fn begin(folder: &Folder, server: &str) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let end = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        tcsetwinsize(&end, Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let mut command = folder.command(&["top", "--server", server]);
        let stdio = || Stdio::from(end.try_clone().unwrap());
        command.env("TERM", "xterm").stdin(stdio()).stdout(stdio()).stderr(stdio());
        let process = Process::start_unread(&mut command);
        let keys = File::from(terminal);
        let written = Arc::new(Mutex::new(String::new()));
        let (mut screen, hears) = (keys.try_clone().unwrap(), written.clone());
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut chunk) {
                hears.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..count]));
            }
        });
        Self { process, keys, end, written }
    }

    /// Waits until these words were drawn. Only what changes is, so that blanks may be missing.
    #[track_caller]
    fn shows(&self, words: &str) {
        let words: String = words.split_whitespace().collect();
        eventually(&words, || plain(&self.written.lock().unwrap()).contains(&words));
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// It has ended in order, and the terminal is as it was.
    #[track_caller]
    fn leaves(self) {
        let ended = self.process.end();
        assert_eq!(ended.code, Some(0), "{}", self.written.lock().unwrap());
        eventually("it leaves the second screen", || self.written.lock().unwrap().contains(LEAVES));
        let modes = tcgetattr(&self.end).unwrap().local_modes;
        assert!(
            modes.contains(LocalModes::ECHO | LocalModes::ICANON),
            "the terminal is raw still: {modes:?}"
        );
    }
}

/// A text without escape sequences and blanks.
fn plain(written: &str) -> String {
    let mut characters = written.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => drop(characters.by_ref().find(|next| next.is_ascii_alphabetic())),
            other if other.is_whitespace() => {}
            other => plain.push(other),
        }
    }
    plain
}

#[test]
fn it_says_why_a_queue_waits_and_explains_a_run_and_leaves_the_terminal_as_it_was() {
    let folder = Folder::with(WORKFLOW, &[("other", "true")]);
    let server = Server::start(&folder, &["workflow.yaml"]);
    let run = server.start_run(&folder, &["pictures"]);
    let mut top = Looking::begin(&folder, &server.url());
    top.shows("READY");
    top.shows("1 orchestrator");
    top.shows("resize: 1 task waits, because no worker takes tasks from it");
    top.shows(&run);
    top.press("\t\t\r");
    top.shows("/resize SCHEDULED");
    server.kill();
    // No key waits for an answer.
    top.press("\u{1b}");
    top.shows("cannot be reached");
    top.press("q");
    top.leaves();
}

#[test]
fn a_signal_and_ctrl_c_leave_the_terminal_as_it_was() {
    let folder = Folder::new();
    let by_signal = Looking::begin(&folder, "http://127.0.0.1:1");
    by_signal.shows("cannot be reached");
    by_signal.process.signal(Signal::TERM);
    by_signal.leaves();
    let mut by_key = Looking::begin(&folder, "http://127.0.0.1:1");
    by_key.shows("cannot be reached");
    by_key.press("\u{3}");
    by_key.leaves();
}

#[test]
fn without_a_terminal_it_says_what_prints_once() {
    Folder::new().oarlock(&["top"]).exits(2).says(&["this is none", "`oarlock queues`"]);
}
