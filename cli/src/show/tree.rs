//! The tree of steps on a terminal, with a bar that counts the settled ones. `progress` tells it what changes.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use oarlock_protocol::TaskPath;
use oarlock_protocol::definition::{Task, TaskKind, WorkflowDefinition};
use oarlock_protocol::instance::{TaskStatus, WorkflowStatus};

use super::table::shorten;

/// The most lines of the tree: a longer one would scroll away.
const MOST_LINES: usize = 40;
/// How much of an error a line shows; the summary has all of it.
const SHOWN_ERROR: usize = 60;

/// One line a step, and a bar that counts the settled ones. Handlers get their lines when they begin.
pub(super) struct Tree {
    screen: MultiProgress,
    lines: Vec<Line>,
    /// The steps the bar counts, with a line or without.
    known: HashSet<TaskPath>,
    /// The steps the bar has counted.
    settled: HashSet<TaskPath>,
    /// How far the steps with iterations are.
    iterations: HashMap<TaskPath, Iterations>,
    completed: bool,
    /// How many lines fit the screen.
    most_lines: usize,
    /// The width of the widest name.
    width: usize,
    style: ProgressStyle,
    bar: ProgressBar,
}

/// How many iterations of a step were begun, and how they ended: what was cancelled counts as failed.
#[derive(Default)]
struct Iterations {
    begun: usize,
    completed: usize,
    failed: usize,
}

impl fmt::Display for Iterations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { begun, completed, failed } = self;
        write!(f, "{completed} done")?;
        let under_way = begun.saturating_sub(completed + failed);
        if under_way > 0 {
            write!(f, ", {under_way} under way")?;
        }
        if *failed > 0 { write!(f, ", {failed} failed") } else { Ok(()) }
    }
}

struct Line {
    path: TaskPath,
    depth: usize,
    bar: ProgressBar,
}

