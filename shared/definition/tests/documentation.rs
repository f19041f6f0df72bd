//! docs/definitions.md stays true: its definitions read as it says, and its table has every code.
//!
//! After a new code: `OARLOCK_BLESS=1 cargo test -p oarlock-definition --test documentation` writes the table anew.

#![allow(clippy::unwrap_used, reason = "a failing test names its line")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use oarlock_definition::{Code, Severity, read};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/definitions.md")
}

/// The code blocks of the page that say what they are: the words behind `yaml`, the line, the text.
fn blocks(page: &str) -> Vec<(String, usize, String)> {
    let mut blocks: Vec<(String, usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(info) => {
                open = true;
                blocks.push((info.to_owned(), number + 2, String::new()));
            }
            None if open => writeln!(blocks.last_mut().unwrap().2, "{line}").unwrap(),
            None => {}
        }
    }
    blocks
}

#[test]
fn every_complete_definition_reads_without_a_word() {
    let page = fs::read_to_string(path()).unwrap();
    let complete: Vec<_> = blocks(&page).into_iter().filter(|(info, ..)| info == "yaml complete").collect();
    assert!(complete.len() >= 6, "only {} complete definitions", complete.len());
    for (_, line, text) in complete {
        let report = read("definitions.md", &text);
        let is_good = report.definition.is_some() && report.diagnostics.is_empty();
        assert!(is_good, "the block at line {line}:\n{}", report.render(false));
    }
}

#[test]
fn every_trap_is_told_by_the_codes_it_is_marked_with() {
    let page = fs::read_to_string(path()).unwrap();
    let all = blocks(&page);
    let broken =
        all.iter().filter_map(|(info, line, text)| Some((info.strip_prefix("yaml broken ")?, line, text)));
    let broken: Vec<_> = broken.collect();
    assert!(broken.len() >= 5, "only {} traps", broken.len());
    for (codes, line, text) in broken {
        let report = read("definitions.md", text);
        let told: BTreeSet<&str> = report.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        let expected: BTreeSet<&str> = codes.split(' ').collect();
        assert_eq!(told, expected, "the block at line {line}:\n{}", report.render(false));
    }
}

#[test]
fn the_table_has_every_code() {
    let (begin, end) = ("<!-- codes -->\n", "<!-- /codes -->");
    let page = fs::read_to_string(path()).unwrap();
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let mut table = "| code | | meaning |\n|---|---|---|\n".to_owned();
    for code in Code::ALL {
        let severity = if code.severity() == Severity::Error { "error" } else { "warning" };
        writeln!(table, "| `{}` | {severity} | {} |", code.as_str(), code.meaning()).unwrap();
    }
    let expected = format!("{before}{begin}{table}{end}{after}");
    if std::env::var_os("OARLOCK_BLESS").is_some() {
        fs::write(path(), &expected).unwrap();
    }
    assert!(
        fs::read_to_string(path()).unwrap() == expected,
        "the table of codes is out of date: OARLOCK_BLESS=1 writes it"
    );
}
