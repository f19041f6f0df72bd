//! What a program can check of the house style: sizes, headers, who may name what, links, words that must not stay.
//!
//! Reads the whole tree. Each test names every place that breaks its rule, not only the first.

#![allow(clippy::unwrap_used, reason = "a failing test names its line")]

use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use oarlock_protocol::code::Code;

/// Larger ones hold more than one thing. Files of tests are lists of cases and may be longer.
const LONGEST_FILE: usize = 400;
const LONGEST_TEST_FILE: usize = 600;
/// A function that fits one screen can be read at once.
const LONGEST_FUNCTION: usize = 70;

/// A file of the tree.
struct File {
    /// Its path from the root of the tree.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// The lines with their numbers, without what follows `//`.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or(line)))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file that belongs to the project.
fn tree() -> Vec<File> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    assert!(files.iter().filter(|file| file.is_rust()).count() > 50, "the tree was not found");
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let built = name.starts_with("target") || ["corpus", "artifacts", ".git"].contains(&name.as_str());
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() && !built {
            collect(&entry.path(), &format!("{path}/"), files);
        } else if [".rs", ".md", ".toml", ".yaml", ".json", ".sh"].iter().any(|end| name.ends_with(end)) {
            files.push(File { path, text: read_to_string(entry.path()).unwrap_or_default() });
        }
    }
}

fn assert_none(broken: Vec<String>, rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn no_file_is_too_long() {
    let limit = |file: &File| if file.is_test() { LONGEST_TEST_FILE } else { LONGEST_FILE };
    let files = tree().into_iter().filter(File::is_rust).map(|file| (file.text.lines().count(), file));
    let long = files.filter(|(lines, file)| *lines > limit(file));
    let named = long.map(|(lines, file)| format!("{}: {lines} lines", file.path)).collect();
    assert_none(named, "a file has at most 400 lines, one of tests 600");
}

#[test]
fn no_function_is_too_long() {
    let files = tree().into_iter().filter(File::is_rust);
    let long = files.flat_map(|file| long_functions(&file)).collect();
    assert_none(long, "a function has at most 70 lines");
}

/// By the layout of rustfmt: a function ends at the first `}` that stands as deep as its `fn`, a mere signature at its `);`.
fn long_functions(file: &File) -> Vec<String> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| declares_function(line)) {
        let indent = &line[..line.len() - line.trim_start().len()];
        let ends = |rest: &str| rest == "}" || (rest.starts_with(')') && rest.ends_with(';'));
        let ends = |line: &&str| line.strip_prefix(indent).is_some_and(ends);
        let length = 1 + lines[start..].iter().position(ends).unwrap_or(0);
        if length > LONGEST_FUNCTION {
            long.push(format!("{}:{}: {length} lines: {}", file.path, start + 1, line.trim()));
        }
    }
    long
}

fn declares_function(line: &str) -> bool {
    let Some((before, rest)) = line.split_once("fn ") else { return false };
    let qualifies = |word: &str| word.starts_with("pub") || ["const", "async", "unsafe"].contains(&word);
    let is_one_line = rest.ends_with('}') || rest.ends_with(';');
    !is_one_line && before.split_whitespace().all(qualifies)
}

#[test]
fn every_file_says_what_it_is() {
    let silent = tree().into_iter().filter(|file| file.is_rust() && !file.text.starts_with("//! "));
    assert_none(silent.map(|file| file.path).collect(), "a file opens with `//!`: what it is, who calls it");
}

#[test]
fn the_engine_and_the_monitor_are_pure() {
    let banned = ["tokio", "lapin", "redis", "SystemTime", "Instant", "rand", "async", "await"];
    let made_up = ["now_v7", "new_v4", "Utc::now", "Local::now", "RunId::random", "WorkerId::fresh"];
    let mut broken = Vec::new();
    let pure = |path: &str| ["engine/src/", "monitor/src/"].iter().any(|house| path.starts_with(house));
    for file in tree().into_iter().filter(|file| pure(&file.path)) {
        // What a decision costs is measured by a clock.
        let measures = file.path.ends_with("_cost.rs");
        for (number, line) in file.code() {
            let named = banned.iter().find(|word| has_word(line, word) && !(measures && **word == "Instant"));
            let named = named.or(made_up.iter().find(|text| line.contains(**text)));
            broken.extend(named.map(|word| format!("{}:{number}: {word}", file.path)));
        }
    }
    assert_none(broken, "engine and monitor take time and ids as data, and do no I/O");
    for house in ["engine", "monitor"] {
        let manifest = read_to_string(root().join(house).join("Cargo.toml")).unwrap();
        let needed = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        let named = banned.iter().filter(|word| needed.lines().any(|line| line.starts_with(**word)));
        assert_none(named.map(|word| format!("{house}: {word}")).collect(), "they depend on no I/O");
    }
}

#[test]
fn only_the_broker_names_lapin() {
    let elsewhere = tree().into_iter().filter(|file| !file.path.starts_with("shared/broker/"));
    let code = elsewhere.filter(|file| file.path.ends_with("/Cargo.toml") || file.is_rust());
    let code = code.filter(|file| !file.path.ends_with("tidy.rs"));
    let named = code.filter(|file| file.code().any(|(_, line)| has_word(line, "lapin")));
    assert_none(named.map(|file| file.path).collect(), "only shared/broker names lapin");
}