impl Tree {
    pub(super) fn new(definition: &WorkflowDefinition) -> Self {
        let mut steps = Vec::new();
        collect(&definition.tasks, &TaskPath::root(), 0, &mut steps);
        let width = |(_, depth, name): &(TaskPath, usize, String)| indented(*depth, name).chars().count();
        let style = ProgressStyle::with_template("{prefix} {wide_msg}");
        let bar_style = ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {elapsed}");
        let screen = MultiProgress::new();
        let bar = screen.add(ProgressBar::new(u64::try_from(steps.len()).unwrap_or(u64::MAX)));
        bar.set_style(bar_style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let mut tree = Self {
            screen,
            lines: Vec::new(),
            known: steps.iter().map(|(path, ..)| path.clone()).collect(),
            settled: HashSet::new(),
            iterations: HashMap::new(),
            completed: false,
            most_lines: most_lines(),
            width: steps.iter().map(width).max().unwrap_or(0),
            style: style.unwrap_or_else(|_| ProgressStyle::default_bar()),
            bar,
        };
        for (path, depth, name) in steps {
            tree.add_line(tree.lines.len(), path, depth, &name);
        }
        tree.bar.enable_steady_tick(Duration::from_millis(200));
        tree
    }

    /// Shows where a step stands now.
    pub(super) fn take(&mut self, path: &TaskPath, status: TaskStatus, attempt: u32, error: Option<&str>) {
        if let Some((owner, inside)) = path.as_str().split_once('[') {
            return self.take_iteration(&TaskPath::from(owner), inside, status);
        }
        if self.known.insert(path.clone()) {
            self.bar.inc_length(1);
            self.add_handler(path);
        }
        if status.is_terminal() && self.settled.insert(path.clone()) {
            self.bar.inc(1);
        }
        let Some(line) = self.lines.iter().find(|line| line.path == *path) else { return };
        let attempt = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
        let error = error.map(|error| format!(": {}", shorten(error, SHOWN_ERROR))).unwrap_or_default();
        let counts = self.iterations.get(path).map(|counts| format!(" ({counts})")).unwrap_or_default();
        line.bar.set_message(format!("{} {}{attempt}{counts}{error}", mark(status), status.as_str()));
    }

    /// Counts an iteration of the step at `owner`; `inside` is the rest of its place. What happens inside it has no line.
    fn take_iteration(&mut self, owner: &TaskPath, inside: &str, status: TaskStatus) {
        if !inside.ends_with(']') || inside.contains('[') {
            return;
        }
        let counts = self.iterations.entry(owner.clone()).or_default();
        match status {
            TaskStatus::Running => counts.begun += 1,
            TaskStatus::Completed => counts.completed += 1,
            _ if status.is_terminal() => counts.failed += 1,
            _ => {}
        }
        let line = self.lines.iter().find(|line| line.path == *owner);
        // Where enough of them was needed, others may go on when the step is done: its line stays.
        if let Some(line) = line.filter(|_| !self.settled.contains(owner)) {
            line.bar.set_message(format!("▶ RUNNING ({counts})"));
        }
    }

    /// Takes in how the run stands: of one that has completed, what was not reached was not taken.
    pub(super) fn take_run(&mut self, status: WorkflowStatus) {
        self.completed = status == WorkflowStatus::Completed;
    }

    /// Leaves the tree on the screen as it is.
    pub(super) fn leave(self) {
        // A bar that is dropped before it has ended would vanish.
        for line in &self.lines {
            if self.completed && !self.settled.contains(&line.path) {
                line.bar.set_message("↷ not taken");
            }
            line.bar.abandon();
        }
        if self.completed {
            self.bar.set_length(self.bar.position());
        }
        self.bar.abandon();
    }

    /// Adds the line of a step that is no step of the definition's tasks, behind all that stands below its parent.
    fn add_handler(&mut self, path: &TaskPath) {
        let (parent, name) = parent_and_name(path);
        let below = |line: &Line| {
            let rest = line.path.as_str().strip_prefix(&parent);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
        };
        let depth = self.lines.iter().find(|line| line.path.as_str() == parent).map_or(0, |p| p.depth + 1);
        let index = self.lines.iter().rposition(below).map_or(self.lines.len(), |last| last + 1);
        self.add_line(index, path.clone(), depth, &name);
    }

    fn add_line(&mut self, index: usize, path: TaskPath, depth: usize, name: &str) {
        if self.lines.len() >= self.most_lines {
            return;
        }
        let bar = self.screen.insert(index, ProgressBar::new(1).with_style(self.style.clone()));
        bar.set_prefix(format!("{:<width$}", indented(depth, name), width = self.width));
        bar.set_message("·");
        self.lines.insert(index, Line { path, depth, bar });
    }
}

/// As many lines as leave room for the bar: a longer tree would push it off the screen.
fn most_lines() -> usize {
    let (rows, _) = console::Term::stderr().size();
    usize::from(rows).saturating_sub(3).clamp(1, MOST_LINES)
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

fn indented(depth: usize, name: &str) -> String {
    format!("{}{name}", "  ".repeat(depth))
}

/// `/a/b` is `b` below `/a`; `/a:onError` is `onError` below `/a`.
fn parent_and_name(path: &TaskPath) -> (String, String) {
    let text = path.as_str();
    let (parent, name) = match text.rfind(['/', ':']) {
        Some(at) => text.split_at(at),
        None => ("", text),
    };
    (parent.to_owned(), name.trim_start_matches(['/', ':']).to_owned())
}

/// The steps in the order of the definition, each with its depth and name.
fn collect(tasks: &[Task], around: &TaskPath, depth: usize, steps: &mut Vec<(TaskPath, usize, String)>) {
    for task in tasks {
        let path = around.child(&task.id);
        steps.push((path.clone(), depth, task.id.clone()));
        match &task.kind {
            TaskKind::Tasks(children) | TaskKind::Parallel(children) => {
                collect(children, &path, depth + 1, steps)
            }
            TaskKind::Switch(cases) => {
                cases.iter().for_each(|case| collect(&case.tasks, &path, depth + 1, steps))
            }
            // Iterations are counted on the step's own line: there may be thousands.
            TaskKind::ForEach(..)
            | TaskKind::Loop(..)
            | TaskKind::Task(_)
            | TaskKind::Set(_)
            | TaskKind::Terminate(_)
            | TaskKind::Workflow(_)
            | TaskKind::Wait(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_stand_below_what_they_handle() {
        let rows = [
            ("/a/b", ("/a", "b")),
            ("/a:onError", ("/a", "onError")),
            ("/a:onError/tell", ("/a:onError", "tell")),
            ("/:onError", ("/", "onError")),
            ("/a", ("", "a")),
        ];
        for (path, (parent, name)) in rows {
            assert_eq!(parent_and_name(&path.into()), (parent.to_owned(), name.to_owned()), "{path}");
        }
    }

    #[test]
    fn lines_of_handlers_are_added_behind_their_step() {
        let text = "id: w\nversion: 1\ntasks:\n  - {id: a, task: x}\n  - {id: ab, task: x}\n";
        let mut tree = Tree::new(&oarlock_definition::read("w", text).definition.unwrap());
        for path in ["/a:onError", "/a:onError/first", "/a:onError/second"] {
            tree.take(&path.into(), TaskStatus::Completed, 0, None);
        }
        let lines: Vec<_> = tree.lines.iter().map(|line| (line.path.as_str(), line.depth)).collect();
        let handlers = [("/a:onError", 1), ("/a:onError/first", 2), ("/a:onError/second", 2)];
        assert_eq!(lines, [&[("/a", 0)], &handlers[..], &[("/ab", 0)]].concat());
        assert_eq!((tree.bar.position(), tree.bar.length()), (3, Some(5)));
    }
    #[test]
    fn iterations_are_counted_until_their_step_has_ended() {
        let text = "id: w\nversion: 1\ntasks:\n  - id: each\n    forEach: {items: [1, 2, 3]}\n    join: {need: 1}\n    \
                    tasks: [{id: inner, forEach: {items: [1], as: x}, tasks: [{id: one, task: x}]}]\n";
        let mut tree = Tree::new(&oarlock_definition::read("w", text).definition.unwrap());
        let mut told = |path: &str, status| {
            tree.take(&path.into(), status, 0, None);
            tree.lines[0].bar.message()
        };
        told("/each", TaskStatus::Running);
        told("/each[0]", TaskStatus::Running);
        assert_eq!(told("/each[1]", TaskStatus::Running), "▶ RUNNING (0 done, 2 under way)");
        assert_eq!(told("/each[0]/inner[0]", TaskStatus::Completed), "▶ RUNNING (0 done, 2 under way)");
        assert_eq!(told("/each[0]", TaskStatus::Failed), "▶ RUNNING (0 done, 1 under way, 1 failed)");
        told("/each[2]", TaskStatus::Running);
        told("/each[1]", TaskStatus::Completed);
        let done = "✔ COMPLETED (1 done, 1 under way, 1 failed)";
        assert_eq!(told("/each", TaskStatus::Completed), done);
        assert_eq!(
            told("/each[2]", TaskStatus::Completed),
            done,
            "what goes on after it has ended changes nothing"
        );
        assert_eq!((tree.lines.len(), tree.bar.position(), tree.bar.length()), (1, 1, Some(1)));
    }
}
