//! RabbitMQ ends as by a power cut, and comes back some seconds later.

use std::time::{Duration, Instant};

use super::fleet::Fleet;
use super::servers::Servers;

/// How long the machine with RabbitMQ is away, before it begins to start again.
const AWAY: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rabbitmq_that_is_killed_and_comes_back_costs_no_run() {
    let mut servers = Servers::start();
    let fleet = Fleet::start(&servers.places()).await;
    fleet.begin_all(0..10).await;
    servers.until_queues_are_on_disk();
    fleet.begin_all(10..110).await;
    servers.change(|servers| servers.rabbitmq.kill());
    let away = Instant::now();
    println!("told after {:?}", fleet.until_it_says("the broker is not there: ").await);
    let starts = fleet.begin(110..130);
    tokio::time::sleep_until((away + AWAY).into()).await;
    servers.change(|servers| servers.rabbitmq.start_again()).unwrap();
    let back = Instant::now();
    println!("RabbitMQ is back after {:?}, the nodes {:?} later", away.elapsed(), fleet.until_ready().await);
    let accepted = fleet.accepted(starts).await;
    fleet.all_complete((0..110).chain(accepted)).await;
    println!("all runs have ended {:?} after RabbitMQ was back", back.elapsed());
    servers.until_nothing_is_left().await;
}
