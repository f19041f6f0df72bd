//! `oarlock explain`: tells what a run waits for, since when, and which command moves it.

use std::process::ExitCode;

use oarlock_orchestrator::explain::Explanation;

use super::{say, say_json};
use crate::arguments::RunName;
use crate::client::Client;
use crate::exit::Failure;

pub(super) async fn explain(client: &Client, arguments: &RunName, json: bool) -> Result<ExitCode, Failure> {
    let asked = client.get(&format!("/v1/runs/{}/explain", arguments.run), &[]).await;
    let explanation: Explanation = asked.map_err(|failure| {
        failure.with_remedy("NOT_FOUND", "`oarlock list` shows the runs of this tenant")
    })?;
    if json {
        say_json(&explanation);
    } else {
        say(&text(&explanation));
    }
    Ok(ExitCode::SUCCESS)
}

/// The run first, then each step that waits, each with the commands that move it.
pub(super) fn text(explanation: &Explanation) -> String {
    let mut text = paragraph(&explanation.text, &explanation.commands);
    for waiting in &explanation.waits {
        let told = format!("{} {}. {}", waiting.task_path, waiting.status.as_str(), waiting.text);
        text.push_str(&format!("\n\n{}", paragraph(&told, &waiting.commands)));
    }
    if explanation.more > 0 {
        text.push_str(&format!("\n\n{} more steps wait.", explanation.more));
    }
    text
}

fn paragraph(told: &str, commands: &[String]) -> String {
    let lines = commands.iter().map(|command| format!("\n    {command}"));
    format!("{told}{}", lines.collect::<String>())
}
