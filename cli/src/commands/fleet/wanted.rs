//! Asks the orchestrators again and again how many workers they want.

use std::time::Duration;

use oarlock_protocol::Json;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::client::{Client, path_segment};

/// How often they are asked: they reckon anew every two seconds.
const ASKED_EVERY: Duration = Duration::from_secs(1);
/// How long one may take to answer: it has the answer in memory.
const ANSWER: Duration = Duration::from_secs(5);

/// What was heard last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing yet.
    Nothing,
    /// So many are wanted, by the queue that wants the most.
    Wanted(Wanted),
    /// Nobody answers, or not with a number: why.
    Away(String),
}

/// How many workers a queue wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) workers: u32,
    pub(super) queue: String,
    /// Why, in one sentence.
    pub(super) text: String,
}

/// Asks until it is aborted.
pub(super) async fn ask_for_ever(client: Client, queues: Vec<String>, heard: watch::Sender<Heard>) {
    let mut ticks = interval(ASKED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let news = match ask(&client, &queues).await {
            Ok(wanted) => wanted.map_or(Heard::Nothing, Heard::Wanted),
            Err(reason) => Heard::Away(reason),
        };
        heard.send_if_modified(|last| {
            let is_new = *last != news;
            *last = news;
            is_new
        });
    }
}

/// The queue that wants the most. Where one cannot be asked none counts: it may be that one.
async fn ask(client: &Client, queues: &[String]) -> Result<Option<Wanted>, String> {
    let mut most = None::<Wanted>;
    for queue in queues {
        let path = format!("/v1/scaling/{}", path_segment(queue));
        let answer = timeout(ANSWER, client.get::<Json>(&path, &[])).await;
        let Ok(answer) = answer else {
            // Another, where there are several.
            client.turn();
            return Err(format!("no answer within {} s", ANSWER.as_secs()));
        };
        let answer = answer.map_err(|failure| failure.to_string())?;
        let wanted = read(queue, &answer)
            .ok_or_else(|| format!("the answer of {path} names no number as `wanted`"))?;
        if most.as_ref().is_none_or(|most| most.workers < wanted.workers) {
            most = Some(wanted);
        }
    }
    Ok(most)
}

fn read(queue: &str, answer: &Json) -> Option<Wanted> {
    let workers = u32::try_from(answer.get("wanted")?.as_u64()?).ok()?;
    let text = answer.get("text").and_then(Json::as_str).unwrap_or_default().to_owned();
    Some(Wanted { workers, queue: queue.to_owned(), text })
}