#[test]
fn only_the_calendar_of_schedules_knows_time_zones() {
    let house = "engine/src/schedule/calendar.rs";
    let elsewhere = tree().into_iter().filter(|file| file.is_rust() && file.path != house);
    let code = elsewhere.filter(|file| !file.path.ends_with("tidy.rs"));
    let named = code
        .filter(|file| file.code().any(|(_, line)| has_word(line, "chrono_tz") || has_word(line, "croner")));
    assert_none(
        named.map(|file| file.path).collect(),
        "only engine/src/schedule/calendar.rs knows time zones",
    );
}

#[test]
fn only_the_redis_store_names_redis() {
    let houses = ["orchestrator/src/store/redis", "orchestrator/benches/redis.rs"];
    let elsewhere =
        tree().into_iter().filter(|file| !houses.iter().any(|house| file.path.starts_with(house)));
    let names = |file: &File| {
        if file.path.starts_with("orchestrator/") {
            // Modules may have the name; the library is what paths begin with.
            let calls = |line: &str| line.contains(" redis::") || line.contains("(redis::");
            file.is_rust() && file.code().any(|(_, line)| calls(line))
        } else {
            // A crate cannot use what it does not depend on.
            file.path.ends_with("/Cargo.toml") && file.code().any(|(_, line)| line.starts_with("redis"))
        }
    };
    let named = elsewhere.filter(names).map(|file| file.path).collect();
    assert_none(named, "only orchestrator/src/store/redis uses the redis library");
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[test]
fn the_architecture_names_every_effect_and_invariant() {
    let text = read_to_string(root().join("ARCHITECTURE.md")).unwrap_or_default();
    let source = read_to_string(root().join("engine/src/effect.rs")).unwrap();
    let body = source.split_once("pub enum Effect {").unwrap().1.split_once("\n}").unwrap().0;
    let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
    let variants = variants.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
    let mut names: Vec<String> =
        variants.map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect()).collect();
    assert!(names.len() > 5, "engine/src/effect.rs was not understood");
    names.extend((1..=10).map(|number| format!("Invariant {number}")));
    names.retain(|name| !has_word(&text, name));
    assert_none(names, "ARCHITECTURE.md names every effect and every invariant");
}

#[test]
fn the_http_page_names_every_route() {
    let page = read_to_string(root().join("docs/http.md")).unwrap_or_default();
    let source = read_to_string(root().join("orchestrator/src/http.rs")).unwrap();
    let routes = source.split(".route(\"").skip(1).filter_map(|rest| rest.split_once('"'));
    let mut routes: Vec<String> = routes.map(|(path, _)| path.to_owned()).collect();
    assert!(routes.len() > 10, "orchestrator/src/http.rs was not understood");
    routes.retain(|path| !page.contains(&format!(" {path}`")));
    assert_none(routes, "docs/http.md names every route");
}

#[test]
fn nothing_is_left_for_later_and_no_machine_is_named() {
    let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("#[ig", "nore")];
    let machines =
        [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/main")];
    let mut broken = Vec::new();
    for file in tree() {
        for (index, line) in file.text.lines().enumerate() {
            let found = unfinished.iter().chain(&machines).find(|text| line.contains(**text));
            broken.extend(found.map(|text| format!("{}:{}: {text}", file.path, index + 1)));
        }
    }
    assert_none(broken, "work is finished or an issue; paths are relative");
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for file in tree().into_iter().filter(|file| file.path.ends_with(".md")) {
        let folder = root().join(&file.path).parent().unwrap().to_owned();
        for target in links(&file.text).into_iter().filter(|target| !target.contains("://")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let page = if path.is_empty() { root().join(&file.path) } else { folder.join(path) };
            let leads =
                page.exists() && (anchor.is_empty() || anchors(&page).iter().any(|there| there == anchor));
            broken.extend((!leads).then(|| format!("{}: {target}", file.path)));
        }
    }
    assert_none(broken, "a relative link leads to a file, and to a heading of it");
}

/// What stands in the brackets of `[text](target)`, outside code.
fn links(text: &str) -> Vec<&str> {
    let prose = text.split("\n```").step_by(2);
    let targets = prose.flat_map(|part| part.split("](").skip(1));
    targets.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

/// The headings of a page as links name them.
fn anchors(page: &Path) -> Vec<String> {
    let text = read_to_string(page).unwrap_or_default();
    let headings =
        text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c)).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn the_documentation_knows_which_codes_are_given() {
    let page = read_to_string(root().join("docs/error-handling.md")).unwrap();
    let said = page.lines().find(|line| line.starts_with("Not given yet")).unwrap_or_default();
    let houses = ["engine/src/", "orchestrator/src/", "shared/schema/src/", "worker/src/"];
    let sources: Vec<File> =
        tree().into_iter().filter(|file| houses.iter().any(|house| file.path.starts_with(house))).collect();
    for code in Code::ALL {
        let variant = format!("{code:?}").replace("(1)", "");
        let given = sources.iter().any(|file| has_word(&file.text, &format!("Code::{variant}")));
        assert_eq!(given, !said.contains(&*code.as_str()), "docs/error-handling.md and {variant}");
    }
}
