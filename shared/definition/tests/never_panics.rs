//! Whatever text comes in, reading it ends, never panics, and its report holds together.
//!
//! The bodies are those of the fuzz target `definition_parse`, here with a seed and a bounded number of cases.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test names its line")]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use oarlock_definition::{Severity, check, read};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Every file of the corpus, good and broken.
static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = ["good", "broken"].into_iter().flat_map(|folder| fs::read_dir(corpus.join(folder)).unwrap());
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().unwrap() != "expected");
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
});

/// What YAML, JSON and expressions stumble over.
const FRAGMENTS: &[&str] = &[
    "\n",
    "\r",
    "\t",
    "  ",
    "- ",
    ": ",
    " #",
    "${",
    "}",
    "{",
    "[",
    "]",
    "\"",
    "'",
    "\\",
    "\\u",
    "!",
    "!!",
    "&a ",
    "*a",
    "|\n",
    ">-\n",
    "? ",
    "<<: ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "\u{feff}",
    "\u{0}",
    "\u{85}",
    "\u{2028}",
    "é",
    "👋",
    "0",
    "007",
    "1e999",
    "NO",
    "~",
    "tasks:",
    "id:",
    "dependsOn: []",
    "switch:",
    "forEach: {items: [1], as: i}\n",
    "loop: {until: index > 1}\n",
    "wait: {first: [{signal: s}]}\n",
    "workflow: {id: w}\n",
    "join: {need: 1}\n",
    "compensateWith: {task: t}\n",
    "onTimeout:",
    "${ item }",
    "${ secrets.s }",
    "counts.total",
    "$${",
    "variables.",
    "tasks.",
    "``",
    "@",
    ",",
    "null",
    "\u{1b}[31m",
];

/// A runner that tries the same cases every time; `PROPTEST_CASES` asks for more, `PROPTEST_RNG_SEED` for others.
fn runner(cases: u32) -> TestRunner {
    let asked = Config::default();
    let rng_seed = match asked.rng_seed {
        RngSeed::Random => RngSeed::Fixed(7),
        RngSeed::Fixed(seed) => RngSeed::Fixed(seed),
    };
    TestRunner::new(Config { cases: cases.max(asked.cases), rng_seed, failure_persistence: None, ..asked })
}

fn holds_together(file: &str, text: &str) -> Result<(), TestCaseError> {
    let report = read(file, text);
    prop_assert_eq!(report.definition.is_none(), report.has_errors());
    let lines = 1 + text.chars().filter(|c| matches!(c, '\n' | '\r')).count();
    for diagnostic in &report.diagnostics {
        prop_assert!((1..=lines).contains(&diagnostic.line), "{:?}", diagnostic);
        prop_assert!((1..=text.chars().count() + 1).contains(&diagnostic.column), "{:?}", diagnostic);
        let told = format!("{}{}", diagnostic.render(false), diagnostic.path);
        prop_assert!(!told.chars().any(|c| c.is_control() && c != '\n'), "{:?}", diagnostic);
    }
    if let Some(definition) = &report.definition {
        let again = check(definition);
        prop_assert!(again.iter().all(|diagnostic| diagnostic.severity == Severity::Warning), "{:?}", again);
    }
    Ok(())
}

#[test]
fn arbitrary_text_is_read_to_an_end() {
    let text = prop_oneof![
        any::<String>(),
        "[ -~\n]{0,200}",
        prop::collection::vec(select(FRAGMENTS), 0..40).prop_map(|all| all.concat())
    ];
    let file = select(&["f.yaml", "f.json"][..]);
    runner(3_000).run(&(file, text), |(file, text)| holds_together(file, &text)).unwrap();
}

#[test]
fn changed_definitions_are_read_to_an_end() {
    let change = (any::<Index>(), any::<Index>(), select(FRAGMENTS));
    let changes = prop::collection::vec(change, 1..6);
    let file = select(&["f.yaml", "f.json"][..]);
    let cases = (file, any::<Index>(), changes);
    runner(4_000)
        .run(&cases, |(file, which, changes)| {
            let mut text: Vec<char> = which.get(&CORPUS).chars().collect();
            for (from, length, fragment) in changes {
                let from = from.index(text.len() + 1);
                let to = text.len().min(from + length.index(12));
                text.splice(from..to, fragment.chars());
            }
            holds_together(file, &text.into_iter().collect::<String>())
        })
        .unwrap();
}

#[test]
fn definitions_cut_and_joined_are_read_to_an_end() {
    let cases = (any::<Index>(), any::<Index>(), any::<Index>(), any::<Index>());
    runner(2_000)
        .run(&cases, |(first, second, cut, join)| {
            let (first, second) = (first.get(&CORPUS), second.get(&CORPUS));
            let lines = |text: &'static str| text.split_inclusive('\n').collect::<Vec<_>>();
            let (first, second) = (lines(first), lines(second));
            let mut text = first[..cut.index(first.len() + 1)].concat();
            text += &second[join.index(second.len() + 1)..].concat();
            holds_together("f.yaml", &text)
        })
        .unwrap();
}
