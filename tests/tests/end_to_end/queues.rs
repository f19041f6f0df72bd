//! The books of the fleet: what stands where in each queue, as every node tells it.

use std::sync::Arc;
use std::time::Duration;

use oarlock_orchestrator::queues::QueueView;
use oarlock_orchestrator::{Settings, settings::Scaling};
use oarlock_protocol::{Json, Span};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;
use tokio::sync::Semaphore;

use super::system::{Parts, System, eventually, settings};

const WORKFLOW: &str = r#"
id: mail
version: 1
taskDefinitions:
  - {id: mail.send, queue: post, retryPolicy: {maxRetries: 3, initialDelay: 1h, retryableErrors: [LATER]}}
tasks:
  - {id: send, task: mail.send, inputMappings: {later: "${ get(input, 'later', false) }"}}
"#;

/// The queue of the tests, as it stands.
async fn post(system: &System) -> QueueView {
    let view = system.node.queues(None).await;
    view.queues.into_iter().find(|queue| queue.queue == "post").unwrap_or_default()
}

/// Waits until what stands where is as expected: ready, published, in flight, due.
async fn stands(system: &System, expected: [u64; 4]) -> QueueView {
    let look = || async {
        let queue = post(system).await;
        let found = [queue.ready, queue.published, queue.in_flight, queue.due];
        (found == expected).then_some(queue)
    };
    eventually(&format!("{expected:?} ready, published, in flight, due"), look).await
}

#[tokio::test]
async fn the_books_tell_where_each_task_stands() {
    let parts = Parts::fresh().await;
    let system = parts.node("alone", Settings { window: 3, ..settings() }).await;
    system.register(WORKFLOW).await;
    let mut runs = Vec::new();
    for number in 0..5 {
        runs.push(system.begin("mail", json!({"later": number == 0})).await);
    }
    // The broker has what the window lets out, the rest waits for admission.
    let queue = stands(&system, [2, 3, 0, 0]).await;
    assert_eq!((queue.backlog, queue.workers, queue.difference), (5, 0, None));
    assert!(queue.oldest_wait_ms.is_some() && queue.tenants[0].open == 3);

    let gate = Arc::new(Semaphore::new(0));
    let handler = {
        let gate = gate.clone();
        move |input: Json, _: TaskContext| {
            let gate = gate.clone();
            async move {
                gate.acquire().await.unwrap().forget();
                if input["later"] == true {
                    Err(TaskError::new("LATER", "come again"))
                } else {
                    Ok(json!({}))
                }
            }
        }
    };
    let builder = system.worker().slots(2).task_on("post", "mail.send", handler);
    let _worker = builder.build().unwrap().start().await.unwrap();
    stands(&system, [2, 1, 2, 0]).await;
    gate.add_permits(1);
    // The first is to be made again in an hour; another takes its place.
    let queue = stands(&system, [1, 1, 2, 1]).await;
    assert_eq!((queue.failed, queue.due_soon), (1, 0));
    gate.add_permits(4);
    let queue = stands(&system, [0, 0, 0, 1]).await;
    assert_eq!((queue.completed, queue.oldest_wait_ms), (4, None));
    for run in &runs[1..] {
        system.end(run).await;
    }
    system.node.cancel(runs[0].clone(), "enough".to_owned()).await.unwrap();
    stands(&system, [0, 0, 0, 0]).await;
}

#[tokio::test]
async fn every_node_tells_the_same_also_after_a_take_over() {
    let parts = Parts::fresh().await;
    let settings = Settings { partitions: 4, lease: Span::from_millis(1_000), ..settings() };
    let first = parts.node("first", settings.clone()).await;
    let second = parts.node("second", settings).await;
    first.register(WORKFLOW).await;
    for _ in 0..12 {
        first.begin("mail", json!({})).await;
    }
    for node in [&first, &second] {
        stands(node, [0, 12, 0, 0]).await;
    }
    drop(first);
    let queue = stands(&second, [0, 12, 0, 0]).await;
    assert!(queue.oldest_wait_ms.unwrap() > 0);
    let all_told = || async { second.node.queues(None).await.untold_partitions.is_empty().then_some(()) };
    eventually("all partitions are told", all_told).await;
}

#[tokio::test]
async fn a_queue_wants_workers_as_soon_as_it_has_work_and_none_when_it_has_long_had_none() {
    let parts = Parts::fresh().await;
    let mut scaling = Scaling::default();
    scaling.rule.quiet = Span::from_millis(100);
    scaling.rule.stabilization = Span::from_millis(100);
    scaling.rule.average = Span::from_millis(100);
    let system = parts.node("alone", Settings { scaling, ..settings() }).await;
    system.register(WORKFLOW).await;
    assert_eq!(system.node.scaling("post").wanted, 0);
    let run = system.begin("mail", json!({})).await;
    let wanted = |most: u32, least: u32| {
        let node = &system.node;
        move || async move {
            (least..=most).contains(&node.scaling("post").wanted).then(|| node.scaling("post").text)
        }
    };
    let text = eventually("a worker is wanted", wanted(1, 1)).await;
    assert!(text.contains("1 wait"), "{text}");
    let handler = async |_: Json, _: TaskContext| Ok::<_, TaskError>(json!({}));
    let worker = system.worker().task_on("post", "mail.send", handler).build().unwrap();
    let worker = worker.start().await.unwrap();
    system.end(&run).await;
    worker.drain(Duration::from_secs(1)).await;
    eventually("none is wanted", wanted(0, 0)).await;
}
