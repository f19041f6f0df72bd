//! One timer for all attempts: ends what is over its time, drops what does not end, gives the signs of life.
//!
//! A short task costs no timer of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use super::channel::Receipt;
use super::outbox::Outgoing;
use super::verdict::Ran;
use super::{Shared, answer, execute};
use crate::TaskContext;

/// How exactly limits and signs are kept. Looking at a thousand attempts takes some ten microseconds.
const TICK: Duration = Duration::from_millis(20);

/// Watches over the attempts, and sleeps while there are none.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        if shared.executions.len() == 0 {
            shared.executions.opened().await;
        }
        tokio::time::sleep(TICK).await;
        look(&shared).await;
    }
}

async fn look(shared: &Arc<Shared>) {
    let due = shared.executions.tick(Instant::now(), |context, n| send_sign(shared, context, n));
    for (context, ending) in due.dropped {
        context.abort();
        let shared = Arc::clone(shared);
        let span = execute::span(&context);
        // Apart, so that an outbox which is full for a while stops no other attempt's limit.
        let concluded = async move { execute::conclude(&shared, &context, Some(ending), Ran::Dropped).await };
        tokio::spawn(concluded.instrument(span));
    }
    due.acknowledge.into_iter().for_each(Receipt::acknowledge_early);
}

/// Hands sign `n` to the outbox; false where it is full, and the sign stays due.
fn send_sign(shared: &Shared, context: &TaskContext, n: u64) -> bool {
    let Ok(place) = shared.outbox.try_reserve() else { return false };
    let execution = context.execution_id();
    place.send(Outgoing::Progress {
        to: context.reply_to().to_owned(),
        execution,
        message_id: format!("{execution}-progress-{}-{n}", context.deliveries()),
        body: answer::progress(&shared.worker_id, &shared.control_queue, context, n),
    });
    true
}
