//! Signals that came before anything waited for them, and which signals have come at all.

use std::collections::VecDeque;

use oarlock_protocol::Json;
use serde::{Deserialize, Serialize};

use crate::mapping;

/// As many signals wait for a `wait` to begin: a producer that signals a run in a loop must not fill the store.
const MOST_SIGNALS: usize = 100;

/// And so many bytes of them: the mailbox is written whenever one comes or goes.
const MOST_BYTES: usize = 256 * 1024;

/// So many ids are remembered. A sender sends the same signal again within seconds, not after two hundred others.
const REMEMBERED: usize = 200;

/// The signals of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mailbox {
    /// Those that nobody waited for yet, the oldest first.
    pub waiting: VecDeque<Signal>,
    /// The ids of the latest, the oldest first.
    pub seen: VecDeque<String>,
}

/// One signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// What a `wait` listens for.
    pub name: String,
    /// What is told.
    pub payload: Json,
}

impl Mailbox {
    /// Whether nothing was ever signalled.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.seen.is_empty()
    }

    /// Whether a signal of this id has come.
    pub fn knows(&self, id: &str) -> bool {
        self.seen.iter().any(|seen| seen == id)
    }

    /// Remembers that a signal of this id has come.
    pub fn remember(&mut self, id: String) {
        if self.seen.len() >= REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(id);
    }

    /// Whether there is room for one more signal with this payload.
    pub fn has_room(&self, payload: &Json) -> bool {
        let bytes: usize = self.waiting.iter().map(|signal| mapping::size(&signal.payload)).sum();
        self.waiting.len() < MOST_SIGNALS && bytes + mapping::size(payload) <= MOST_BYTES
    }

    /// Takes the oldest signal that is wanted, by its name.
    pub fn take(&mut self, wanted: impl Fn(&str) -> bool) -> Option<Signal> {
        let at = self.waiting.iter().position(|signal| wanted(&signal.name))?;
        self.waiting.remove(at)
    }
}
