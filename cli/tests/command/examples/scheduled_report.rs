//! examples/scheduled-report: a schedule is applied, watched, paused, triggered and removed.

use serde_json::json;

use super::Example;
use crate::harness::eventually;

const DEV: &str = "oarlock dev examples/scheduled-report/workflow.yaml";
const APPLY: &str = "oarlock schedule apply examples/scheduled-report/schedule.yaml";
const GET: &str = "oarlock schedule get sales_report";
const PAUSE: &str = "oarlock schedule pause sales_report --reason 'the figures are being moved'";
const TRIGGER: &str = "oarlock schedule trigger sales_report --key after-the-move";
const RESUME: &str = "oarlock schedule resume sales_report";
const LIST: &str = "oarlock schedule list";
const DELETE: &str = "oarlock schedule delete sales_report";

#[test]
fn a_report_is_written_for_each_time_it_is_due() {
    let example = Example::copy("scheduled-report");
    let server = example.serves(DEV);
    let types = |command: &str, more: &str| example.types_to(&server, "", command, more);
    let applied = types(APPLY, "").exits(0).stdout;
    assert!(applied.starts_with("registered: schedule sales_report, next due 20"), "{applied}");
    assert!(types(APPLY, "").exits(0).stdout.starts_with("unchanged: "));
    let reports = || example.read("work/reports.txt").lines().map(str::to_owned).collect::<Vec<_>>();
    eventually("three reports are written", || reports().len() >= 3);
    let shown = types(GET, "").exits(0).stdout;
    for line in [
        "due           */2 * * * * * in Europe/Berlin",
        "overlap       QUEUE, at most 1",
        "0 skipped, 0 missed",
    ] {
        assert!(shown.contains(line), "{line} is missing in:\n{shown}");
    }
    assert_eq!(shown.split("next due").nth(1).unwrap().lines().count(), 5, "{shown}");

    types(PAUSE, "").exits(0);
    let paused = types(GET, "").exits(0).stdout;
    assert!(paused.contains(": the figures are being moved\n"), "{paused}");
    let triggered = types(TRIGGER, "--json").exits(0).json();
    let run = triggered["runId"].as_str().unwrap();
    let last = || types(GET, "--json").exits(0).json()["state"]["lastRun"] == json!(run);
    eventually("the one that was asked for is the last", last);
    assert_eq!(
        types(TRIGGER, "--json").exits(0).json(),
        json!({"id": "sales_report", "runId": run, "existing": true})
    );
    types(RESUME, "").exits(0);

    let list = types(LIST, "").exits(0).stdout;
    assert!(list.lines().count() == 2 && list.contains("sales_report  report"), "{list}");
    types(DELETE, "").exits(0);
    types(DELETE, "")
        .exits(2)
        .says(&["tenant 'default' has no schedule 'sales_report'", "oarlock schedule list"]);
    // One for each even second, and the one that was asked for.
    let reports = reports();
    let mut due: Vec<_> = reports.iter().map(|line| line.split(' ').next().unwrap()).collect();
    due.sort_unstable();
    due.dedup();
    assert_eq!(due.len(), reports.len(), "{reports:?}");
    server.stop().exits(0);
    example.is_quiet();
}

#[test]
fn the_workflow_is_tried_out() {
    Example::copy("scheduled-report").passes("workflow.yaml", "mocks.yaml");
}
