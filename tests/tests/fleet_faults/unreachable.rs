//! The network to RabbitMQ or to Redis is away for ten seconds: it resets every connection, or keeps silent.

use std::time::{Duration, Instant};

use oarlock_test_servers::Proxy;

use super::fleet::{Fleet, work};
use super::servers::{Places, Servers};

/// Several leases, and longer than any answer is waited for.
const AWAY: Duration = Duration::from_secs(10);

const NO_BROKER: &str = "the broker is not there: ";
const NO_STORE: &str = "the store cannot be reached: ";

/// Runs a fleet through a fault of `proxy`, which stands between it and one of the servers.
async fn survive(servers: &Servers, places: &Places, proxy: &Proxy, fault: fn(&Proxy), sentence: &str) {
    let fleet = Fleet::start(places).await;
    // It ends after the fault, and its silence during the fault is nobody's fault.
    let lasting = fleet.begin_lasting(places, AWAY + Duration::from_secs(5), "9s").await;
    fleet.begin_all(0..100).await;
    work(|| fault(proxy));
    let away = Instant::now();
    let starts = fleet.begin(100..110);
    let told = fleet.until_it_says(sentence).await;
    println!("told after {told:?}");
    // A lease, and the second between two beats.
    assert!(told < Duration::from_millis(4_500), "{told:?}");
    let later = fleet.begin(110..120);
    tokio::time::sleep_until((away + AWAY).into()).await;
    let told = fleet.nodes[0].readiness();
    assert!(!told.ready, "it lasts, and so does its telling: {told:?}");
    work(|| proxy.pass()).unwrap();
    let back = Instant::now();
    println!("the nodes are ready {:?} after the network is back", fleet.until_ready().await);
    let mut accepted = fleet.accepted(starts).await;
    accepted.extend(fleet.accepted(later).await);
    fleet.all_complete((0..100).chain(accepted)).await;
    println!("all runs have ended {:?} after the network was back", back.elapsed());
    fleet.completes(lasting).await;
    servers.until_nothing_is_left().await;
}

async fn survive_before_rabbitmq(fault: fn(&Proxy)) {
    let servers = Servers::start();
    let proxy = Proxy::start(&servers.rabbitmq.uri()).unwrap();
    let places = Places { rabbitmq: proxy.uri(&servers.vhost.uri()), ..servers.places() };
    survive(&servers, &places, &proxy, fault, NO_BROKER).await;
}

async fn survive_before_redis(fault: fn(&Proxy)) {
    let servers = Servers::start();
    let proxy = Proxy::start(&servers.redis.uri()).unwrap();
    let places = Places { redis: proxy.uri(&servers.redis.uri()), ..servers.places() };
    survive(&servers, &places, &proxy, fault, NO_STORE).await;
}

fn reset(proxy: &Proxy) {
    proxy.reset().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_resets_connections_to_rabbitmq_costs_no_run() {
    survive_before_rabbitmq(reset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_what_goes_to_rabbitmq_costs_no_run() {
    survive_before_rabbitmq(Proxy::swallow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_resets_connections_to_redis_costs_no_run() {
    survive_before_redis(reset).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_what_goes_to_redis_costs_no_run() {
    survive_before_redis(Proxy::swallow).await;
}
