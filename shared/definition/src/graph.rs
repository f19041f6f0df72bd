//! A definition as a picture: the text of a Mermaid flowchart, which many editors and pages draw.
//!
//! Steps are nodes, what waits for what is an edge, steps with steps inside are frames; what happens only when something
//! goes wrong is dashed. Called by `oarlock graph`; nothing of a definition's text can end a label early.

use std::fmt::Write;

use oarlock_protocol::Json;
use oarlock_protocol::definition::{
    Awaited, ForEach, Loop, SwitchCase, Task, TaskKind, TerminateStatus, Wait, WorkflowDefinition,
};

/// More of an expression is not shown: a picture has no room for it.
const LONGEST_LABEL: usize = 60;

/// The flowchart of a definition, one statement a line.
pub fn graph(definition: &WorkflowDefinition) -> String {
    let mut drawing = Drawing { text: "flowchart TD\n".to_owned(), depth: 1 };
    let title = format!("{} {}", definition.id, definition.version);
    drawing.line(&format!("begin(({}))", label(&[&title])));
    drawing.list(&definition.tasks, Order::OneByOne);
    for first in firsts(&definition.tasks, Order::OneByOne) {
        drawing.line(&format!("begin --> {}", name(first)));
    }
    drawing.aside("begin", "error", "begin__error", "on error of the workflow", &definition.on_error);
    drawing.text
}

/// How the steps of a list follow one another where they do not say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    OneByOne,
    AllAtOnce,
}

struct Drawing {
    text: String,
    depth: usize,
}

impl Drawing {
    fn line(&mut self, statement: &str) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "{:1$}{statement}", "", 2 * self.depth);
    }

    fn frame(&mut self, name: &str, title: &str, inside: impl FnOnce(&mut Self)) {
        self.line(&format!("subgraph {name}[{title}]"));
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.line("end");
    }

    /// Steps, and which of them waits for which.
    fn list(&mut self, tasks: &[Task], order: Order) {
        for task in tasks {
            self.step(task);
        }
        for (position, task) in tasks.iter().enumerate() {
            for before in awaited(tasks, position, order) {
                self.line(&format!("{} --> {}", name(before), name(task)));
            }
        }
    }

    fn step(&mut self, task: &Task) {
        let condition = task.condition.as_ref().map(|condition| format!("if {}", bare(condition)));
        let own = name(task);
        match &task.kind {
            TaskKind::Task(offered) => self.node(task, ("[", "]"), &[offered], condition),
            TaskKind::Workflow(child) => {
                let version = child.version.map(|version| format!(" {version}")).unwrap_or_default();
                let starts = format!("starts {}{version}", child.id);
                self.node(task, ("[[", "]]"), &[&starts], condition);
            }
            TaskKind::Wait(wait) => self.node(task, ("{{", "}}"), &[&awaiting(wait)], condition),
            TaskKind::Set(values) => {
                let names: Vec<&str> = values.keys().map(String::as_str).collect();
                self.node(task, ("[/", "/]"), &[&format!("set {}", names.join(", "))], condition);
            }
            TaskKind::Terminate(terminate) => {
                let status = match terminate.status {
                    TerminateStatus::Completed => "ends COMPLETED",
                    TerminateStatus::Failed => "ends FAILED",
                };
                self.node(task, ("([", "])"), &[status], condition);
            }
            TaskKind::Tasks(tasks) => self.block(task, "", tasks, Order::OneByOne),
            TaskKind::Parallel(tasks) => self.block(task, "all at once", tasks, Order::AllAtOnce),
            TaskKind::ForEach(each, tasks) => self.block(task, &for_each(each), tasks, Order::OneByOne),
            TaskKind::Loop(repeat, tasks) => self.block(task, &looped(repeat), tasks, Order::OneByOne),
            TaskKind::Switch(cases) => self.switch(task, cases),
        }
        self.aside(
            &own,
            "error",
            &format!("{own}__error"),
            &format!("on error of {}", task.id),
            &task.on_error,
        );
        let timeout = format!("{own}__timeout");
        self.aside(&own, "timeout", &timeout, &format!("on timeout of {}", task.id), &task.on_timeout);
        if let Some(compensation) = &task.compensate_with {
            self.line(&format!("{own}__undo[{}]", label(&[&compensation.task])));
            self.line(&format!("{own} -.->|{}| {own}__undo", label(&["undone by"])));
        }
    }

    fn node(&mut self, task: &Task, shape: (&str, &str), lines: &[&str], condition: Option<String>) {
        let mut all = vec![task.id.as_str()];
        all.extend(lines);
        all.extend(condition.as_deref());
        self.line(&format!("{}{}{}{}", name(task), shape.0, label(&all), shape.1));
    }

    fn block(&mut self, task: &Task, what: &str, tasks: &[Task], order: Order) {
        let title = title(task, what);
        self.frame(&name(task), &title, |drawing| drawing.list(tasks, order));
    }

    fn switch(&mut self, task: &Task, cases: &[SwitchCase]) {
        let choice = format!("{}__choice", name(task));
        self.frame(&name(task), &title(task, ""), |drawing| {
            drawing.line(&format!("{choice}{{{}}}", label(&["?"])));
            for case in cases {
                drawing.list(&case.tasks, Order::OneByOne);
                let when = case.when.as_ref().map_or("otherwise", |when| bare(when));
                for first in firsts(&case.tasks, Order::OneByOne) {
                    drawing.line(&format!("{choice} -->|{}| {}", label(&[when]), name(first)));
                }
            }
        });
    }

    /// Steps that are done only when something went wrong, in a frame of their own.
    fn aside(&mut self, of: &str, why: &str, frame: &str, title: &str, tasks: &[Task]) {
        if tasks.is_empty() {
            return;
        }
        self.frame(frame, &label(&[title]), |drawing| drawing.list(tasks, Order::OneByOne));
        self.line(&format!("{of} -.->|{}| {frame}", label(&[why])));
    }
}

