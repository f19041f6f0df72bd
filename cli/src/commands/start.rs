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

/// How long a server may be away while a run is waited for: longer than a restart, or a take-over by another.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause before it is asked again.
const AGAIN: Duration = Duration::from_millis(500);

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
        "priority": arguments.priority,
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

/// Waits for the end of the run. A server that goes away meanwhile is asked again, or another.
async fn wait(client: &Client, run: RunId, timeout: Option<Duration>) -> Result<WorkflowInstance, Failure> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let is_over = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    let mut away: Option<Instant> = None;
    loop {
        let left = deadline.map_or(ONE_WAIT, |deadline| deadline.saturating_duration_since(Instant::now()));
        let status = match client.get_waiting(&format!("/v1/runs/{run}"), left.min(ONE_WAIT)).await {
            Ok(WorkflowInstance { status, .. }) if !status.is_terminal() => {
                away = None;
                status.as_str()
            }
            Ok(found) => return Ok(found),
            Err(failure)
                if failure.is_unreachable() && away.is_none_or(|since| since.elapsed() < PATIENCE) =>
            {
                if away.is_none() {
                    tracing::warn!(%run, "the server is away, trying on: {failure}");
                }
                away.get_or_insert_with(Instant::now);
                client.turn();
                tokio::time::sleep(AGAIN).await;
                "out of reach"
            }
            Err(failure) => return Err(failure.about(run)),
        };
        if is_over() {
            let text = format!("run {run} is still {status}; see `oarlock get {run}`");
            return Err(Failure::too_long(text).about(run));
        }
    }
}
