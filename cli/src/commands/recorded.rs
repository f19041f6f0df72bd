//! Asks a server to record something for a run, and tells what came of it: what signals, completions and operations share.

use std::process::ExitCode;

use oarlock_protocol::{Json, RunId};
use serde_json::json;

use super::{say, say_json};
use crate::client::Client;
use crate::exit::Failure;

/// What is said once it is recorded.
pub(super) struct Told {
    /// Where it was recorded now.
    pub(super) now: String,
    /// Where it had been so before, and nothing changed.
    pub(super) before: String,
}

/// Asks for `what` of a run, and tells the answer.
pub(super) async fn record(
    client: &Client,
    (run, what): (RunId, &str),
    body: &Json,
    told: impl FnOnce(&Json) -> Told,
    json: bool,
) -> Result<ExitCode, Failure> {
    let asked = client.post_again(&format!("/v1/runs/{run}/{what}"), body).await;
    let (mut answer, existing): (Json, bool) = asked.map_err(|failure| {
        let listed =
            "`oarlock list` shows the runs of this tenant, `oarlock get RUN` the paths of a run's tasks";
        let explained = format!("`oarlock explain {run}` tells what the run waits for, and what moves it");
        failure.with_remedy("NOT_FOUND", listed).with_remedy("CONFLICT", &explained)
    })?;
    if json {
        if let Json::Object(fields) = &mut answer {
            fields.insert("existing".to_owned(), json!(existing));
        }
        say_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let told = told(&answer);
    say(if existing { &told.before } else { &told.now });
    Ok(ExitCode::SUCCESS)
}
