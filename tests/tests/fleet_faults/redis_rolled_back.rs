//! Redis comes back with an older copy of its data: what was committed last is gone.

use std::sync::atomic::Ordering;

use oarlock_protocol::instance::WorkflowStatus;

use super::fleet::{CHAIN, Fleet, check, key, node, register, start, worker};
use super::servers::{Servers, copy};

/// What Redis keeps in its folder.
const DATA: &str = "appendonlydir";

/// The data of a Redis as they were at one moment.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(servers: &Servers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Redis only ever appends: what is read while it writes is how the file was a moment ago.
        copy(&servers.redis.data_folder().join(DATA), &folder.path().join(DATA));
        Self(folder)
    }

    /// Kills Redis, and puts the copy in the place of its data.
    fn replaces_data(&self, servers: &mut Servers) {
        servers.change(|servers| {
            servers.redis.kill();
            let data = servers.redis.data_folder().join(DATA);
            std::fs::remove_dir_all(&data).unwrap();
            copy(&self.0.path().join(DATA), &data);
        });
    }
}

/// Begins runs before and after a copy of the data is made, and puts the copy back. Redis is down then.
async fn lose_commits(servers: &mut Servers, fleet: &Fleet) {
    fleet.begin_all(0..60).await;
    let copy = Copy::of(servers);
    fleet.begin_all(60..100).await;
    copy.replaces_data(servers);
}

/// What the store knows ends well; what it does not is told so, and can be started again.
async fn all_is_well(fleet: &Fleet, servers: &Servers) {
    let mut forgotten = 0;
    for number in 60..100 {
        let is_known = fleet.nodes[1].get(&key(number)).await.unwrap().is_some();
        let started = fleet.nodes[0].start_run(start(number)).await.unwrap();
        // A start that was on its way to its partition may come again by itself.
        assert!(!is_known || started.existing, "run {number}");
        forgotten += u32::from(!started.existing);
    }
    println!("of 40 runs {forgotten} were forgotten");
    assert!(forgotten > 0, "the older data hold none of them");
    fleet.all_end(0..100).await;
    servers.until_nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_commits_is_gone_on_with() {
    let mut servers = Servers::start();
    let fleet = Fleet::start(&servers.places()).await;
    lose_commits(&mut servers, &fleet).await;
    servers.change(|servers| servers.redis.start_again()).unwrap();
    println!("the nodes are ready {:?} after Redis is back", fleet.until_ready().await);
    all_is_well(&fleet, &servers).await;
    let seen: u64 = fleet.nodes.iter().map(|node| node.counters().rollbacks.load(Ordering::Relaxed)).sum();
    println!("{seen} partitions were seen to be rolled back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_commits_is_gone_on_with_by_nodes_that_know_of_nothing() {
    let mut servers = Servers::start();
    let places = servers.places();
    let mut fleet = Fleet::start(&places).await;
    lose_commits(&mut servers, &fleet).await;
    // All at once, as when the machine of Redis and the nodes lost its power.
    fleet.nodes.clear();
    servers.change(|servers| servers.redis.start_again()).unwrap();
    fleet.nodes = vec![node(&places, "three").await, node(&places, "four").await];
    println!("the nodes are ready {:?} after they began", fleet.until_ready().await);
    all_is_well(&fleet, &servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_an_idle_owner_knows_and_the_store_forgot_is_started_anew() {
    let mut servers = Servers::start();
    let places = servers.places();
    let one = node(&places, "one").await;
    register(&one, CHAIN).await;
    let copy = Copy::of(&servers);
    // Without a worker nothing is committed after the start.
    assert!(!one.start_run(start(1)).await.unwrap().existing);
    servers.until_outboxes_are_empty().await;
    copy.replaces_data(&mut servers);
    servers.change(|servers| servers.redis.start_again()).unwrap();
    let again = one.start_run(start(1)).await.unwrap();
    assert!(!again.existing, "the store does not know it");
    let _worker = worker(&places).build().unwrap().start().await.unwrap();
    let ended = one.wait(&again.run, super::fleet::PATIENCE).await.unwrap().unwrap();
    assert_eq!(ended.status, WorkflowStatus::Completed);
    check(1, &ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_owner_notices_that_the_store_lost_commits() {
    let mut servers = Servers::start();
    let one = node(&servers.places(), "one").await;
    register(&one, CHAIN).await;
    let copy = Copy::of(&servers);
    one.start_run(start(1)).await.unwrap();
    // By then the task is published and nothing is left to be committed.
    servers.until_outboxes_are_empty().await;
    copy.replaces_data(&mut servers);
    servers.change(|servers| servers.redis.start_again()).unwrap();
    super::fleet::eventually("the loss is counted", || async {
        let seen = one.counters().rollbacks.load(Ordering::Relaxed);
        (seen == 1).then_some(()).ok_or_else(|| seen.to_string())
    })
    .await;
    assert!(one.ready_within(super::fleet::PATIENCE).await);
}
