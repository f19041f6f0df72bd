//! A random workflow as the simulation knows it: written out as a definition by `definition`, foretold by `model`.

/// A workflow.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) id: String,
    pub(crate) steps: Vec<Step>,
    /// What the workflow does when it has failed.
    pub(crate) on_error: Vec<Step>,
    /// The limit of a whole run, in seconds.
    pub(crate) total_s: Option<u64>,
}

/// A step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) condition: Option<bool>,
    /// The earlier steps of its list that it waits for, by number; all of them where absent.
    pub(crate) depends: Option<Vec<usize>>,
    pub(crate) continues: bool,
    pub(crate) on_error: Vec<Step>,
    /// Whether a block has a variable of its own.
    pub(crate) own: bool,
    /// How many steps inside are enough, and whether the others are cancelled then.
    pub(crate) join: Option<(usize, bool)>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Task(Work),
    /// Adds a number to the variable `x`.
    Set(i64),
    /// Ends the run: COMPLETED or FAILED.
    Terminate(bool),
    Wait(Wait),
    Group(Vec<Step>),
    Parallel(Vec<Step>),
    /// The cases, and which of them is taken; none where no case holds.
    Switch(Vec<Vec<Step>>, Option<usize>),
    Each(Each, Vec<Step>),
    Loop(Repeat, Vec<Step>),
    Child(Child),
}

/// A task for workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    /// How often it may be retried, and whether the run pauses when that is used up.
    pub(crate) retries: Option<(u32, bool)>,
    /// What undoes it: after any outcome, or only when it was completed.
    pub(crate) undo: Option<bool>,
    /// Whether its handler never fails.
    pub(crate) safe: bool,
    /// Whether it may take longer than its time limit the first time.
    pub(crate) limited: bool,
    /// Whether its output ends the run well.
    pub(crate) ends: bool,
    pub(crate) priority: u64,
}

/// A run of another workflow.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// Which workflow.
    pub(crate) number: usize,
    /// Whether its end is waited for.
    pub(crate) wait: bool,
    pub(crate) retries: Option<u32>,
    /// What undoes it, as of a task.
    pub(crate) undo: Option<bool>,
}

/// A wait.
#[derive(Clone, Debug)]
pub(crate) enum Wait {
    /// So many milliseconds.
    Time(u64),
    /// The time at which the run began.
    Past,
    /// A signal that is sent, or a time.
    First,
    /// A signal that is sent; with a timeout it may come too late.
    Signal { timeout: bool, late: Vec<Step> },
    /// A signal that never comes.
    Never { late: Vec<Step> },
}

/// A `forEach`.
#[derive(Clone, Debug)]
pub(crate) struct Each {
    pub(crate) items: usize,
    pub(crate) concurrency: Option<usize>,
    pub(crate) tolerate: usize,
    /// After so many completed iterations it is done.
    pub(crate) until: Option<usize>,
    pub(crate) batch: Option<usize>,
}

/// A `loop`.
#[derive(Clone, Debug)]
pub(crate) struct Repeat {
    pub(crate) rounds: usize,
    pub(crate) by_while: bool,
    pub(crate) delay: bool,
}

impl Each {
    pub(crate) fn iterations(&self) -> usize {
        self.items.div_ceil(self.batch.unwrap_or(1))
    }
}

impl Step {
    /// The lists of steps inside and attached.
    pub(crate) fn lists(&self) -> Vec<&[Step]> {
        let inside: Vec<&[Step]> = match &self.kind {
            Kind::Task(_) | Kind::Set(_) | Kind::Terminate(_) | Kind::Child(_) => Vec::new(),
            Kind::Wait(Wait::Time(_) | Wait::Past | Wait::First) => Vec::new(),
            Kind::Wait(Wait::Signal { late, .. } | Wait::Never { late }) => vec![late],
            Kind::Group(steps) | Kind::Parallel(steps) | Kind::Each(_, steps) | Kind::Loop(_, steps) => {
                vec![steps]
            }
            Kind::Switch(cases, _) => cases.iter().map(Vec::as_slice).collect(),
        };
        inside.into_iter().chain([self.on_error.as_slice()]).collect()
    }

    /// The names of the signals that are sent for steps here.
    pub(crate) fn signals(&self) -> Vec<String> {
        let inside = self.lists().into_iter().flatten().flat_map(Step::signals);
        let own = matches!(self.kind, Kind::Wait(Wait::Signal { .. } | Wait::First)).then(|| self.signal());
        own.into_iter().chain(inside).collect()
    }

    /// The name of the signal it waits for.
    pub(crate) fn signal(&self) -> String {
        format!("go_{}", self.id)
    }
}
