//! One queue: what is ready, who consumes, and who is served next.
//!
//! [`super::Embedded`] offers messages, [`super::consumer`] takes and settles them. Every change happens under the queue's
//! own lock and answers an [`Aftermath`]; a queue never touches another and wakes nobody while it is locked.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::held::{Entry, Held};
use crate::port::{MOST_HEARD, REASON_HEADER};
use crate::{Delivery, Error, Message, Publication, QueueDeclaration, QueueKind, Subscription};

/// The most ready messages: a minute of the greatest load, about a gigabyte of small messages.
const MOST_READY: usize = 1_000_000;
/// The most bytes of ready bodies, so that few large messages do not fill the memory either.
const MOST_READY_BYTES: usize = 1024 * 1024 * 1024;
/// The largest body in bytes: RabbitMQ 4 takes no more, so what works here works there.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
/// Room for ready messages that an empty queue may keep: a usual burst, a few hundred kilobytes.
const KEPT_CAPACITY: usize = 4096;

/// A queue and its consumers.
pub(super) struct Queue {
    /// As it was declared.
    pub(super) declaration: QueueDeclaration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By position.
    ready: VecDeque<Entry>,
    ready_bytes: usize,
    last_position: u64,
    members: Vec<Member>,
    last_member: u64,
    /// Counts assignments, so that members of one priority take turns.
    turn: u64,
    /// Removed: whoever still holds the queue finds it missing.
    gone: bool,
}

/// A consumer, as the queue sees it.
struct Member {
    id: u64,
    priority: i32,
    prefetch: usize,
    last_turn: u64,
    held: Held,
    notify: Arc<Notify>,
}

/// What a change leaves to be done once the queue is unlocked.
#[derive(Default)]
pub(super) struct Aftermath {
    wake: Vec<Arc<Notify>>,
    /// Messages for the dead-letter queue.
    pub(super) dead: Vec<Message>,
    /// The queue went with its last consumer.
    pub(super) gone: bool,
}

impl Aftermath {
    /// Wakes the consumers to whom messages were assigned.
    pub(super) fn wake(self) {
        self.wake.iter().for_each(|notify| notify.notify_one());
    }
}

impl Queue {
    pub(super) fn new(declaration: QueueDeclaration) -> Self {
        Self { declaration, state: Mutex::default() }
    }

    /// How many messages are ready.
    pub(super) fn depth(&self) -> Result<u64, Error> {
        let state = self.lock();
        if state.gone { Err(self.missing()) } else { Ok(state.ready.len() as u64) }
    }

    /// Takes in the messages in their order, and writes what became of each at its number.
    pub(super) fn offer(
        &self,
        publications: &mut [(usize, Publication)],
        outcomes: &mut [Result<(), Error>],
    ) -> Aftermath {
        let mut aftermath = Aftermath::default();
        let mut state = self.lock();
        for (number, publication) in publications {
            let verdict = self.check_room(&state, publication.message.body.len());
            if verdict.is_ok() {
                state.append(std::mem::take(&mut publication.message));
                state.dispatch(&mut aftermath);
            }
            outcomes[*number] = verdict;
        }
        aftermath
    }

    /// Takes in an announcement; where too many wait, the oldest message goes.
    pub(super) fn hear(&self, message: Message) -> Aftermath {
        let mut aftermath = Aftermath::default();
        let mut state = self.lock();
        if !state.gone {
            state.append(message);
            state.dispatch(&mut aftermath);
            if state.ready.len() > MOST_HEARD {
                state.drop_oldest();
            }
        }
        aftermath
    }

    /// Adds a consumer and answers its id.
    pub(super) fn join(
        &self,
        subscription: &Subscription,
        notify: Arc<Notify>,
    ) -> Result<(u64, Aftermath), Error> {
        let mut aftermath = Aftermath::default();
        let mut state = self.lock();
        if state.gone {
            return Err(self.missing());
        }
        state.last_member += 1;
        let id = state.last_member;
        let Subscription { priority, prefetch, .. } = *subscription;
        state.members.push(Member {
            id,
            priority,
            prefetch: usize::from(prefetch),
            last_turn: 0,
            held: Held::default(),
            notify,
        });
        state.dispatch(&mut aftermath);
        Ok((id, aftermath))
    }

    /// Hands a consumer at most `max` of the messages assigned to it; none where none wait.
    pub(super) fn take(&self, member: u64, max: usize) -> Result<Vec<Delivery>, Error> {
        Ok(self.lock().member(member)?.held.hand_out(max))
    }

    /// Settles one delivery for good.
    pub(super) fn ack(&self, member: u64, tag: u64) -> Result<Aftermath, Error> {
        let mut aftermath = Aftermath::default();
        let mut state = self.lock();
        let settled = state.member(member)?.held.settle(tag);
        state.dispatch(&mut aftermath);
        // Freed behind the lock.
        drop(state);
        drop(settled);
        Ok(aftermath)
    }

    /// Settles every delivery up to and with `tag` for good.
    pub(super) fn ack_through(&self, member: u64, tag: u64) -> Result<Aftermath, Error> {
        let mut aftermath = Aftermath::default();
        let mut state = self.lock();
        let settled = state.member(member)?.held.settle_through(tag);
        state.dispatch(&mut aftermath);
        // Freed behind the lock.
        drop(state);
        drop(settled);
        Ok(aftermath)
    }

