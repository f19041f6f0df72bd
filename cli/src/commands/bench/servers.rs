//! A measurement over RabbitMQ and Redis: orchestrators and workers are processes of their own.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oarlock_bench::fleet::Part;
use oarlock_bench::floor::Floor;
use oarlock_bench::report::{Fleet, Report};
use oarlock_bench::rounds::{Bench as Measurement, Drivers};
use oarlock_bench::shape::{FAILING, TASK};
use oarlock_bench::usage::Watched;
use oarlock_broker::rabbitmq::floor::{self, Load};
use oarlock_broker::{Broker, Error, Health, topology};
use oarlock_orchestrator::store::Store;
use oarlock_orchestrator::store::redis::Redis;
use tokio::process::Command;

use super::shown::Progress;
use super::{PREFIX, embedded, failed, node};
use crate::arguments::{Bench, Global};
use crate::configuration::Configuration;
use crate::exit::Failure;
use crate::fleet;
use crate::signals::Signals;

/// How long the servers may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that a measurement leaves behind unless it is removed.
struct Ground {
    uri: String,
    store: Arc<Redis>,
    partitions: u32,
    prefix: String,
}

pub(super) async fn measure(
    configuration: &Configuration,
    global: &Global,
    arguments: &Bench,
    progress: &Progress,
) -> Result<Report, Failure> {
    let ground = prepare(configuration).await?;
    let mut signals = Signals::hear()?;
    // Its processes are killed where it is dropped.
    let report = tokio::select! {
        report = on(&ground, configuration, global, arguments, progress) => report,
        signal = signals.told_to_end() => Err(Failure::usage(signal)),
    };
    progress.tell("removing queues and keys", 0, 1);
    let queues = floor::remove_all(&ground.uri, ground.partitions, &[TASK, FAILING]).await;
    let keys = ground.store.remove_all().await;
    queues.map_err(|error| failed(error.into()))?;
    keys.map_err(|error| failed(error.into()))?;
    report
}

/// Checks that nothing else is there, and makes a place of its own.
async fn prepare(configuration: &Configuration) -> Result<Ground, Failure> {
    configuration.check_fleet()?;
    let broker = fleet::broker(configuration, "oarlock bench".to_owned())?;
    let mut health = broker.health();
    let there = health.wait_for(|health| *health == Health::Ready);
    if tokio::time::timeout(PATIENCE, there).await.is_err() {
        let problem = fleet::problem(&broker.health().borrow()).unwrap_or_default();
        return Err(Failure::unreachable(format!("{problem}; broker.nodes names RabbitMQ")));
    }
    match broker.depth(&topology::inbox(0)).await {
        Err(Error::NoQueue(_)) => {}
        Ok(_) => {
            return Err(Failure::usage(
                "this virtual host holds queues of Oarlock: a measurement would take their messages. Name an empty one \
                 in broker.nodes, such as amqp://guest:guest@127.0.0.1:5672/bench",
            ));
        }
        Err(error) => return Err(failed(error.into())),
    }
    let prefix = format!("oarlock-bench-{}", oarlock_protocol::RunId::random());
    let mut settings = configuration.redis();
    settings.prefix.clone_from(&prefix);
    let store = Redis::connect(settings).map_err(|error| Failure::usage(error.to_string()))?;
    let wanted = configuration.orchestrator().partitions;
    let partitions = store.partitions(wanted).await.map_err(|error| failed(error.into()))?;
    let uri = configuration.rabbitmq(String::new()).nodes.into_iter().next().unwrap_or_default();
    Ok(Ground { uri, store: Arc::new(store), partitions, prefix })
}

async fn on(
    ground: &Ground,
    configuration: &Configuration,
    global: &Global,
    arguments: &Bench,
    progress: &Progress,
) -> Result<Report, Failure> {
    let plan = arguments.plan();
    let load = sizes(ground, configuration, arguments, progress).await?;
    progress.tell("starting the processes", 0, 1);
    let (mut orchestrators, mut workers) = (Vec::new(), Vec::new());
    for number in 1..=arguments.orchestrators.max(1) {
        orchestrators.push(part(ground, global, "orchestrator", number).await?);
    }
    for number in 1..=arguments.workers {
        workers.push(part(ground, global, "worker", number).await?);
    }
    let floor = Floor::rabbitmq(&ground.uri).await.map_err(failed)?;
    let parts = orchestrators.iter().chain(&workers).filter_map(Part::watched);
    let watched: Vec<Watched> = parts.chain(arguments.watched.iter().cloned()).collect();
    let measurement = Measurement {
        plan,
        load,
        rounds: arguments.rounds.into(),
        floor: &floor,
        watched: watched.clone(),
        store: Some(ground.store.clone()),
        progress: &|stage, done, all| progress.tell(stage, done, all),
    };
    let mut drivers = Drivers::Parts(orchestrators);
    let measured = measurement.run(&mut drivers).await.map_err(failed)?;
    let fleet = Fleet {
        orchestrators: arguments.orchestrators,
        workers: arguments.workers,
        partitions: ground.partitions,
    };
    let mut report = Report::new(plan, Some(fleet), &load, &measured);
    if arguments.idle > 0 {
        progress.tell("idle", 0, 1);
        report.idle_cpu_share = Some(oarlock_bench::usage::idle(&watched, arguments.idle).await);
    }
    let Drivers::Parts(orchestrators) = drivers else { return Ok(report) };
    for part in orchestrators {
        part.end().await;
    }
    if arguments.take_over {
        progress.tell("taking over", 0, 1);
        let began = Instant::now();
        let another = part(ground, global, "orchestrator", 1).await?;
        report.take_over_seconds = Some(began.elapsed().as_secs_f64());
        another.end().await;
    }
    for part in workers {
        part.end().await;
    }
    Ok(report)
}

/// Starts a process of the measurement.
async fn part(ground: &Ground, global: &Global, kind: &str, number: usize) -> Result<Part, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::usage(format!("this program cannot be started again: {error}")))?;
    let mut command = Command::new(program);
    command.args(["bench", "--part", kind]).env(PREFIX, &ground.prefix).stderr(Stdio::inherit());
    command.env("OARLOCK_ORCHESTRATOR__NODE", format!("bench-{number}"));
    if let Some(config) = &global.config {
        command.arg("--config").arg(config);
    }
    if let Some(level) = &global.log {
        command.args(["--log", level]);
    }
    Part::start(format!("{kind} {number}"), command).await.map_err(failed)
}

/// How many bytes the messages have: a few runs are let through here, before anything is measured.
async fn sizes(
    ground: &Ground,
    configuration: &Configuration,
    arguments: &Bench,
    progress: &Progress,
) -> Result<Load, Failure> {
    if arguments.plan().executions() == 0 {
        return Ok(Load { tasks: 0, in_flight: 1, task_bytes: 0, result_bytes: 0 });
    }
    progress.tell("measuring the messages", 0, 1);
    let broker: Arc<dyn Broker> = fleet::broker(configuration, "oarlock bench".to_owned())?;
    let node = Arc::new(node(configuration, ground.store.clone()).await?);
    if !node.ready_within(PATIENCE).await {
        return Err(Failure::unreachable(
            "the partitions are not owned after 10 s; see the log (--log info)",
        ));
    }
    let load = embedded::sizes(&broker, &node, arguments).await;
    node.stop().await;
    load
}
