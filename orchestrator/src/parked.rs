//! Puts messages that could not be understood where operators find them. What operators do with them is in `node/parked.rs`.

use oarlock_broker::{Broker, Error, Message, parking, topology};
use oarlock_protocol::error::cut;

/// As much of a reason as is logged, in bytes.
const LOGGED: usize = 500;

/// Puts a message where operators find it; returns when it is safe there.
///
/// # Errors
/// The broker does not take it now.
pub(crate) async fn park(
    broker: &dyn Broker,
    message: &Message,
    from: &str,
    user_id: Option<&str>,
    reason: &str,
) -> Result<(), Error> {
    let parked = parking::park(message, from, user_id, reason);
    let mut told = reason.to_owned();
    cut(&mut told, LOGGED);
    tracing::warn!(from, kind = message.kind, id = message.message_id, reason = told, "a message is parked");
    match broker.publish(vec![parked.clone()]).await.into_iter().collect() {
        Err(Error::NoQueue(_)) => {
            topology::declare_shared(broker).await?;
            broker.publish(vec![parked]).await.into_iter().collect()
        }
        // A server that takes less than others: what tells operators of it fits everywhere.
        Err(Error::Refused(_)) => {
            let excerpt = parking::park_excerpt(message, from, user_id, reason);
            broker.publish(vec![excerpt]).await.into_iter().collect()
        }
        published => published,
    }
}
