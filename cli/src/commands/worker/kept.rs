//! How a worker hears that it is to end: by signals, and, where another process keeps it (`--kept`), by lines on stdin. To that
//! process it tells on stdout what it holds.
//!
//! The pipe is also what ends it when its keeper is gone, however that died: then stdin ends.

use std::io::BufRead;
use std::time::Duration;

use oarlock_protocol::Span;
use oarlock_worker::Running;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use crate::commands::{note, say};
use crate::exit::Failure;
use crate::signals::Signals;

/// How often the worker looks how many attempts it holds.
const LOOKED_EVERY: Duration = Duration::from_millis(200);
/// Lines that were read and not heard yet. A keeper says two or three.
const LINES: usize = 8;

/// How it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// What it holds may end within the usual grace.
    Usual,
    /// What it holds may end within this time.
    Within(Span),
    /// At once.
    Now,
}

/// Whatever may tell this process to end.
pub(super) struct Ends {
    signals: Signals,
    lines: Option<mpsc::Receiver<End>>,
    told: bool,
}

impl Ends {
    /// Begins to hear signals, and stdin where it is kept by another process.
    pub(super) fn hear(kept: bool) -> Result<Self, Failure> {
        Ok(Self { signals: Signals::hear()?, lines: kept.then(read), told: false })
    }

    /// Waits for the next. A signal leaves at once where it was told before.
    pub(super) async fn next(&mut self) -> End {
        let Self { signals, lines, told } = self;
        let line = async {
            match lines {
                Some(lines) => lines.recv().await,
                None => std::future::pending().await,
            }
        };
        let line = tokio::select! {
            _ = signals.told_to_end() => Some(if *told { End::Now } else { End::Usual }),
            line = line => line,
        };
        if line.is_none() {
            // Stdin has ended.
            *lines = None;
        }
        *told = true;
        line.unwrap_or(End::Usual)
    }
}

/// Reads stdin on a thread of its own: one of the runtime's would hold the process up at its end.
fn read() -> mpsc::Receiver<End> {
    let (heard, lines) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            match parse(&line) {
                Ok(end) => {
                    if heard.blocking_send(end).is_err() {
                        return;
                    }
                }
                Err(reason) => note(&format!("stdin: {reason}")),
            }
        }
    });
    lines
}

fn parse(line: &str) -> Result<End, String> {
    match line.trim().split_once(' ') {
        None if line.trim() == "leave" => Ok(End::Now),
        Some(("end", time)) => time.parse().map(End::Within).map_err(|error| error.to_string()),
        _ => Err(format!("'{line}' is no order; write `end TIME` or `leave`")),
    }
}

/// Tells how many attempts it holds, at each change, until it is to end.
pub(super) async fn tell_until_end(running: &Running, ends: &mut Ends) -> End {
    let worker = running.worker_id().to_string();
    let mut ticks = interval(LOOKED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    // Whoever does not read holds up this thread alone.
    let mut telling = None::<JoinHandle<()>>;
    loop {
        tokio::select! {
            end = ends.next() => return end,
            _ = ticks.tick() => {}
        }
        let open = running.open();
        if told != Some(open) && telling.as_ref().is_none_or(JoinHandle::is_finished) {
            told = Some(open);
            let line = json!({"worker": worker, "open": open}).to_string();
            telling = Some(spawn_blocking(move || say(&line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_line_and_anything_else_says_what_to_write() {
        assert_eq!(parse("end 1d"), Ok(End::Within(Span::from_secs(86_400))));
        assert_eq!(parse(" leave "), Ok(End::Now));
        assert!(parse("end soon").unwrap_err().contains("such as 500ms"));
        assert!(parse("stop").unwrap_err().contains("write `end TIME` or `leave`"));
    }
}
