//! Batches of messages that are published at once and confirmed in order, while the next ones are made already.

use std::sync::Arc;

use futures_util::FutureExt;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, PublisherConfirm};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::reason;
use super::side::acknowledge;
use crate::Error;

/// So many batches may wait for their confirmations.
const UNCONFIRMED: usize = 8;
/// Names of messages are as long as those of Oarlock.
const ID: &str = "0190a6d2-6e3f-7c51-9c40-0a1b2c3d4e5f";

/// Where a message goes, and where its answer is to go.
pub(super) struct Letter {
    pub(super) queue: ShortString,
    pub(super) reply_to: Option<ShortString>,
}

/// A batch on its way: its confirmations, and what is acknowledged then.
type Sent = (Vec<PublisherConfirm>, Option<(Channel, u64)>);

/// Publishes batches.
pub(super) struct Batches {
    channel: Channel,
    sent: mpsc::Sender<Sent>,
    confirming: JoinHandle<Result<(), Error>>,
}

impl Batches {
    pub(super) fn start(channel: Channel) -> Self {
        let (sent, waiting) = mpsc::channel(UNCONFIRMED);
        Self { channel, sent, confirming: tokio::spawn(confirm(waiting)) }
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Publishes a batch; once it is confirmed, acknowledges the deliveries it answers.
    pub(super) async fn send(
        &mut self,
        letters: impl Iterator<Item = Letter>,
        body: &Arc<[u8]>,
        acknowledged: Option<(Channel, u64)>,
    ) -> Result<(), Error> {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let mut sending = Vec::new();
        for letter in letters {
            let properties = properties(letter.reply_to);
            let publishing = self.channel.basic_publish("".into(), letter.queue, options, body, properties);
            let mut publishing = Box::pin(publishing);
            // Asked once, it stands in lapin's queue; waiting until it is written would cost a turn for each.
            let written = publishing.as_mut().now_or_never();
            sending.push((publishing, written));
        }
        let mut confirms = Vec::with_capacity(sending.len());
        for (publishing, written) in sending {
            let confirm = match written {
                Some(confirm) => confirm,
                None => publishing.await,
            };
            confirms.push(confirm.map_err(|error| reason::unavailable(&error))?);
        }
        self.sent.send((confirms, acknowledged)).await.map_err(|_| Error::Ended)
    }

    /// Waits until all is confirmed.
    pub(super) async fn end(self) -> Result<(), Error> {
        drop(self.sent);
        self.confirming.await.map_err(|error| Error::Unavailable(error.to_string()))?
    }
}

async fn confirm(mut waiting: mpsc::Receiver<Sent>) -> Result<(), Error> {
    while let Some((confirms, acknowledged)) = waiting.recv().await {
        for confirm in confirms {
            let confirmation = confirm.await.map_err(|error| reason::unavailable(&error))?;
            if !confirmation.is_ack() {
                return Err(Error::Unavailable("a message was not taken".to_owned()));
            }
        }
        if let Some((channel, tag)) = acknowledged {
            acknowledge(&channel, tag);
        }
    }
    Ok(())
}

/// As many as a message of Oarlock has.
fn properties(reply_to: Option<ShortString>) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_message_id(ID.into())
        .with_correlation_id(ID.into())
        .with_type("task".into())
        .with_content_type("application/json".into())
        .with_delivery_mode(2);
    match reply_to {
        Some(reply_to) => properties.with_reply_to(reply_to),
        None => properties,
    }
}
