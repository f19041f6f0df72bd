//! The talk with a running command: its input in, its output and stderr out, all at once and bounded, until it ends or
//! must be ended.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::process::{Exit, Pipes, Process, Signal};
use super::tail::Tail;
use crate::TaskContext;

/// How long the pipes are read after the command has ended: only a process that left the group can still hold them.
const LEFT_OPEN: Duration = Duration::from_secs(1);

/// What a command has said, and how it ended.
pub(super) struct Spoken {
    pub(super) output: Vec<u8>,
    /// The command was ended because its output is larger than allowed.
    pub(super) too_large: bool,
    pub(super) stderr: Tail,
    pub(super) exit: io::Result<Exit>,
}

/// More came than was allowed.
struct TooLarge;

/// Why the talk is over.
enum Turn {
    Ended(io::Result<Exit>),
    TooLarge,
    Cancelled,
}

/// Talks with a command until it has ended. It is ended when the context is cancelled or when its output exceeds `limit`
/// bytes: SIGTERM to the group and, after `grace`, SIGKILL.
pub(super) async fn converse(
    process: &mut Process,
    input: &[u8],
    limit: usize,
    grace: Duration,
    context: &TaskContext,
) -> Spoken {
    let (mut output, mut stderr) = (Vec::new(), Tail::masked(context.mask()));
    let (too_large, exit) = {
        let flow = pin!(stream(process.take_pipes(), input, limit, &mut output, &mut stderr));
        let mut streams = Streams { flow: Some(flow) };
        let turn = tokio::select! {
            turn = streams.until_exit(process) => turn,
            () = context.cancelled() => Turn::Cancelled,
        };
        let too_large = matches!(turn, Turn::TooLarge);
        let exit = match turn {
            Turn::Ended(exit) => exit,
            Turn::TooLarge | Turn::Cancelled => streams.end(process, grace).await,
        };
        // The last of an output may be read only after the exit is known.
        let rest = streams.finish().await;
        (too_large || rest.is_err(), exit)
    };
    Spoken { output, too_large, stderr, exit }
}

/// Feeds the input and reads both streams to their ends.
async fn stream(
    pipes: Option<Pipes>,
    input: &[u8],
    limit: usize,
    output: &mut Vec<u8>,
    stderr: &mut Tail,
) -> Result<(), TooLarge> {
    let Some(mut pipes) = pipes else { return Ok(()) };
    let feed = async {
        // A command need not read its input: a closed pipe is no failure.
        let _ = pipes.stdin.write_all(input).await;
        drop(pipes.stdin);
        Ok(())
    };
    let read_errors = async {
        stderr.read(pipes.stderr).await;
        Ok(())
    };
    let read_output = async {
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        // A pipe that cannot be read any more has ended.
        let _ = pipes.stdout.take(most).read_to_end(output).await;
        if output.len() > limit { Err(TooLarge) } else { Ok(()) }
    };
    tokio::try_join!(feed, read_errors, read_output).map(|_| ())
}

/// The streams' future, which must not be polled after its end.
struct Streams<'a, F> {
    flow: Option<Pin<&'a mut F>>,
}

impl<'a, F: Future<Output = Result<(), TooLarge>>> Streams<'a, F> {
    /// Lets the streams flow until the command ends or says too much.
    async fn until_exit(&mut self, process: &mut Process) -> Turn {
        if let Some(flow) = &mut self.flow {
            let flowed = tokio::select! {
                exit = process.exit() => return Turn::Ended(exit),
                flowed = flow.as_mut() => flowed,
            };
            self.flow = None;
            if flowed.is_err() {
                return Turn::TooLarge;
            }
        }
        Turn::Ended(process.exit().await)
    }

    /// Ends the command while its streams flow on, so that it cannot hang on a full pipe.
    async fn end(&mut self, process: &mut Process, grace: Duration) -> io::Result<Exit> {
        process.signal(Signal::Terminate);
        if let Ok(exit) = timeout(grace, self.exit(process)).await {
            return exit;
        }
        process.signal(Signal::Kill);
        self.exit(process).await
    }

    async fn exit(&mut self, process: &mut Process) -> io::Result<Exit> {
        loop {
            if let Turn::Ended(exit) = self.until_exit(process).await {
                return exit;
            }
        }
    }

    /// Reads what is left in the pipes, for a bounded time.
    async fn finish(self) -> Result<(), TooLarge> {
        match self.flow {
            Some(flow) => timeout(LEFT_OPEN, flow).await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }
}
