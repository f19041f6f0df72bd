//! The world around the engine: admission, timers, workers, a store and a clock that moves by hand.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use oarlock_protocol::instance::{WorkflowInstance, WorkflowStatus};
use oarlock_protocol::message::{ControlMessage, Operation, Order, Parent, PayloadReference, StartMessage};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{ErrorDetails, ExecutionId, FORMAT, Json, RunId, Span, TaskPath, Timestamp};
use serde_json::json;

use super::invariants::Invariants;
use super::steps;
use super::store::{Store, Written};
use crate::decide::{Decider, start_with};
use crate::effect::Effect;
use crate::event::Event;
use crate::payloads::{AtHand, Read};
use crate::plan::Plan;
use crate::run::Run;
use crate::settings::Settings;
use crate::timers::Timers;
use crate::view;

/// When every scenario begins.
pub(super) const BEGIN: Timestamp = Timestamp::from_millis(1_000_000_000);

/// What a scenario starts from.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) definition: Json,
    pub(super) input: Json,
    pub(super) permissions: Vec<String>,
    pub(super) settings: Settings,
    /// Payloads kept elsewhere; with any, references are followed.
    pub(super) kept: Vec<(PayloadReference, Read)>,
    /// The step that started the run, where one did.
    pub(super) parent: Option<Parent>,
    /// How urgent the run is.
    pub(super) priority: Option<u8>,
}

impl From<Json> for Setup {
    fn from(definition: Json) -> Self {
        Self {
            definition,
            input: json!({}),
            permissions: Vec::new(),
            settings: Settings::default(),
            kept: Vec::new(),
            parent: None,
            priority: None,
        }
    }
}

/// What goes wrong while a scenario is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Faults {
    None,
    /// Every event arrives twice; the second must change nothing.
    EventsTwice,
    /// After every event the owner is gone, and another loads what was written.
    Crashes,
}

/// Plays a scenario with each kind of fault: it must end the run, and leave the same run each time.
pub(super) fn scenario(setup: impl Into<Setup>, play: impl Fn(&mut World)) {
    let setup = setup.into();
    let ends = [Faults::None, Faults::EventsTwice, Faults::Crashes].map(|faults| {
        let mut world = World::start(&setup, faults);
        play(&mut world);
        assert!(world.run.head.status.is_terminal(), "the scenario ends its run");
        world.instance()
    });
    assert_eq!(ends[0], ends[1], "an event that arrives twice changes nothing");
    assert_eq!(ends[0], ends[2], "what was written is all there is to know");
}

/// One run and the world around it.
pub(super) struct World {
    pub(super) plan: Arc<Plan>,
    pub(super) run: Run,
    pub(super) settings: Settings,
    pub(super) now: Timestamp,
    /// Tasks that wait for admission, in the order they came.
    pub(super) offers: VecDeque<TaskPath>,
    /// Open attempts, and where they stand.
    pub(super) published: BTreeMap<ExecutionId, TaskPath>,
    /// Timers, as the effects have set them.
    pub(super) timers: BTreeMap<TaskPath, Timestamp>,
    /// What workers were told since the last look.
    pub(super) told: Vec<(String, Order)>,
    /// Events that concerned nothing open.
    pub(super) stale: usize,
    /// What was asked for and refused.
    pub(super) rejected: Vec<ErrorDetails>,
    /// What child runs were told beside their start.
    pub(super) children_told: Vec<String>,
    /// How often the run above was told of this one.
    pub(super) parent_told: usize,
    /// Whether the run's retention is over.
    pub(super) forgotten: bool,
    /// Every change of a task, as `/path STATUS`.
    pub(super) trace: Vec<String>,
    /// What the last event wrote.
    pub(super) written: Written,
    /// Whether whatever is offered is let out at once.
    pub(super) admits: bool,
    /// Payloads kept elsewhere.
    pub(super) kept: Vec<(PayloadReference, Read)>,
    store: Store,
    faults: Faults,
    invariants: Option<Invariants>,
    ever_published: BTreeSet<ExecutionId>,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with faults: {:?}, after: {:#?}", self.faults, self.trace);
        }
    }
}

