//! Messages, as AMQP has them and as the port has them.
//!
//! Publishing and consuming call it. It never waits, and never looks into a body.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery as Incoming;
use lapin::types::ShortString;

use super::headers::{self, Received};
use crate::{Delivery, Error, Message};

/// The largest body: what RabbitMQ 4 takes unless it is told otherwise.
pub(super) const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Outlives a restart of the server.
const PERSISTENT: u8 = 2;

/// The time that messages are stamped with: seconds since the Unix epoch.
pub(super) fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The properties of a message that is sent. It takes them out of the message and leaves body and message id.
pub(super) fn properties(
    message: &mut Message,
    seconds: u64,
    user: Option<&ShortString>,
) -> Result<BasicProperties, Error> {
    if message.body.len() > LARGEST_BODY {
        let length = message.body.len();
        return Err(Error::Refused(format!(
            "a message has {length} bytes; at most {LARGEST_BODY} are taken"
        )));
    }
    let mut properties = BasicProperties::default()
        .with_message_id(short("message id", message.message_id.clone())?)
        .with_type(short("type", std::mem::take(&mut message.kind))?)
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_timestamp(seconds);
    if let Some(user) = user {
        properties = properties.with_user_id(user.clone());
    }
    if let Some(correlation) = message.correlation_id.take() {
        properties = properties.with_correlation_id(short("correlation id", correlation)?);
    }
    if let Some(reply_to) = message.reply_to.take() {
        properties = properties.with_reply_to(short("reply-to", reply_to)?);
    }
    if let Some(table) = headers::encode(std::mem::take(&mut message.headers))? {
        properties = properties.with_headers(table);
    }
    Ok(properties)
}

/// A text of at most 255 bytes, which is all that AMQP has room for.
pub(super) fn short(what: &str, text: String) -> Result<ShortString, Error> {
    ShortString::try_new(text).map_err(|error| Error::Refused(format!("the {what} is too long: {error}")))
}

/// What was received.
pub(super) fn delivery(incoming: Incoming) -> Delivery {
    let Incoming { delivery_tag: tag, redelivered, properties, data, .. } = incoming;
    let Received { headers, earlier_deliveries } =
        properties.headers().as_ref().map(headers::decode).unwrap_or_default();
    // A classic queue says only whether there was another delivery before.
    let earlier = earlier_deliveries.unwrap_or(u32::from(redelivered));
    let message = Message {
        body: Bytes::from(data),
        message_id: text(properties.message_id()).unwrap_or_default(),
        correlation_id: text(properties.correlation_id()),
        reply_to: text(properties.reply_to()),
        kind: text(properties.kind()).unwrap_or_default(),
        headers,
    };
    Delivery { tag, deliveries: earlier.saturating_add(1), user_id: text(properties.user_id()), message }
}

fn text(property: &Option<ShortString>) -> Option<String> {
    property.as_ref().map(|text| text.as_str().to_owned())
}
