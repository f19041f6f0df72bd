//! Commands that do not do what a worker wants of them: each ends its task soon, with a code and words that help.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::harness::{Folder, task};

/// What an attempt may take that is not waited for: far less than [`crate::harness::PATIENCE`], enough for a busy machine.
const SOON: Duration = Duration::from_secs(20);
const MIB: usize = 1024 * 1024;

/// A workflow of one task, that may take this long.
fn workflow(execution: &str) -> String {
    format!(
        "id: w
version: 1
tasks:
  - id: only
    task: only
    timeouts: {{execution: {execution}}}
    inputMappings: {{given: \"${{ get(input, 'given', null) }}\"}}
output: done
"
    )
}

/// The error of the only task, which this command executes.
#[track_caller]
fn error_of(command: &str, execution: &str) -> Json {
    let folder = Folder::new();
    folder.write("workflow.yaml", &workflow(execution));
    folder.write("worker.toml", &format!("[exec.only]\ncommand = '''{command}'''\nkill_grace = \"200ms\"\n"));
    let begun = Instant::now();
    let run = folder.oarlock(&["run", "workflow.yaml", "--json"]).exits(1).json();
    assert!(begun.elapsed() < SOON, "{command} took {:?}", begun.elapsed());
    assert_eq!(run["error"]["code"], task(&run, "/only")["error"]["code"], "{run:#}");
    task(&run, "/only")["error"].clone()
}

#[test]
fn each_fails_soon_with_a_code_and_the_remedy() {
    let rows = [
        ("echo all is well", "INVALID_OUTPUT", "is no JSON"),
        ("echo '{}' '{}'", "INVALID_OUTPUT", "one JSON value and nothing else"),
        ("head -c 100000000 /dev/zero", "PAYLOAD_TOO_LARGE", "1048576 bytes"),
        ("no-such-program --now", "EXIT_127", "check worker.toml"),
        ("exit 3", "EXIT_3", "ended with exit status 3"),
        ("kill -9 $$", "EXIT_137", "signal 9"),
        ("echo oarlock-error: OUT_OF_TEA the pot is empty >&2; exit 1", "OUT_OF_TEA", "the pot is empty"),
    ];
    for (command, code, said) in rows {
        let error = error_of(command, "30s");
        assert_eq!(error["code"], code, "{command}: {error:#}");
        assert!(error["message"].as_str().unwrap().contains(said), "{command}: {error:#}");
    }
}

#[test]
fn one_that_ignores_sigterm_is_killed_at_its_limit() {
    let error = error_of("trap \"\" TERM; while :; do sleep 1; done", "300ms");
    assert_eq!(error["code"], "TIMEOUT_EXECUTION", "{error:#}");
}

#[test]
fn one_whose_children_hold_its_output_open_is_ended_too() {
    assert_eq!(error_of("sleep 1000", "300ms")["code"], "TIMEOUT_EXECUTION");
    assert_eq!(error_of("sleep 1000 & sleep 1001", "300ms")["code"], "TIMEOUT_EXECUTION");
}

#[test]
fn one_that_never_reads_its_input_may_complete() {
    let folder = Folder::with(&workflow("30s"), &[("only", "exec < /dev/null; echo 1")]);
    let input = json!({"given": "x".repeat(MIB / 2)}).to_string();
    folder.write("input.json", &input);
    let run = folder.oarlock(&["run", "workflow.yaml", "--input", "@input.json", "--json"]).exits(0).json();
    assert_eq!(task(&run, "/only")["output"], 1);
}

#[test]
fn an_output_of_a_mebibyte_is_the_largest() {
    let output = |length: usize| format!("printf '\"'; head -c {length} /dev/zero | tr '\\0' x; printf '\"'");
    let folder = Folder::with(&workflow("30s"), &[("only", &output(MIB - 2))]);
    let run = folder.oarlock(&["run", "workflow.yaml", "--json"]).exits(0).json();
    assert_eq!(task(&run, "/only")["output"].as_str().unwrap().len(), MIB - 2);
    assert_eq!(error_of(&output(MIB - 1), "30s")["code"], "PAYLOAD_TOO_LARGE");
}

#[test]
fn an_input_over_a_mebibyte_is_refused_before_it_runs() {
    let folder = Folder::with(&workflow("30s"), &[("only", "touch executed; echo 1")]);
    folder.write("input.json", &json!({"given": "x".repeat(MIB)}).to_string());
    let ended = folder.oarlock(&["run", "workflow.yaml", "--input", "@input.json"]).exits(2);
    ended.says(&["PAYLOAD_TOO_LARGE", "1048576"]);
    assert!(!folder.join("executed").exists());
}