    /// Takes a delivery back: to be delivered again, or to be given up.
    pub(super) fn reject(&self, member: u64, tag: u64, requeue: bool) -> Result<Aftermath, Error> {
        let mut aftermath = Aftermath::default();
        let mut state = self.lock();
        let Some(entry) = state.member(member)?.held.settle(tag) else { return Ok(aftermath) };
        if requeue {
            self.give_back(&mut state, entry, &mut aftermath);
        } else {
            aftermath.dead.push(given_up(entry.message, "rejected"));
        }
        state.dispatch(&mut aftermath);
        Ok(aftermath)
    }

    /// Assigns nothing more to a consumer; what it was not handed yet goes back, as if it had never been assigned.
    pub(super) fn stop(&self, member: u64) -> Result<Aftermath, Error> {
        let mut aftermath = Aftermath::default();
        let mut state = self.lock();
        let stopped = state.member(member)?;
        stopped.prefetch = 0;
        let waiting = stopped.held.take_waiting();
        for entry in waiting.into_iter().rev() {
            state.insert(entry);
        }
        state.dispatch(&mut aftermath);
        Ok(aftermath)
    }

    /// Removes a consumer; what it has not settled goes back.
    pub(super) fn leave(&self, member: u64) -> Aftermath {
        let mut aftermath = Aftermath::default();
        let mut state = self.lock();
        let Some(index) = state.members.iter().position(|found| found.id == member) else { return aftermath };
        let left = state.members.swap_remove(index);
        // From the last to the first, because each goes to the front.
        for entry in left.held.into_entries().rev() {
            self.give_back(&mut state, entry, &mut aftermath);
        }
        aftermath.dead.reverse();
        state.gone = state.members.is_empty() && self.declaration.kind == QueueKind::Exclusive;
        aftermath.gone = state.gone;
        state.dispatch(&mut aftermath);
        aftermath
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn missing(&self) -> Error {
        Error::NoQueue(self.declaration.name.clone())
    }

    /// Whether a body of `bytes` may come in.
    fn check_room(&self, state: &State, bytes: usize) -> Result<(), Error> {
        let name = &self.declaration.name;
        if state.gone {
            Err(self.missing())
        } else if bytes > LARGEST_BODY {
            Err(Error::Refused(format!("a body of {bytes} bytes for '{name}' is larger than {LARGEST_BODY}")))
        } else if state.ready.len() >= MOST_READY || state.ready_bytes + bytes > MOST_READY_BYTES {
            Err(Error::Unavailable(format!("the queue '{name}' is full with {} messages", state.ready.len())))
        } else {
            Ok(())
        }
    }

    /// Puts a message back to its place, or gives it up where it was delivered too often.
    fn give_back(&self, state: &mut State, entry: Entry, aftermath: &mut Aftermath) {
        if self.declaration.delivery_limit.is_some_and(|limit| entry.deliveries >= limit) {
            aftermath.dead.push(given_up(entry.message, "delivery-limit"));
        } else {
            state.insert(entry);
        }
    }
}

impl State {
    fn member(&mut self, id: u64) -> Result<&mut Member, Error> {
        self.members.iter_mut().find(|member| member.id == id).ok_or(Error::Ended)
    }

    fn append(&mut self, message: Message) {
        self.last_position += 1;
        self.ready_bytes += message.body.len();
        self.ready.push_back(Entry { message, deliveries: 0, position: self.last_position });
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.ready.pop_front() {
            self.ready_bytes -= oldest.message.body.len();
        }
    }

    /// Puts a message back where it was: nearly always to the very front.
    fn insert(&mut self, entry: Entry) {
        self.ready_bytes += entry.message.body.len();
        let index = self.ready.partition_point(|other| other.position < entry.position);
        self.ready.insert(index, entry);
    }

    /// Assigns ready messages to consumers that have room.
    fn dispatch(&mut self, aftermath: &mut Aftermath) {
        while !self.ready.is_empty() {
            let Some(member) = next_served(&mut self.members) else { return };
            let Some(entry) = self.ready.pop_front() else { return };
            self.ready_bytes -= entry.message.body.len();
            self.turn += 1;
            member.last_turn = self.turn;
            if member.held.assign(entry) {
                aftermath.wake.push(Arc::clone(&member.notify));
            }
        }
        if self.ready.capacity() > KEPT_CAPACITY {
            self.ready.shrink_to(KEPT_CAPACITY);
        }
    }
}

/// Who gets the next message: of those with room the greatest priority, among equals who waited longest.
fn next_served(members: &mut [Member]) -> Option<&mut Member> {
    let with_room = members.iter_mut().filter(|member| member.held.unsettled() < member.prefetch);
    with_room.min_by_key(|member| (Reverse(member.priority), member.last_turn))
}

fn given_up(mut message: Message, reason: &str) -> Message {
    message.headers.retain(|(name, _)| name != REASON_HEADER);
    message.headers.push((REASON_HEADER.to_owned(), reason.to_owned()));
    message
}
