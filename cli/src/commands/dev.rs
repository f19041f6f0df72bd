//! `oarlock dev`: everything in this process until Ctrl-C, with HTTP.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use oarlock_orchestrator::http;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{note, read_definition, say, say_json};
use crate::arguments::Dev;
use crate::configuration::Configuration;
use crate::embedded::{Embedded, Hands};
use crate::exit::Failure;
use crate::signals::Signals;

/// How long open requests may take when the process is told to end.
const END_REQUESTS: Duration = Duration::from_secs(5);
/// The pause before waiting requests are ended again.
const END_WAITS_AGAIN: Duration = Duration::from_millis(50);

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
    let mut hands = Hands::load(&arguments.handlers, folder)?;
    let worker = hands.file.as_ref().map(|file| file.display().to_string());
    for definition in &definitions {
        let missing = hands.fit(definition, configuration);
        if !missing.is_empty() && !json {
            note(&format!(
                "{}: no handler here for {}; its runs wait for one",
                definition.id,
                missing.join(", ")
            ));
        }
    }
    let address = arguments.listen.unwrap_or(configuration.http.listen);
    let listener = TcpListener::bind(address).await.map_err(|e| {
        Failure::usage(format!("cannot listen on {address}: {e}; choose another with --listen"))
    })?;
    let address = listener.local_addr().unwrap_or(address);
    let names: Vec<_> = definitions.iter().map(|d| format!("{} version {}", d.id, d.version)).collect();
    let embedded = Embedded::start(configuration, arguments.data.as_deref(), hands, definitions).await?;
    let principal = configuration.principal();
    if !json {
        names.iter().for_each(|name| say(&format!("registered {name}")));
    }
    let mut signals = Signals::hear()?;
    tell_where(&address.to_string(), worker.as_deref(), arguments.data.as_deref(), json);
    let router = http::router(embedded.node.clone(), principal);
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let mut server = tokio::spawn(http::serve(listener, router, stopped));
    tokio::select! {
        ended = &mut server => return Err(Failure::unreachable(format!("the HTTP server ended: {ended:?}"))),
        _ = signals.told_to_end() => {}
    }
    if !json {
        note("stopping (Ctrl-C again leaves at once)");
    }
    stop.send(()).ok();
    tokio::select! {
        () = async { end_requests(server, &embedded).await; embedded.stop().await } => {}
        _ = signals.told_to_end() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets the requests that are under way end, which those that wait for a run would not do soon.
async fn end_requests(mut server: JoinHandle<io::Result<()>>, embedded: &Embedded) {
    let deadline = Instant::now() + END_REQUESTS;
    while Instant::now() < deadline {
        embedded.node.end_waits();
        // Again and again: until a connection has heard of the end, it may bring one more request that waits.
        if timeout(END_WAITS_AGAIN, &mut server).await.is_ok() {
            return;
        }
    }
    // Someone sends half a request and no more: nobody else waits for that.
    server.abort();
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
