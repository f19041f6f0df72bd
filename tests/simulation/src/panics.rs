//! Hears of panics in tasks that nobody waits for: each is a bug, but for those that a handler was told to have.

use std::cell::RefCell;
use std::sync::Once;

use crate::hands::TOLD;

thread_local! {
    static HEARD: RefCell<Option<String>> = const { RefCell::new(None) };
}

static LISTENING: Once = Once::new();

/// From now on panics of simulations are kept, each by the thread where it happened.
pub(crate) fn listen() {
    LISTENING.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let told = info.to_string();
            if told.contains(TOLD) {
                return;
            }
            HEARD.with_borrow_mut(|heard| *heard = heard.take().or(Some(told)));
            before(info);
        }));
    });
    HEARD.take();
}

/// The first panic since then.
pub(crate) fn heard() -> Option<String> {
    HEARD.take()
}
