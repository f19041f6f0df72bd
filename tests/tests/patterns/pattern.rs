//! A pattern under test: its definition out of docs/patterns.md, tried out for the exact order of events, and run embedded,
//! by a real orchestrator and worker, for the same outcome.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::Broker;
use oarlock_broker::embedded::Embedded;
use oarlock_engine::Settings as Rules;
use oarlock_orchestrator::members::memory::Memory as Members;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::{Clock, Node, Settings};
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::instance::{InstanceKind, TaskStatus, WorkflowInstance};
use oarlock_protocol::message::{SignalMessage, StartMessage};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{FORMAT, Json, RunId, RunKey, Span};
use oarlock_trial::{Case, CaseReport, Mocks, Reached};
use oarlock_worker::{Running, TaskContext, TaskError, Worker};

/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// A second of the mocks lasts so long in the embedded run.
const SECOND: Duration = Duration::from_millis(50);
/// What takes this long in the mocks ends in the embedded run only when it is told to.
const FOR_EVER: Span = Span::from_secs(3600);
const TENANT: &str = "acme";

/// What came of a pattern.
pub(crate) struct Played {
    pub(crate) trial: CaseReport,
    pub(crate) embedded: WorkflowInstance,
}

/// Plays pattern `number` of docs/patterns.md with one case of mocks, written as YAML.
pub(crate) async fn play(number: u32, case: &str) -> Played {
    play_beside(number, case, &[]).await
}

/// The same, with other definitions that it starts runs of.
pub(crate) async fn play_beside(number: u32, case: &str, others: &[&str]) -> Played {
    let definition = read(&documented(number));
    let indented = case.trim().replace('\n', "\n    ");
    let mocks = Mocks::read("case.yaml", &format!("cases:\n  - name: pattern\n    {indented}\n")).unwrap();
    let mut report = oarlock_trial::run(definition.clone(), &mocks, &Rules::default()).unwrap();
    let trial = report.cases.remove(0);
    assert_eq!(trial.failures, Vec::<String>::new(), "{:#?}", events(&trial.path));
    let others = others.iter().map(|text| read(text)).collect();
    let embedded = run_embedded(definition, others, mocks.cases[0].clone()).await;
    assert_eq!(ends(&embedded), ends_of(&trial.path), "the embedded run ends as the trial does");
    assert_eq!(embedded.status, trial.status);
    Played { trial, embedded }
}

impl Played {
    /// The events of the trial in order, separated by blanks: `a+` begun, `a.` completed, `a!` failed, `a~` skipped,
    /// `a×` cancelled, `a?` timed out. Iterations show their number: `ask[0]+`.
    pub(crate) fn order(&self) -> String {
        events(&self.trial.path).join(" ")
    }
}

/// The definition under the heading of that number.
fn documented(number: u32) -> String {
    let text = include_str!("../../../docs/patterns.md");
    let section = text.split("\n## ").find(|section| section.starts_with(&format!("{number} ")));
    let section = section.unwrap_or_else(|| panic!("docs/patterns.md has no pattern {number}"));
    let yaml = section.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    yaml.unwrap_or_else(|| panic!("pattern {number} has no definition")).to_owned()
}

fn read(text: &str) -> WorkflowDefinition {
    let report = oarlock_definition::read("pattern.yaml", text);
    report.definition.clone().unwrap_or_else(|| panic!("{}", report.render(false)))
}

/// The events of tasks, waits and children, and of nothing around them.
fn events(path: &[Reached]) -> Vec<String> {
    let mut begun = std::collections::BTreeSet::new();
    let mut events = Vec::new();
    let is_leaf = |at: &str| {
        let inside = |other: &Reached| other.task_path.as_str().starts_with(&format!("{at}/"));
        let iterations = |other: &Reached| other.task_path.as_str().starts_with(&format!("{at}["));
        !at.ends_with(']') && !path.iter().any(|other| inside(other) || iterations(other))
    };
    for reached in path.iter().filter(|reached| is_leaf(reached.task_path.as_str())) {
        let mark = match reached.status {
            TaskStatus::Scheduled | TaskStatus::Running => '+',
            TaskStatus::Completed => '.',
            TaskStatus::Failed => '!',
            TaskStatus::Skipped => '~',
            TaskStatus::Cancelled => '×',
            TaskStatus::TimedOut => '?',
            TaskStatus::Pending | TaskStatus::Ready | TaskStatus::RetryPending => continue,
        };
        if mark == '+' && !begun.insert(reached.task_path.clone()) {
            continue;
        }
        events.push(format!("{}{mark}", name(reached.task_path.as_str())));
    }
    events
}

