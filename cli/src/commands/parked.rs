//! `oarlock parked`: messages that nobody could understand, as operators deal with them.

use std::process::ExitCode;

use oarlock_protocol::{Json, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{note, say, say_json};
use crate::arguments::{Choice, Parked as Arguments};
use crate::client::{Client, path_segment};
use crate::exit::Failure;
use crate::show::table;

/// A parked message, as a server tells it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parked {
    id: String,
    at: Option<Timestamp>,
    from: Option<String>,
    reason: String,
    r#type: String,
    size: usize,
    body: String,
    /// Whatever else the server tells.
    #[serde(flatten)]
    more: serde_json::Map<String, Json>,
}

#[derive(Serialize, Deserialize)]
struct List {
    parked: Vec<Parked>,
}

/// What is done with a parked message.
#[derive(Clone, Copy)]
enum Deed {
    Requeue,
    Drop,
}

pub(super) async fn parked(client: &Client, arguments: Arguments, json: bool) -> Result<ExitCode, Failure> {
    match arguments {
        Arguments::List => list(client, json).await,
        Arguments::Show { id } => show(client, &id, json).await,
        Arguments::Requeue(choice) => work_off(client, choice, Deed::Requeue, json).await,
        Arguments::Drop(choice) => work_off(client, choice, Deed::Drop, json).await,
    }
}

async fn list(client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let list: List = client.get("/v1/parked", &[]).await?;
    if json {
        say_json(&list);
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = vec![["ID", "PARKED", "FROM", "TYPE", "SIZE", "REASON"].map(str::to_owned).to_vec()];
    rows.extend(list.parked.into_iter().map(|parked| {
        let at = parked.at.map(|at| at.to_string()).unwrap_or_default();
        let reason = table::shorten(&parked.reason, 80);
        vec![parked.id, at, parked.from.unwrap_or_default(), parked.r#type, parked.size.to_string(), reason]
    }));
    say(&table::text(&rows));
    Ok(ExitCode::SUCCESS)
}

async fn show(client: &Client, id: &str, json: bool) -> Result<ExitCode, Failure> {
    let parked: Parked = client.get(&format!("/v1/parked/{}", path_segment(id)), &[]).await?;
    if json {
        say_json(&parked);
        return Ok(ExitCode::SUCCESS);
    }
    let known = [
        ("id", parked.id),
        ("parked", parked.at.map(|at| at.to_string()).unwrap_or_default()),
        ("from", parked.from.unwrap_or_default()),
        ("type", parked.r#type),
        ("size", parked.size.to_string()),
        ("reason", parked.reason),
    ];
    let mut rows: Vec<_> = known.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let more =
        parked.more.into_iter().filter_map(|(name, value)| Some(vec![name, value.as_str()?.to_owned()]));
    rows.extend(more);
    say(&format!("{}\n\n{}", table::text(&rows), parked.body));
    Ok(ExitCode::SUCCESS)
}

/// Deals with each, and tells what became of it. One that cannot be dealt with does not stop the others.
async fn work_off(client: &Client, choice: Choice, deed: Deed, json: bool) -> Result<ExitCode, Failure> {
    let ids = if choice.all {
        // As listed once: what is parked anew while this goes on stays.
        let list: List = client.get("/v1/parked", &[]).await?;
        list.parked.into_iter().map(|parked| parked.id).collect()
    } else {
        choice.ids
    };
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for id in &ids {
        let path = format!("/v1/parked/{}", path_segment(id));
        let answer: Result<Parked, Failure> = match deed {
            Deed::Requeue => client.post(&format!("{path}/requeue"), &json!({})).await,
            Deed::Drop => client.delete(&path).await,
        };
        match answer {
            Ok(parked) => {
                if !json {
                    say(&deed.told(&parked));
                }
                done.push(parked);
            }
            // Who cannot be reached now is not asked about all others.
            Err(failure) if failure.is_unreachable() => return Err(failure),
            Err(failure) => {
                if !json {
                    note(&format!("{id}: {failure}"));
                }
                failed.push(json!({"id": id, "message": failure.to_string()}));
            }
        }
    }
    if json {
        say_json(&json!({"done": done, "failed": failed}));
    } else if choice.all {
        say(&format!("{} {}, {} left as they are", done.len(), deed.past(), failed.len()));
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::usage(format!(
        "{} of {} parked messages could not be {}",
        failed.len(),
        ids.len(),
        deed.past()
    )))
}

impl Deed {
    fn past(self) -> &'static str {
        match self {
            Deed::Requeue => "put back",
            Deed::Drop => "dropped",
        }
    }

    fn told(self, parked: &Parked) -> String {
        let from = parked.from.as_deref().unwrap_or("an unknown queue");
        match self {
            Deed::Requeue => format!("put back into {from}: {}", parked.id),
            Deed::Drop => format!("dropped: {} (from {from})", parked.id),
        }
    }
}
