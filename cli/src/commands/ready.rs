//! `oarlock ready`: asks whether a server is ready, for health checks where there is no other HTTP client.

use std::process::ExitCode;

use oarlock_protocol::Json;

use super::{note, say, say_json};
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn ready(client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let answer = client.readiness().await?;
    let list = |name: &str| {
        let list = answer.get(name).and_then(Json::as_array).into_iter().flatten();
        list.filter_map(Json::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    if json {
        say_json(&answer);
    } else {
        list("warnings").iter().for_each(|warning| note(&format!("warning: {warning}")));
    }
    if answer.get("status").and_then(Json::as_str) == Some("READY") {
        if !json {
            say("READY");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let problems = list("problems").join("; ");
    Err(Failure::not_ready(if problems.is_empty() { "the server is not ready".to_owned() } else { problems }))
}
