//! What a panic prints, without the secrets of the attempt whose code panics.
//!
//! The message of a panic goes to stderr before anybody can catch it. So the hook that prints it asks here first; for every
//! other thread and attempt it prints what it printed before.

use std::cell::RefCell;
use std::panic::{set_hook, take_hook};
use std::sync::{Arc, Once};

use super::mask::Mask;

thread_local! {
    /// The secrets of the attempt whose code runs on this thread.
    static HIDING: RefCell<Option<Arc<Mask>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs a piece of an attempt's code; should it panic, what is printed passes through its mask.
pub(crate) fn quiet<T>(mask: Option<&Arc<Mask>>, run: impl FnOnce() -> T) -> T {
    let Some(mask) = mask else { return run() };
    HOOK.call_once(install);
    HIDING.set(Some(Arc::clone(mask)));
    let _end = End;
    run()
}

/// Nothing is hidden any more, also after a panic.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        HIDING.set(None);
    }
}

fn install() {
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        let mask = HIDING.with(|hiding| hiding.try_borrow().ok().and_then(|mask| mask.clone()));
        match mask {
            Some(mask) => tracing::error!("{}", mask.text(panic.to_string())),
            None => before(panic),
        }
    }));
}
