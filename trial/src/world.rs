//! The world around the engine for one case: tasks answer by the mocks, and time skips to whatever is due next.

use std::collections::BTreeMap;

use oarlock_engine::decide::{self, Decider};
use oarlock_engine::{Effect, Event, Plan, Run, Settings};
use oarlock_protocol::code::Code;
use oarlock_protocol::instance::{TaskMetrics, WorkflowStatus};
use oarlock_protocol::message::{AttemptAddress, Completion, ResultMessage, StartMessage};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{
    ErrorDetails, ExecutionId, FORMAT, Json, JsonMap, RunId, Span, TaskPath, Timestamp, WorkerId, message,
};

use crate::coverage::Coverage;
use crate::expect;
use crate::mocks::Case;
use crate::report::{CaseReport, Reached};

/// So many events end a case: a loop without an end must not last for ever.
const MOST_EVENTS: usize = 100_000;

/// Plays one case.
pub(crate) fn play(plan: &Plan, case: &Case, settings: &Settings, coverage: &mut Coverage) -> CaseReport {
    let started = decide::start(plan, request(plan, case), settings, case.now);
    let (run, effects) = match started {
        Ok(started) => started,
        Err(refusal) => return refused(case, refusal.0),
    };
    let mut world = World {
        plan,
        case,
        settings,
        coverage,
        run,
        now: case.now,
        timers: BTreeMap::new(),
        coming: BTreeMap::new(),
        sequence: 0,
        answering: BTreeMap::new(),
        path: Vec::new(),
        problem: None,
    };
    for (number, signal) in case.signals.iter().enumerate() {
        let (name, payload) = (signal.name.clone(), signal.payload.clone());
        world.later(signal.after, Event::Signal { id: format!("signal {number}"), name, payload });
    }
    if let Some(after) = case.cancel_after {
        world.later(after, Event::Cancel { reason: "cancelAfter".to_owned() });
    }
    world.perform(effects);
    world.go_on();
    world.report()
}

fn request(plan: &Plan, case: &Case) -> StartMessage {
    StartMessage {
        format: FORMAT,
        workflow_instance_id: RunId::keyed("trial", &plan.definition.id, &case.name),
        workflow_definition_id: plan.definition.id.clone(),
        workflow_definition_version: Some(plan.definition.version),
        input: case.input.clone(),
        idempotency_key: None,
        correlation_id: None,
        priority: None,
        security_context: SecurityContext {
            user_id: "trial".to_owned(),
            tenant_id: "trial".to_owned(),
            permissions: case.permissions.clone(),
            ..SecurityContext::default()
        },
        parent: None,
        traceparent: None,
    }
}

fn refused(case: &Case, error: ErrorDetails) -> CaseReport {
    let mut report = CaseReport {
        name: case.name.clone(),
        failures: Vec::new(),
        status: WorkflowStatus::Failed,
        output: None,
        error: Some(error),
        variables: JsonMap::new(),
        took: Span::default(),
        path: Vec::new(),
    };
    report.failures = expect::compare(&case.expect, &report);
    if case.expect.error.is_none() {
        let error = report.error.as_ref().map_or("", |error| error.message.as_str());
        report.failures.push(format!("the start was refused: {error}"));
    }
    report
}

struct World<'a> {
    plan: &'a Plan,
    case: &'a Case,
    settings: &'a Settings,
    coverage: &'a mut Coverage,
    run: Run,
    now: Timestamp,
    timers: BTreeMap<TaskPath, Timestamp>,
    coming: BTreeMap<(Timestamp, u64), Event>,
    sequence: u64,
    /// The attempts that are to be answered, and where they stand.
    answering: BTreeMap<ExecutionId, TaskPath>,
    path: Vec<Reached>,
    /// Why the case cannot go on.
    problem: Option<String>,
}

