//! One shared connection that is made at first use and made anew when it is lost. [`super::Redis`] has a few, and gives each
//! partition one of them. It repeats a call once where the connection was lost or the server did not know the script: every call of
//! this store may be repeated. It never repeats one that timed out.

use std::sync::{Arc, Mutex as Shared, MutexGuard, PoisonError};
use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use redis::{Pipeline, RedisResult, ServerErrorKind, Value};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::connection::{Connection, Target};
use super::fault;
use crate::store::Error;

/// The pause after a failed attempt: soon enough that a restarted server is found at once, and no more than two attempts a
/// second in the long run.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What the checks at the last connect warned of.
pub(super) type Findings = Arc<Shared<Vec<String>>>;

/// A connection, while there is one.
pub(super) struct Lane {
    target: Arc<Target>,
    findings: Findings,
    live: Shared<Live>,
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Live {
    connection: Option<Connection>,
    /// Counts connections, so that a late failure of an old one does not end the new one.
    number: u64,
    /// Calls on it that failed in a row.
    failures: u32,
}

/// How connecting goes. It is locked while somebody connects.
struct Attempts {
    failed: Option<Failed>,
    pauses: ExponentialBackoff,
}

/// The last attempt to connect, where it failed.
struct Failed {
    began: Instant,
    again: Instant,
    error: Error,
}

impl Lane {
    pub(super) fn new(target: Arc<Target>, findings: Findings) -> Self {
        let pauses = ExponentialBackoffBuilder::new()
            .with_initial_interval(FIRST_PAUSE)
            .with_max_interval(LONGEST_PAUSE)
            .with_max_elapsed_time(None)
            .build();
        let attempts = Mutex::new(Attempts { failed: None, pauses });
        Self { target, findings, live: Shared::default(), attempts }
    }

    /// Sends commands to the server that holds `slot`; answers a value for each, none of them an error.
    ///
    /// # Errors
    /// `Unavailable` where they may or may not have been carried out, all or in part.
    pub(super) async fn send(&self, slot: u16, commands: &Pipeline) -> Result<Vec<Value>, Error> {
        let (mut number, mut connection) = self.connection().await?;
        let mut outcome = self.exchange(number, &connection, slot, commands).await;
        if outcome.as_ref().is_err_and(|error| !error.is_timeout()) {
            // The end of an idle connection shows when it is used, such as after a restart of the server.
            (number, connection) = self.connection().await?;
            outcome = self.exchange(number, &connection, slot, commands).await;
        }
        if outcome.as_ref().is_ok_and(|answers| lacks_script(answers)) {
            // A server that began anew, or one of a cluster that is new to us.
            self.note(self.target.greet(&connection, slot).await?);
            outcome = self.exchange(number, &connection, slot, commands).await;
        }
        let answers = outcome.map_err(|error| fault::lost(&error))?;
        fault::first(&answers).map_or(Ok(()), |error| Err(fault::reply(error)))?;
        Ok(answers)
    }

    async fn exchange(
        &self,
        number: u64,
        connection: &Connection,
        slot: u16,
        commands: &Pipeline,
    ) -> RedisResult<Vec<Value>> {
        let outcome = connection.send(slot, commands).await;
        let mut live = self.live();
        if live.number == number {
            live.failures = if outcome.is_ok() { 0 } else { live.failures + 1 };
            if live.failures >= self.target.patience() {
                live.connection = None;
            }
        }
        outcome
    }

    /// The connection; where there is none, the outcome of an attempt that began after this call.
    async fn connection(&self) -> Result<(u64, Connection), Error> {
        if let Some(found) = self.live().get() {
            return Ok(found);
        }
        let arrived = Instant::now();
        let mut attempts = self.attempts.lock().await;
        // Somebody else may have connected meanwhile, or failed to.
        if let Some(found) = self.live().get() {
            return Ok(found);
        }
        if let Some(failed) = &attempts.failed {
            if failed.began >= arrived {
                return Err(failed.error.clone());
            }
            sleep_until(failed.again).await;
        }
        let began = Instant::now();
        match self.target.open().await {
            Ok((connection, findings)) => {
                self.note(findings);
                attempts.pauses.reset();
                attempts.failed = None;
                let mut live = self.live();
                let number = live.number + 1;
                *live = Live { connection: Some(connection.clone()), number, failures: 0 };
                Ok((number, connection))
            }
            Err(error) => {
                let again = Instant::now() + attempts.pauses.next_backoff().unwrap_or(LONGEST_PAUSE);
                attempts.failed = Some(Failed { began, again, error: error.clone() });
                Err(error)
            }
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, findings: Vec<String>) {
        let mut noted = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if *noted != findings {
            findings.iter().for_each(|finding| tracing::warn!("{finding}"));
            *noted = findings;
        }
    }
}

fn lacks_script(answers: &[Value]) -> bool {
    fault::first(answers).is_some_and(|error| error.kind() == Some(ServerErrorKind::NoScript))
}

impl Live {
    fn get(&self) -> Option<(u64, Connection)> {
        self.connection.clone().map(|connection| (self.number, connection))
    }
}
