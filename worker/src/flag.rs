//! A flag that is raised once and can be waited for: how an attempt is told to end, and that it is known.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Raised once, seen by all who wait now or later. It lives inside the attempt's one allocation.
#[derive(Debug, Default)]
pub(crate) struct Flag {
    raised: AtomicBool,
    changed: Notify,
}

impl Flag {
    /// Raises the flag.
    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Whether it is raised.
    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Returns once it is raised.
    pub(crate) async fn wait(&self) {
        let mut changed = std::pin::pin!(self.changed.notified());
        // Registered before the look: a flag raised in between is not missed.
        changed.as_mut().enable();
        if !self.is_raised() {
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Flag;

    #[tokio::test]
    async fn wakes_those_who_wait_and_those_who_come_later() {
        let flag = Arc::new(Flag::default());
        let waiting = tokio::spawn({
            let flag = Arc::clone(&flag);
            async move { flag.wait().await }
        });
        tokio::task::yield_now().await;
        assert!(!flag.is_raised());
        flag.raise();
        waiting.await.unwrap();
        flag.wait().await;
    }
}