/// The request that starts a scenario's run.
pub(super) fn request(setup: &Setup) -> StartMessage {
    StartMessage {
        parent: setup.parent.clone(),
        traceparent: None,
        format: FORMAT,
        workflow_instance_id: RunId::keyed("acme", "w", "scenario"),
        workflow_definition_id: "w".to_owned(),
        workflow_definition_version: None,
        input: setup.input.clone(),
        idempotency_key: None,
        correlation_id: Some("order-7".to_owned()),
        priority: setup.priority,
        security_context: SecurityContext {
            user_id: "ada".to_owned(),
            tenant_id: "acme".to_owned(),
            permissions: setup.permissions.clone(),
            ..Default::default()
        },
    }
}

fn started(plan: &Plan, setup: &Setup) -> (Run, Vec<Effect>) {
    let mut read: Vec<(PayloadReference, Read)> = Vec::new();
    loop {
        let mut at_hand = if setup.kept.is_empty() { AtHand::default() } else { AtHand::following() };
        read.iter().cloned().for_each(|(reference, read)| at_hand.put(reference, read));
        let started = start_with(plan, request(setup), at_hand, &setup.settings, BEGIN);
        let (mut run, effects) = started.unwrap();
        let Some(needed) = run.payloads.take_needed() else { return (run, effects) };
        read.push(kept(&setup.kept, needed));
    }
}

fn kept(kept: &[(PayloadReference, Read)], needed: PayloadReference) -> (PayloadReference, Read) {
    let found = kept.iter().find(|(reference, _)| *reference == needed);
    found.cloned().unwrap_or_else(|| panic!("{needed:?} is not kept"))
}

impl World {
    /// A run that was just started.
    pub(super) fn start(setup: &Setup, faults: Faults) -> Self {
        Self::begin(setup, faults, Some(Invariants::default()))
    }

    /// The same without checks and faults after each event, for runs so large that checking them takes long.
    pub(super) fn start_unchecked(setup: &Setup) -> Self {
        Self::begin(setup, Faults::None, None)
    }

    fn begin(setup: &Setup, faults: Faults, invariants: Option<Invariants>) -> Self {
        let plan = steps::plan(setup.definition.clone());
        let (run, effects) = started(&plan, setup);
        let mut world = Self {
            plan,
            run,
            settings: setup.settings.clone(),
            now: BEGIN,
            offers: VecDeque::new(),
            published: BTreeMap::new(),
            timers: BTreeMap::new(),
            told: Vec::new(),
            stale: 0,
            rejected: Vec::new(),
            children_told: Vec::new(),
            parent_told: 0,
            forgotten: false,
            trace: Vec::new(),
            written: Written::default(),
            admits: true,
            kept: setup.kept.clone(),
            store: Store::default(),
            faults,
            invariants,
            ever_published: BTreeSet::new(),
        };
        world.commit(effects);
        world.after_event();
        world.admit_all();
        world
    }

    /// Delivers an event, then lets out whatever it made ready.
    pub(super) fn event(&mut self, event: Event) {
        self.deliver(event);
        self.admit_all();
    }

    fn admit_all(&mut self) {
        while self.admits
            && let Some(path) = self.offers.pop_front()
        {
            self.deliver(Event::Admitted { path });
        }
    }

    fn deliver(&mut self, event: Event) {
        let effects = self.decide(event.clone());
        self.commit(effects);
        if self.faults == Faults::EventsTwice && !self.goes_on_at_once(&event) {
            let effects = self.decide(event.clone());
            assert!(self.run.changes.is_empty(), "{event:?} again changed {:?}", self.run.changes);
            let timer = matches!(event, Event::Timer { .. });
            assert!(effects.iter().all(|effect| harmless(effect, timer)), "{event:?} again: {effects:?}");
            self.perform(effects);
        }
        self.after_event();
    }

    /// Whether the same event asks for more by now: a timer that was set again for now, or an operator's request
    /// that the run may be asked again.
    fn goes_on_at_once(&self, event: &Event) -> bool {
        match event {
            Event::Timer { path } => self.timers.get(path).is_some_and(|at| *at <= self.now),
            Event::Operation(Operation::Retry) => self.run.head.status.is_terminal(),
            Event::Operation(Operation::Resume) => self.run.head.status == WorkflowStatus::Paused,
            _ => false,
        }
    }

