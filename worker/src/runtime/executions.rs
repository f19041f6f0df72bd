//! The attempts this process holds, from the delivery until their result is confirmed: the one place that says who may
//! close an attempt, and that a second copy of it waits for the first, and is answered anew where it came too late for its answer.
//!
//! Nothing is awaited and nothing is run while the table is locked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use oarlock_protocol::ExecutionId;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::channel::{self, Receipt};
use super::recent::Recent;
use super::signs::Signs;
use super::verdict::Ending;
use crate::TaskContext;

/// The attempts this process holds.
pub(super) struct Executions {
    /// An attempt that lasts longer is acknowledged as soon as the orchestrator has answered its sign of life; from then on
    /// its heartbeat keeps it, and no broker's limit on unacknowledged deliveries can strike.
    early_ack: Duration,
    /// How many were acknowledged early and are held still.
    lasting: watch::Sender<usize>,
    table: Mutex<Table>,
    opened: Notify,
    emptied: Notify,
}

#[derive(Default)]
struct Table {
    /// In the order of their names: what is done for all of them is done in an order that comes again.
    open: BTreeMap<ExecutionId, Execution>,
    recent: Recent,
    given_back: usize,
    /// Acknowledgements that were handed out and are not done.
    settling: usize,
}

/// One attempt.
struct Execution {
    context: TaskContext,
    /// The delivery it came by; none once it is acknowledged early.
    receipt: Option<Receipt>,
    /// Further deliveries of the same attempt.
    copies: Vec<Receipt>,
    /// Those that came while the answer was on its way.
    late: Vec<Receipt>,
    end_grace: Duration,
    state: State,
    /// Whether its answer is for this delivery alone.
    refused: bool,
}

enum State {
    Running {
        ending: Option<(Ending, Instant)>,
        signs: Signs,
    },
    /// Its answer is on the way.
    Closing,
}

/// What is to be done with a delivery.
#[derive(Debug)]
pub(super) enum Begun {
    /// Run it.
    Run,
    /// It is held here already: it is acknowledged together with that, or answered after it.
    Copy,
    /// It was answered lately: this was the answer.
    Answered(Bytes),
}

/// Another has closed the attempt already.
#[derive(Debug, PartialEq)]
pub(super) struct AlreadyClosed;

/// What is to be done once answers are confirmed.
#[derive(Default)]
pub(super) struct Confirmed {
    /// To be acknowledged.
    pub(super) receipts: Vec<Receipt>,
    /// Answers that are to be given again, and where.
    pub(super) again: Vec<(String, ExecutionId, Bytes)>,
}

/// What a look at all attempts found.
#[derive(Default)]
pub(super) struct Due {
    /// Attempts that were to be dropped, and are closed now.
    pub(super) dropped: Vec<(TaskContext, Ending)>,
    /// Deliveries to be acknowledged before their attempt ends.
    pub(super) acknowledge: Vec<Receipt>,
}

impl Executions {
    /// None yet; one that lasts longer than `early_ack` is acknowledged before its end.
    pub(super) fn new(early_ack: Duration) -> Self {
        let (table, opened, emptied) = (Mutex::default(), Notify::new(), Notify::new());
        Self { early_ack, lasting: watch::Sender::new(0), table, opened, emptied }
    }

    /// Enters a delivery.
    pub(super) fn begin(&self, context: &TaskContext, receipt: Receipt, end_grace: Duration) -> Begun {
        let mut table = self.lock();
        let Table { open, recent, .. } = &mut *table;
        let was_empty = open.is_empty();
        let entry = match open.entry(context.execution_id()) {
            Entry::Occupied(mut running) => {
                running.get_mut().join(receipt);
                return Begun::Copy;
            }
            Entry::Vacant(entry) => entry,
        };
        let answered = recent.get(context.execution_id());
        let state = match answered {
            Some(_) => State::Closing,
            None => State::Running { ending: None, signs: Signs::default() },
        };
        let receipt = Some(receipt);
        let (context, copies, late) = (context.clone(), Vec::new(), Vec::new());
        entry.insert(Execution { context, receipt, copies, late, end_grace, state, refused: false });
        if was_empty {
            self.opened.notify_one();
        }
        answered.map_or(Begun::Run, Begun::Answered)
    }

