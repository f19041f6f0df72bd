//! Every step of a definition in one list, with its place and the list of steps it stands in.

use std::collections::HashMap;

use oarlock_protocol::definition::{Task, TaskKind, WorkflowDefinition};

use crate::place::Place;

/// The most steps of one definition: a plan of them is compiled whole, and a run may hold a row for each.
pub(super) const MOST_STEPS: usize = 10_000;
/// The most steps inside one another: whatever walks them recursively fits its stack. A text ends sooner, at its own depth.
pub(super) const DEEPEST_STEPS: usize = 100;

/// The steps and their lists; both are named by their position here.
pub(super) struct Outline<'d> {
    pub(super) steps: Vec<Step<'d>>,
    pub(super) lists: Vec<List>,
    /// The first step of each id.
    pub(super) by_id: HashMap<&'d str, usize>,
    /// The first step beyond the most.
    pub(super) too_many: Option<Place>,
    /// The first list that stands too deep.
    pub(super) too_deep: Option<Place>,
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

/// Where a list is added.
#[derive(Clone, Copy)]
struct Around {
    owner: Option<usize>,
    depth: usize,
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
    /// What each iteration of a `forEach` or `loop` does, in order.
    Iteration,
    /// Its error handlers.
    OnError,
    /// What is done when a `wait` has timed out.
    OnTimeout,
}

impl Role {
    /// Whether the list is what its step does, and not what follows when that went wrong.
    pub(super) fn is_inside(self) -> bool {
        match self {
            Self::Tasks | Self::Parallel | Self::Case | Self::Iteration => true,
            Self::OnError | Self::OnTimeout => false,
        }
    }
}

impl<'d> Outline<'d> {
    pub(super) fn of(definition: &'d WorkflowDefinition) -> Self {
        let mut outline = Self {
            steps: Vec::new(),
            lists: Vec::new(),
            by_id: HashMap::new(),
            too_many: None,
            too_deep: None,
        };
        let root = Place::root();
        outline.add(&definition.tasks, Around { owner: None, depth: 0 }, Role::Tasks, &root.key("tasks"));
        outline.add(
            &definition.on_error,
            Around { owner: None, depth: 0 },
            Role::OnError,
            &root.key("onError"),
        );
        outline
    }

    fn add(&mut self, tasks: &'d [Task], around: Around, role: Role, place: &Place) {
        if tasks.is_empty() {
            return;
        }
        if around.depth == DEEPEST_STEPS {
            self.too_deep.get_or_insert_with(|| place.clone());
            return;
        }
        let list = self.lists.len();
        self.lists.push(List { steps: Vec::new(), owner: around.owner, role });
        for (position, task) in tasks.iter().enumerate() {
            let number = self.steps.len();
            let place = place.index(position);
            if number == MOST_STEPS {
                self.too_many.get_or_insert(place);
                return;
            }
            self.steps.push(Step { task, place: place.clone(), list, position });
            self.lists[list].steps.push(number);
            self.by_id.entry(&task.id).or_insert(number);
            self.add_inside(task, Around { owner: Some(number), depth: around.depth + 1 }, &place);
        }
    }

    fn add_inside(&mut self, task: &'d Task, around: Around, place: &Place) {
        match &task.kind {
            TaskKind::Tasks(tasks) => self.add(tasks, around, Role::Tasks, &place.key("tasks")),
            TaskKind::ForEach(_, tasks) | TaskKind::Loop(_, tasks) => {
                self.add(tasks, around, Role::Iteration, &place.key("tasks"))
            }
            TaskKind::Parallel(tasks) => self.add(tasks, around, Role::Parallel, &place.key("parallel")),
            TaskKind::Switch(cases) => {
                for (index, case) in cases.iter().enumerate() {
                    let place = place.key("switch").index(index).key("tasks");
                    self.add(&case.tasks, around, Role::Case, &place);
                }
            }
            TaskKind::Task(_)
            | TaskKind::Set(_)
            | TaskKind::Terminate(_)
            | TaskKind::Workflow(_)
            | TaskKind::Wait(_) => {}
        }
        self.add(&task.on_error, around, Role::OnError, &place.key("onError"));
        self.add(&task.on_timeout, around, Role::OnTimeout, &place.key("onTimeout"));
    }

    /// The step around a step, and what the list between them is to it.
    pub(super) fn around(&self, step: usize) -> Option<(usize, Role)> {
        let list = &self.lists[self.steps[step].list];
        list.owner.map(|owner| (owner, list.role))
    }

    /// Whether `step` belongs, however deep, to what `owner` does.
    pub(super) fn is_inside(&self, step: usize, owner: usize) -> bool {
        let mut at = step;
        while let Some((around, role)) = self.around(at) {
            if around == owner {
                return role.is_inside();
            }
            at = around;
        }
        false
    }

    /// The `forEach` and `loop` steps in whose iterations a step stands, the innermost first.
    pub(super) fn iterations_around(&self, step: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = step;
        while let Some((around, role)) = self.around(at) {
            if role == Role::Iteration {
                found.push(around);
            }
            at = around;
        }
        found
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