    fn decide(&mut self, event: Event) -> Vec<Effect> {
        self.run.notice_payloads(&event);
        let mut at_hand: Vec<(PayloadReference, Read)> = Vec::new();
        loop {
            let before = self.run.payloads.refers().then(|| self.run.clone());
            at_hand.iter().cloned().for_each(|(reference, read)| self.run.payloads.put(reference, read));
            let mut decider = Decider::new(&self.plan, &mut self.run, &self.settings, self.now);
            decider.handle(event.clone());
            let effects = decider.finish();
            let Some(needed) = self.run.payloads.take_needed() else { return effects };
            self.run = before.expect("a payload is needed only by a run that refers to one");
            at_hand.push(kept(&self.kept, needed));
        }
    }

    fn commit(&mut self, effects: Vec<Effect>) {
        self.written = self.store.write(&mut self.run);
        self.run.compact(&self.plan, &self.written.rows);
        self.perform(effects);
    }

    fn after_event(&mut self) {
        let Some(mut invariants) = self.invariants.take() else { return };
        invariants.check(self, &self.loaded());
        self.invariants = Some(invariants);
        if self.faults == Faults::Crashes && !self.forgotten {
            self.run = self.loaded();
            let derived = self.derived_timers();
            // Whoever holds an attempt has its full time again to give a sign of life.
            let later = |path: &TaskPath| derived.get(path).is_some_and(|at| *at >= self.timers[path]);
            assert!(self.timers.keys().all(later) && derived.len() == self.timers.len(), "{derived:?}");
            self.timers = derived;
        }
    }

    /// The timers that follow from the run alone.
    pub(super) fn derived_timers(&self) -> BTreeMap<TaskPath, Timestamp> {
        Timers::new(&self.plan, &self.run, &self.settings).all().collect()
    }

