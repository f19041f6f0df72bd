//! `oarlock start`: starts a run on a server, and waits for its end where asked.

use std::process::ExitCode;
use std::time::Duration;

use oarlock_protocol::RunId;
use oarlock_protocol::instance::WorkflowInstance;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use super::{note, read_input, say, say_json};
use crate::arguments::Start;
use crate::client::Client;
use crate::exit::{self, Failure};
use crate::show::summary;

/// The longest wait of one request; longer waits are several requests.
const ONE_WAIT: Duration = Duration::from_secs(20);

#[derive(Serialize, Deserialize)]
struct Started {
    id: RunId,
    version: u32,
    #[serde(default)]
    existing: bool,
}

pub(super) async fn start(client: &Client, arguments: Start, json: bool) -> Result<ExitCode, Failure> {
    let body = json!({
        "workflow": arguments.workflow,
        "version": arguments.version,
        "input": read_input(arguments.input.as_deref())?,
        "key": arguments.key,
        "correlationId": arguments.correlation_id,
    });
    let (mut started, existing): (Started, bool) = client.post_again("/v1/runs", &body).await?;
    started.existing = existing;
    if !arguments.wait {
        if json {
            say_json(&started);
        } else {
            say(&started.id.to_string());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !json {
        note(&format!("run {}{}", started.id, if started.existing { " (started before)" } else { "" }));
    }
    let run = wait(client, started.id, arguments.timeout.map(Duration::from)).await?;
    if json {
        say_json(&run);
    } else {
        note(&format!("\n{}", summary::text(&run)));
        if let Some(output) = run.output.as_ref().filter(|output| !output.is_null()) {
            say(&serde_json::to_string_pretty(output).unwrap_or_default());
        }
    }
    Ok(exit::of_run(run.status))
}

async fn wait(client: &Client, run: RunId, timeout: Option<Duration>) -> Result<WorkflowInstance, Failure> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let left = deadline.map_or(ONE_WAIT, |deadline| deadline.saturating_duration_since(Instant::now()));
        let found: WorkflowInstance =
            client.get_waiting(&format!("/v1/runs/{run}"), left.min(ONE_WAIT)).await?;
        if found.status.is_terminal() {
            return Ok(found);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let status = found.status.as_str();
            return Err(Failure::too_long(format!("run {run} is still {status}; see `oarlock get {run}`")));
        }
    }
}
