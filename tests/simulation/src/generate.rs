//! Random workflows over the whole language.
//!
//! What nobody could foretell is left out: a step whose outcome decides who is first, such as one of a `join`, does not fail.

use crate::flow::{Child, Each, Flow, Kind, Repeat, Step, Wait, Work};
use crate::random::Random;

/// How deep steps stand in one another.
const DEEPEST: usize = 3;

/// What a list of steps may hold.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    /// Nothing in it fails.
    safe: bool,
    /// It is done more than once, so that a signal would not say which.
    repeated: bool,
    /// What is in it can be undone: not what handles an error.
    undone: bool,
}

/// Makes workflows.
pub(crate) struct Generator {
    random: Random,
    next: usize,
    /// How many workflows there are already: these may be started by steps.
    below: usize,
    /// How many steps the workflow may still get.
    room: usize,
}

/// The workflows of a simulation: each may start runs of those before it.
pub(crate) fn flows(random: Random) -> Vec<Flow> {
    let mut generator = Generator { random, next: 0, below: 0, room: 0 };
    let count = generator.random.between(2, 4) as usize;
    (0..count).map(|number| generator.flow(number)).collect()
}

impl Generator {
    fn flow(&mut self, number: usize) -> Flow {
        self.below = number;
        self.room = self.random.between(3, 16) as usize;
        let top = Place { depth: 0, safe: false, repeated: false, undone: true };
        let mut steps = self.list(top);
        if self.random.percent(12) {
            let well = self.random.percent(50);
            steps.push(self.dress(Kind::Terminate(well), top, 0));
        } else if self.random.percent(12) {
            let work = Work { ends: true, ..self.work(top) };
            steps.push(self.dress(Kind::Task(work), top, 0));
        }
        let handler = Place { depth: DEEPEST, safe: true, repeated: true, undone: false };
        self.room = 2;
        let on_error = if self.random.percent(35) { self.list(handler) } else { Vec::new() };
        let total_s = self.random.percent(6).then(|| self.random.between(5, 40));
        Flow { id: format!("w{number}"), steps, on_error, total_s }
    }

    fn list(&mut self, place: Place) -> Vec<Step> {
        let wanted = self.random.between(1, 4) as usize;
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..wanted {
            if self.room == 0 && !steps.is_empty() {
                break;
            }
            self.room = self.room.saturating_sub(1);
            let before = steps.len();
            let step = self.step(place, before);
            steps.push(step);
        }
        steps
    }

    fn step(&mut self, place: Place, before: usize) -> Step {
        let kind = self.kind(place);
        self.dress(kind, place, before)
    }

    fn kind(&mut self, place: Place) -> Kind {
        if place.depth >= DEEPEST || self.room == 0 || self.random.percent(45) {
            return self.leaf(place);
        }
        let inner = Place { depth: place.depth + 1, ..place };
        match self.random.below(7) {
            0 => Kind::Group(self.list(inner)),
            1 | 2 => Kind::Parallel(self.list(inner)),
            3 => {
                let cases = self.random.between(1, 3) as usize;
                let taken = self.random.index(cases + 1);
                let cases = (0..cases).map(|_| self.list(inner)).collect();
                Kind::Switch(cases, Some(taken))
            }
            4 | 5 => self.each(inner),
            _ => {
                let repeat = Repeat {
                    rounds: self.random.between(1, 3) as usize,
                    by_while: self.random.percent(50),
                    delay: self.random.percent(40),
                };
                Kind::Loop(repeat, self.list(Place { repeated: true, ..inner }))
            }
        }
    }

    fn each(&mut self, inner: Place) -> Kind {
        let items = self.random.below(5) as usize;
        let until =
            (items > 1 && self.random.percent(15)).then(|| self.random.between(1, items as u64) as usize);
        let each = Each {
            items,
            concurrency: self.random.percent(50).then(|| self.random.between(1, 3) as usize),
            tolerate: if self.random.percent(30) { self.random.between(1, 2) as usize } else { 0 },
            until,
            batch: (until.is_none() && self.random.percent(15)).then_some(2),
        };
        let safe = inner.safe || until.is_some();
        Kind::Each(each, self.list(Place { repeated: true, safe, ..inner }))
    }

