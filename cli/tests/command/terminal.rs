//! `oarlock run` on a terminal: the tree of steps and the bar, as they stand on the screen in the end.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::thread::{self, JoinHandle};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::example;
use crate::harness::{Folder, Process};
use crate::iterations;

const COLUMNS: usize = 100;
const ROWS: u16 = 60;

/// Runs the command on a terminal; its exit code and what has been written there.
fn on_a_terminal(folder: &Folder, arguments: &[&str]) -> (Option<i32>, String) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize { ws_row: ROWS, ws_col: u16::try_from(COLUMNS).unwrap(), ws_xpixel: 0, ws_ypixel: 0 };
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let end = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    tcsetwinsize(&end, size).unwrap();
    let mut command = folder.command(arguments);
    let stdio = || Stdio::from(end.try_clone().unwrap());
    command.env("TERM", "xterm").stdin(stdio()).stdout(stdio()).stderr(stdio());
    let process = Process::start_unread(&mut command);
    // The terminal hangs up, which ends the reading, when nobody has its other end any more.
    drop((command, end));
    let written = read_to_its_end(File::from(terminal));
    let code = process.end().code;
    (code, written.join().unwrap())
}

fn read_to_its_end(mut terminal: File) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut written = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = terminal.read(&mut chunk) {
            written.extend_from_slice(&chunk[..count]);
        }
        String::from_utf8_lossy(&written).into_owned()
    })
}

/// As much of a terminal as a progress bar needs.
#[derive(Default)]
struct Screen {
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Screen {
    /// The lines that stand on the screen after all this was written.
    fn after(written: &str) -> Vec<String> {
        let mut screen = Self::default();
        let mut characters = written.chars();
        while let Some(character) = characters.next() {
            match character {
                '\r' => screen.column = 0,
                '\n' => screen.row += 1,
                '\u{1b}' => screen.control(&mut characters),
                other => screen.put(other),
            }
        }
        screen.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect()
    }

    fn put(&mut self, character: char) {
        if self.column == COLUMNS {
            self.column = 0;
            self.row += 1;
        }
        let column = self.column;
        let line = self.line();
        line.resize(line.len().max(column + 1), ' ');
        line[column] = character;
        self.column += 1;
    }

    /// Moves up or down, or clears; what else there is changes no text.
    fn control(&mut self, characters: &mut std::str::Chars<'_>) {
        assert_eq!(characters.next(), Some('['));
        let mut parameter = String::new();
        let command = loop {
            match characters.next().expect("a control sequence has an end") {
                end if end.is_ascii_alphabetic() => break end,
                other => parameter.push(other),
            }
        };
        let count = parameter.parse().unwrap_or(1);
        match (command, parameter.as_str()) {
            ('A', _) => self.row = self.row.saturating_sub(count),
            ('B', _) => self.row += count,
            ('K', "2") => self.line().clear(),
            ('K', _) => {
                let column = self.column;
                self.line().truncate(column);
            }
            _ => {}
        }
    }

    fn line(&mut self) -> &mut Vec<char> {
        if self.lines.len() <= self.row {
            self.lines.resize(self.row + 1, Vec::new());
        }
        &mut self.lines[self.row]
    }
}

const RUN: [&str; 4] =
    ["run", "examples/access-log/workflow.yaml", "--input", "@examples/access-log/input.json"];

#[test]
fn every_step_stands_in_a_tree_as_it_ended() {
    let (code, written) = on_a_terminal(&example::copy(), &RUN);
    let screen = Screen::after(&written);
    assert_eq!(code, Some(0), "{screen:#?}");
    let tree = [
        "worker settings: examples/access-log/worker.toml",
        "check               ✔ COMPLETED",
        "split               ✔ COMPLETED",
        "count               ✔ COMPLETED",
        "  count_first       ✔ COMPLETED",
        "  count_second      ✔ COMPLETED",
        "  count_third       ✔ COMPLETED (attempt 2)",
        "  count_fourth      ✔ COMPLETED",
        "merge               ✔ COMPLETED",
        "weigh               ✔ COMPLETED",
        "compare             ✘ FAILED: NO_EARLIER_REPORT: there is no last-week.txt to compare with",
        "  onError           ✔ COMPLETED",
        "    no_comparison   ✔ COMPLETED",
        "alarm               ↷ SKIPPED",
        "report              ✔ COMPLETED",
        "tidy                ✔ COMPLETED",
    ];
    let squeezed = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        format!("{}{}", " ".repeat(indent), line.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let shown: Vec<_> = screen.iter().take(tree.len()).map(|line| squeezed(line)).collect();
    assert_eq!(shown, tree.map(squeezed), "{screen:#?}");
    let bar = &screen[tree.len()];
    assert!(bar.starts_with(&"█".repeat(40)) && bar.contains(" 15/15 steps"), "{bar}");
    // Then how it ended, once, and the output.
    assert_eq!(screen.iter().filter(|line| line.starts_with("access_log@1 COMPLETED after")).count(), 1);
    assert!(screen.iter().any(|line| line.contains("\"host\": \"SHOP.EXAMPLE\"")), "{screen:#?}");
}

#[test]
fn what_was_not_reached_stays_open_and_the_bar_says_so() {
    let folder = Folder::with(
        "id: w\nversion: 1\ntasks:\n  - {id: first, task: fail}\n  - {id: second, task: fail}\n",
        &[("fail", "exit 1")],
    );
    let (code, written) = on_a_terminal(&folder, &["run", "workflow.yaml"]);
    let screen = Screen::after(&written);
    assert_eq!(code, Some(1), "{screen:#?}");
    assert!(screen[1].starts_with("first  ✘ FAILED: EXIT_1"), "{screen:#?}");
    assert!(screen[2].starts_with("second ·") && screen[3].contains(" 1/2 steps"), "{screen:#?}");
}

#[test]
fn iterations_are_counted_on_the_line_of_their_step() {
    let (code, written) = on_a_terminal(&iterations::folder(), &["run", "workflow.yaml"]);
    let screen = Screen::after(&written);
    assert_eq!(code, Some(0), "{screen:#?}");
    let tree = ["each  ✔ COMPLETED (11 done, 1 failed)", "again ✔ COMPLETED (3 done)"];
    assert_eq!(&screen[1..3], tree, "{screen:#?}");
    assert!(screen[3].contains(" 2/2 steps"), "{screen:#?}");
}

#[test]
fn a_terminal_that_is_asked_for_json_gets_json_alone() {
    let (code, written) = on_a_terminal(&example::copy(), &[&RUN[..], &["--json"]].concat());
    let run: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!((code, &run["status"]), (Some(0), &"COMPLETED".into()));
}
