//! A measurement in this process: the embedded broker, a store in memory, one node and one worker.

use std::sync::Arc;
use std::time::Duration;

use oarlock_bench::counting::Counting;
use oarlock_bench::drive::Driver;
use oarlock_bench::floor::Floor;
use oarlock_bench::hands;
use oarlock_bench::report::Report;
use oarlock_bench::rounds::{Bench as Measurement, Drivers};
use oarlock_bench::usage::Watched;
use oarlock_broker::Broker;
use oarlock_broker::embedded::Embedded;
use oarlock_broker::rabbitmq::floor::Load;
use oarlock_orchestrator::members::memory::Memory as Members;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::{Clock, Node};

use super::shown::Progress;
use super::{SLOTS, failed};
use crate::arguments::Bench;
use crate::configuration::Configuration;
use crate::exit::Failure;

/// How long the partitions may take to be owned: in one process they are at once.
const OWNED: Duration = Duration::from_secs(30);
const DRAIN: Duration = Duration::from_secs(10);

pub(super) async fn measure(
    configuration: &Configuration,
    arguments: &Bench,
    progress: &Progress,
) -> Result<Report, Failure> {
    let plan = arguments.plan();
    let broker: Arc<dyn Broker> = Arc::new(Embedded::new());
    let (store, members) = (Arc::new(Memory::new()), Arc::new(Members::new()));
    let started =
        Node::start(broker.clone(), store, members, configuration.orchestrator(), Clock::system()).await;
    let node = Arc::new(started.map_err(|error| failed(error.into()))?);
    if !node.ready_within(OWNED).await {
        return Err(Failure::unreachable(
            "the partitions are not owned after 30 s; see the log (--log info)",
        ));
    }
    let load = sizes(&broker, &node, arguments).await?;
    let worker = hands::start(broker.clone(), SLOTS).await.map_err(failed)?;
    let floor = Floor::Embedded(broker);
    let me = Watched { name: "oarlock".to_owned(), pid: std::process::id() };
    let watched = std::iter::once(me).chain(arguments.watched.iter().cloned()).collect();
    let measurement = Measurement {
        plan,
        load,
        rounds: arguments.rounds.into(),
        floor: &floor,
        watched,
        store: None,
        progress: &|stage, done, all| progress.tell(stage, done, all),
    };
    let measured = measurement.run(&mut Drivers::Here(node.clone())).await.map_err(failed)?;
    worker.drain(DRAIN).await;
    node.stop().await;
    Ok(Report::new(plan, None, &load, &measured))
}

/// Lets a few runs go through a worker that counts bytes: the floor has to move as many.
pub(super) async fn sizes(
    broker: &Arc<dyn Broker>,
    node: &Arc<Node>,
    arguments: &Bench,
) -> Result<Load, Failure> {
    let plan = arguments.plan();
    let (counting, counts) = Counting::new(Arc::clone(broker));
    let worker = hands::start(counting, SLOTS).await.map_err(failed)?;
    let driver = Driver::new(Arc::clone(node), plan, Arc::default()).await.map_err(failed)?;
    driver.drive(2, 2).await.map_err(failed)?;
    worker.drain(DRAIN).await;
    Ok(Load {
        tasks: plan.executions() * plan.workflows,
        in_flight: plan.tasks_in_flight().max(1),
        task_bytes: counts.task_bytes(),
        result_bytes: counts.result_bytes(),
    })
}
