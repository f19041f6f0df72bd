//! The thread that writes: it takes what has arrived, does it in one transaction, syncs, and answers.
//!
//! [`super::File`] submits. Nothing is answered before its transaction is on disk, except with an error.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::base::{Base, Books};
use super::change::{Change, Outcome};
use super::rows::Tables;
use crate::store::Error;
use crate::store::lease::Clock;

/// The most calls that wait: a few for every partition one process has.
const MOST_WAITING: usize = 1024;
/// The most bytes of one transaction, where it holds more than one commit: keeps a sync short.
const MOST_BATCH_BYTES: usize = 32 * 1024 * 1024;

/// The way to the writing thread. Dropping it waits until everything submitted is written.
pub(super) struct Writer {
    base: Arc<Base>,
    /// Absent only while it is being dropped.
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(base: Arc<Base>, books: Books, clock: Clock) -> Result<Self, Error> {
        let (sender, jobs) = mpsc::channel(MOST_WAITING);
        let mut desk = Desk { base: Arc::clone(&base), books, clock, failed: false };
        let thread = std::thread::Builder::new().name("oarlock-store".to_owned());
        let thread = thread
            .spawn(move || desk.run(jobs))
            .map_err(|error| Error::Unusable(format!("no thread can be started to write: {error}")))?;
        Ok(Self { base, jobs: Some(sender), thread: Some(thread) })
    }

    /// Lets the writing thread do `work`, which writes about `bytes`, and waits until it is durable.
    pub(super) async fn submit<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnMut(&mut Change<'_>) -> Outcome<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Call { work, bytes, outcome: None, reply });
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It only fails where the thread panicked, and then there is nothing left to write.
            let _ = thread.join();
        }
        self.base.close();
    }
}

fn ended() -> Error {
    Error::Unavailable("the thread that writes has ended: start again".to_owned())
}

/// A call on its way through a transaction.
trait Job: Send {
    /// About how much it writes.
    fn bytes(&self) -> usize;
    /// Does it, and keeps the outcome for the answer.
    fn perform(&mut self, change: &mut Change<'_>) -> Result<(), redb::Error>;
    /// Answers: with the outcome where the transaction is durable, else with its failure.
    fn answer(self: Box<Self>, fate: Result<(), Error>);
}

struct Call<T, W> {
    work: W,
    bytes: usize,
    outcome: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T: Send, W: FnMut(&mut Change<'_>) -> Outcome<T> + Send> Job for Call<T, W> {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn perform(&mut self, change: &mut Change<'_>) -> Result<(), redb::Error> {
        self.outcome = Some((self.work)(change)?);
        Ok(())
    }

    fn answer(self: Box<Self>, fate: Result<(), Error>) {
        let Call { outcome, reply, .. } = *self;
        let answer = fate.and_then(|()| outcome.unwrap_or_else(|| Err(ended())));
        // Whoever asked may have gone: a write without a listener stands all the same.
        let _ = reply.send(answer);
    }
}

/// The state of the writing thread.
struct Desk {
    base: Arc<Base>,
    books: Books,
    clock: Clock,
    /// The last transaction failed: the file is to be opened again before the next.
    failed: bool,
}

impl Desk {
    fn run(&mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut batch = gather(first, &mut jobs);
            let fate = self.write(&mut batch);
            batch.into_iter().for_each(|job| job.answer(fate.clone()));
        }
    }

    /// Does the batch in one transaction.
    fn write(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), Error> {
        if self.failed {
            self.base.reopen(&mut self.books)?;
            self.failed = false;
        }
        let now_ms = (self.clock)();
        let mut books = self.books.clone();
        let written = self.base.write(|transaction| {
            let mut change = Change::new(Tables::open(transaction)?, &mut books, now_ms);
            batch.iter_mut().try_for_each(|job| job.perform(&mut change))?;
            Ok(change.wrote())
        });
        match &written {
            Ok(()) => {
                self.books = books;
                self.base.fix_partitions(self.books.len());
            }
            Err(error) => {
                tracing::error!(path = %self.base.path().display(), %error, "a transaction failed");
                self.failed = true;
            }
        }
        written
    }
}

/// The first job and what waits behind it, as far as one transaction should hold.
fn gather(first: Box<dyn Job>, jobs: &mut mpsc::Receiver<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let mut bytes = first.bytes();
    let mut batch = vec![first];
    while bytes < MOST_BATCH_BYTES
        && batch.len() < MOST_WAITING
        && let Ok(job) = jobs.try_recv()
    {
        bytes += job.bytes();
        batch.push(job);
    }
    batch
}
