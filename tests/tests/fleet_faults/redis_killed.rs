//! Redis, which syncs every write, ends as by a power cut, and comes back some seconds later.

use std::time::{Duration, Instant};

use super::fleet::{Fleet, PATIENCE};
use super::servers::Servers;

/// How long the machine with Redis is away: longer than the leases.
const AWAY: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_and_comes_back_costs_no_run() {
    let mut servers = Servers::start();
    let fleet = Fleet::start(&servers.places()).await;
    fleet.begin_all(0..100).await;
    servers.change(|servers| servers.redis.kill());
    let away = Instant::now();
    println!("told after {:?}", fleet.until_it_says("the store cannot be reached: ").await);
    let starts = fleet.begin(100..120);
    tokio::time::sleep_until((away + AWAY).into()).await;
    servers.change(|servers| servers.redis.start_again()).unwrap();
    let back = Instant::now();
    println!("Redis is back after {:?}, the nodes {:?} later", away.elapsed(), fleet.until_ready().await);
    let accepted = fleet.accepted(starts).await;
    fleet.all_complete((0..100).chain(accepted)).await;
    println!("all runs have ended {:?} after Redis was back", back.elapsed());
    servers.until_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_fails_in_time_while_redis_stays_away() {
    let mut servers = Servers::start();
    let fleet = Fleet::start(&servers.places()).await;
    servers.change(|servers| servers.redis.kill());
    let starts = fleet.begin(0..8).join_all().await;
    for start in &starts {
        let error = start.outcome.as_ref().unwrap_err().to_string();
        assert!(error.contains("does not answer"), "{error}");
        assert!(start.lasted < PATIENCE, "{:?}", start.lasted);
    }
    servers.change(|servers| servers.redis.start_again()).unwrap();
    fleet.until_ready().await;
    // Asked for again with the same keys they are started, or were after all.
    fleet.begin_all(0..8).await;
    fleet.all_complete(0..8).await;
    servers.until_nothing_is_left().await;
}
