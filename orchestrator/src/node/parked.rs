//! Parked messages, as operators deal with them: looked at, put back, dropped.

use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::parking::Parked;
use oarlock_broker::{Acknowledge, Consumer, Error, Publication, Subscription, topology};

use super::Node;
use crate::starts;

/// How many parked messages are looked at: the oldest. Who has more has to work them off from there.
const MOST: u16 = 1_000;
/// How many bytes of them are held at once.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// After this long without another message all have come.
const QUIET: Duration = Duration::from_millis(300);

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
        let publication = match parked.from.as_deref() {
            Some(topology::START) => {
                starts::start_of(&parked.message, parked.user_id.as_deref(), &self.shared)
                    .map_err(ParkedError::Refused)?
            }
            Some(queue) => Publication { queue: queue.to_owned(), message: parked.message.clone() },
            None => return Err(ParkedError::Refused("it does not tell from which queue it came".to_owned())),
        };
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

    async fn look(&self) -> Result<(Vec<(u64, Parked)>, Hold), Error> {
        let broker = &self.shared.broker;
        let subscription = Subscription { queue: topology::PARKED.to_owned(), prefetch: MOST, priority: 0 };
        let mut consumer = broker.consume(subscription).await?;
        let acknowledger = consumer.acknowledger();
        let (mut found, mut bytes) = (Vec::new(), 0);
        while found.len() < usize::from(MOST) && bytes < MOST_BYTES {
            let Ok(received) = tokio::time::timeout(QUIET, consumer.receive(usize::from(MOST))).await else {
                break;
            };
            for delivery in received? {
                bytes += delivery.message.body.len();
                found.push((delivery.tag, Parked::read(delivery.message)));
            }
        }
        Ok((found, Hold { acknowledger, _consumer: consumer }))
    }
}

/// Holds parked messages: dropping it gives back what is not acknowledged.
struct Hold {
    acknowledger: Arc<dyn Acknowledge>,
    _consumer: Box<dyn Consumer>,
}

fn named(found: Vec<(u64, Parked)>, id: &str) -> Result<(u64, Parked), ParkedError> {
    let mut found = found.into_iter();
    found.find(|(_, parked)| parked.id == id).ok_or_else(|| ParkedError::NotFound(id.to_owned()))
}