    /// Closes an attempt: whoever gets its ending, if it was told to end, decides what becomes of it.
    pub(super) fn close(&self, id: ExecutionId) -> Result<Option<Ending>, AlreadyClosed> {
        let mut table = self.lock();
        table.open.get_mut(&id).ok_or(AlreadyClosed)?.close()
    }

    /// Closes an attempt that is not begun. That follows from this delivery and from the time: another one of the same attempt is judged
    /// anew, as where a store lost its last commits and the attempt was opened again later.
    pub(super) fn refuse(&self, id: ExecutionId) -> Result<(), AlreadyClosed> {
        let mut table = self.lock();
        let execution = table.open.get_mut(&id).ok_or(AlreadyClosed)?;
        execution.refused = true;
        execution.close().map(drop)
    }

    /// Removes attempts whose answers are confirmed, keeps the answers, and hands out what is to be acknowledged by
    /// [`Executions::acknowledge`]. What came while its answer was on its way stays, to be answered again.
    pub(super) fn confirmed(&self, answers: Vec<(ExecutionId, Bytes)>) -> Confirmed {
        let mut table = self.lock();
        let Table { open, recent, .. } = &mut *table;
        let mut confirmed = Confirmed::default();
        for (id, body) in answers {
            let Entry::Occupied(mut entry) = open.entry(id) else { continue };
            let execution = entry.get_mut();
            self.let_go(execution);
            if !execution.refused {
                recent.keep(id, body.clone());
            }
            confirmed.receipts.extend(execution.receipt.take());
            confirmed.receipts.append(&mut execution.copies);
            let mut late = std::mem::take(&mut execution.late).into_iter();
            execution.receipt = late.next();
            execution.copies = late.collect();
            if execution.receipt.is_none() {
                entry.remove();
            } else {
                confirmed.again.push((execution.context.reply_to().to_owned(), id, body));
            }
        }
        table.settling += 1;
        confirmed
    }

    /// Acknowledges what was handed out. Only then is the worker empty: who drains must not close before.
    pub(super) async fn acknowledge(&self, receipts: Vec<Receipt>) {
        channel::settle(receipts).await;
        let mut table = self.lock();
        table.settling -= 1;
        self.tell_if_empty(&table);
    }

    /// Removes an attempt whose delivery is to go back, which happens when its consumer ends.
    pub(super) fn give_back(&self, id: ExecutionId) {
        let mut table = self.lock();
        if let Some(execution) = table.open.remove(&id) {
            self.let_go(&execution);
            table.given_back += 1;
        }
        self.tell_if_empty(&table);
    }

    /// Tells an attempt to end, and when it is dropped if it does not. Unknown ones have ended already.
    pub(super) fn end(&self, id: ExecutionId, ending: Ending, grace: Duration) {
        if let Some(execution) = self.lock().open.get_mut(&id) {
            execution.end(ending, grace);
        }
    }

    /// Tells every attempt to end because the worker stops; the longest that one may take.
    pub(super) fn end_all(&self, grace: Duration) -> Duration {
        let mut longest = grace;
        for execution in self.lock().open.values_mut() {
            longest = longest.max(execution.end_grace);
            execution.end(Ending::Draining { acknowledged: execution.receipt.is_none() }, grace);
        }
        longest
    }

    /// Drops every handler.
    pub(super) fn abort_all(&self) {
        for execution in self.lock().open.values() {
            execution.context.cancel();
            execution.context.abort();
        }
    }

    /// Notes that a sign of life of the attempt is recorded.
    pub(super) fn answered(&self, id: ExecutionId) {
        let mut table = self.lock();
        let Some(execution) = table.open.get_mut(&id) else { return };
        if let State::Running { signs, .. } = &mut execution.state {
            signs.answered();
            execution.context.confirm();
        }
    }

