//! `oarlock get`: shows a run.

use std::process::ExitCode;

use oarlock_protocol::instance::WorkflowInstance;

use super::{say, say_json};
use crate::arguments::Get;
use crate::client::Client;
use crate::exit::Failure;
use crate::show::summary;

pub(super) async fn get(client: &Client, arguments: &Get, json: bool) -> Result<ExitCode, Failure> {
    let query: &[_] = if arguments.payloads { &[("payloads", "inline".to_owned())] } else { &[] };
    let run: WorkflowInstance = client.get(&format!("/v1/runs/{}", arguments.run), query).await?;
    if json {
        say_json(&run);
        return Ok(ExitCode::SUCCESS);
    }
    say(&summary::text(&run));
    if let Some(output) = &run.output {
        say(&format!("\noutput\n{}", serde_json::to_string_pretty(output).unwrap_or_default()));
    }
    Ok(ExitCode::SUCCESS)
}
