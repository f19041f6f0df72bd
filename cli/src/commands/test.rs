//! `oarlock test`: tries a definition out against given outcomes, with time that skips.

use std::process::ExitCode;

use oarlock_trial::{CaseReport, Mocks, Report};

use super::{read_definition, read_text, say, say_json};
use crate::arguments::Test;
use crate::configuration::Configuration;
use crate::exit::Failure;

/// How the command ends where a case came out otherwise than expected.
const FAILED: u8 = 1;

pub(super) fn test(configuration: &Configuration, given: &Test, json: bool) -> Result<ExitCode, Failure> {
    let definition = read_definition(&given.file)?;
    let mut mocks = Mocks::read(&given.mocks.display().to_string(), &read_text(&given.mocks)?)
        .map_err(|error| Failure::usage(error.to_string()))?;
    if let Some(only) = &given.only {
        mocks.cases.retain(|case| case.name.contains(only.as_str()));
        if mocks.cases.is_empty() {
            return Err(Failure::usage(format!("no case has '{only}' in its name")));
        }
    }
    let settings = configuration.orchestrator().engine;
    let report = oarlock_trial::run(definition, &mocks, &settings)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let covered = report.coverage.percent() >= given.coverage;
    if json {
        say_json(&serde_json::to_value(&report).unwrap_or_default());
    } else {
        show(&report, given);
    }
    Ok(if report.passed() && covered { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn show(report: &Report, given: &Test) {
    for case in &report.cases {
        let mark = if case.failures.is_empty() { '✔' } else { '✘' };
        say(&format!("{mark} {} — {} after {}", case.name, case.status.as_str(), case.took));
        case.failures.iter().for_each(|failure| say(&format!("    {failure}")));
        if given.path || !case.failures.is_empty() {
            show_path(case);
        }
    }
    let passed = report.cases.iter().filter(|case| case.failures.is_empty()).count();
    let percent = report.coverage.percent();
    say(&format!("{passed} of {} cases passed; they take {percent} % of the branches.", report.cases.len()));
    let missing: Vec<String> = report
        .coverage
        .not_taken()
        .map(|branch| format!("    {} {}", branch.task_path, branch.what))
        .collect();
    if !missing.is_empty() {
        say(&format!("Not taken:\n{}", missing.join("\n")));
    }
    if percent < given.coverage {
        say(&format!("✘ at least {} % of the branches were asked for", given.coverage));
    }
}

/// The path taken: each step when it ended, or where it stands.
fn show_path(case: &CaseReport) {
    let ends = |reached: &&oarlock_trial::Reached| reached.status.is_terminal() || reached.error.is_some();
    for reached in case.path.iter().filter(ends) {
        let attempt =
            if reached.attempt > 1 { format!(" (attempt {})", reached.attempt) } else { String::new() };
        let error = reached.error.as_ref().map(|code| format!(": {code}")).unwrap_or_default();
        let (after, path, status) = (reached.after.to_string(), &reached.task_path, reached.status.as_str());
        say(&format!("    {after:>12}  {path}  {status}{attempt}{error}"));
    }
}
