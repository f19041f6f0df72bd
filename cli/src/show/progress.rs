//! The tasks as they move: a tree with a progress bar on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use oarlock_orchestrator::Node;
use oarlock_orchestrator::watch::{Change, Changed};
use oarlock_protocol::TaskPath;
use oarlock_protocol::definition::{Task, TaskKind, WorkflowDefinition};
use oarlock_protocol::instance::TaskStatus;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

use super::table::shorten;
use crate::commands::note;

/// The most lines of the tree: a longer one would scroll away.
const MOST_LINES: usize = 40;

/// Shows the changes of one run until it is ended.
pub(crate) struct Progress {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

enum Display {
    Tree(Tree),
    Lines,
    Nothing,
}

impl Progress {
    /// Begins to show what happens in `node`: as a tree on a `terminal`, not at all where `silent`.
    pub(crate) fn begin(definition: &WorkflowDefinition, node: &Node, terminal: bool, silent: bool) -> Self {
        let display = match (silent, terminal) {
            (true, _) => Display::Nothing,
            (false, true) => Display::Tree(Tree::new(definition)),
            (false, false) => Display::Lines,
        };
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(show(display, node.watch().subscribe(), ended));
        Self { end, task }
    }

    /// Shows what is still on its way, then ends.
    pub(crate) async fn end(self) {
        self.end.send(()).ok();
        self.task.await.ok();
    }
}

async fn show(
    mut display: Display,
    mut changes: broadcast::Receiver<Change>,
    mut ended: oneshot::Receiver<()>,
) {
    loop {
        tokio::select! {
            biased;
            change = changes.recv() => match change {
                Ok(change) => display.take(&change),
                Err(broadcast::error::RecvError::Lagged(missed)) => display.missed(missed),
                Err(broadcast::error::RecvError::Closed) => break,
            },
            _ = &mut ended => break,
        }
    }
    if let Display::Tree(tree) = display {
        tree.bar.abandon();
    }
}

impl Display {
    fn take(&mut self, change: &Change) {
        match (self, &change.what) {
            (Display::Tree(tree), Changed::Task { path, status, attempt, error }) => {
                let error = error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
                tree.take(path, *status, *attempt, error.as_deref());
            }
            (Display::Lines, Changed::Task { path, status, attempt, error }) => {
                if matches!(status, TaskStatus::Ready) {
                    return;
                }
                let attempt = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                let error =
                    error.as_ref().map(|error| format!(": {}: {}", error.code, shorten(&error.message, 120)));
                note(&format!(
                    "{} {path} {}{attempt}{}",
                    change.at,
                    status.as_str(),
                    error.unwrap_or_default()
                ));
            }
            (Display::Lines, Changed::Run { status }) => {
                note(&format!("{} run {}", change.at, status.as_str()))
            }
            (Display::Tree(_), Changed::Run { .. }) | (Display::Nothing, _) => {}
        }
    }

    fn missed(&self, missed: u64) {
        if let Display::Lines = self {
            note(&format!("… {missed} changes were too quick to be shown"));
        }
    }
}

/// One line a step, and a bar that counts the settled ones.
struct Tree {
    lines: HashMap<TaskPath, ProgressBar>,
    bar: ProgressBar,
    _screen: MultiProgress,
}

impl Tree {
    fn new(definition: &WorkflowDefinition) -> Self {
        let mut steps = Vec::new();
        collect(&definition.tasks, &TaskPath::root(), 0, &mut steps);
        let screen = MultiProgress::new();
        let style =
            ProgressStyle::with_template("{prefix} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let mut lines = HashMap::new();
        for (path, label) in steps.iter().take(MOST_LINES) {
            let line = screen.add(ProgressBar::new(1).with_style(style.clone()).with_prefix(label.clone()));
            line.set_message("·");
            lines.insert(path.clone(), line);
        }
        let total = u64::try_from(steps.len()).unwrap_or(u64::MAX);
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {elapsed}");
        let bar = screen.add(ProgressBar::new(total));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { lines, bar, _screen: screen }
    }

    fn take(&mut self, path: &TaskPath, status: TaskStatus, attempt: u32, error: Option<&str>) {
        if status.is_terminal() {
            self.bar.inc(1);
        }
        let Some(line) = self.lines.get(path) else { return };
        let attempt = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
        let error = error.map(|error| format!(" {}", shorten(error, 60))).unwrap_or_default();
        line.set_message(format!("{} {}{attempt}{error}", mark(status), status.as_str()));
    }
}

fn mark(status: TaskStatus) -> char {
    match status {
        TaskStatus::Pending | TaskStatus::Ready | TaskStatus::Scheduled => '·',
        TaskStatus::Running => '▶',
        TaskStatus::Completed => '✔',
        TaskStatus::Failed | TaskStatus::TimedOut => '✘',
        TaskStatus::RetryPending => '↻',
        TaskStatus::Skipped => '↷',
        TaskStatus::Cancelled => '■',
    }
}

/// The steps in the order of the definition, each with its indented name.
fn collect(tasks: &[Task], around: &TaskPath, depth: usize, steps: &mut Vec<(TaskPath, String)>) {
    for task in tasks {
        let path = around.child(&task.id);
        steps.push((path.clone(), format!("{}{}", "  ".repeat(depth), task.id)));
        match &task.kind {
            TaskKind::Tasks(children) | TaskKind::Parallel(children) => {
                collect(children, &path, depth + 1, steps)
            }
            TaskKind::Switch(cases) => {
                cases.iter().for_each(|case| collect(&case.tasks, &path, depth + 1, steps))
            }
            TaskKind::Task(_) | TaskKind::Set(_) | TaskKind::Terminate(_) => {}
        }
    }
}
