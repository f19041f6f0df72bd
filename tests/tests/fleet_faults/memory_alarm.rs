//! RabbitMQ has too little memory for some seconds: it takes no messages, and what it has it still hands out.

use std::time::{Duration, Instant};

use super::fleet::{Fleet, work};
use super::servers::Servers;

/// Longer than the silence that the lasting task is allowed.
const BLOCKED: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_alarm_holds_runs_up_and_doubles_nothing() {
    let servers = Servers::start();
    let places = servers.places();
    let fleet = Fleet::start(&places).await;
    let lasting = fleet.begin_lasting(&places, Duration::from_secs(12), "3s").await;
    fleet.begin_all(0..20).await;
    work(|| servers.rabbitmq.alarm(true)).unwrap();
    let blocked = Instant::now();
    let starts = fleet.begin(20..100);
    println!("told after {:?}", fleet.until_it_says("the broker takes no messages: ").await);
    let reasons = fleet.nodes[0].readiness().problems;
    assert!(reasons.iter().any(|reason| reason.contains("memory")), "the reason is told: {reasons:?}");
    tokio::time::sleep_until((blocked + BLOCKED).into()).await;
    assert!(!fleet.nodes[1].readiness().ready, "it lasts");
    work(|| servers.rabbitmq.alarm(false)).unwrap();
    println!("the nodes are ready {:?} after the alarm", fleet.until_ready().await);
    let accepted = fleet.accepted(starts).await;
    fleet.all_complete((0..20).chain(accepted)).await;
    fleet.completes(lasting).await;
    servers.until_nothing_is_left().await;
}
