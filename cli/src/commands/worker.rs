//! `oarlock worker`: one of a fleet's workers, over RabbitMQ, until it is told to end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::Broker;
use oarlock_broker::rabbitmq::RabbitMq;
use oarlock_orchestrator::http;
use oarlock_protocol::Span;
use oarlock_worker::settings::Settings;
use oarlock_worker::{Running, host_name};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{note, say, say_json};
use crate::arguments::{Over, Worker};
use crate::configuration::Configuration;
use crate::exit::Failure;
use crate::fleet;
use crate::handlers;
use crate::serving::{Door, Serving};
use crate::show::table;

mod kept;

use kept::{End, Ends};

/// How long questions about health may take when the process ends.
const END_REQUESTS: Duration = Duration::from_millis(200);

pub(super) async fn worker(
    configuration: &Configuration,
    file: Option<PathBuf>,
    arguments: Worker,
    json: bool,
) -> Result<ExitCode, Failure> {
    let settings = load(file.as_deref(), &arguments.over, configuration)?;
    let grace = arguments.grace.unwrap_or(configuration.worker.grace);
    let queues: Vec<String> = settings.queues().into_iter().map(str::to_owned).collect();
    if arguments.check {
        fleet::check_broker(configuration)?;
        configuration.payloads()?;
        show(configuration, file.as_deref(), &settings, grace, json);
        return Ok(ExitCode::SUCCESS);
    }
    let mut ends = Ends::hear(arguments.kept)?;
    let broker = fleet::broker(configuration, format!("oarlock worker {}", host_name()))?;
    let builder = settings.into_worker(broker.clone()).map_err(|e| Failure::usage(e.to_string()))?;
    let telemetry = configuration.telemetry.start("oarlock-worker")?;
    let builder = builder.max_payload_bytes(configuration.payload_bytes()).telemetry(telemetry.clone());
    let mut builder = builder.beat(configuration.worker.beat.into());
    if let Some(payloads) = configuration.payloads()? {
        builder = builder.payloads(payloads);
    }
    let worker = builder.build().map_err(|e| Failure::usage(e.to_string()))?;
    let health =
        arguments.http_health.map(|address| tell_health(address, &broker, worker.metrics())).transpose()?;
    let reminder = tokio::spawn(fleet::remind_for_ever(broker));
    let running = tokio::select! {
        running = worker.start() => running.map_err(|e| Failure::usage(e.to_string()))?,
        _ = ends.next() => return Ok(ExitCode::SUCCESS),
    };
    let end = if arguments.kept {
        kept::tell_until_end(&running, &mut ends).await
    } else {
        let address = health.as_ref().map(|(address, _)| address.as_str());
        tell_what(running.worker_id().as_str(), &queues, address, json);
        ends.next().await
    };
    reminder.abort();
    let quiet = json || arguments.kept;
    let grace = match end {
        End::Now => None,
        End::Usual => Some(grace),
        End::Within(time) => Some(time),
    };
    if let Some(grace) = grace {
        if !quiet {
            let open = running.open();
            note(&format!(
                "ending: {open} tasks run on, {grace} at most (Ctrl-C or SIGTERM again leaves at once)"
            ));
        }
        drain(running, grace, &mut ends, quiet).await;
        telemetry.end(fleet::LAST_SPANS).await;
    }
    if let Some((_, serving)) = health {
        serving.end(END_REQUESTS, || {}).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// The worker's settings, which name something to do.
pub(super) fn load(
    file: Option<&Path>,
    over: &Over,
    configuration: &Configuration,
) -> Result<Settings, Failure> {
    let settings = handlers::settings(file, Path::new("."), over, configuration)?;
    if settings.is_empty() {
        return Err(Failure::usage(match file {
            Some(file) => format!("{} names no task: name a command under [exec]", file.display()),
            None => "nothing to execute: there is no worker.toml here; name one with --config, or give \
                     --exec NAME='COMMAND'"
                .to_owned(),
        }));
    }
    Ok(settings)
}

/// Answers whether the worker can work, for which the broker is all it needs, and its figures.
fn tell_health(
    address: std::net::SocketAddr,
    broker: &Arc<RabbitMq>,
    metrics: http::Scrape,
) -> Result<(String, Serving), Failure> {
    let door = Door::open(address, "--http-health")?;
    let health = broker.health();
    let problems = Arc::new(move || fleet::problem(&health.borrow()).into_iter().collect());
    Ok((format!("http://{}", door.address), door.serve(http::health_and_metrics(problems, metrics))?))
}

/// Lets what runs end, and tells what did not. Who is told again leaves at once, or has less time.
async fn drain(running: Running, grace: Span, ends: &mut Ends, json: bool) {
    let (until, mut changes) = watch::channel(Instant::now() + Duration::from(grace));
    let over = async move {
        loop {
            let until = *changes.borrow_and_update();
            tokio::select! {
                () = sleep_until(until) => return,
                Ok(()) = changes.changed() => {}
            }
        }
    };
    let shorten = async {
        loop {
            let time = match ends.next().await {
                End::Now => return,
                End::Usual => grace,
                End::Within(time) => time,
            };
            let told = Instant::now() + Duration::from(time);
            until.send_modify(|until| *until = told.min(*until));
        }
    };
    let given_back = tokio::select! {
        drained = running.drain_until(over) => drained.given_back,
        () = shorten => return,
    };
    if json {
        say_json(&json!({"givenBack": given_back}));
    } else {
        say(&format!("ended; {given_back} attempts given back"));
    }
}

fn tell_what(id: &str, queues: &[String], health: Option<&str>, json: bool) {
    if json {
        return say_json(&json!({"worker": id, "queues": queues, "health": health}));
    }
    say(&format!("worker {id}"));
    if let Some(address) = health {
        say(&format!("health on {address}"));
    }
    say(&format!("takes tasks from {}; SIGTERM ends", queues.join(", ")));
}

fn show(configuration: &Configuration, file: Option<&Path>, settings: &Settings, grace: Span, json: bool) {
    let nodes = configuration.broker.nodes.shown();
    let file = file.map(|file| file.display().to_string());
    let queues: Vec<&str> = settings.queues().into_iter().collect();
    let tasks: Vec<&str> = settings.commands().keys().map(String::as_str).collect();
    let secrets = settings.secrets().map(|folder| folder.display().to_string());
    if json {
        return say_json(&json!({
            "file": file, "broker": {"nodes": nodes}, "queues": queues, "commands": tasks, "http": settings.has_http(),
            "slots": settings.slots(), "secrets": secrets, "grace": grace, "beat": configuration.worker.beat, "payloadBytes": configuration.payload_bytes(),
            "payloads": configuration.payloads_url(), "traces": configuration.telemetry.endpoint(),
        }));
    }
    let slots = settings.slots().map_or_else(|| "the default".to_owned(), |slots| slots.to_string());
    let rows = [
        ("file", file.unwrap_or_else(|| "none".to_owned())),
        ("broker", nodes.join(", ")),
        ("queues", queues.join(", ")),
        ("commands", tasks.join(", ")),
        ("HTTP requests", if settings.has_http() { "yes" } else { "no" }.to_owned()),
        ("slots", slots),
        ("secrets", secrets.unwrap_or_else(|| "of the environment".to_owned())),
        ("grace", grace.to_string()),
        ("beat", configuration.worker.beat.to_string()),
        ("payloads", configuration.payloads_url().unwrap_or("none").to_owned()),
        ("traces", configuration.telemetry.endpoint().unwrap_or("none").to_owned()),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    say(&table::text(&rows));
}