/// The id of a step, and the number of the iteration it stands in.
fn name(path: &str) -> String {
    let id = path.rsplit('/').next().unwrap_or_default();
    let iteration = path.rfind('[').and_then(|at| path.get(at..)).and_then(|rest| rest.split_once(']'));
    iteration.map_or_else(|| id.to_owned(), |(number, _)| format!("{id}{number}]"))
}

/// How every step ended in the trial.
fn ends_of(path: &[Reached]) -> BTreeMap<String, TaskStatus> {
    path.iter().map(|reached| (reached.task_path.to_string(), reached.status)).collect()
}

/// How every step ended in the embedded run.
fn ends(run: &WorkflowInstance) -> BTreeMap<String, TaskStatus> {
    let steps = run.task_instances.iter();
    steps.map(|step| (step.execution_context.task_path.to_string(), step.status)).collect()
}

async fn run_embedded(
    definition: WorkflowDefinition,
    others: Vec<WorkflowDefinition>,
    case: Case,
) -> WorkflowInstance {
    let broker: Arc<dyn Broker> = Arc::new(Embedded::new());
    let settings = Settings { partitions: 2, ..Settings::default() };
    let (store, members) = (Arc::new(Memory::new()), Arc::new(Members::new()));
    let node = Node::start(broker.clone(), store, members, settings, Clock::system()).await.unwrap();
    assert!(node.ready_within(PATIENCE).await, "the partitions are not owned");
    for definition in others.into_iter().chain([definition.clone()]) {
        node.register(TENANT, definition).await.unwrap();
    }
    let _worker = worker(broker, case.clone()).await;
    let request = request(&definition.id, case.input.clone());
    let run = node.start_run(request).await.unwrap().run;
    let (ended, ()) = tokio::join!(node.wait(&run, PATIENCE), outside(&node, &run, &case));
    let ended = ended.unwrap().unwrap();
    assert!(ended.status.is_terminal(), "still {:?}: {:#?}", ended.status, ends(&ended));
    let kinds = [InstanceKind::Task, InstanceKind::Wait, InstanceKind::Workflow];
    let left = ended.task_instances.iter().filter(|step| kinds.contains(&step.kind));
    assert!(left.clone().all(|step| step.status.is_terminal()), "nothing is left under way");
    node.stop().await;
    ended
}

/// A worker whose tasks take as long as the mocks say, and answer the same.
async fn worker(broker: Arc<dyn Broker>, case: Case) -> Running {
    let case = Arc::new(case);
    let work = move |input: Json, context: TaskContext| {
        let case = case.clone();
        async move { answer(&case, &input, &context).await }
    };
    Worker::builder(broker).slots(20).task("work", work).build().unwrap().start().await.unwrap()
}

async fn answer(case: &Case, input: &Json, context: &TaskContext) -> Result<Json, TaskError> {
    let outcome = case.outcome(context.task_path(), "work", context.attempt()).unwrap_or_default();
    if outcome.after >= FOR_EVER {
        context.cancelled().await;
        return Err(TaskError::new("CANCELLED", "told to end"));
    }
    let milliseconds = outcome.after.as_millis() * u64::try_from(SECOND.as_millis()).unwrap() / 1000;
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    outcome
        .answer(input, context.attempt(), context.task_path())
        .map_err(|error| TaskError::new(&error.code, &error.message))
}

/// What the case tells the run, when its time has come.
async fn outside(node: &Node, run: &RunKey, case: &Case) {
    let scaled = |span: Span| {
        Duration::from_millis(span.as_millis()) / 1000 * u32::try_from(SECOND.as_millis()).unwrap()
    };
    let begun = tokio::time::Instant::now();
    let mut signals = case.signals.clone();
    signals.sort_by_key(|signal| signal.after);
    for (number, signal) in signals.into_iter().enumerate() {
        tokio::time::sleep_until(begun + scaled(signal.after)).await;
        let message = SignalMessage {
            format: FORMAT,
            run: run.clone(),
            signal_id: number.to_string(),
            name: signal.name,
            payload: signal.payload,
        };
        // One that comes when the run has ended is refused, as it is in the trial.
        node.signal(message).await.ok();
    }
    if let Some(after) = case.cancel_after {
        tokio::time::sleep_until(begun + scaled(after)).await;
        node.cancel(run.clone(), "asked for".to_owned()).await.unwrap();
    }
}

fn request(workflow: &str, input: Json) -> StartMessage {
    StartMessage {
        format: FORMAT,
        workflow_instance_id: RunId::random(),
        workflow_definition_id: workflow.to_owned(),
        workflow_definition_version: None,
        input,
        idempotency_key: None,
        correlation_id: None,
        priority: None,
        security_context: SecurityContext {
            user_id: "ada".to_owned(),
            tenant_id: TENANT.to_owned(),
            ..SecurityContext::default()
        },
        parent: None,
        traceparent: None,
    }
}