/// A name that no word of Mermaid is.
fn name(task: &Task) -> String {
    format!("s_{}", task.id)
}

fn title(task: &Task, what: &str) -> String {
    let join = task.join.map(|join| format!("{} are enough", join.need));
    let condition = task.condition.as_ref().map(|condition| format!("if {}", bare(condition)));
    let mut lines = vec![task.id.as_str()];
    lines.extend(Some(what).filter(|what| !what.is_empty()));
    lines.extend(join.as_deref());
    lines.extend(condition.as_deref());
    label(&lines)
}

/// The steps that the one at `position` waits for, without those that these wait for already.
fn awaited(tasks: &[Task], position: usize, order: Order) -> Vec<&Task> {
    match (&tasks[position].depends_on, order) {
        (Some(names), _) => tasks.iter().filter(|task| names.contains(&task.id)).collect(),
        (None, Order::AllAtOnce) => Vec::new(),
        (None, Order::OneByOne) => {
            // The last before it without `dependsOn` has waited for all before itself.
            let before = &tasks[..position];
            let from = before.iter().rposition(|task| task.depends_on.is_none()).unwrap_or(0);
            let open = &before[from..];
            let is_awaited = |task: &Task| {
                open.iter()
                    .any(|other| other.depends_on.as_ref().is_some_and(|names| names.contains(&task.id)))
            };
            open.iter().filter(|task| !is_awaited(task)).collect()
        }
    }
}

/// The steps that wait for none of their list.
fn firsts(tasks: &[Task], order: Order) -> impl Iterator<Item = &Task> {
    (0..tasks.len()).filter(move |&at| awaited(tasks, at, order).is_empty()).map(|at| &tasks[at])
}

fn for_each(each: &ForEach) -> String {
    let items = match &each.items {
        Json::Array(items) => format!("{} items", items.len()),
        Json::Object(items) => format!("{} items", items.len()),
        Json::String(text) => bare(text).to_owned(),
        Json::Null | Json::Bool(_) | Json::Number(_) => "items".to_owned(),
    };
    format!("for each {} of {items}", each.name)
}

fn looped(repeat: &Loop) -> String {
    let before = repeat.while_.as_ref().map(|text| format!("while {}", bare(text)));
    let after = repeat.until.as_ref().map(|text| format!("until {}", bare(text)));
    before.into_iter().chain(after).collect::<Vec<_>>().join(", ")
}

fn awaiting(wait: &Wait) -> String {
    let one = |awaited: &Awaited| match awaited {
        Awaited::Duration { duration } => bare(duration).to_owned(),
        Awaited::Until { until } => format!("until {}", bare(until)),
        Awaited::Signal { signal, .. } => format!("signal {signal}"),
    };
    let all: Vec<String> = wait.first.iter().map(one).collect();
    let timeout = wait.timeout.map(|timeout| format!(", at most {timeout}")).unwrap_or_default();
    format!("waits for {}{timeout}", all.join(" or "))
}

/// An expression without `${ }` around it.
fn bare(text: &str) -> &str {
    crate::expressions::unwrapped(text)
}

/// Lines in quotes. What Mermaid or a page would read as its own is written as entities.
fn label(lines: &[&str]) -> String {
    let line = |line: &&str| {
        let mut text = String::new();
        for (position, character) in line.chars().enumerate() {
            match character {
                _ if position == LONGEST_LABEL => {
                    text.push('…');
                    break;
                }
                '"' => text.push_str("#quot;"),
                '#' => text.push_str("#35;"),
                '<' => text.push_str("#lt;"),
                '>' => text.push_str("#gt;"),
                '&' => text.push_str("#amp;"),
                '`' => text.push_str("#96;"),
                _ if character.is_control() => text.push(' '),
                _ => text.push(character),
            }
        }
        text
    };
    format!("\"{}\"", lines.iter().map(line).collect::<Vec<_>>().join("<br/>"))
}
