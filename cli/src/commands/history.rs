//! `oarlock history`: shows what happened in a run, in the order of time.

use std::process::ExitCode;

use oarlock_protocol::RunId;
use oarlock_protocol::instance::HistoryEntry;
use serde::{Deserialize, Serialize};

use super::{say, say_json};
use crate::arguments::RunName;
use crate::client::Client;
use crate::exit::Failure;
use crate::show::table;

#[derive(Serialize, Deserialize)]
struct History {
    id: RunId,
    history: Vec<HistoryEntry>,
}

pub(super) async fn history(client: &Client, arguments: &RunName, json: bool) -> Result<ExitCode, Failure> {
    let history: History = client.get(&format!("/v1/runs/{}/history", arguments.run), &[]).await?;
    if json {
        say_json(&history);
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows =
        vec![["TIME", "TASK", "STATUS", "ATTEMPT", "LASTED", "WORKER", "ERROR"].map(str::to_owned).to_vec()];
    for entry in history.history {
        rows.push(vec![
            entry.time.to_string(),
            entry.task_path.to_string(),
            entry.status,
            entry.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
            entry.lasted.map(|lasted| table::milliseconds(lasted.as_millis())).unwrap_or_default(),
            entry.worker_id.map(|worker| worker.to_string()).unwrap_or_default(),
            entry
                .error
                .map(|error| format!("{}: {}", error.code, table::shorten(&error.message, 80)))
                .unwrap_or_default(),
        ]);
    }
    say(&table::text(&rows));
    Ok(ExitCode::SUCCESS)
}
