//! Decisions that wait for a payload. What an expression looks into may lie in the payload store: then nothing of the decision is
//! kept, what it was about is put aside, and taken again when the payload is at hand. The partition goes on meanwhile.
//!
//! Nothing is acknowledged while something is put aside: a message that waits here comes again where this process dies. A
//! timer stays in the store until it is decided, and an asker is answered then.

use std::collections::VecDeque;

use oarlock_engine::decide::Refusal;
use oarlock_engine::map::Map;
use oarlock_engine::payloads::AtHand;
use oarlock_engine::{Decider, Effect, Event, Plan, Run, decide};
use oarlock_protocol::RunKey;
use oarlock_protocol::message::{PayloadReference, StartMessage};
use oarlock_protocol::payload::holds_reference;
use tokio::task::JoinSet;

use super::answer::Asker;
use super::effects::Verdict;
use super::owner::Owner;
use super::runs::Cached;
use super::{Lost, Request};
use crate::layout::Place;
use crate::payloads::Read;

/// A run of more steps is not copied before each decision: it is committed, and read again where it must be undone.
const COPIED: usize = 256;
/// The most payloads that one decision looks into: each costs the decision once more.
const MOST_FOR_ONE: usize = 256;
/// The most bytes of payloads that one decision looks into, as they lie in the store.
const MOST_BYTES_FOR_ONE: u64 = 256 * 1024 * 1024;
/// Of so many payloads a run's decisions are thought to need the same again.
const REMEMBERED: usize = 16;
/// The most that is put aside in one partition, beyond what the broker's prefetch bounds: a request takes up to a megabyte.
const MOST_ASIDE: usize = 1_024;

/// What waits for payloads, by run.
#[derive(Default)]
pub(super) struct Asides {
    waiting: Map<RunKey, VecDeque<Aside>>,
    reads: JoinSet<(RunKey, PayloadReference, Read)>,
    /// What is at hand for the decision under way, beside what the node keeps.
    at_hand: Vec<(PayloadReference, Read)>,
    /// The run of which something was put aside by the decision under way.
    put: Option<RunKey>,
}

/// Something that waits.
struct Aside {
    what: What,
    /// What was read for it before.
    at_hand: Vec<(PayloadReference, Read)>,
}

/// What is decided later.
pub(super) enum What {
    /// An event.
    Event(Event),
    /// A timer, which the store still holds.
    Timer(Place),
    /// A request, and who is to be answered.
    Request(Box<Request>, Asker),
}

impl Asides {
    /// Whether nothing waits: only then may what has come be acknowledged.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether no more requests may be put aside.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.values().map(VecDeque::len).sum::<usize>() >= MOST_ASIDE
    }

    /// Begins a decision: nothing of it is put aside yet.
    pub(super) fn begin(&mut self) {
        self.put = None;
    }

    /// Whether something of the run waits already: what comes later waits behind it.
    pub(super) fn is_waiting(&self, run: &RunKey) -> bool {
        self.waiting.contains_key(run)
    }

    /// Puts something aside: the first of its run for what is being read, the others behind it.
    fn put(&mut self, run: &RunKey, what: What) {
        let at_hand = std::mem::take(&mut self.at_hand);
        self.waiting.entry(run.clone()).or_default().push_back(Aside { what, at_hand });
        self.put = Some(run.clone());
    }

    /// Whether the last decision was put aside.
    pub(super) fn was_put(&self) -> bool {
        self.put.is_some()
    }

    /// Where the last decision was put aside, `instead` is taken again in its place.
    pub(super) fn replace(&mut self, instead: impl FnOnce() -> What) {
        let run = self.put.take();
        let aside = run.and_then(|run| self.waiting.get_mut(&run)?.back_mut());
        if let Some(aside) = aside {
            aside.what = instead();
        }
    }

    /// The next payload that was read; never where none is under way. Cancel-safe.
    pub(super) async fn next(&mut self) -> (RunKey, PayloadReference, Read) {
        loop {
            match self.reads.join_next().await {
                Some(Ok(read)) => return read,
                // It panicked: nothing is acknowledged, and whoever takes the partition next tries again.
                Some(Err(error)) => tracing::error!(%error, "reading a payload broke off"),
                None => std::future::pending().await,
            }
        }
    }
}

fn is_copied(cached: &Cached) -> bool {
    cached.run.rows.len() <= COPIED
}

/// Whether a request may have to wait for a payload.
pub(super) fn may_wait(request: &Request) -> bool {
    match request {
        Request::Start(start) => holds_reference(&start.input),
        Request::Cancel { .. } | Request::Signal(_) | Request::Complete(_) | Request::Operation(_) => true,
        Request::Register { .. } | Request::Watch(_) | Request::Pause(_) => false,
    }
}

impl Owner {
    /// Whether something of the run waits; then the event waits behind it.
    pub(super) fn waits_behind(&mut self, key: &RunKey, event: &Event) -> bool {
        let waits = self.asides.is_waiting(key);
        if waits {
            self.asides.put(key, What::Event(event.clone()));
        }
        waits
    }

