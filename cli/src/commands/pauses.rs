//! `oarlock pause` and `resume` of queues and definitions, and `oarlock pauses`, which lists them.

use std::process::ExitCode;

use oarlock_protocol::Json;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{say, say_json};
use crate::arguments::Subject;
use crate::client::{Client, path_segment};
use crate::exit::Failure;
use crate::show::table;

/// A pause, as a server tells it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pause {
    subject: Json,
    since: String,
    requested_by: String,
    #[serde(default)]
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct List {
    pauses: Vec<Pause>,
}

impl Subject {
    /// What is named, as the HTTP interface and people name it.
    fn named(&self) -> Option<(&'static str, &str)> {
        let queue = self.queue.as_ref().map(|name| ("queue", name.as_str()));
        let task = self.task.as_ref().map(|name| ("task", name.as_str()));
        queue.or(task).or(self.workflow.as_ref().map(|name| ("workflow", name.as_str())))
    }
}

pub(super) async fn begin(
    client: &Client,
    subject: &Subject,
    reason: Option<&str>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let Some((kind, name)) = subject.named() else { return Err(nothing()) };
    let body = json!({kind: name, "reason": reason.unwrap_or_default()});
    let (answer, existing): (Json, bool) = client.post_again("/v1/pauses", &body).await?;
    let now = format!(
        "{kind} '{name}' is paused: nothing more of it is let out, and what is open goes on; `oarlock resume --{kind} {name}` lets it go on"
    );
    tell(answer, existing, &now, &format!("{kind} '{name}' was paused before"), json)
}

pub(super) async fn end(client: &Client, subject: &Subject, json: bool) -> Result<ExitCode, Failure> {
    let Some((kind, name)) = subject.named() else { return Err(nothing()) };
    let path = format!("/v1/pauses/{kind}/{}", path_segment(name));
    let (answer, existing): (Json, bool) = client.delete_again(&path).await?;
    let before = format!("{kind} '{name}' was not paused: nothing changed");
    tell(answer, existing, &format!("{kind} '{name}' goes on"), &before, json)
}

/// `oarlock pauses`.
pub(super) async fn list(client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let list: List = client.get("/v1/pauses", &[]).await?;
    if json {
        say_json(&list);
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["PAUSED", "NAME", "SINCE", "BY", "REASON"].map(str::to_owned).to_vec()];
    rows.extend(list.pauses.into_iter().map(|pause| {
        let kind = pause.subject.get("kind").and_then(Json::as_str).unwrap_or_default().to_lowercase();
        let name = pause.subject.get(&kind).and_then(Json::as_str).unwrap_or_default().to_owned();
        vec![kind, name, pause.since, pause.requested_by, table::shorten(&pause.reason, 80)]
    }));
    say(&table::text(&rows));
    Ok(ExitCode::SUCCESS)
}

fn tell(mut answer: Json, existing: bool, now: &str, before: &str, json: bool) -> Result<ExitCode, Failure> {
    if json {
        if let Json::Object(fields) = &mut answer {
            fields.insert("existing".to_owned(), json!(existing));
        }
        say_json(&answer);
    } else {
        say(if existing { before } else { now });
    }
    Ok(ExitCode::SUCCESS)
}

fn nothing() -> Failure {
    Failure::usage("name a run, or one of --queue, --task and --workflow".to_owned())
}
