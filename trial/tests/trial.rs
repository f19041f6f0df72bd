//! Definitions tried out: mocks of every kind, time that skips, what is told of cases that fail, and coverage.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails names its line")]

use oarlock_engine::Settings;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_trial::{Mocks, Report};

/// An approval that is reminded of, polled, and undone.
const WORKFLOW: &str = r#"
id: approval
version: 1
taskDefinitions:
  - {id: stock.reserve, retryPolicy: {maxRetries: 2, initialDelay: 1m}, timeouts: {heartbeat: 30s}}
tasks:
  - id: reserve
    task: stock.reserve
    inputMappings: {sku: "${ input.sku }"}
    variableMappings: {reservation: "${ taskOutput.id }"}
    compensateWith: {task: stock.release, inputMappings: {id: "${ taskOutput.id }"}}
  - id: approve
    wait: {signal: approval, timeout: 90d}
    onTimeout: [{id: remind, task: notify.manager}]
  - id: route
    switch:
      - {when: "approve.status == 'TIMED_OUT'", tasks: [{id: stop, terminate: {status: FAILED, message: nobody}}]}
      - {otherwise: true, tasks: [{id: all, forEach: {items: "${ input.parts }", as: part, collect: "${ ship.output.label }"},
                                   tasks: [{id: ship, task: ship.part, inputMappings: {part: "${ part }"}}]}]}
output: {labels: "${ tasks.all.output }"}
"#;

fn try_out(mocks: &str) -> Report {
    let report = oarlock_definition::read("approval.yaml", WORKFLOW);
    let definition = report.definition.clone().unwrap_or_else(|| panic!("{}", report.render(false)));
    let mocks = Mocks::read("mocks.yaml", mocks).unwrap();
    oarlock_trial::run(definition, &mocks, &Settings::default()).unwrap()
}

#[test]
fn a_case_takes_its_path_in_the_time_of_the_run() {
    let report = try_out(
        r#"
cases:
  - name: approved after two months
    input: {sku: A, parts: [x, y]}
    tasks:
      stock.reserve: [{fail: {code: BUSY}}, {lost: true}, {output: {id: 7}, after: 5s}]
      "/route/all[1]/ship": {output: {label: second}}
      ship: {output: {label: "label of ${ input.part }"}, accepted: 2h}
    signals: [{name: approval, after: 60d, payload: {by: ada}}]
    expect:
      status: COMPLETED
      output: {labels: ["label of x", second]}
      variables: {reservation: 7}
      path: [reserve, approve, "/route/all[0]/ship", "/route/all[*]/ship"]
      notReached: [remind, stop]
"#,
    );
    let case = &report.cases[0];
    assert_eq!(case.failures, Vec::<String>::new());
    assert!(case.took >= "60d 2h".parse().unwrap(), "{}", case.took);
    let attempts = case.path.iter().filter(|reached| reached.task_path.as_str() == "/reserve");
    assert_eq!(attempts.map(|reached| reached.attempt).max(), Some(3));
}

#[test]
fn a_run_that_nobody_approves_is_undone() {
    let report = try_out(
        r#"
cases:
  - name: nobody approves
    input: {sku: A, parts: []}
    tasks:
      stock.reserve: {output: {id: 7}}
      notify.manager: {deferred: 1h, state: {asked: 1}}
      stock.release: {}
    expect: {status: FAILED}
  - name: nobody approves, and the reminder ends
    input: {sku: A, parts: []}
    tasks:
      stock.reserve: {output: {id: 7}}
      notify.manager: [{deferred: 1h}, {output: {}}]
      stock.release: {}
    expect: {status: FAILED, error: TERMINATED, took: 90d 1h, path: [remind, stop, "reserve:compensate"]}
"#,
    );
    assert!(report.cases[0].failures[0].contains("did not end within"), "{:?}", report.cases[0].failures);
    assert_eq!(report.cases[1].failures, Vec::<String>::new());
}

#[test]
fn what_is_otherwise_than_expected_is_told_in_sentences() {
    let report = try_out(
        r#"
cases:
  - name: no mock
    input: {sku: A, parts: []}
  - name: all is otherwise
    input: {sku: A, parts: []}
    tasks: {reserve: {output: {id: 7}}}
    cancelAfter: 1d
    expect: {status: COMPLETED, output: 1, error: OTHER, variables: {reservation: 8, more: 1}, path: [approve, reserve],
             notReached: [reserve], took: 3s}
"#,
    );
    let failures = &report.cases[0].failures;
    assert!(
        failures[0].starts_with("there is no mock for 'stock.reserve' at /reserve; add to `tasks`"),
        "{failures:?}"
    );
    let all = &report.cases[1];
    assert_eq!(all.status, WorkflowStatus::Compensating, "its compensation has no mock");
    let told = all.failures.join("\n");
    assert!(told.contains("there is no mock for 'stock.release'"), "{told}");
}

#[test]
fn each_expectation_that_is_not_met_is_told() {
    let report = try_out(
        r#"
cases:
  - name: all is otherwise
    input: {sku: A, parts: []}
    tasks: {reserve: {fail: {code: GONE, retryable: false}}}
    expect: {status: COMPLETED, output: 1, error: OTHER, variables: {reservation: 8}, path: [approve], notReached: [reserve], took: 3s}
"#,
    );
    assert_eq!(
        report.cases[0].failures,
        [
            "it ended FAILED, not COMPLETED",
            "its output is null, not 1",
            "its error is GONE, not OTHER",
            "the variable 'reservation' has no value, not 8",
            "'approve' was not begun after the start",
            "'reserve' was begun, and must not be",
            "it took 0s, not 3s",
        ]
    );
    assert!(!report.passed());
}

#[test]
fn coverage_names_what_no_case_took() {
    let report = try_out(
        r#"
cases:
  - name: approved
    input: {sku: A, parts: [x]}
    tasks: {reserve: {output: {id: 7}}, ship: {output: {label: l}}}
    signals: [{name: approval}]
"#,
    );
    let missing: Vec<String> =
        report.coverage.not_taken().map(|branch| format!("{} {}", branch.task_path, branch.what)).collect();
    assert_eq!(
        missing,
        [
            "/approve:onTimeout onTimeout",
            "/approve:onTimeout/remind reached",
            "/reserve:compensate compensate",
            "/route case 1",
            "/route/stop reached",
        ]
    );
}

#[test]
fn the_same_file_gives_the_same_report() {
    let mocks = r#"
cases:
  - name: many
    input: {sku: A, parts: [1, 2, 3, 4, 5, 6, 7, 8]}
    tasks: {reserve: {output: {id: 7}}, ship: {output: {label: l}, after: 1s}}
    signals: [{name: approval, after: 1s}]
"#;
    let report = || serde_json::to_string(&try_out(mocks)).unwrap();
    assert_eq!(report(), report());
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_the_place() {
    let wrong = [
        ("cases: []", "`cases` is empty"),
        ("cases: [{name: a, taks: {}}]", "cases[0].taks: unknown field `taks`"),
        ("cases: [{name: a, signals: [{name: s, after: soon}]}]", "'soon' is no duration"),
        ("cases: [{name: a, tasks: {t: {outptu: 1}}}]", "cases[0].tasks.t"),
        ("cases: [", "mocks.yaml"),
        ("cases: [{name: a, input: !x}]", "mocks.yaml"),
    ];
    for (text, told) in wrong {
        let error = Mocks::read("mocks.yaml", text).unwrap_err();
        assert!(error.to_string().contains(told), "{text}: {error}");
    }
}