impl World<'_> {
    fn later(&mut self, after: Span, event: Event) {
        self.sequence += 1;
        self.coming.insert((self.now.after(after), self.sequence), event);
    }

    /// Lets everything happen that is due, until the run has ended or nothing moves it.
    fn go_on(&mut self) {
        for _ in 0..MOST_EVENTS {
            if self.run.head.status.is_terminal() || self.problem.is_some() {
                return;
            }
            let Some(event) = self.next() else { return };
            let mut decider = Decider::new(self.plan, &mut self.run, self.settings, self.now);
            decider.handle(event);
            let effects = decider.finish();
            self.run.changes = oarlock_engine::run::Changes::default();
            self.perform(effects);
            self.end_cancelled();
        }
        self.problem = Some(format!("it did not end within {MOST_EVENTS} events"));
    }

    /// What happens next; time skips to it. An event goes before a timer of the same moment.
    fn next(&mut self) -> Option<Event> {
        let timer = self.timers.iter().map(|(path, at)| (*at, path.clone())).min();
        let event = self.coming.first_key_value().map(|(key, _)| *key);
        match (event, timer) {
            (Some(key), timer) if timer.as_ref().is_none_or(|(at, _)| key.0 <= *at) => {
                self.now = self.now.max(key.0);
                self.coming.remove(&key)
            }
            (_, Some((at, path))) => {
                self.now = self.now.max(at);
                self.timers.remove(&path);
                Some(Event::Timer { path })
            }
            (_, None) => None,
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Offer { path, .. } => self.later(Span::default(), Event::Admitted { path }),
                Effect::Publish { path, execution_id, .. }
                | Effect::StartChild { path, execution_id, again: false, .. } => {
                    self.answer(&path, execution_id);
                }
                Effect::SetTimer { path, at } => drop(self.timers.insert(path, at)),
                Effect::ClearTimer { path } => drop(self.timers.remove(&path)),
                Effect::TaskChanged { path, status, attempt, error } => {
                    if let Some(step) = self.plan.locate(&path) {
                        self.coverage.note(self.plan, &self.run, &step, status);
                    }
                    let after = self.now.since(self.case.now);
                    let error = error.map(|error| error.code);
                    self.path.push(Reached { after, task_path: path, status, attempt, error });
                }
                Effect::Rejected { error } => {
                    self.problem = Some(format!("a signal was refused: {}: {}", error.code, error.message));
                }
                Effect::Withdraw { .. }
                | Effect::Closed { .. }
                | Effect::HandedOn { .. }
                | Effect::StartChild { .. }
                | Effect::CancelChild { .. }
                | Effect::TellParent
                | Effect::Tell { .. }
                | Effect::RunChanged { .. }
                | Effect::Stale { .. }
                | Effect::Forget => {}
            }
        }
    }

    /// Lets an attempt be answered as the mocks say.
    fn answer(&mut self, path: &TaskPath, execution_id: ExecutionId) {
        let Some(work) = self.run.rows.get(path).and_then(|row| row.work()) else { return };
        let attempt = work.attempt_count;
        let input = self.run.rows.get(path).and_then(|row| row.input.clone()).unwrap_or_default();
        let task = self.task(path);
        let Some(outcome) = self.case.outcome(path, &task, attempt) else {
            self.problem = Some(format!(
                "there is no mock for '{task}' at {path}; add to `tasks` a line such as `{task}: {{output: {{}}}}`"
            ));
            return;
        };
        if outcome.lost {
            return;
        }
        self.answering.insert(execution_id, path.clone());
        let deferred = |after: Span| message::Outcome::Deferred {
            after_ms: after.as_millis(),
            state: outcome.state.clone(),
        };
        let ended =
            outcome.deferred.map(deferred).unwrap_or_else(|| match outcome.answer(&input, attempt, path) {
                Ok(output) => message::Outcome::Completed { output },
                Err(error) => message::Outcome::Failed { error },
            });
        if let Some(later) = outcome.accepted {
            self.result(path, execution_id, outcome.after, message::Outcome::Accepted);
            let completion = match ended {
                message::Outcome::Failed { error } => Completion::Failed { error },
                message::Outcome::Completed { output } => Completion::Completed { output },
                _ => Completion::Completed { output: Json::Null },
            };
            let after = Span::from_millis(outcome.after.as_millis() + later.as_millis());
            let (path, execution_id) = (path.clone(), Some(execution_id));
            return self.later(after, Event::Complete { path, execution_id, completion });
        }
        self.result(path, execution_id, outcome.after, ended);
    }

    fn result(&mut self, path: &TaskPath, execution_id: ExecutionId, after: Span, outcome: message::Outcome) {
        let address = AttemptAddress { run: self.run.key.clone(), task_path: path.clone(), execution_id };
        let metrics = TaskMetrics { execution_time_ms: after.as_millis(), ..TaskMetrics::default() };
        let worker_id = WorkerId::from("mock".to_owned());
        let result = ResultMessage { format: FORMAT, address, worker_id, outcome, metrics, deliveries: 1 };
        self.later(after, Event::Result(Box::new(result)));
    }

    fn task(&self, path: &TaskPath) -> String {
        let work = self.plan.locate(path).and_then(|step| self.plan.work(&step));
        work.map(|work| work.definition.id.clone()).unwrap_or_default()
    }

    /// Tasks that were told to end do so at once.
    fn end_cancelled(&mut self) {
        let told = |(id, path): (&ExecutionId, &TaskPath)| {
            let open = self.run.open(path).filter(|(_, open)| open.execution_id == *id);
            open.is_none_or(|(_, open)| open.cancelled_until.is_some()).then_some((*id, path.clone()))
        };
        let mut told: Vec<(ExecutionId, TaskPath)> = self.answering.iter().filter_map(told).collect();
        told.sort_by(|a, b| a.1.cmp(&b.1));
        for (execution_id, path) in told {
            self.answering.remove(&execution_id);
            let error = ErrorDetails::system(Code::Cancelled, "told to end");
            if self.run.open(&path).is_some_and(|(_, open)| open.execution_id == execution_id) {
                self.result(&path, execution_id, Span::default(), message::Outcome::Failed { error });
            }
        }
    }

    fn report(self) -> CaseReport {
        let mut report = CaseReport {
            name: self.case.name.clone(),
            failures: Vec::new(),
            status: self.run.head.status,
            output: self.run.output.clone(),
            error: self.run.head.error.clone(),
            variables: self.run.variables.clone(),
            took: self.now.since(self.case.now),
            path: self.path,
        };
        report.failures.extend(self.problem);
        if report.failures.is_empty() {
            report.failures = expect::compare(&self.case.expect, &report);
        }
        report
    }
}
