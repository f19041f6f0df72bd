//! The processes of a measurement, from their parent's side.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::Error;
use crate::drive::Driven;
use crate::part::{Answer, Ask};
use crate::usage::Watched;

/// How long a process may take to say that it is ready: servers are slow at their first queues.
const READY: Duration = Duration::from_secs(90);
/// How long a process may take to end in order.
const END: Duration = Duration::from_secs(20);

/// A process that does what it is asked. It is killed when this is dropped.
pub struct Part {
    /// What it is, and its number.
    pub name: String,
    child: Child,
    asks: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Part {
    /// Starts it, and waits until it can work.
    ///
    /// # Errors
    /// It cannot be started, or ended at once.
    pub async fn start(name: String, mut command: Command) -> Result<Self, Error> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = spawned.map_err(|error| fault(&name, format!("cannot be started: {error}")))?;
        let (asks, out) = (child.stdin.take(), child.stdout.take());
        let out = out.ok_or_else(|| fault(&name, "has no output".to_owned()))?;
        let mut part = Self { name, child, asks, answers: BufReader::new(out).lines() };
        match tokio::time::timeout(READY, part.answer()).await {
            Ok(answer) => match answer? {
                Answer::Ready => Ok(part),
                other => Err(fault(&part.name, format!("began with {other:?}"))),
            },
            Err(_) => Err(fault(&part.name, format!("was not ready within {} s", READY.as_secs()))),
        }
    }

    /// The process to look at.
    pub fn watched(&self) -> Option<Watched> {
        self.child.id().map(|pid| Watched { name: self.name.clone(), pid })
    }

    /// Lets it drive a round, telling how many runs are done meanwhile.
    ///
    /// # Errors
    /// It failed, or is gone.
    pub async fn drive(&mut self, ask: &Ask, progress: impl Fn(usize)) -> Result<Driven, Error> {
        let mut line = serde_json::to_string(ask).unwrap_or_default();
        line.push('\n');
        let gone = |name: &str| fault(name, "is gone".to_owned());
        let asks = self.asks.as_mut().ok_or_else(|| gone(&self.name))?;
        asks.write_all(line.as_bytes()).await.map_err(|_| gone(&self.name))?;
        loop {
            match self.answer().await? {
                Answer::Progress(done) => progress(done),
                Answer::Driven(driven) => return Ok(driven),
                Answer::Failed(problem) => return Err(fault(&self.name, format!("failed: {problem}"))),
                Answer::Ready => {}
            }
        }
    }

    /// Ends it in order.
    pub async fn end(mut self) {
        self.asks = None;
        tokio::time::timeout(END, self.child.wait()).await.ok();
    }

    async fn answer(&mut self) -> Result<Answer, Error> {
        let line = self.answers.next_line().await;
        let Ok(Some(line)) = line else {
            return Err(fault(&self.name, "ended; its last words stand above".to_owned()));
        };
        serde_json::from_str(&line).map_err(|_| fault(&self.name, format!("answered '{line}'")))
    }
}

fn fault(name: &str, problem: String) -> Error {
    Error::Part { name: name.to_owned(), problem }
}