    fn leaf(&mut self, place: Place) -> Kind {
        match self.random.below(20) {
            0..=1 => Kind::Set(self.random.between(1, 9) as i64),
            2..=4 => self.wait(place),
            5..=6 if self.below > 0 && !place.safe => Kind::Child(Child {
                number: self.random.index(self.below),
                wait: self.random.percent(75),
                retries: self.random.percent(20).then(|| self.random.between(1, 2) as u32),
                undo: (place.undone && self.random.percent(20)).then(|| self.random.percent(50)),
            }),
            _ => Kind::Task(self.work(place)),
        }
    }

    fn work(&mut self, place: Place) -> Work {
        Work {
            retries: self.random.percent(45).then(|| (self.random.below(4) as u32, self.random.percent(15))),
            undo: (place.undone && self.random.percent(30)).then(|| self.random.percent(50)),
            safe: place.safe,
            limited: !place.safe && self.random.percent(8),
            ends: false,
            priority: self.random.below(10),
        }
    }

    fn wait(&mut self, place: Place) -> Kind {
        let handler = Place { depth: DEEPEST, safe: true, repeated: true, undone: false };
        Kind::Wait(match self.random.below(if place.repeated { 3 } else { 7 }) {
            0 => Wait::Time(self.random.between(10, 6_000)),
            1 => {
                let late =
                    if place.safe || self.random.percent(70) { self.list(handler) } else { Vec::new() };
                Wait::Never { late }
            }
            2 => Wait::Past,
            3 => Wait::First,
            4 => Wait::Signal { timeout: true, late: self.list(handler) },
            _ => Wait::Signal { timeout: false, late: Vec::new() },
        })
    }

    /// Gives a step what any may have.
    fn dress(&mut self, kind: Kind, place: Place, before: usize) -> Step {
        let id = format!("s{}", self.next);
        self.next += 1;
        let ends = matches!(kind, Kind::Terminate(_));
        let depends = (before > 0 && !ends && self.random.percent(25)).then(|| {
            let any: Vec<usize> = (0..before).filter(|_| self.random.percent(40)).collect();
            any
        });
        let condition = (!ends && self.random.percent(12)).then(|| self.random.percent(50));
        let handled = !ends && !place.safe && place.depth < DEEPEST && self.random.percent(22);
        let handler = Place { depth: DEEPEST, safe: self.random.percent(80), undone: false, ..place };
        let on_error = if handled { self.list(handler) } else { Vec::new() };
        let continues = !ends && on_error.is_empty() && self.random.percent(15);
        let step = Step {
            id,
            kind,
            condition,
            depends,
            continues,
            on_error,
            own: self.random.percent(20),
            join: None,
        };
        self.join(step, place)
    }

    /// Lets a block end early, where everything in it is certain to complete.
    fn join(&mut self, step: Step, place: Place) -> Step {
        let (Kind::Parallel(inside) | Kind::Group(inside)) = &step.kind else { return step };
        let plain = |step: &Step| step.condition.is_none() && completes(step);
        if !place.safe && !inside.iter().all(plain) || !inside.iter().all(plain) || !self.random.percent(50) {
            return step;
        }
        let need = self.random.between(1, inside.len() as u64) as usize;
        let cancel_rest = self.random.percent(60);
        Step { join: Some((need, cancel_rest)), ..step }
    }
}

/// Whether a step is certain to end COMPLETED.
fn completes(step: &Step) -> bool {
    match &step.kind {
        Kind::Task(work) => work.safe,
        Kind::Set(_) | Kind::Wait(Wait::Time(_) | Wait::Past | Wait::First) => true,
        Kind::Wait(Wait::Signal { timeout, .. }) => !timeout,
        Kind::Wait(Wait::Never { .. }) | Kind::Terminate(_) | Kind::Child(_) | Kind::Switch(..) => false,
        Kind::Group(steps) | Kind::Parallel(steps) | Kind::Each(_, steps) | Kind::Loop(_, steps) => {
            steps.iter().all(|step| step.condition.is_none() && completes(step))
        }
    }
}
