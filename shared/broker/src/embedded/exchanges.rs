//! Which queues hear which topic exchange.
//!
//! [`super::Embedded`] keeps it beside its queues and asks it who hears an announcement. It holds no messages.

use std::collections::HashMap;
use std::sync::Arc;

use super::queue::Queue;
use crate::{Announcement, topic};

/// The queues that hear each exchange, in the order of their declaration. An exchange that none hears does not stand here.
#[derive(Default)]
pub(super) struct Exchanges(HashMap<String, Vec<Arc<Queue>>>);

impl Exchanges {
    /// A queue listens from now on to what its declaration names.
    pub(super) fn add(&mut self, queue: &Arc<Queue>) {
        for hears in &queue.declaration.hears {
            let listeners = self.0.entry(hears.exchange.clone()).or_default();
            if !listeners.iter().any(|known| Arc::ptr_eq(known, queue)) {
                listeners.push(Arc::clone(queue));
            }
        }
    }

    /// A queue is gone.
    pub(super) fn remove(&mut self, queue: &Arc<Queue>) {
        for hears in &queue.declaration.hears {
            if let Some(listeners) = self.0.get_mut(&hears.exchange) {
                listeners.retain(|known| !Arc::ptr_eq(known, queue));
            }
        }
        self.0.retain(|_, listeners| !listeners.is_empty());
    }

    /// The queues that hear an announcement: each once, however many of its patterns fit.
    pub(super) fn listeners(&self, announcement: &Announcement) -> Vec<Arc<Queue>> {
        let Announcement { exchange, topic, .. } = announcement;
        let listens = |queue: &&Arc<Queue>| {
            let hears = &queue.declaration.hears;
            hears.iter().any(|hears| hears.exchange == *exchange && topic::fits(&hears.pattern, topic))
        };
        self.0.get(exchange).into_iter().flatten().filter(listens).cloned().collect()
    }
}
