//! `oarlock dev`: everything in this process until Ctrl-C, with HTTP.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use oarlock_orchestrator::http;
use serde_json::json;

use super::{note, read_definition, say, say_json};
use crate::arguments::Dev;
use crate::configuration::Configuration;
use crate::embedded::{Embedded, Hands};
use crate::exit::Failure;
use crate::serving::Door;
use crate::signals::Signals;

/// How long open requests may take when the process is told to end.
const END_REQUESTS: Duration = Duration::from_secs(5);

pub(super) async fn dev(
    configuration: &Configuration,
    arguments: Dev,
    json: bool,
) -> Result<ExitCode, Failure> {
    let mut definitions = Vec::new();
    for file in &arguments.files {
        definitions.push(read_definition(file)?);
    }
    let first = arguments.files.first().and_then(|file| file.parent());
    let folder = first.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut hands = Hands::load(&arguments.handlers, folder, configuration)?;
    let worker = hands.file.as_ref().map(|file| file.display().to_string());
    for definition in &definitions {
        let missing = hands.fit(definition, None, configuration);
        if !missing.is_empty() && !json {
            note(&format!(
                "{}: no handler here for {}; its runs wait for one",
                definition.id,
                missing.join(", ")
            ));
        }
    }
    let address = arguments.listen.unwrap_or(configuration.http.listen);
    let door = Door::open(address, "--listen")?;
    let names: Vec<_> = definitions.iter().map(|d| format!("{} version {}", d.id, d.version)).collect();
    let embedded = Embedded::start(configuration, arguments.data.as_deref(), hands, definitions).await?;
    let principal = configuration.principal();
    if !json {
        names.iter().for_each(|name| say(&format!("registered {name}")));
    }
    let mut signals = Signals::hear()?;
    tell_where(&door.address.to_string(), worker.as_deref(), arguments.data.as_deref(), json);
    let mut serving = door.serve(http::router(embedded.node.clone(), principal))?;
    tokio::select! {
        broken = serving.broken() => return Err(broken),
        _ = signals.told_to_end() => {}
    }
    if !json {
        note("stopping (Ctrl-C again leaves at once)");
    }
    let stop = async {
        serving.end(END_REQUESTS, || embedded.node.end_waits()).await;
        embedded.stop().await;
    };
    tokio::select! {
        () = stop => {}
        _ = signals.told_to_end() => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn tell_where(address: &str, worker: Option<&str>, data: Option<&Path>, json: bool) {
    let data = data.map(|folder| folder.display().to_string());
    if json {
        say_json(&json!({"listening": format!("http://{address}"), "worker": worker, "data": data}));
        return;
    }
    if let Some(worker) = worker {
        say(&format!("worker settings: {worker}"));
    }
    match data {
        Some(folder) => say(&format!("runs are kept in {folder}")),
        None => say("runs are kept in memory; --data DIR keeps them on disk"),
    }
    say(&format!("listening on http://{address}; Ctrl-C ends"));
}
