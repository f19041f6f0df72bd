//! Several orchestrators over one broker and one store, and producers that speak over the broker.

use std::time::Duration;

use oarlock_broker::parking::Parked;
use oarlock_broker::{Message, Publication, QueueDeclaration, Subscription, topology};
use oarlock_orchestrator::store::{Fields, Key};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::{Answer, AnswerMessage, Kind};
use oarlock_protocol::{Json, RunId, RunKey, Span};
use oarlock_worker::{TaskContext, TaskError};
use serde_json::json;

use super::system::{PATIENCE, Parts, System, TENANT, eventually, next, request, settings};

const WORK: &str = "{id: work, version: 1, tasks: [{id: a, task: step}], output: '${ tasks.a.output }'}";

async fn step(input: Json, _: TaskContext) -> Result<Json, TaskError> {
    Ok(input)
}

/// Two nodes that share eight partitions, each owning some.
pub(super) async fn pair(parts: &Parts) -> (System, System) {
    let mut settings = settings();
    settings.partitions = 8;
    settings.lease = Span::from_secs(3);
    let one = parts.node("one", settings.clone()).await;
    loop {
        let two = parts.node("two", settings.clone()).await;
        let shares = || async {
            let [ours, theirs] = [&one, &two].map(|system| system.node.readiness());
            let shares = [ours.partitions_owned.len(), theirs.partitions_owned.len()];
            let settled = ours.ready && theirs.ready && ours.members.len() == 2;
            (settled && shares.iter().sum::<usize>() == 8).then_some(shares)
        };
        // Once in a hundred times chance gives one of them everything.
        if !eventually("the two share the partitions", shares).await.contains(&0) {
            return (one, two);
        }
        two.node.stop().await;
    }
}

/// A run of a partition that `other` owns.
pub(super) fn run_owned_by(other: &System) -> RunId {
    let owned = other.node.readiness().partitions_owned;
    std::iter::repeat_with(RunId::random).find(|run| owned.contains(&run.partition(8))).unwrap()
}

#[tokio::test]
async fn a_node_answers_for_runs_that_another_owns() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(WORK).await;
    assert!(!two.node.register(TENANT, definition(WORK)).await.unwrap(), "it is known already");
    let mut start = request("work", json!({}));
    start.workflow_instance_id = run_owned_by(&two);
    let started = one.node.start_run(start.clone()).await.unwrap();
    assert!(!started.existing);
    assert!(two.node.start_run(start.clone()).await.unwrap().existing);
    start.input = json!({"other": true});
    let refused = one.node.start_run(start).await.unwrap_err();
    assert!(refused.to_string().contains("different request"), "{refused}");
    // Never a 404 after an accepted start, at no node.
    assert!(one.node.get(&started.run).await.unwrap().is_some());
    let waits = one.node.wait(&started.run, PATIENCE);
    let worker = async { two.worker().task("step", step).build().unwrap().start().await.unwrap() };
    let (ended, _worker) = tokio::join!(waits, worker);
    assert_eq!(ended.unwrap().unwrap().status, WorkflowStatus::Completed);
    let missing = RunKey::new(TENANT, run_owned_by(&two));
    assert_eq!(one.node.cancel(missing.clone(), String::new()).await.unwrap(), None);
    assert_eq!(one.node.wait(&missing, PATIENCE).await.unwrap(), None);
}

#[tokio::test]
async fn a_run_is_cancelled_through_any_node() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(WORK).await;
    let mut start = request("work", json!({}));
    start.workflow_instance_id = run_owned_by(&two);
    let run = one.node.start_run(start).await.unwrap().run;
    assert_eq!(one.node.cancel(run.clone(), "enough".to_owned()).await.unwrap(), Some(true));
    assert_eq!(one.end(&run).await.status, WorkflowStatus::Cancelled);
}

#[tokio::test]
async fn who_stops_hands_its_partitions_over_before_the_lease_is_over() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(WORK).await;
    let mut runs = Vec::new();
    for _ in 0..40 {
        runs.push(one.begin("work", json!({})).await);
    }
    let begun = std::time::Instant::now();
    one.node.stop().await;
    let all = || async { (two.node.readiness().partitions_owned.len() == 8).then_some(()) };
    eventually("the other owns all of them", all).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "after {:?}", begun.elapsed());
    let _worker = two.worker().task("step", step).build().unwrap().start().await.unwrap();
    for run in &runs {
        let ended = two.end(run).await;
        assert_eq!((ended.status, ended.metrics.retries), (WorkflowStatus::Completed, 0));
    }
}

