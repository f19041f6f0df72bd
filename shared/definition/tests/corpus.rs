//! The corpus: definitions that must be refused, each with what is said about it beside it, and definitions that must
//! read without a word.
//!
//! After a change of wording: `OARLOCK_BLESS=1 cargo test -p oarlock-definition --test corpus`, then read the difference.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test names its line")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use oarlock_definition::{Code, Report, Severity, read};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().unwrap() != "expected").collect();
    files.sort();
    files
}

fn read_file(path: &Path) -> (String, String, Report) {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(path).unwrap();
    let report = read(&name, &text);
    (name, text, report)
}

#[test]
fn every_broken_definition_is_told_as_expected() {
    let bless = std::env::var_os("OARLOCK_BLESS").is_some();
    let mut differing = Vec::new();
    for path in files("broken") {
        let (name, _, report) = read_file(&path);
        let told = report.render(false);
        let expected =
            path.with_extension(format!("{}.expected", path.extension().unwrap().to_str().unwrap()));
        if bless {
            fs::write(&expected, &told).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != told {
            differing.push(format!("{name}:\n{told}"));
        }
    }
    assert!(differing.is_empty(), "not as expected:\n\n{}", differing.join("\n\n"));
}

#[test]
fn every_broken_definition_is_refused_or_warned_of_at_a_place_in_it() {
    let files = files("broken");
    assert!(files.len() >= 75, "only {} broken definitions", files.len());
    for path in files {
        let (name, text, report) = read_file(&path);
        assert!(!report.diagnostics.is_empty(), "{name} is not told");
        assert_eq!(report.has_errors(), !name.contains("warning"), "{name}");
        assert_eq!(report.definition.is_none(), report.has_errors(), "{name}");
        let lines: Vec<&str> = text.split('\n').collect();
        for diagnostic in &report.diagnostics {
            let line =
                lines.get(diagnostic.line - 1).unwrap_or_else(|| panic!("{name}: line {}", diagnostic.line));
            let longest = line.trim_end_matches('\r').chars().count() + 1;
            assert!((1..=longest).contains(&diagnostic.column), "{name}: {diagnostic:?}");
        }
    }
}

#[test]
fn the_corpus_shows_every_code() {
    let step = |number| format!("  - {{id: s{number}, task: x.y, condition: variables.v{number}}}\n");
    // No corpus file: nobody would read its expectation.
    let many = format!("id: many\nversion: 1\ntasks:\n{}", (0..1_000).map(step).collect::<String>());
    let told = files("broken").into_iter().flat_map(|path| read_file(&path).2.diagnostics);
    let told = told.chain(read("many.yaml", &many).diagnostics);
    let told: BTreeSet<&str> = told.map(|diagnostic| diagnostic.code).collect();
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let missing: Vec<&&str> = all.difference(&told).collect();
    assert!(missing.is_empty(), "no broken definition gives {missing:?}");
}

#[test]
fn every_error_says_what_to_do() {
    for path in files("broken") {
        let (name, _, report) = read_file(&path);
        for diagnostic in report.diagnostics {
            let is_clear = diagnostic.help.is_some() || diagnostic.message.starts_with("expected ");
            assert!(is_clear, "{name}: {}", diagnostic.message);
        }
    }
}

#[test]
fn every_good_definition_reads_without_a_word() {
    let files = files("good");
    assert!(files.len() >= 12, "only {} good definitions", files.len());
    for path in files {
        let (name, _, report) = read_file(&path);
        assert!(
            report.definition.is_some() && report.diagnostics.is_empty(),
            "{name}:\n{}",
            report.render(false)
        );
    }
}

#[test]
fn a_good_definition_survives_its_json_form() {
    for path in files("good") {
        let definition = read_file(&path).2.definition.unwrap();
        let json = serde_json::to_string_pretty(&definition).unwrap();
        let again = read("again.json", &json);
        assert!(!again.has_errors(), "{}", again.render(false));
        assert_eq!(
            serde_json::to_value(again.definition.unwrap()).unwrap(),
            serde_json::to_value(definition).unwrap()
        );
        assert!(!again.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error));
    }
}
