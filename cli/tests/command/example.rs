//! The first command of the README, on a copy of examples/access-log: a real job on a real file.

use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::harness::{Ended, Folder, task};

/// A copy of the example at the path the README names, without what earlier runs left there.
pub(crate) fn copy() -> Folder {
    let folder = Folder::new();
    let to = folder.join("examples/access-log");
    fs::create_dir_all(&to).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/access-log");
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if entry.path().is_file() && !["report.txt", "alarm.txt"].contains(&name.to_str().unwrap()) {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
    folder
}

fn run(folder: &Folder, more: &[&str]) -> Ended {
    let command = ["run", "examples/access-log/workflow.yaml", "--input", "@examples/access-log/input.json"];
    folder.oarlock(&[&command, more].concat())
}

/// The requests of the log, their failures and the lines that are no requests, counted apart from the example's scripts.
fn counted(folder: &Folder) -> (u64, u64, u64) {
    let (mut requests, mut errors, mut rejected) = (0, 0, 0);
    for line in folder.read("examples/access-log/access.log").lines().filter(|line| !line.starts_with('#')) {
        let end = line.rsplit_once("\" ").map(|(_, end)| end.split(' ').collect::<Vec<_>>());
        match end.as_deref() {
            Some([status, bytes, ms])
                if [status, bytes, ms].iter().all(|number| number.parse::<u64>().is_ok()) =>
            {
                requests += 1;
                errors += u64::from(status.starts_with('5'));
            }
            _ => rejected += 1,
        }
    }
    (requests, errors, rejected)
}

#[test]
fn it_writes_the_report_and_leaves_nothing_else() {
    let folder = copy();
    let ended = run(&folder, &[]).exits(0);
    let (requests, errors, rejected) = counted(&folder);
    assert!(requests > 1_000 && errors > 0 && rejected > 0);

    let output = ended.json();
    assert_eq!(
        (&output["requests"], &output["rejected"], &output["report"], &output["host"]),
        (&json!(requests), &json!(rejected), &json!("report.txt"), &json!("SHOP.EXAMPLE"))
    );
    let report = folder.read("examples/access-log/report.txt");
    for (name, value) in [
        ("requests", requests.to_string()),
        ("errors", errors.to_string()),
        ("rejected", rejected.to_string()),
        ("comparison", "none (NO_EARLIER_REPORT)".to_owned()),
    ] {
        assert!(report.contains(&format!("{name:<12} {value}\n")), "{name} {value}:\n{report}");
    }
    assert!(
        !folder.join("examples/access-log/work").exists()
            && !folder.join("examples/access-log/alarm.txt").exists()
    );
}

#[test]
fn without_a_terminal_it_tells_each_change_in_a_plain_line() {
    let folder = copy();
    let ended = run(&folder, &[]).exits(0).says(&[
        "worker settings: examples/access-log/worker.toml\n",
        " run RUNNING\n",
        " /check COMPLETED\n",
        " /count/count_third RETRY_PENDING: MALFORMED_LINES: 3 lines of work/",
        " /count/count_third SCHEDULED (attempt 2)\n",
        " /count/count_third COMPLETED (attempt 2)\n",
        " /compare FAILED: NO_EARLIER_REPORT: there is no last-week.txt to compare with\n",
        " /compare:onError/no_comparison COMPLETED\n",
        " /alarm SKIPPED\n",
        " run COMPLETED\n",
        // Where the time went.
        "TASK ",
        "QUEUED ",
        "RUNNING ",
        "RETRY WAIT\n",
        "\naccess_log@1 COMPLETED after ",
    ]);
    assert!(!ended.stderr.contains('\u{1b}'), "control codes belong on a terminal:\n{}", ended.stderr);
}

#[test]
fn as_json_it_prints_the_run_and_nothing_else() {
    let folder = copy();
    let ended = run(&folder, &["--json"]).exits(0);
    let run = ended.json();
    assert_eq!((&run["status"], ended.stderr.as_str()), (&json!("COMPLETED"), ""));
    assert_eq!(
        (&run["metrics"]["retries"], &run["metrics"]["skippedTasks"], &run["metrics"]["failedTasks"]),
        (&json!(1), &json!(1), &json!(1)),
        "{:#}",
        run["metrics"]
    );
    it_retried(task(&run, "/count/count_third"));
    it_mapped(&run);
    assert_eq!(task(&run, "/alarm")["status"], "SKIPPED");
    assert_eq!(task(&run, "/compare")["error"]["code"], "NO_EARLIER_REPORT");
    assert_eq!(task(&run, "/compare:onError/no_comparison")["status"], "COMPLETED");
}

fn it_retried(task: &Json) {
    let attempts = task["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &task["retryCount"], &task["status"]), (2, &json!(1), &json!("COMPLETED")));
    assert_eq!(attempts[0]["error"]["code"], "MALFORMED_LINES");
    assert!(attempts[1]["error"].is_null() && attempts[0]["executionId"] != attempts[1]["executionId"]);
}

/// One mapping of each kind: DIRECT, TRANSFORM and EXPRESSION.
fn it_mapped(run: &Json) {
    let variables = &run["variables"];
    assert_eq!(variables["lines"], task(run, "/check")["output"]["lines"]);
    let host = task(run, "/check")["output"]["host"].as_str().unwrap();
    assert_eq!(variables["host"], host.trim().to_uppercase());
    let parts = ["count_first", "count_second", "count_third", "count_fourth"];
    let requests = |part: &&str| task(run, &format!("/count/{part}"))["output"]["requests"].as_u64().unwrap();
    assert_eq!(variables["requests"], parts.iter().map(requests).sum::<u64>());
}

#[test]
fn a_second_day_compares_with_the_first() {
    let folder = copy();
    run(&folder, &[]).exits(0);
    let example = folder.join("examples/access-log");
    fs::rename(example.join("report.txt"), example.join("last-week.txt")).unwrap();
    let again = run(&folder, &["--json"]).exits(0).json();
    assert_eq!(task(&again, "/compare")["status"], "COMPLETED");
    assert_eq!(again["variables"]["comparison"], "0 requests");
    assert!(!example.join("work").exists());
}

#[test]
fn a_log_that_is_not_there_fails_the_run_and_the_handler_cleans_up() {
    let folder = copy();
    fs::remove_file(folder.join("examples/access-log/access.log")).unwrap();
    let ended = run(&folder, &[]).exits(1);
    ended.says(&[
        "/check FAILED",
        "/:onError/remove_work COMPLETED",
        "error NO_LOG: there is no readable access.log",
    ]);
}
