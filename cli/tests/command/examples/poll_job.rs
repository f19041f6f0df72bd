//! examples/poll-job: a job outside of Oarlock, looked at by a loop and by a task that is DEFERRED.

use std::fs;

use serde_json::{Value as Json, json};

use super::Example;
use crate::harness::{eventually, task};

const LOOP: &str = r#"oarlock run examples/poll-job/workflow.yaml --input '{"text": "text.txt"}'"#;
const DEFERRED: &str = r#"oarlock run examples/poll-job/deferred.yaml --input '{"text": "text.txt"}'"#;
const LOOP_FAILS: &str = r#"oarlock run examples/poll-job/workflow.yaml --input '{"text": "nothing.txt"}'"#;
const DEFERRED_FAILS: &str =
    r#"oarlock run examples/poll-job/deferred.yaml --input '{"text": "nothing.txt"}'"#;

/// What the job has to find, counted apart from its script.
fn counted(example: &Example) -> Json {
    let text = example.read("text.txt").to_lowercase();
    let mut words: Vec<&str> =
        text.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| !w.is_empty()).collect();
    let all = words.len();
    words.sort_unstable();
    words.dedup();
    assert!(all > 50 && words.len() < all);
    json!({"words": all, "distinct": words.len(), "often": "i"})
}

/// The folders of the jobs there were.
fn jobs(example: &Example) -> Vec<String> {
    let jobs = fs::read_dir(example.folder.join("examples/poll-job/work")).unwrap();
    jobs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_loop_looks_until_the_job_is_done() {
    let example = Example::copy("poll-job");
    let run = example.types_with(LOOP, "--json").exits(0).json();
    assert_eq!(run["output"]["result"], counted(&example));
    let looks = run["output"]["looks"].as_u64().unwrap();
    assert!(looks >= 3, "{looks} looks");
    let look = |number: u64| &task(&run, &format!("/poll[{number}]/look"))["output"];
    assert_eq!(look(looks - 1), &json!({"done": true, "percent": 100}));
    assert_eq!(look(0)["done"], json!(false));
    // One job, whose folder is named by the task that started it; it is over.
    let id = task(&run, "/start")["id"].as_str().unwrap().to_owned();
    assert_eq!(jobs(&example), [id.as_str()]);
    assert_eq!(example.read(&format!("work/{id}/state")), "DONE\n");
    example.is_quiet();
}

#[test]
fn a_deferred_task_is_looked_at_until_the_job_is_done() {
    let example = Example::copy("poll-job");
    let run = example.types_with(DEFERRED, "--json").exits(0).json();
    assert_eq!(run["output"]["result"], counted(&example));
    let count = task(&run, "/count");
    assert!(count["attempts"].as_array().unwrap().len() >= 3, "{count:#}");
    assert_eq!(
        (&count["retryCount"], &run["metrics"]["retries"]),
        (&json!(0), &json!(0)),
        "looks are no retries"
    );
    assert_eq!(jobs(&example), [count["id"].as_str().unwrap()]);
    example.is_quiet();
}

#[test]
fn a_job_that_fails_fails_its_run() {
    let example = Example::copy("poll-job");
    for command in [LOOP_FAILS, DEFERRED_FAILS] {
        let run = example.types_with(command, "--json").exits(1).json();
        assert_eq!(
            (&run["error"]["code"], &run["error"]["message"]),
            (&json!("JOB_FAILED"), &json!("there is no text nothing.txt"))
        );
    }
    example.is_quiet();
}

#[test]
fn a_job_that_was_begun_is_not_begun_again() {
    let example = Example::copy("poll-job");
    // The first attempt dies between its job and its answer.
    example.edit("start.sh", "echo \"{", "[ \"$OARLOCK_ATTEMPT\" -gt 1 ] || kill -9 $$\necho \"{");
    example.edit(
        "workflow.yaml",
        "task: job.start, ",
        "task: job.start, retryPolicy: {maxRetries: 1, initialDelay: 10ms}, ",
    );
    let run = example.types_with(LOOP, "--json").exits(0).json();
    assert_eq!(task(&run, "/start")["attempts"][0]["error"]["code"], "EXIT_137");
    assert_eq!(run["output"]["result"], counted(&example));
    assert_eq!(jobs(&example).len(), 1);
    eventually("the job is over", || example.read(&format!("work/{}/state", jobs(&example)[0])) == "DONE\n");
    example.is_quiet();
}

#[test]
fn it_is_tried_out_as_the_readme_shows() {
    let example = Example::copy("poll-job");
    example.passes("workflow.yaml", "mocks.yaml");
    example.passes("deferred.yaml", "deferred-mocks.yaml");
}