    fn loaded(&self) -> Run {
        let run = self.store.load(&self.run.key, &self.plan, self.now);
        if self.kept.is_empty() { run } else { run.following_payloads() }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            self.perform_one(effect);
        }
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Offer { path, .. } => {
                let checks = self.invariants.is_some();
                assert!(!checks || !self.offers.contains(&path), "{path} is offered twice");
                self.offers.push_back(path);
            }
            Effect::Withdraw { path, .. } => self.offers.retain(|offered| *offered != path),
            Effect::Publish { path, execution_id, .. } => {
                assert!(self.ever_published.insert(execution_id), "{path}: an attempt is published twice");
                self.published.insert(execution_id, path);
            }
            Effect::Closed { path, execution_id, .. } => {
                assert_eq!(self.published.remove(&execution_id), Some(path), "an attempt closes once");
            }
            Effect::HandedOn { execution_id, .. } => {
                assert!(self.published.contains_key(&execution_id), "what is handed on is open");
            }
            Effect::SetTimer { path, at } => drop(self.timers.insert(path, at)),
            Effect::ClearTimer { path } => drop(self.timers.remove(&path)),
            Effect::Tell { control_queue, message: ControlMessage { order, .. } } => {
                self.told.push((control_queue, order));
            }
            Effect::TaskChanged { path, status, .. } => {
                self.trace.push(format!("{path} {}", status.as_str()));
            }
            Effect::RunChanged { to, .. } => self.trace.push(format!("/ {}", to.as_str())),
            Effect::Stale { .. } => self.stale += 1,
            Effect::Forget => self.forgotten = true,
            Effect::Rejected { error } => self.rejected.push(error),
            Effect::StartChild { path, execution_id, again: false, .. } => {
                assert!(self.ever_published.insert(execution_id), "{path}: a child is started twice");
                self.published.insert(execution_id, path);
            }
            Effect::StartChild { path, .. } => self.children_told.push(format!("{path} asked")),
            Effect::CancelChild { path, .. } => self.children_told.push(format!("{path} cancelled")),
            Effect::TellParent => self.parent_told += 1,
        }
    }

    /// Lets the task at `path` out, where admission is held back.
    pub(super) fn admit(&mut self, path: &str) {
        self.offers.retain(|offered| offered.as_str() != path);
        self.deliver(Event::Admitted { path: TaskPath::from(path) });
    }

    /// Lets time pass, and fires what falls due meanwhile.
    pub(super) fn advance(&mut self, milliseconds: u64) {
        let until = self.now.after(Span::from_millis(milliseconds));
        while let Some((path, at)) = self.next_timer().filter(|(_, at)| *at <= until) {
            self.now = self.now.max(at);
            self.timers.remove(&path);
            self.event(Event::Timer { path });
        }
        self.now = until;
    }

    /// The timer that is due first.
    pub(super) fn next_timer(&self) -> Option<(TaskPath, Timestamp)> {
        self.timers.iter().map(|(path, at)| (path.clone(), *at)).min_by_key(|(_, at)| *at)
    }

    /// Fires the timer that is due first, where one is due by now.
    pub(super) fn settle_once(&mut self) {
        if let Some((path, _)) = self.next_timer().filter(|(_, at)| *at <= self.now) {
            self.timers.remove(&path);
            self.event(Event::Timer { path });
        }
    }

    /// Fires whatever is due by now.
    pub(super) fn settle(&mut self) {
        self.advance(0);
    }

    pub(super) fn cancel(&mut self) {
        self.event(Event::Cancel { reason: "no longer wanted".to_owned() });
    }

    /// The open attempt at `path`.
    pub(super) fn attempt(&self, path: &str) -> ExecutionId {
        let open = self.run.open(&TaskPath::from(path));
        open.map(|(_, open)| open.execution_id).unwrap_or_else(|| panic!("no attempt is open at {path}"))
    }

    /// Where attempts are open, sorted and joined by spaces.
    pub(super) fn open(&self) -> String {
        let mut paths: Vec<&str> = self.published.values().map(TaskPath::as_str).collect();
        paths.sort_unstable();
        paths.join(" ")
    }

    /// The status of the step at `path`; `-` where it was not reached.
    pub(super) fn status(&self, path: &str) -> &'static str {
        self.run.rows.get(&TaskPath::from(path)).map_or("-", |row| row.status.as_str())
    }

    /// The error of the step at `path`, or of the run at `/`.
    pub(super) fn error(&self, path: &str) -> ErrorDetails {
        let row = || self.run.rows.get(&TaskPath::from(path)).and_then(|row| row.error.clone());
        let error = if path == "/" { self.run.head.error.clone() } else { row() };
        error.unwrap_or_else(|| panic!("there is no error at {path}"))
    }

    /// The output of the step at `path`, as it is stored.
    pub(super) fn output(&self, path: &str) -> Json {
        let run = self.loaded();
        run.rows.get(&TaskPath::from(path)).and_then(|row| row.output.clone()).unwrap_or(Json::Null)
    }

    /// The places of the rows that are stored, sorted.
    pub(super) fn stored(&self) -> Vec<String> {
        self.store.places()
    }

    pub(super) fn variable(&self, name: &str) -> Json {
        self.run.variables.get(name).cloned().unwrap_or(Json::Null)
    }

    /// The run as people see it: read from the store, as an answer to them is.
    pub(super) fn instance(&self) -> WorkflowInstance {
        view::instance(&self.plan, &self.loaded())
    }

    /// Asserts how the run ended, and with which code of error, `-` standing for none.
    #[track_caller]
    pub(super) fn ended(&self, status: WorkflowStatus, code: &str) {
        let found = self.run.head.error.as_ref().map_or("-", |error| error.code.as_str());
        assert_eq!((self.run.head.status, found), (status, code), "{:?}", self.run.head.error);
    }
}

fn harmless(effect: &Effect, timer: bool) -> bool {
    match effect {
        Effect::Stale { .. } | Effect::Tell { .. } | Effect::Rejected { .. } => true,
        // A timer that fires early is set anew; a run whose time is over is forgotten again.
        Effect::SetTimer { .. } | Effect::ClearTimer { .. } | Effect::Forget => timer,
        _ => false,
    }
}
