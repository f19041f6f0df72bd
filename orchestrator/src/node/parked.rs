//! Parked messages, as operators deal with them: looked at, put back, dropped.

use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::parking::Parked;
use oarlock_broker::{Acknowledge, Consumer, Error, Publication, Subscription, topology};

use oarlock_protocol::message::Kind;
use tokio::sync::MutexGuard;

use super::Node;
use crate::starts;

/// How many parked messages are looked at: the oldest. Who has more has to work them off from there.
const MOST: u16 = 1_000;
/// How many bytes of them are held at once.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// After this long without another message all have come.
const QUIET: Duration = Duration::from_millis(300);
/// After this long without any there is none.
const FIRST: Duration = Duration::from_secs(1);

/// Why a parked message cannot be dealt with.
#[derive(Debug, thiserror::Error)]
pub enum ParkedError {
    /// None of that id is among the oldest.
    #[error(
        "no parked message {0} among the oldest {MOST}; another operator may be looking at them right now"
    )]
    NotFound(String),
    /// It cannot go back as it is.
    #[error("it cannot be put back: {0}")]
    Refused(String),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] Error),
}

impl Node {
    /// The oldest parked messages. While it looks, nobody else sees them; then they are back.
    ///
    /// # Errors
    /// The broker failed.
    pub async fn parked(&self) -> Result<Vec<Parked>, ParkedError> {
        let (found, _hold) = self.look().await?;
        Ok(found.into_iter().map(|(_, parked)| parked).collect())
    }

    /// Puts a parked message back where it came from, and returns it. A start acts on behalf of its producer, as before.
    ///
    /// # Errors
    /// There is none of that id, it cannot be put back, or the broker failed.
    pub async fn requeue_parked(&self, id: &str) -> Result<Parked, ParkedError> {
        let (found, hold) = self.look().await?;
        let (tag, parked) = named(found, id)?;
        let publication = self.back(&parked).map_err(ParkedError::Refused)?;
        let published: Result<(), Error> =
            self.shared.broker.publish(vec![publication]).await.into_iter().collect();
        published?;
        hold.acknowledger.ack(tag).await?;
        Ok(parked)
    }

    /// Drops a parked message for good, and returns it.
    ///
    /// # Errors
    /// There is none of that id, or the broker failed.
    pub async fn drop_parked(&self, id: &str) -> Result<Parked, ParkedError> {
        let (found, hold) = self.look().await?;
        let (tag, parked) = named(found, id)?;
        hold.acknowledger.ack(tag).await?;
        Ok(parked)
    }

    /// Where a parked message goes back to. What acts on somebody's behalf counts only as far as its sender did.
    ///
    /// # Errors
    /// Why it cannot go back.
    fn back(&self, parked: &Parked) -> Result<Publication, String> {
        if let Some(size) = parked.cut_from {
            return Err(format!("only the beginning of its {size} bytes is kept"));
        }
        let (from, message) = (parked.from.as_deref(), &parked.message);
        let from = from.ok_or("it does not tell from which queue it came")?;
        if from.starts_with(topology::TASKS) && Kind::parse(&message.kind) == Some(Kind::Task) {
            return Ok(Publication { queue: from.to_owned(), message: message.clone() });
        }
        // Anybody who may write to the queue of parked messages can claim what follows.
        let orchestrators = self.shared.settings.orchestrators.as_ref();
        if orchestrators.is_some_and(|user| parked.parked_by.as_ref() != Some(user)) {
            return Err("no orchestrator parked it, so what it says of its sender does not count".to_owned());
        }
        if from == topology::START {
            return starts::start_of(message, parked.user_id.as_deref(), &self.shared);
        }
        if !from.starts_with(topology::INBOX) {
            return Err(format!("what was parked from {from} is of no use there"));
        }
        let asks = !matches!(Kind::parse(&message.kind), Some(Kind::Result | Kind::Progress));
        if asks && orchestrators.is_some_and(|user| parked.user_id.as_ref() != Some(user)) {
            return Err(
                "its sender was no orchestrator, and only orchestrators may ask this of an inbox".to_owned()
            );
        }
        Ok(Publication { queue: from.to_owned(), message: message.clone() })
    }

    async fn look(&self) -> Result<(Vec<(u64, Parked)>, Hold<'_>), Error> {
        // One at a time: each holds what it looks at, and others would miss it.
        let alone = self.looking.lock().await;
        let broker = &self.shared.broker;
        let subscription = Subscription { queue: topology::PARKED.to_owned(), prefetch: MOST, priority: 0 };
        let mut consumer = broker.consume(subscription).await?;
        let acknowledger = consumer.acknowledger();
        let (mut found, mut bytes) = (Vec::new(), 0);
        while found.len() < usize::from(MOST) && bytes < MOST_BYTES {
            let patience = if found.is_empty() { FIRST } else { QUIET };
            let Ok(received) = tokio::time::timeout(patience, consumer.receive(usize::from(MOST))).await
            else {
                break;
            };
            for delivery in received? {
                bytes += delivery.message.body.len();
                found.push((delivery.tag, Parked::read(delivery.message, delivery.user_id)));
            }
        }
        Ok((found, Hold { acknowledger, _consumer: consumer, _alone: alone }))
    }
}

/// Holds parked messages: dropping it gives back what is not acknowledged.
struct Hold<'a> {
    acknowledger: Arc<dyn Acknowledge>,
    _consumer: Box<dyn Consumer>,
    _alone: MutexGuard<'a, ()>,
}

fn named(found: Vec<(u64, Parked)>, id: &str) -> Result<(u64, Parked), ParkedError> {
    let mut found = found.into_iter();
    found.find(|(_, parked)| parked.id == id).ok_or_else(|| ParkedError::NotFound(id.to_owned()))
}
