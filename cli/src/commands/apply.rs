//! `oarlock apply`: registers definitions with a server.

use std::process::ExitCode;

use oarlock_protocol::Json;

use super::{check_definition, read_text, say, say_json};
use crate::arguments::Files;
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn apply(client: &Client, arguments: &Files, json: bool) -> Result<ExitCode, Failure> {
    // All are checked before the first is sent: a mistake in the last leaves nothing half applied.
    let mut texts = Vec::new();
    for file in &arguments.files {
        let text = read_text(file)?;
        check_definition(file, &text)?;
        texts.push(text);
    }
    let mut answers = Vec::new();
    for text in texts {
        let answer: Json = client.post_text("/v1/definitions", &text).await?;
        if !json {
            let new = answer.get("new").and_then(Json::as_bool).unwrap_or_default();
            let text =
                |name: &str| answer.get(name).map(Json::to_string).unwrap_or_default().replace('"', "");
            let what = if new { "registered" } else { "unchanged" };
            say(&format!("{what}: {} version {}", text("id"), text("version")));
        }
        answers.push(answer);
    }
    if json {
        say_json(&answers);
    }
    Ok(ExitCode::SUCCESS)
}
