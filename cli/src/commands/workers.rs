//! `oarlock workers`: who works in the fleet, by their beats.

use std::process::ExitCode;

use oarlock_orchestrator::fleet::{WorkerEntry, WorkerState};
use oarlock_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::{say, say_json};
use crate::arguments::Workers;
use crate::client::Client;
use crate::exit::Failure;
use crate::show::table;

/// As a server tells it.
#[derive(Serialize, Deserialize)]
struct List {
    /// The server's time, by which the times of workers are.
    at: Timestamp,
    workers: Vec<WorkerEntry>,
}

pub(super) async fn workers(client: &Client, arguments: Workers, json: bool) -> Result<ExitCode, Failure> {
    let query: Vec<_> = arguments.queue.iter().map(|queue| ("queue", queue.clone())).collect();
    let list: List = client.get("/v1/workers", &query).await?;
    if json {
        say_json(&list);
    } else if list.workers.is_empty() {
        say(&nobody(arguments.queue.as_deref()));
    } else {
        say(&shown(&list));
    }
    Ok(ExitCode::SUCCESS)
}

fn nobody(queue: Option<&str>) -> String {
    let whom = queue.map_or_else(String::new, |queue| format!(" that takes tasks from the queue '{queue}'"));
    format!("no worker{whom} is known; one that was just started is within seconds")
}

/// The table, and below it a sentence for each mark.
fn shown(list: &List) -> String {
    let heading = ["WORKER", "HOST", "VERSION", "QUEUES", "SLOTS", "OPEN", "LAST BEAT", "STATE"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(list.workers.iter().map(|worker| {
        vec![
            worker.worker.clone(),
            worker.host.clone(),
            worker.version.clone(),
            table::shorten(&worker.queues.join(", "), 60),
            worker.slots.to_string(),
            worker.open.to_string(),
            format!("{} ago", table::milliseconds(list.at.since(worker.last_beat).as_millis())),
            state(worker).to_owned(),
        ]
    }));
    let marks = list.workers.iter().flat_map(|worker| &worker.marks);
    let marks: Vec<String> = marks.map(|mark| format!("! {mark}")).collect();
    match marks.is_empty() {
        true => table::text(&rows),
        false => format!("{}\n\n{}", table::text(&rows), marks.join("\n")),
    }
}

fn state(worker: &WorkerEntry) -> &'static str {
    match worker.state {
        WorkerState::Busy => "busy",
        WorkerState::Idle if worker.marks.is_empty() => "idle",
        WorkerState::Idle => "idle beside waiting tasks",
        WorkerState::Silent => "silent",
    }
}
