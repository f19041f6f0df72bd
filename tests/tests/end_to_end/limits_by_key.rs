//! Limits with a key: each of its values has permits of its own, counted through take-overs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::{Json, RunKey};
use oarlock_worker::{Running, TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Semaphore;

use super::limits_of_fleet::{all_complete, two};
use super::system::{Parts, System, eventually};

pub(super) const CALLS: &str = "{id: calls, version: 1, tasks: [{id: a, task: call, inputMappings: {shop: '${ input.shop }'}}], \
     taskDefinitions: [{id: call, concurrencyLimit: {limit: 2, key: '${ taskInput.shop }'}}]}";
const PACED: &str = "{id: paced, version: 1, tasks: [{id: a, task: step}], taskDefinitions: \
     [{id: step, rateLimit: {limit: 10, per: 1s, key: '${ input.shop }'}}]}";

/// How many are executed at once for each key, now and at most, and how many have begun.
#[derive(Default)]
pub(super) struct Seen {
    now: BTreeMap<String, usize>,
    pub(super) most: BTreeMap<String, usize>,
    begun: BTreeMap<String, usize>,
}

/// A worker whose tasks wait for the gate of their key.
pub(super) async fn gated(
    system: &System,
    gates: [(&'static str, &Arc<Semaphore>); 2],
    seen: &Arc<Mutex<Seen>>,
) -> Running {
    let gates: BTreeMap<&str, Arc<Semaphore>> = gates.map(|(shop, gate)| (shop, gate.clone())).into();
    let seen = seen.clone();
    let handler = move |input: Json, _: TaskContext| {
        let shop = input["shop"].as_str().unwrap().to_owned();
        let (gate, seen) = (gates[shop.as_str()].clone(), seen.clone());
        async move {
            {
                let mut seen = seen.lock().unwrap();
                *seen.begun.entry(shop.clone()).or_default() += 1;
                let now = seen.now.entry(shop.clone()).or_default();
                *now += 1;
                let now = *now;
                let most = seen.most.entry(shop.clone()).or_default();
                *most = now.max(*most);
            }
            gate.acquire().await.unwrap().forget();
            *seen.lock().unwrap().now.get_mut(&shop).unwrap() -= 1;
            Ok::<_, TaskError>(Json::Null)
        }
    };
    system.worker().slots(40).task("call", handler).build().unwrap().start().await.unwrap()
}

pub(super) async fn begin(system: &System, workflow: &str, shop: &str, runs: usize) -> Vec<RunKey> {
    join_all((0..runs).map(|_| system.begin(workflow, json!({"shop": shop})))).await
}

pub(super) fn begun(seen: &Mutex<Seen>, shop: &str) -> usize {
    seen.lock().unwrap().begun.get(shop).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_value_of_a_key_has_its_own_permits_also_when_a_node_is_gone() {
    let parts = Parts::fresh().await;
    let (one, two) = two(&parts).await;
    two.register(CALLS).await;
    let (shut, open) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(1_000)));
    let seen = Arc::new(Mutex::new(Seen::default()));
    let _worker = gated(&two, [("busy", &shut), ("calm", &open)], &seen).await;
    let busy = begin(&two, "calls", "busy", 30).await;
    eventually("two are open", || async { (begun(&seen, "busy") == 2).then_some(()) }).await;
    let calm = begin(&two, "calls", "calm", 10).await;
    all_complete(&two, &calm).await;
    assert_eq!(begun(&seen, "busy"), 2, "another key's permits are not its own");
    let told = || async {
        let explained = join_all(busy.iter().map(|run| two.node.explain(run))).await;
        let mut waits = explained.into_iter().flat_map(|of| of.unwrap().unwrap().waits);
        waits
            .any(|waiting| waiting.text.contains("for the key \"busy\" (`concurrencyLimit`): 2 of 2 open."))
            .then_some(())
    };
    eventually("it is told what they wait for", told).await;
    // Dropped as by a crash.
    drop(one);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(begun(&seen, "busy"), 2, "who takes over counts what is open by its key");
    shut.add_permits(1_000);
    all_complete(&two, &busy).await;
    let most = seen.lock().unwrap().most.clone();
    assert!(most["busy"] == 2 && most["calm"] <= 2, "{most:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_value_of_a_key_has_its_own_rate() {
    let parts = Parts::fresh().await;
    let (_one, two) = two(&parts).await;
    two.register(PACED).await;
    let handler = |_: Json, _: TaskContext| async { Ok::<_, TaskError>(Json::Null) };
    let _worker = two.worker().slots(40).task("step", handler).build().unwrap().start().await.unwrap();
    let many = begin(&two, "paced", "many", 30).await;
    let began = Instant::now();
    let few = begin(&two, "paced", "few", 3).await;
    all_complete(&two, &few).await;
    let few_took = began.elapsed();
    all_complete(&two, &many).await;
    let many_took = began.elapsed();
    println!("3 within {few_took:?} beside 30 within {many_took:?}");
    assert!(many_took > Duration::from_millis(2_500), "30 within {many_took:?}");
    assert!(few_took < Duration::from_secs(2), "3 within {few_took:?}");
}

#[tokio::test]
async fn a_key_that_gives_nothing_fails_the_task_and_says_why() {
    let system = System::start().await;
    system.register(CALLS).await;
    let run = system.run("calls", json!({"shop": null})).await;
    assert_eq!(run.status, WorkflowStatus::Failed);
    let error = run.error.unwrap();
    assert_eq!(error.code, "EXPRESSION_FAILED");
    assert!(
        error.message.contains("the key of the concurrencyLimit of 'call' gives null"),
        "{}",
        error.message
    );
}
