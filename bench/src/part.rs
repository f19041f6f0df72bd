//! A process of a measurement: an orchestrator that also starts the runs, or a worker. It does what its parent writes on its
//! standard input, a JSON object a line, answers on its standard output, and ends where the input ends.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oarlock_broker::Broker;
use oarlock_orchestrator::Node;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

use crate::drive::{Driven, Driver};
use crate::{Error, Plan, hands};

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(200);
/// How long what is under way may take at the end.
const END: Duration = Duration::from_secs(10);
/// How long an orchestrator may take until it owns its partitions.
const READY: Duration = Duration::from_secs(60);

/// What a parent asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Ask {
    /// Let runs come to their end.
    Drive {
        /// What they look like.
        plan: Plan,
        /// How many.
        runs: usize,
        /// How many at a time.
        in_flight: usize,
    },
}

/// What a part answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// It can work.
    Ready,
    /// So many runs of the round are done.
    Progress(usize),
    /// The round is done.
    Driven(Driven),
    /// It failed.
    Failed(String),
}

/// Is a worker until the input ends.
///
/// # Errors
/// The broker does not let it begin.
pub async fn worker(broker: Arc<dyn Broker>, slots: usize) -> Result<(), Error> {
    let running = hands::start(broker, slots).await?;
    say(&Answer::Ready);
    let mut lines = BufReader::new(stdin()).lines();
    while let Ok(Some(_)) = lines.next_line().await {}
    running.drain(END).await;
    Ok(())
}

/// Is an orchestrator until the input ends.
///
/// # Errors
/// The node cannot own its partitions.
pub async fn orchestrator(node: Node) -> Result<(), Error> {
    let node = Arc::new(node);
    if !node.ready_within(READY).await {
        return Err(Error::Plan(format!("the partitions are not owned after {} s", READY.as_secs())));
    }
    say(&Answer::Ready);
    let mut lines = BufReader::new(stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = match serde_json::from_str(&line) {
            Ok(ask) => carry_out(&node, ask).await.unwrap_or_else(|error| Answer::Failed(error.to_string())),
            Err(error) => Answer::Failed(error.to_string()),
        };
        say(&answer);
    }
    tokio::time::timeout(END, node.stop()).await.ok();
    Ok(())
}

async fn carry_out(node: &Arc<Node>, ask: Ask) -> Result<Answer, Error> {
    let Ask::Drive { plan, runs, in_flight } = ask;
    let done = Arc::new(AtomicUsize::new(0));
    let driver = Driver::new(Arc::clone(node), plan, Arc::clone(&done)).await?;
    let mut told = tokio::time::interval(PROGRESS);
    let mut driving = std::pin::pin!(driver.drive(runs, in_flight));
    loop {
        tokio::select! {
            driven = &mut driving => return driven.map(Answer::Driven),
            _ = told.tick() => say(&Answer::Progress(done.load(Ordering::Relaxed))),
        }
    }
}

/// Tells the parent. Where it is gone, the input ends too.
fn say(answer: &Answer) {
    let text = serde_json::to_string(answer).unwrap_or_default();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).ok();
}
