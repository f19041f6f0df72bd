//! A gate that many may wait at. Those who wait go through in the order in which they came: a `watch` of tokio wakes them by chance, so
//! no simulated run could be repeated.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Shut at first.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_open: AtomicBool,
    opened: Notify,
}

impl Gate {
    /// Lets through those who wait, and who comes until it is shut.
    pub(super) fn open(&self) {
        self.is_open.store(true, Ordering::Release);
        self.opened.notify_waiters();
    }

    /// Who comes from now on waits.
    pub(super) fn shut(&self) {
        self.is_open.store(false, Ordering::Release);
    }

    /// Waits until it is open.
    pub(super) async fn pass(&self) {
        loop {
            let mut opened = pin!(self.opened.notified());
            // Before the look: what happens after it is not missed.
            opened.as_mut().enable();
            if self.is_open.load(Ordering::Acquire) {
                return;
            }
            opened.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn those_who_wait_go_through_in_the_order_in_which_they_came() {
        let (gate, passed) = (Arc::new(Gate::default()), Arc::new(Mutex::new(Vec::new())));
        let wait = |number: usize| {
            let (gate, passed) = (gate.clone(), passed.clone());
            async move {
                gate.pass().await;
                passed.lock().unwrap().push(number);
            }
        };
        let waiting: Vec<_> = (0..20).map(|number| tokio::spawn(wait(number))).collect();
        tokio::task::yield_now().await;
        assert!(passed.lock().unwrap().is_empty());
        gate.open();
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*passed.lock().unwrap(), (0..20).collect::<Vec<_>>());
        gate.pass().await;
        gate.shut();
        let shut = tokio::time::timeout(std::time::Duration::from_millis(1), gate.pass()).await;
        assert!(shut.is_err());
    }
}
