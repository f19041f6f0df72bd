//! `oarlock bench`: measures how fast tasks go, beside what the broker alone can do.
//!
//! Over servers it starts orchestrators and workers as processes of their own, in a virtual host and below a prefix where nothing
//! else is, and leaves nothing behind. With `--embedded` all is in this process.

use std::process::ExitCode;
use std::sync::Arc;

use oarlock_bench::report::Report;
use oarlock_bench::{Error, part};
use oarlock_broker::Broker;
use oarlock_orchestrator::store::redis::Redis;
use oarlock_orchestrator::{Clock, Node};

use super::{say, say_json};
use crate::arguments::{Bench, Global, Part};
use crate::configuration::Configuration;
use crate::exit::Failure;
use crate::fleet;

mod embedded;
mod servers;
mod shown;

/// The setting that the parts of a measurement share: what is below it is nobody else's.
const PREFIX: &str = "OARLOCK_STORE__PREFIX";
/// As many tasks at once as a queue of a partition keeps published, over a few partitions.
const SLOTS: usize = 1_000;

pub(super) async fn bench(
    configuration: &Configuration,
    global: &Global,
    arguments: Bench,
) -> Result<ExitCode, Failure> {
    match arguments.part {
        Some(Part::Worker) => {
            let broker = fleet::broker(configuration, "oarlock bench worker".to_owned())?;
            part::worker(broker, SLOTS).await.map_err(failed)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Part::Orchestrator) => {
            let store = store(configuration)?;
            part::orchestrator(node(configuration, store).await?).await.map_err(failed)?;
            return Ok(ExitCode::SUCCESS);
        }
        None => {}
    }
    arguments.plan().check().map_err(failed)?;
    let progress = shown::Progress::new(global.json);
    let report = if arguments.embedded {
        embedded::measure(configuration, &arguments, &progress).await
    } else {
        servers::measure(configuration, global, &arguments, &progress).await
    };
    progress.end();
    let report: Report = report?;
    if global.json {
        say_json(&report);
    } else {
        say(&shown::text(&report));
    }
    Ok(ExitCode::SUCCESS)
}

/// An orchestrator as `oarlock orchestrator` starts it, without its door.
async fn node(configuration: &Configuration, store: Arc<Redis>) -> Result<Node, Failure> {
    let broker: Arc<dyn Broker> = fleet::broker(configuration, "oarlock bench orchestrator".to_owned())?;
    let mut settings = configuration.orchestrator();
    settings.orchestrators = configuration.rabbitmq(String::new()).user().ok().flatten();
    settings.watchdog = true;
    let started = Node::start(broker, store.clone(), store, settings, Clock::system()).await;
    started.map_err(|error| failed(error.into()))
}

fn store(configuration: &Configuration) -> Result<Arc<Redis>, Failure> {
    Redis::connect(configuration.redis()).map(Arc::new).map_err(|error| Failure::usage(error.to_string()))
}

fn failed(error: Error) -> Failure {
    match error {
        Error::Plan(_) => Failure::usage(error.to_string()),
        Error::Broker(_) | Error::Store(_) | Error::Node(_) | Error::Part { .. } | Error::Ended(_) => {
            Failure::unreachable(error.to_string())
        }
    }
}
