//! `oarlock run`: how it ends, and what it refuses before it begins.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Folder, task};

/// A workflow of one task that answers its input.
const ANSWER: &str = "id: answer
version: 1
tasks:
  - {id: ask, task: ask, inputMappings: {given: \"${ input }\"}}
output: ${ tasks.ask.output }
";

#[test]
fn a_failed_run_ends_with_1_and_tells_why() {
    let folder = Folder::with(ANSWER, &[("ask", "echo the disk is on fire >&2; exit 7")]);
    let ended = folder.oarlock(&["run", "workflow.yaml"]).exits(1);
    let ended = ended.says(&["/ask FAILED", "answer@1 FAILED", "EXIT_7", "the disk is on fire"]);
    assert_eq!(ended.stdout, "", "a failed run has no output");

    let run = folder.oarlock(&["run", "workflow.yaml", "--json"]).exits(1).json();
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("FAILED"), &json!("EXIT_7")));
}

#[test]
fn a_definition_with_errors_does_not_run() {
    let folder = Folder::with("id: w\nversion: 1\ntasks:\n  - {id: a, tusk: work}\n", &[]);
    let ended = folder.oarlock(&["run", "workflow.yaml"]).exits(2);
    ended.says(&["workflow.yaml:4:", "tusk", "error: workflow.yaml is no valid definition"]);
    folder.oarlock(&["run", "missing.yaml"]).exits(2).says(&["missing.yaml cannot be read"]);
}

#[test]
fn a_task_that_nothing_executes_is_named() {
    let folder = Folder::with(ANSWER, &[("other", "cat")]);
    let ended = folder.oarlock(&["run", "workflow.yaml"]).exits(2);
    ended.says(&["nothing here executes ask", "worker.toml", "--exec ask='COMMAND'"]);
}

