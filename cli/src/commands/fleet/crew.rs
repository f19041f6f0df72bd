//! The worker processes of a fleet: begun, heard, told to end. Which of them, `plan.rs` decides.
//!
//! Each is this executable as `oarlock worker --kept`: orders go to its stdin, and what it holds comes from its stdout. When the fleet
//! dies, however it dies, the pipe is closed, and each ends as at SIGTERM. They are process groups of their own, so that Ctrl-C on a
//! terminal reaches the fleet alone, which tells them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use oarlock_protocol::{Json, Span};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::plan::Hand;

/// What workers said and nobody has heard yet: a few words of each; who says more waits.
const UNHEARD: usize = 64;

/// The processes, and what is known of each.
pub(super) struct Crew {
    program: PathBuf,
    arguments: Vec<OsString>,
    members: BTreeMap<u64, Member>,
    begun: u64,
    tell: mpsc::Sender<(u64, News)>,
    news: mpsc::Receiver<(u64, News)>,
}

struct Member {
    stdin: ChildStdin,
    since: Instant,
    worker: Option<String>,
    open: Option<usize>,
    ending: bool,
    kill: Arc<Notify>,
}

/// What a process tells.
pub(super) enum News {
    /// How many attempts it holds.
    Holds { worker: String, open: usize },
    /// It is gone.
    Ended(String),
}

/// A process that ended without being told.
pub(super) struct Lost {
    /// The worker's name, or the number of the process where it never said one.
    pub(super) name: String,
    /// How it ended, in words.
    pub(super) how: String,
    /// How long it had lived.
    pub(super) lived: Duration,
}

impl Crew {
    /// Nobody yet; all begin as this program with these arguments.
    pub(super) fn new(program: PathBuf, arguments: Vec<OsString>) -> Self {
        let (tell, news) = mpsc::channel(UNHEARD);
        Self { program, arguments, members: BTreeMap::new(), begun: 0, tell, news }
    }

    /// Begins one.
    ///
    /// # Errors
    /// The system gives no process.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the process has no pipes"));
        };
        self.begun += 1;
        let kill = Arc::new(Notify::new());
        tokio::spawn(attend(self.begun, child, stdout, Arc::clone(&kill), self.tell.clone()));
        let member = Member { stdin, since: Instant::now(), worker: None, open: None, ending: false, kill };
        self.members.insert(self.begun, member);
        Ok(())
    }

    /// The next that a process tells.
    pub(super) async fn news(&mut self) -> (u64, News) {
        match self.news.recv().await {
            Some(news) => news,
            // The crew has a sender itself.
            None => std::future::pending().await,
        }
    }

    /// Takes in what a process told. Whoever is gone and was not told to.
    pub(super) fn hear(&mut self, id: u64, news: News) -> Option<Lost> {
        match news {
            News::Holds { worker, open } => {
                let member = self.members.get_mut(&id)?;
                (member.worker, member.open) = (Some(worker), Some(open));
                None
            }
            News::Ended(how) => {
                let member = self.members.remove(&id).filter(|member| !member.ending)?;
                let name = member.worker.unwrap_or_else(|| format!("number {id}"));
                Some(Lost { name, how, lived: member.since.elapsed() })
            }
        }
    }

    /// Everybody, as the plan sees them.
    pub(super) fn hands(&self) -> Vec<Hand> {
        let hand = |(id, member): (&u64, &Member)| Hand { id: *id, open: member.open, ending: member.ending };
        self.members.iter().map(hand).collect()
    }

    /// How many were not told to end.
    pub(super) fn present(&self) -> usize {
        self.members.values().filter(|member| !member.ending).count()
    }

    /// How many attempts all of them hold, as far as they said.
    pub(super) fn open(&self) -> usize {
        self.members.values().filter_map(|member| member.open).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Tells one to take no more, and to end what it holds within this time.
    pub(super) async fn end(&mut self, id: u64, within: Span) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.ending = true;
        // Where it reads no more it has ended, and that is told.
        member.stdin.write_all(format!("end {within}\n").as_bytes()).await.ok();
    }

    /// Tells all to take no more, and to end what they hold within this time.
    pub(super) async fn end_all(&mut self, within: Span) {
        let ids: Vec<u64> = self.members.keys().copied().collect();
        for id in ids {
            self.end(id, within).await;
        }
    }

    /// Tells all to leave at once.
    pub(super) async fn leave(&mut self) {
        for member in self.members.values_mut() {
            member.stdin.write_all(b"leave\n").await.ok();
        }
    }

    /// Kills whoever is there still.
    pub(super) fn kill(&self) {
        self.members.values().for_each(|member| member.kill.notify_one());
    }
}

/// Hears a process until it has ended.
async fn attend(
    id: u64,
    mut child: Child,
    stdout: ChildStdout,
    kill: Arc<Notify>,
    tell: mpsc::Sender<(u64, News)>,
) {
    let mut lines = BufReader::new(stdout).lines();
    let mut speaks = true;
    let ended = loop {
        tokio::select! {
            biased;
            line = lines.next_line(), if speaks => match line {
                Ok(Some(line)) => {
                    if let Some(news) = parse(&line) && tell.send((id, news)).await.is_err() {
                        // Nobody keeps it any more: dropping kills it.
                        return;
                    }
                }
                _ => speaks = false,
            },
            () = kill.notified() => drop(child.start_kill()),
            ended = child.wait() => break ended,
        }
    };
    let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
    tell.send((id, News::Ended(how))).await.ok();
}

/// What a line of a worker says; nothing where it is about something else.
fn parse(line: &str) -> Option<News> {
    let line: Json = serde_json::from_str(line).ok()?;
    let open = line.get("open").and_then(Json::as_u64)?;
    let worker = line.get("worker").and_then(Json::as_str)?.to_owned();
    Some(News::Holds { worker, open: usize::try_from(open).unwrap_or(usize::MAX) })
}
