//! `oarlock schedule`: registers, shows, changes and removes schedules.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use oarlock_orchestrator::schedules;
use oarlock_protocol::schedule::ScheduleView;
use oarlock_protocol::{Clock, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{note, read_text, say, say_json};
use crate::arguments::Schedule as Arguments;
use crate::client::{Client, path_segment};
use crate::exit::Failure;
use crate::show::{schedule as shown, table};

#[derive(Serialize, Deserialize)]
struct List {
    schedules: Vec<ScheduleView>,
}

pub(super) async fn schedule(client: &Client, arguments: Arguments, json: bool) -> Result<ExitCode, Failure> {
    match arguments {
        Arguments::Apply { files } => apply(client, &files, json).await,
        Arguments::List => list(client, json).await,
        Arguments::Get(name) => get(client, &name.id, json).await,
        Arguments::Pause { name, reason } => {
            let id = name.id;
            let now =
                format!("schedule {id} is paused: nothing becomes due until `oarlock schedule resume {id}`");
            let body = reason.map_or(json!({}), |reason| json!({"reason": reason}));
            change(client, (&id, "pause"), &body, [now, format!("schedule {id} was paused before")], json)
                .await
        }
        Arguments::Resume(name) => {
            let id = name.id;
            let told = [format!("schedule {id} goes on"), format!("schedule {id} was not paused")];
            change(client, (&id, "resume"), &json!({}), told, json).await
        }
        Arguments::Delete(name) => delete(client, &name.id, json).await,
        Arguments::Trigger { name, key } => trigger(client, &name.id, key, json).await,
    }
}

fn path(id: &str) -> String {
    format!("/v1/schedules/{}", path_segment(id))
}

fn with_remedy(failure: Failure) -> Failure {
    failure.with_remedy("NOT_FOUND", "`oarlock schedule list` shows the schedules of this tenant")
}

async fn apply(client: &Client, files: &[PathBuf], json: bool) -> Result<ExitCode, Failure> {
    // All are checked before the first is sent: a mistake in the last leaves nothing half applied.
    let mut texts = Vec::new();
    for file in files {
        let text = read_text(file)?;
        texts.push((check(file, &text)?, text));
    }
    let mut answers = Vec::new();
    for (id, text) in texts {
        let (view, existing): (ScheduleView, bool) = client.put_text_again(&path(&id), &text).await?;
        if !json {
            let what = if existing { "unchanged" } else { "registered" };
            say(&format!("{what}: schedule {id}, {}", shown::next(&view)));
        }
        answers.push(view);
    }
    if json {
        say_json(&answers);
    }
    Ok(ExitCode::SUCCESS)
}

/// The id of the schedule in a text that was read from `path`.
fn check(path: &Path, text: &str) -> Result<String, Failure> {
    let file = path.display().to_string();
    match schedules::read(&file, text, None, Clock::system().now()) {
        Ok(definition) => Ok(definition.id),
        Err(schedules::Error::Field(told)) => Err(Failure::usage(format!("{file}: {told}"))),
        Err(schedules::Error::Text(diagnostics)) => {
            let color = std::io::stderr().is_terminal();
            diagnostics.iter().for_each(|diagnostic| note(&diagnostic.render(color)));
            Err(Failure::usage(format!("{file} is no valid schedule")))
        }
    }
}

async fn list(client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let list: List = client.get("/v1/schedules", &[]).await?;
    if json {
        say_json(&list);
        return Ok(ExitCode::SUCCESS);
    }
    say(&table::text(&shown::rows(&list.schedules)));
    Ok(ExitCode::SUCCESS)
}

async fn get(client: &Client, id: &str, json: bool) -> Result<ExitCode, Failure> {
    let view: ScheduleView = client.get(&path(id), &[]).await.map_err(with_remedy)?;
    if json {
        say_json(&view);
    } else {
        say(&shown::text(&view));
    }
    Ok(ExitCode::SUCCESS)
}

async fn change(
    client: &Client,
    (id, what): (&str, &str),
    body: &Json,
    [now, before]: [String; 2],
    json: bool,
) -> Result<ExitCode, Failure> {
    let asked = client.post_again(&format!("{}/{what}", path(id)), body).await;
    let (answer, existing): (Json, bool) = asked.map_err(with_remedy)?;
    if json {
        say_json(&json!({"id": answer.get("id"), "existing": existing}));
    } else {
        say(if existing { &before } else { &now });
    }
    Ok(ExitCode::SUCCESS)
}

async fn delete(client: &Client, id: &str, json: bool) -> Result<ExitCode, Failure> {
    let answer: Json = client.delete(&path(id)).await.map_err(with_remedy)?;
    if json {
        say_json(&answer);
    } else {
        say(&format!("removed: schedule {id}; runs that it has started go on"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn trigger(client: &Client, id: &str, key: Option<String>, json: bool) -> Result<ExitCode, Failure> {
    let body = key.map_or(json!({}), |key| json!({"key": key}));
    let asked = client.post_again(&format!("{}/trigger", path(id)), &body).await;
    let (answer, existing): (Json, bool) = asked.map_err(with_remedy)?;
    if json {
        say_json(&json!({"id": id, "runId": answer.get("runId"), "existing": existing}));
        return Ok(ExitCode::SUCCESS);
    }
    let run = answer.get("runId").and_then(Json::as_str).unwrap_or_default();
    let before = if existing { ", as before" } else { "" };
    say(&format!("schedule {id} starts run {run}{before}"));
    Ok(ExitCode::SUCCESS)
}