    /// Ends what is over its time, closes what did not end in time, and gives the signs of life that are due to `send`,
    /// which says whether it took them. A sign taken here stands before the attempt's result.
    pub(super) fn tick(&self, now: Instant, mut send: impl FnMut(&TaskContext, u64) -> bool) -> Due {
        let mut due = Due::default();
        let mut table = self.lock();
        for execution in table.open.values_mut() {
            execution.tick(now, self.early_ack, &mut send, &mut due);
        }
        if !due.acknowledge.is_empty() {
            self.lasting.send_modify(|lasting| *lasting += due.acknowledge.len());
        }
        due
    }

    /// How many attempts were acknowledged early and are held still: they have slots, and the broker does not know it.
    pub(super) fn lasting(&self) -> watch::Receiver<usize> {
        self.lasting.subscribe()
    }

    /// Returns once at least one attempt has been entered since the last return.
    pub(super) async fn opened(&self) {
        self.opened.notified().await;
    }

    /// Returns once no attempt is held, and all that ended are acknowledged.
    pub(super) async fn empty(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            if self.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// How many attempts are held.
    pub(super) fn len(&self) -> usize {
        self.lock().open.len()
    }

    /// How many attempts went back to their queues.
    pub(super) fn given_back(&self) -> usize {
        self.lock().given_back
    }

    fn let_go(&self, execution: &Execution) {
        if execution.receipt.is_none() {
            self.lasting.send_modify(|lasting| *lasting = lasting.saturating_sub(1));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_if_empty(&self, table: &Table) {
        if table.is_empty() {
            self.emptied.notify_waiters();
        }
    }
}

impl Table {
    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.settling == 0
    }
}

impl Execution {
    /// Takes a further delivery in. An answer that is on its way already may be too early for it: where a store has lost its last
    /// commits, the attempt is opened again only after that answer came, and found it unknown.
    fn join(&mut self, receipt: Receipt) {
        match self.state {
            State::Running { .. } => self.copies.push(receipt),
            State::Closing => self.late.push(receipt),
        }
    }

    fn close(&mut self) -> Result<Option<Ending>, AlreadyClosed> {
        match std::mem::replace(&mut self.state, State::Closing) {
            State::Running { ending, .. } => Ok(ending.map(|(ending, _)| ending)),
            State::Closing => Err(AlreadyClosed),
        }
    }

    fn end(&mut self, told: Ending, grace: Duration) {
        let State::Running { ending, .. } = &mut self.state else { return };
        match ending {
            // It does not go back to its queue, whatever it was told first.
            Some((first, _)) if told == Ending::Closed => *first = told,
            Some(_) => {}
            None => {
                *ending = Some((told, Instant::now() + grace.max(self.end_grace)));
                self.context.cancel();
            }
        }
    }

    fn tick(
        &mut self,
        now: Instant,
        early_ack: Duration,
        send: &mut impl FnMut(&TaskContext, u64) -> bool,
        due: &mut Due,
    ) {
        let limit = self.context.limit();
        if now >= limit.at {
            // The limit is known to the handler beforehand: only what it has to clean up is waited for.
            self.end(Ending::of_limit(&self.context), Duration::ZERO);
        }
        let State::Running { ending, signs } = &mut self.state else { return };
        if let Some((_, drop_at)) = ending
            && now >= *drop_at
        {
            if let Ok(Some(ending)) = self.close() {
                due.dropped.push((self.context.clone(), ending));
            }
            return;
        }
        if let Some(n) = signs.due(&self.context, now)
            && send(&self.context, n)
        {
            signs.sent(now);
        }
        if signs.are_answered() && now.saturating_duration_since(self.context.started()) >= early_ack {
            due.acknowledge.extend(self.receipt.take());
        }
    }
}

#[cfg(test)]
mod tests;
