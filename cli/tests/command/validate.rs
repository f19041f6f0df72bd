//! `oarlock validate`.

use serde_json::json;

use crate::harness::Folder;

const GOOD: &str = "id: good\nversion: 3\ntasks:\n  - {id: mark, set: {done: true}}\n";
const BROKEN: &str = "id: broken
version: 1
tasks:
  - {id: a, task: work, dependsOn: [nowhere]}
  - {id: b, set: {x: \"${ input. }\"}}
";
const WARNED: &str = "id: warned
version: 1
taskDefinitions:
  - {id: unused}
tasks:
  - {id: mark, set: {done: true}}
";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("good.yaml", GOOD);
    folder.write("broken.yaml", BROKEN);
    folder.write("warned.yaml", WARNED);
    folder
}

#[test]
fn every_file_is_judged_and_one_wrong_file_is_enough() {
    let folder = folder();
    let ended = folder.oarlock(&["validate", "broken.yaml", "good.yaml"]).exits(2);
    assert_eq!(ended.stdout, "good.yaml: valid, good version 3\n");
    // Each problem with its file, line and column, and the text around it.
    let ended = ended.says(&["broken.yaml:4:", "nowhere", "broken.yaml:5:", "dependsOn: [nowhere]"]);
    assert!(!ended.stderr.contains("good.yaml"), "{}", ended.stderr);
    assert!(!ended.stderr.contains('\u{1b}'), "colours belong on a terminal:\n{}", ended.stderr);

    let ended = folder.oarlock(&["validate", "good.yaml"]).exits(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("good.yaml: valid, good version 3\n", ""));
}

#[test]
fn a_warning_is_told_and_is_no_error() {
    let ended = folder().oarlock(&["validate", "warned.yaml"]).exits(0).says(&["warned.yaml:4:", "unused"]);
    assert_eq!(ended.stdout, "warned.yaml: valid, warned version 1\n");
}

#[test]
fn json_is_one_object_for_all_files() {
    let folder = folder();
    let ended = folder.oarlock(&["validate", "--json", "good.yaml", "broken.yaml", "warned.yaml"]).exits(2);
    let answer = ended.json();
    assert_eq!((&answer["valid"], ended.stderr.as_str()), (&json!(false), ""));
    let diagnostics = answer["diagnostics"].as_array().unwrap();
    let files: Vec<_> = diagnostics.iter().map(|d| d["file"].as_str().unwrap()).collect();
    assert_eq!(files, ["broken.yaml", "broken.yaml", "warned.yaml"], "{answer:#}");
    for diagnostic in diagnostics {
        assert!(diagnostic["line"].is_u64() && diagnostic["column"].is_u64(), "{diagnostic:#}");
        assert!(diagnostic["message"].is_string() && diagnostic["severity"].is_string(), "{diagnostic:#}");
    }

    let answer = folder.oarlock(&["validate", "--json", "good.yaml"]).exits(0).json();
    assert_eq!(answer, json!({"valid": true, "diagnostics": []}));
}

#[test]
fn a_definition_may_come_from_stdin() {
    let folder = Folder::new();
    let ended = folder.oarlock_reading(GOOD, &["validate", "-"]).exits(0);
    assert!(ended.stdout.contains("valid, good version 3"), "{}", ended.stdout);
    folder.oarlock_reading(BROKEN, &["validate", "-"]).exits(2).says(&[":4:", "nowhere"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = folder();
    folder.oarlock(&["validate", "missing.yaml"]).exits(2).says(&["missing.yaml cannot be read"]);
    std::fs::write(folder.join("bytes.yaml"), [0xff, 0xfe, 0xff]).unwrap();
    folder.oarlock(&["validate", "bytes.yaml"]).exits(2).says(&["bytes.yaml cannot be read", "UTF-8"]);
    folder.oarlock(&["validate"]).exits(2).says(&["Usage"]);
}
