//! Puts messages that could not be understood where operators find them. What operators do with them is in `node/parked.rs`.

use oarlock_broker::{Broker, Error, Message, parking, topology};

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
    tracing::warn!(from, kind = message.kind, id = message.message_id, reason, "a message is parked");
    let parked = parking::park(message, from, user_id, reason);
    match broker.publish(vec![parked.clone()]).await.into_iter().collect() {
        Err(Error::NoQueue(_)) => {
            topology::declare_shared(broker).await?;
            broker.publish(vec![parked]).await.into_iter().collect()
        }
        published => published,
    }
}
