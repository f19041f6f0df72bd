//! Every step of a definition in one list, with its place and the list of steps it stands in.

use std::collections::HashMap;

use oarlock_protocol::definition::{Task, TaskKind, WorkflowDefinition};

use crate::place::Place;

/// The steps and their lists; both are named by their position here.
pub(super) struct Outline<'d> {
    pub(super) steps: Vec<Step<'d>>,
    pub(super) lists: Vec<List>,
    /// The first step of each id.
    pub(super) by_id: HashMap<&'d str, usize>,
}

/// One step.
pub(super) struct Step<'d> {
    pub(super) task: &'d Task,
    pub(super) place: Place,
    /// The list it stands in, and where.
    pub(super) list: usize,
    pub(super) position: usize,
}

/// Steps in a row.
pub(super) struct List {
    pub(super) steps: Vec<usize>,
    /// The step around it; none for the workflow's own lists.
    pub(super) owner: Option<usize>,
    pub(super) role: Role,
}

/// What a list of steps is to the step around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Its children, in order.
    Tasks,
    /// Its children, all at once.
    Parallel,
    /// One case of a switch.
    Case,
    /// Its error handlers.
    OnError,
}

impl<'d> Outline<'d> {
    pub(super) fn of(definition: &'d WorkflowDefinition) -> Self {
        let mut outline = Self { steps: Vec::new(), lists: Vec::new(), by_id: HashMap::new() };
        outline.add(&definition.tasks, None, Role::Tasks, &Place::root().key("tasks"));
        outline.add(&definition.on_error, None, Role::OnError, &Place::root().key("onError"));
        outline
    }

    fn add(&mut self, tasks: &'d [Task], owner: Option<usize>, role: Role, place: &Place) {
        if tasks.is_empty() {
            return;
        }
        let list = self.lists.len();
        self.lists.push(List { steps: Vec::new(), owner, role });
        for (position, task) in tasks.iter().enumerate() {
            let number = self.steps.len();
            let place = place.index(position);
            self.steps.push(Step { task, place: place.clone(), list, position });
            self.lists[list].steps.push(number);
            self.by_id.entry(&task.id).or_insert(number);
            self.add_inside(task, number, &place);
        }
    }

    fn add_inside(&mut self, task: &'d Task, number: usize, place: &Place) {
        match &task.kind {
            TaskKind::Tasks(tasks) | TaskKind::ForEach(_, tasks) | TaskKind::Loop(_, tasks) => {
                self.add(tasks, Some(number), Role::Tasks, &place.key("tasks"))
            }
            TaskKind::Parallel(tasks) => {
                self.add(tasks, Some(number), Role::Parallel, &place.key("parallel"))
            }
            TaskKind::Switch(cases) => {
                for (index, case) in cases.iter().enumerate() {
                    let place = place.key("switch").index(index).key("tasks");
                    self.add(&case.tasks, Some(number), Role::Case, &place);
                }
            }
            TaskKind::Task(_)
            | TaskKind::Set(_)
            | TaskKind::Terminate(_)
            | TaskKind::Workflow(_)
            | TaskKind::Wait(_) => {}
        }
        self.add(&task.on_error, Some(number), Role::OnError, &place.key("onError"));
    }

    /// The ids of the steps in a list.
    pub(super) fn ids_in(&self, list: usize) -> impl Iterator<Item = &'d str> {
        self.lists[list].steps.iter().map(|&step| self.steps[step].task.id.as_str())
    }

    /// The lists and steps around a step, the outermost first, its own last.
    pub(super) fn chain(&self, step: usize) -> Vec<(usize, usize)> {
        let mut chain = Vec::new();
        let mut at = Some(step);
        while let Some(number) = at {
            let list = self.steps[number].list;
            chain.push((list, number));
            at = self.lists[list].owner;
        }
        chain.reverse();
        chain
    }

    /// Whether a step stands, however deep, in error handlers.
    pub(super) fn is_in_handlers(&self, step: usize) -> bool {
        self.chain(step).iter().any(|(list, _)| self.lists[*list].role == Role::OnError)
    }
}