#[test]
fn a_command_may_be_given_by_a_flag() {
    let folder = Folder::new();
    folder.write("workflow.yaml", ANSWER);
    let ended = folder.oarlock(&["run", "workflow.yaml", "--exec", "ask=cat", "--input", r#"{"n": 15.0}"#]);
    // The number stays what it was.
    assert_eq!(ended.exits(0).stdout, "{\n  \"given\": {\n    \"n\": 15.0\n  }\n}\n");
    let ended = folder.oarlock(&["run", "workflow.yaml", "--exec", "ask"]).exits(2);
    ended.says(&["--exec NAME='command'"]);
}

#[test]
fn an_urgent_run_is_executed_here_wherever_a_rule_sends_it() {
    let folder = Folder::with(ANSWER, &[("ask", "cat")]);
    folder.write("fast.toml", "[[router.rules]]\npriority = 8\nqueue = \"{queue}.fast\"\n");
    for (priority, queue) in [("7", "ask"), ("8", "ask.fast")] {
        let arguments = [
            "run",
            "workflow.yaml",
            "--config",
            "fast.toml",
            "--timeout",
            "20s",
            "--priority",
            priority,
            "--json",
        ];
        let run = folder.oarlock(&arguments).exits(0).json();
        assert_eq!(run["priority"].to_string(), priority);
        assert_eq!(run["taskInstances"][0]["attempts"][0]["queue"], queue);
    }
    let ended = folder.oarlock(&["run", "workflow.yaml", "--priority", "10"]).exits(2);
    ended.says(&["--priority <N>", "a whole number from 0 to 9"]);
}

#[test]
fn a_flag_comes_before_the_worker_settings() {
    let folder = Folder::with(ANSWER, &[("ask", "exit 1")]);
    let ended = folder.oarlock(&["run", "workflow.yaml", "--exec", "ask=cat"]).exits(0);
    ended.says(&["worker settings: ./worker.toml"]);
    folder.write("worker.toml", "[exec]\nask = 7\n");
    folder.oarlock(&["run", "workflow.yaml"]).exits(2).says(&["worker.toml:2:"]);
    folder.write("elsewhere.toml", "[exec]\nask = \"cat\"\n");
    folder.oarlock(&["run", "workflow.yaml", "--worker", "elsewhere.toml"]).exits(0);
    let ended = folder.oarlock(&["run", "workflow.yaml", "--worker", "nowhere.toml"]).exits(2);
    ended.says(&["nowhere.toml cannot be read"]);
}

#[test]
fn commands_run_in_the_folder_of_the_workflow_and_inherit_the_environment() {
    let folder = Folder::new();
    std::fs::create_dir(folder.join("inner")).unwrap();
    folder.write("inner/workflow.yaml", ANSWER);
    folder.write("inner/here.txt", "x");
    folder.write("inner/worker.toml", "[exec]\nask = '''[ -f here.txt ] && echo \"\\\"$COLOUR\\\"\"'''\n");
    let mut command = folder.command(&["run", "inner/workflow.yaml"]);
    let ended = crate::harness::Process::start(command.env("COLOUR", "red")).end();
    assert_eq!(ended.exits(0).stdout, "\"red\"\n");
}

#[test]
fn a_wrong_input_is_refused() {
    let folder = Folder::with(ANSWER, &[("ask", "cat")]);
    folder.write("list.json", "[1]");
    folder.write("half.json", "{\"a\":");
    let rows = [
        ("{a: 1}", "--input is no JSON"),
        ("[1]", "--input is no JSON object"),
        ("7", "--input is no JSON object"),
        ("@list.json", "list.json is no JSON object"),
        ("@half.json", "half.json is no JSON"),
        ("@missing.json", "missing.json cannot be read"),
    ];
    for (input, said) in rows {
        folder.oarlock(&["run", "workflow.yaml", "--input", input]).exits(2).says(&[said]);
    }
    let ended = folder.oarlock_reading("no JSON", &["run", "workflow.yaml", "--input", "@-"]).exits(2);
    ended.says(&["is no JSON"]);
}

#[test]
fn an_input_may_come_from_a_file_or_from_stdin() {
    let folder = Folder::with(ANSWER, &[("ask", "cat")]);
    folder.write("input.json", "{\"from\": \"file\"}");
    let run = folder.oarlock(&["run", "workflow.yaml", "--json", "--input", "@input.json"]).exits(0).json();
    assert_eq!(run["output"], json!({"given": {"from": "file"}}));
    let ended = folder.oarlock_reading(r#"{"from": "stdin"}"#, &["run", "workflow.yaml", "--input", "@-"]);
    assert!(ended.exits(0).stdout.contains("\"stdin\""));
}

#[test]
fn a_permission_that_is_missing_ends_the_task_before_any_worker_has_it() {
    let definition = "taskDefinitions:
  - {id: ask, securityRequirements: {requiredPermissions: [vault.open]}}
tasks:";
    let folder = Folder::with(&ANSWER.replace("tasks:", definition), &[("ask", "touch executed; cat")]);
    let run = folder.oarlock(&["run", "workflow.yaml", "--json"]).exits(1).json();
    let ask = task(&run, "/ask");
    assert_eq!((&run["error"]["code"], &ask["status"]), (&json!("PERMISSION_DENIED"), &json!("FAILED")));
    assert!(ask["attempts"].is_null() && !folder.join("executed").exists(), "{ask:#}");

    let run =
        folder.oarlock(&["run", "workflow.yaml", "--permission", "vault.open", "--json"]).exits(0).json();
    let granted = &task(&run, "/ask")["executionContext"]["securityContext"]["permissions"];
    assert_eq!((granted, folder.join("executed").exists()), (&json!(["vault.open"]), true));
}

#[test]
fn a_failure_with_json_is_an_object_on_stderr() {
    let folder = Folder::new();
    let ended = folder.oarlock(&["run", "missing.yaml", "--json"]).exits(2);
    let error: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!((ended.stdout.as_str(), &error["error"]["code"]), ("", &json!("INVALID")));
}

#[test]
fn it_leaves_when_the_run_has_ended() {
    let folder = Folder::new();
    folder.write("workflow.yaml", "id: w\nversion: 1\ntasks:\n  - {id: mark, set: {done: true}}\n");
    // The fastest of several tells what it waits for, whatever else this machine does.
    let lasted = |_| {
        let begun = Instant::now();
        folder.oarlock(&["run", "workflow.yaml"]).exits(0);
        begun.elapsed()
    };
    assert!((0..5).map(lasted).min() < Some(Duration::from_millis(400)));
}
