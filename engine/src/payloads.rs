//! Payloads kept elsewhere, as a decision meets them. A decision reads nothing: what an expression looks into is at hand, or the
//! decision says what it needs. Then nothing of it is kept, the caller reads that, and decides again.

use std::sync::{Arc, OnceLock};

use oarlock_expression::Opened;
use oarlock_protocol::message::PayloadReference;
use oarlock_protocol::payload::holds_reference;
use oarlock_protocol::{ErrorDetails, Json};

use crate::event::Event;
use crate::map::Map;
use crate::mapping;
use crate::run::Run;

/// What a reference stands for, or why it cannot be read.
pub type Read = Result<Arc<Json>, String>;

/// What of a run's payloads is at hand.
#[derive(Clone, Debug, Default)]
pub struct AtHand {
    /// Whether there is a store of payloads, so that references mean something.
    follows: bool,
    /// Whether the run was ever seen to hold a reference. Else nothing is taken for one.
    refers: bool,
    read: Map<PayloadReference, Read>,
    needed: OnceLock<PayloadReference>,
}

impl AtHand {
    /// Nothing at hand yet, of a run in an orchestrator with a store of payloads.
    pub fn following() -> Self {
        Self { follows: true, ..Self::default() }
    }

    /// Whether the next decision may need a payload: then the caller must be able to undo it.
    pub fn refers(&self) -> bool {
        self.follows && self.refers
    }

    /// Puts a payload at hand.
    pub fn put(&mut self, reference: PayloadReference, read: Read) {
        self.read.insert(reference, read);
    }

    /// The payload without which the decision could not be made; with it everything that is at hand is put away.
    pub fn take_needed(&mut self) -> Option<PayloadReference> {
        self.read = Map::default();
        self.needed.take()
    }

    /// Whether the decision at hand cannot be made.
    pub fn is_needed(&self) -> bool {
        self.needed.get().is_some()
    }

    /// Notes whether a value holds a reference.
    pub fn notice(&mut self, value: &Json) {
        self.refers = self.refers || (self.follows && holds_reference(value));
    }

    /// What a value stands for where it is looked into.
    pub(crate) fn open(&self, value: &Json) -> Opened<'_> {
        if !self.refers() {
            return Opened::Itself;
        }
        let Some(reference) = PayloadReference::of(value) else { return Opened::Itself };
        match self.read.get(&reference) {
            Some(Ok(data)) => Opened::Data(data),
            Some(Err(reason)) => Opened::Unavailable(reason.clone()),
            None => {
                // The first one is enough: without it nothing that follows can be trusted.
                let _ = self.needed.set(reference);
                Opened::Unavailable("the payload is not read yet".to_owned())
            }
        }
    }

    /// As [`AtHand::open`], for the engine's own use of a value.
    ///
    /// # Errors
    /// PAYLOAD_UNAVAILABLE, naming `what`.
    pub(crate) fn look_into<'a>(&'a self, value: &'a Json, what: &str) -> Result<&'a Json, ErrorDetails> {
        match self.open(value) {
            Opened::Itself => Ok(value),
            Opened::Data(data) => Ok(data),
            Opened::Unavailable(reason) => Err(mapping::unavailable(&format!("{what}: {reason}"))),
        }
    }
}

impl Run {
    /// The run as it is in an orchestrator with a store of payloads: its references are followed.
    #[must_use]
    pub fn following_payloads(mut self) -> Self {
        let mut at_hand = AtHand::following();
        at_hand.notice(&self.input);
        self.output.iter().for_each(|output| at_hand.notice(output));
        let scoped = self.scoped.values().flat_map(|variables| variables.values());
        self.variables.values().chain(scoped).for_each(|value| at_hand.notice(value));
        let rows = self.rows.values();
        rows.flat_map(|row| row.input.iter().chain(&row.output)).for_each(|value| at_hand.notice(value));
        self.mailbox.waiting.iter().for_each(|signal| at_hand.notice(&signal.payload));
        self.payloads = at_hand;
        self
    }

    /// Notes whether an event brings a reference. To be called before it is decided, and before the run is copied.
    pub fn notice_payloads(&mut self, event: &Event) {
        if let Some(value) = event.data() {
            self.payloads.notice(value);
        }
    }
}
