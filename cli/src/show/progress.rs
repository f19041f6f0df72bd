//! The tasks as they move: a tree with a progress bar on a terminal, plain lines elsewhere.

use oarlock_orchestrator::Node;
use oarlock_orchestrator::watch::{Change, Changed};
use oarlock_protocol::RunKey;
use oarlock_protocol::definition::WorkflowDefinition;
use oarlock_protocol::instance::TaskStatus;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;

use super::table::first_line;
use super::tree::Tree;
use crate::commands::note;

/// Shows the changes of one run until it is ended.
pub(crate) struct Progress {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

enum Display {
    Tree(Box<Tree>),
    Lines,
    Nothing,
}

impl Progress {
    /// Begins to show what happens to `run` in `node`: as a tree on a `terminal`, not at all where `silent`. The runs that
    /// it starts are shown as the steps that start them.
    pub(crate) fn begin(
        definition: &WorkflowDefinition,
        run: RunKey,
        node: &Node,
        terminal: bool,
        silent: bool,
    ) -> Self {
        let display = match (silent, terminal) {
            (true, _) => Display::Nothing,
            (false, true) => Display::Tree(Box::new(Tree::new(definition))),
            (false, false) => Display::Lines,
        };
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(show(display, run, node.watch().subscribe(), ended));
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
    run: RunKey,
    mut changes: broadcast::Receiver<Change>,
    mut ended: oneshot::Receiver<()>,
) {
    loop {
        tokio::select! {
            biased;
            change = changes.recv() => match change {
                Ok(change) if change.run == run => display.take(&change),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(missed)) => display.missed(missed),
                Err(broadcast::error::RecvError::Closed) => break,
            },
            _ = &mut ended => break,
        }
    }
    if let Display::Tree(tree) = display {
        tree.leave();
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
                    error.as_ref().map(|error| format!(": {}: {}", error.code, first_line(&error.message)));
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
            (Display::Tree(tree), Changed::Run { status }) => tree.take_run(*status),
            (Display::Nothing, _) => {}
        }
    }

    fn missed(&self, missed: u64) {
        if let Display::Lines = self {
            note(&format!("… {missed} changes were too quick to be shown"));
        }
    }
}
