//! `oarlock cancel`: asks a run to end.

use std::process::ExitCode;

use oarlock_protocol::Json;
use serde_json::json;

use super::{say, say_json};
use crate::arguments::Cancel;
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn cancel(client: &Client, arguments: Cancel, json: bool) -> Result<ExitCode, Failure> {
    let path = format!("/v1/runs/{}/cancel", arguments.run);
    let answer: Json = client.post(&path, &json!({"reason": arguments.reason})).await?;
    if json {
        say_json(&answer);
    } else if answer.get("underWay").and_then(Json::as_bool).unwrap_or_default() {
        say(&format!("run {} is ending", arguments.run));
    } else {
        say(&format!("run {} had ended before", arguments.run));
    }
    Ok(ExitCode::SUCCESS)
}