#[tokio::test]
async fn one_key_asked_of_both_nodes_at_once_starts_one_run() {
    let parts = Parts::fresh().await;
    let (one, two) = pair(&parts).await;
    one.register(WORK).await;
    let mut start = request("work", json!({}));
    start.workflow_instance_id = RunId::keyed(TENANT, "work", "order-1");
    let mut asked = tokio::task::JoinSet::new();
    for system in [one, two].map(std::sync::Arc::new) {
        for _ in 0..25 {
            let (system, start) = (system.clone(), start.clone());
            asked.spawn(async move { system.node.start_run(start).await.unwrap() });
        }
    }
    let answers = asked.join_all().await;
    assert_eq!(answers.len(), 50);
    assert_eq!(answers.iter().filter(|started| !started.existing).count(), 1);
    assert!(answers.iter().all(|started| started.run == answers[0].run));
}

/// Asks for a run over the broker, and hears the answer.
async fn ask(system: &System, body: &Json, message_id: &str) -> Answer {
    let answers = QueueDeclaration {
        name: format!("producer-{}", RunId::random()),
        ..topology::control_declaration("of-a-producer")
    };
    system.broker.declare(&answers).await.unwrap();
    let subscription = Subscription { queue: answers.name.clone(), prefetch: 10, priority: 0 };
    let mut consumer = system.broker.consume(subscription).await.unwrap();
    let message = Message {
        body: body.to_string().into(),
        message_id: message_id.to_owned(),
        correlation_id: Some("question".to_owned()),
        reply_to: Some(answers.name),
        kind: Kind::Start.as_str().to_owned(),
        ..Message::default()
    };
    system.publish(topology::START, message).await;
    let answer = next(&mut *consumer).await.message;
    assert_eq!(
        (answer.correlation_id.as_deref(), answer.kind.as_str()),
        (Some("question"), "oarlock.answer")
    );
    serde_json::from_slice::<AnswerMessage>(&answer.body).unwrap().answer
}

