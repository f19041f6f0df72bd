//! docs/pains.md and the tests that it names: neither goes without the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

/// How many there are.
const PAINS: u32 = 25;
/// How a section says that there is nothing to test.
const CANNOT_HAPPEN: &str = "Cannot happen here: ";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sections of the page by their numbers.
fn sections() -> BTreeMap<u32, String> {
    let page = read_to_string(root().join("docs/pains.md")).unwrap();
    let mut sections = BTreeMap::new();
    for section in page.split("\n## ").skip(1) {
        let number = section.split(['.', ' ']).next().unwrap().parse().unwrap();
        assert!(
            sections.insert(number, section.to_owned()).is_none(),
            "two sections have the number {number}"
        );
    }
    sections
}

/// The tests that a section names: links such as [`name`](../folder/file.rs).
fn named(section: &str) -> Vec<(&str, &str)> {
    let links = section.split("[`").skip(1).filter_map(|rest| rest.split_once("`](../"));
    let read = links.filter_map(|(name, rest)| Some((name, rest.split_once(')')?.0)));
    read.filter(|(_, file)| file.ends_with(".rs")).collect()
}

/// The names of the tests in a file: what stands as a function behind `#[test]` or `#[tokio::test…]`.
fn tests(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut marked = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
            found.insert(rest.split('(').next().unwrap().to_owned());
            marked = false;
        }
    }
    found
}

fn collect(folder: &Path, sources: &mut Vec<(PathBuf, String)>) {
    for entry in read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() && !name.starts_with("target") && name != ".git" {
            collect(&path, sources);
        } else if name.ends_with(".rs") {
            sources.push((path.clone(), read_to_string(path).unwrap()));
        }
    }
}

#[test]
fn every_pain_names_its_tests_or_says_why_it_cannot_happen() {
    let sections = sections();
    assert_eq!(sections.keys().copied().collect::<Vec<_>>(), (1..=PAINS).collect::<Vec<_>>());
    let mut broken = Vec::new();
    for (number, section) in &sections {
        let tests_named = named(section);
        let prefix = format!("pain_{number:02}_");
        let shown = tests_named.iter().any(|(name, _)| name.starts_with(&prefix));
        if !shown && !section.contains(CANNOT_HAPPEN) {
            broken.push(format!("{number}: names no test `{prefix}…`"));
        }
        for (name, file) in tests_named {
            let source = read_to_string(root().join(file)).unwrap_or_default();
            if !tests(&source).contains(name) {
                broken.push(format!("{number}: {file} has no test `{name}`"));
            }
        }
    }
    assert!(broken.is_empty(), "docs/pains.md:\n  {}", broken.join("\n  "));
}

#[test]
fn every_test_of_a_pain_is_named_by_its_section() {
    let sections = sections();
    let mut sources = Vec::new();
    collect(&root(), &mut sources);
    let all = sources.iter().flat_map(|(_, source)| tests(source));
    let pains: Vec<String> = all.filter(|name| name.starts_with("pain_")).collect();
    assert!(pains.len() >= PAINS as usize, "the tests were not found: {pains:?}");
    let is_told = |name: &&String| {
        let number = name["pain_".len()..].split('_').next().and_then(|number| number.parse().ok());
        let section = number.and_then(|number: u32| sections.get(&number));
        section.is_some_and(|section| named(section).iter().any(|(told, _)| told == *name))
    };
    let untold: Vec<_> = pains.iter().filter(|name| !is_told(name)).collect();
    assert!(untold.is_empty(), "docs/pains.md does not name, where their number says: {untold:?}");
}