    /// Decides about an event of a run that refers to payloads.
    pub(super) async fn decide_looking_into(&mut self, key: &RunKey, event: Event) -> Result<Verdict, Lost> {
        self.make_undoable(key).await?;
        let shared = self.shared.clone();
        let Some(cached) = self.runs.cached(key) else { return Ok(Verdict::NoRun) };
        let before = is_copied(cached).then(|| cached.run.clone());
        self.asides.lay_out(
            &mut cached.run.payloads,
            |reference| shared.kept_payload(key, reference),
            &cached.opened,
        );
        let mut decider =
            Decider::new(&cached.plan, &mut cached.run, &shared.settings.engine, shared.clock.now());
        decider.handle(event.clone());
        let effects = decider.finish();
        let Some(needed) = cached.run.payloads.take_needed() else {
            self.asides.at_hand.drain(..).for_each(|(reference, _)| cached.remember(reference));
            return Ok(self.take_effects(key, effects));
        };
        cached.remember(needed.clone());
        match before {
            Some(before) => cached.run = before,
            None => self.runs.drop(key),
        }
        self.read_for(key, needed);
        self.asides.put(key, What::Event(event));
        Ok(Verdict::Waits)
    }

    /// Commits what was decided about a run of many steps: what is decided next is undone by reading it again.
    pub(super) async fn make_undoable(&mut self, key: &RunKey) -> Result<(), Lost> {
        let cached = self.runs.cached(key);
        if cached.is_some_and(|cached| cached.in_batch && cached.run.payloads.refers() && !is_copied(cached))
        {
            self.commit().await?;
            self.perform().await?;
        }
        Ok(())
    }

    /// Starts a run that may look into its input. None where it has to wait for a payload.
    pub(super) fn start_looking_into(
        &mut self,
        key: &RunKey,
        plan: &Plan,
        request: StartMessage,
    ) -> Option<Result<(Run, Vec<Effect>), Refusal>> {
        let shared = self.shared.clone();
        let (settings, now) = (&shared.settings.engine, shared.clock.now());
        if shared.payloads.is_none() {
            return Some(decide::start(plan, request, settings, now));
        }
        let mut at_hand = AtHand::following();
        self.asides.lay_out(&mut at_hand, |_| None, &[]);
        let mut started = decide::start_with(plan, request, at_hand, settings, now);
        if let Ok((run, _)) = &mut started
            && let Some(needed) = run.payloads.take_needed()
        {
            self.read_for(key, needed);
            // Whoever asks puts the request in place of this.
            self.asides.put(key, What::Event(Event::Timer { path: oarlock_protocol::TaskPath::root() }));
            return None;
        }
        self.asides.at_hand.clear();
        Some(started)
    }

    /// Begins to read a payload for whatever of a run is put aside next.
    fn read_for(&mut self, key: &RunKey, reference: PayloadReference) {
        let Some(reader) = self.shared.payloads.clone() else { return };
        let at_hand = &self.asides.at_hand;
        let bytes = at_hand.iter().fold(reference.size, |sum, (read, _)| sum.saturating_add(read.size));
        let too_much = at_hand.len() >= MOST_FOR_ONE || bytes > MOST_BYTES_FOR_ONE;
        let key = key.clone();
        self.asides.reads.spawn(async move {
            if too_much {
                let told = format!("one decision looks into at most {MOST_FOR_ONE} payloads of {MOST_BYTES_FOR_ONE} bytes in all");
                return (key, reference, Err(told));
            }
            let read = reader.read(&key.tenant, &reference).await;
            (key, reference, read)
        });
    }

    /// Takes what waited for a payload, and all that came behind it, in order.
    pub(super) async fn take_again(
        &mut self,
        key: &RunKey,
        reference: PayloadReference,
        read: Read,
    ) -> Result<(), Lost> {
        let mut queue = self.asides.waiting.remove(key).unwrap_or_default();
        if let Some(first) = queue.front_mut() {
            first.at_hand.push((reference, read));
        }
        for Aside { what, at_hand } in queue {
            // The first of them that has to wait again keeps the others behind it.
            if !self.asides.is_waiting(key) {
                self.asides.at_hand = at_hand;
            }
            self.take_aside(key, what).await?;
            self.asides.at_hand.clear();
            self.asides.put = None;
        }
        Ok(())
    }

    async fn take_aside(&mut self, key: &RunKey, what: What) -> Result<(), Lost> {
        match what {
            What::Event(event) => {
                if let Err(reason) = self.decide(key, event).await? {
                    tracing::error!(run = %key, reason, "a run that waited for a payload cannot be loaded");
                }
                Ok(())
            }
            What::Timer(place) => self.fire_timer(place).await,
            What::Request(request, asker) => self.take_request(*request, asker).await.map(drop),
        }
    }
}

impl Asides {
    /// Puts at hand what was read for the decision, and what is thought to be needed again.
    fn lay_out(
        &self,
        at_hand: &mut AtHand,
        kept: impl Fn(&PayloadReference) -> Option<Read>,
        opened: &[PayloadReference],
    ) {
        for (reference, read) in &self.at_hand {
            at_hand.put(reference.clone(), read.clone());
        }
        for reference in opened {
            if let Some(read) = kept(reference) {
                at_hand.put(reference.clone(), read);
            }
        }
    }
}

impl Cached {
    /// Remembers that decisions about the run look into a payload.
    fn remember(&mut self, reference: PayloadReference) {
        self.opened.retain(|opened| *opened != reference);
        if self.opened.len() >= REMEMBERED {
            self.opened.remove(0);
        }
        self.opened.push(reference);
    }
}