#[tokio::test]
async fn a_producer_starts_a_run_over_the_broker() {
    let system = System::start().await;
    system.register("{id: fine, version: 3, tasks: [{id: a, set: {x: 1}}]}").await;
    let asked = json!({"format": 1, "workflow": "fine", "input": {}, "key": "k-1", "later": "ignored"});
    let Answer::Accepted { workflow_instance_id, workflow_definition_version, existing } =
        ask(&system, &asked, "m-1").await
    else {
        panic!("it is accepted")
    };
    assert_eq!((workflow_definition_version, existing), (3, false));
    let run = RunKey::new(TENANT, workflow_instance_id);
    assert_eq!(system.end(&run).await.created_by, "shop");
    let again = ask(&system, &asked, "m-2").await;
    assert!(matches!(again, Answer::Accepted { existing: true, .. }), "{again:?}");
    // Without a key the message is the key: one that is delivered twice starts one run.
    let keyless = json!({"format": 1, "workflow": "fine"});
    let first = ask(&system, &keyless, "m-3").await;
    let second = ask(&system, &keyless, "m-3").await;
    match (first, second) {
        (
            Answer::Accepted { workflow_instance_id: one, existing: false, .. },
            Answer::Accepted { workflow_instance_id: two, existing: true, .. },
        ) => assert_eq!(one, two),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bad_start_is_answered_parked_and_put_back() {
    let system = System::start().await;
    let asked = json!({"format": 1, "workflow": "late", "key": "k"});
    for (body, code, named) in [
        (json!("no object"), "INVALID_REQUEST", "cannot be read"),
        (json!({"format": 99, "workflow": "x"}), "INVALID_REQUEST", "newer release"),
        (json!({"format": 1, "workflow": "x", "input": [1]}), "INVALID_REQUEST", "JSON object"),
        (json!({"format": 1, "workflow": "x", "key": ""}), "INVALID_REQUEST", "key"),
        (asked.clone(), "NOT_FOUND", "late"),
    ] {
        let Answer::Refused { error } = ask(&system, &body, "m").await else { panic!("{body}") };
        assert!(error.code == code && error.message.contains(named), "{body}: {error:?}");
    }
    let five = || async {
        let parked = system.node.parked().await.unwrap();
        (parked.len() == 5).then_some(parked)
    };
    let parked = eventually("five are parked", five).await;
    assert!(parked.iter().all(|parked| parked.at.is_some() && !parked.reason.is_empty()));
    let late = parked.iter().find(|parked| parked.reason.contains("late")).unwrap();
    system.register("{id: late, version: 1, tasks: [{id: a, set: {x: 1}}]}").await;
    system.node.requeue_parked(&late.id).await.unwrap();
    let run = RunKey::new(TENANT, RunId::keyed(TENANT, "late", "k"));
    let started = || async { system.node.get(&run).await.unwrap() };
    eventually("the run is started after all", started).await;
    assert!(
        system.node.requeue_parked(&late.id).await.unwrap_err().to_string().contains("no parked message")
    );
    for parked in system.node.parked().await.unwrap() {
        system.node.drop_parked(&parked.id).await.unwrap();
    }
    assert!(system.node.parked().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_start_without_a_principal_is_parked() {
    let parts = Parts::fresh().await;
    let mut settings = settings();
    settings.producers.clear();
    let system = parts.node("strict", settings).await;
    let refused = ask(&system, &json!({"format": 1, "workflow": "x"}), "m").await;
    let Answer::Refused { error } = refused else { panic!("{refused:?}") };
    assert!(error.message.contains("[producers]"), "{error:?}");
    assert_eq!(system.node.parked().await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_orchestrators_may_ask_an_inbox() {
    let parts = Parts::fresh().await;
    let mut settings = settings();
    settings.orchestrators = Some("orchestrators".to_owned());
    let system = parts.node("strict", settings).await;
    system.register("{id: fine, version: 1, tasks: [{id: a, set: {x: 1}}]}").await;
    let forged = request("fine", json!({}));
    system.tell_inbox(Kind::Start.as_str(), serde_json::to_vec(&forged).unwrap()).await;
    let parked = Parked::read(system.take(topology::PARKED).await, None);
    assert!(parked.reason.contains("only orchestrators"), "{}", parked.reason);
    let run = RunKey::new(TENANT, forged.workflow_instance_id);
    assert_eq!(system.node.get(&run).await.unwrap(), None);
}

#[tokio::test]
async fn a_finished_run_leaves_and_its_key_is_remembered_for_a_while() {
    let parts = Parts::fresh().await;
    let mut settings = settings();
    settings.engine.retention = Span::from_millis(200);
    settings.deduplication = Span::from_secs(3);
    let system = parts.node("short", settings).await;
    system.register("{id: fine, version: 1, tasks: [{id: a, set: {x: 1}}]}").await;
    let mut keyed = request("fine", json!({}));
    keyed.workflow_instance_id = RunId::keyed(TENANT, "fine", "k");
    let run = system.node.start_run(keyed.clone()).await.unwrap().run;
    let other = system.begin("fine", json!({})).await;
    for run in [&run, &other] {
        let gone = || async { system.node.get(run).await.unwrap().is_none().then_some(()) };
        eventually("the run has left", gone).await;
    }
    assert!(system.node.start_run(keyed.clone()).await.unwrap().existing, "the same request starts nothing");
    let mut different = keyed.clone();
    different.input = json!({"n": 2});
    assert!(system.node.start_run(different).await.unwrap_err().to_string().contains("different request"));
    let store = parts.store().await;
    let nothing_left = || async {
        let mut left = 0;
        for run in [&run, &other] {
            let key = Key::Run(run.clone());
            left += store.read_hash(0, &key, Fields::All).await.unwrap().len();
        }
        (left == 0).then_some(())
    };
    eventually("nothing of them is left in the store", nothing_left).await;
    assert!(!system.node.start_run(keyed).await.unwrap().existing, "the key is free again");
}

fn definition(yaml: &str) -> oarlock_protocol::definition::WorkflowDefinition {
    oarlock_definition::read("test.yaml", yaml).definition.unwrap()
}

#[tokio::test]
async fn garbage_on_every_queue_is_parked_or_counted_and_stops_nothing() {
    let system = System::start().await;
    system.register(WORK).await;
    let worker = system.worker().task("step", step).build().unwrap().start().await.unwrap();
    let large = "x".repeat(10 * 1024 * 1024);
    let bodies = ["", "no JSON", "[1, 2]", "{\"format\": 1}", "{\"format\": 99}", large.as_str()];
    let queues = [topology::START, topology::DEAD, "oarlock.inbox.0", "oarlock.tasks.step"];
    let mut sent = 0;
    for queue in queues {
        for kind in ["", "nonsense", Kind::Start.as_str(), Kind::Task.as_str(), Kind::Result.as_str()] {
            let garbage = bodies.iter().map(|body| {
                let message =
                    Message { kind: kind.to_owned(), body: body.to_string().into(), ..Message::default() };
                Publication { queue: queue.to_owned(), message }
            });
            let published = system.broker.publish(garbage.collect()).await;
            sent += published.into_iter().filter(Result::is_ok).count();
        }
    }
    // Nobody else writes to these: what makes no sense there is passed over.
    let own = [topology::control(worker.worker_id().as_str()), topology::node(&system.node.member().id)];
    for (queue, body) in own.iter().flat_map(|queue| bodies.iter().map(move |body| (queue, body))) {
        let message = Message { body: body.to_string().into(), ..Message::default() };
        system.publish(queue, message).await;
    }
    let run = system.run("work", json!({"n": 1})).await;
    assert_eq!(run.status, WorkflowStatus::Completed);
    let parked = || async {
        let waiting = system.broker.depth(topology::PARKED).await.unwrap();
        (waiting == sent as u64).then_some(())
    };
    eventually("all of it is parked", parked).await;
    assert!(sent >= 100, "{sent}");
}
