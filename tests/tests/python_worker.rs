//! Runs examples/python-worker as a stranger would: an orchestrator over RabbitMQ, and nothing of Oarlock in worker and producer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test names its line")]

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::rabbitmq::{RabbitMq, Settings as Broker};
use oarlock_orchestrator::members::memory::Memory as Alone;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::{Clock, Node, Settings};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::{Answer, AnswerMessage};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{Json, RunKey};
use oarlock_test_servers::{Vhost, shared};
use serde_json::json;
use tokio::process::{Child, Command};

const TENANT: &str = "acme";
/// Nothing here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn example(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/python-worker").join(file)
}

fn python(file: &str, uri: &str) -> Command {
    let mut command = Command::new(&shared().python);
    command.arg("-B").arg(example(file)).arg(uri).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn orchestrator(uri: &str) -> Node {
    let broker =
        RabbitMq::connect(Broker { nodes: vec![uri.to_owned()], ..Broker::default() }).expect("a good URI");
    let mut settings = Settings { partitions: 2, ..Settings::default() };
    let context = json!({"userId": "ada", "tenantId": TENANT});
    let producer: SecurityContext = serde_json::from_value(context).unwrap();
    settings.producers.insert("guest".to_owned(), producer);
    let (store, members) = (Arc::new(Memory::new()), Arc::new(Alone::new()));
    let node = Node::start(Arc::new(broker), store, members, settings, Clock::system()).await.unwrap();
    assert!(node.ready_within(PATIENCE).await, "{:?}", node.readiness());
    let yaml = std::fs::read_to_string(example("workflow.yaml")).unwrap();
    let report = oarlock_definition::read("workflow.yaml", &yaml);
    node.register(TENANT, report.definition.expect("a good definition")).await.unwrap();
    node
}

/// What `start.py` is answered.
async fn start(uri: &str, name: &str, key: &str) -> Answer {
    let output = python("start.py", uri).args([name, key]).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("an answer").unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let answer: AnswerMessage =
        serde_json::from_str(&told).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    answer.answer
}

/// The status, output and error code of the run that an answer names when it has ended, and how many attempts it took.
async fn end(node: &Node, answer: &Answer) -> (WorkflowStatus, Option<Json>, Option<String>, u64) {
    let Answer::Accepted { workflow_instance_id: run, .. } = answer else { panic!("{answer:?}") };
    let run = node.wait(&RunKey::new(TENANT, *run), PATIENCE).await.unwrap().expect("the run is there");
    (run.status, run.output, run.error.map(|error| error.code), run.metrics.attempts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_and_a_worker_in_python_run_a_workflow() {
    let vhost = Vhost::create(&shared().management).unwrap();
    let uri = vhost.uri();
    // Before the orchestrator: the queue is not there yet, and it waits for it.
    let _worker: Child = python("worker.py", &uri).spawn().unwrap();
    let node = orchestrator(&uri).await;

    let greeted = start(&uri, "Ada", "first").await;
    let output = json!({"greeting": "Hello, Ada"});
    assert_eq!(end(&node, &greeted).await, (WorkflowStatus::Completed, Some(output), None, 1));

    let again = start(&uri, "Ada", "first").await;
    assert!(matches!(again, Answer::Accepted { existing: true, .. }), "{again:?}");
    let other = start(&uri, "Bea", "first").await;
    assert!(matches!(&other, Answer::Refused { error } if error.code == "CONFLICT"), "{other:?}");

    let nobody = start(&uri, "", "nobody").await;
    assert_eq!(
        end(&node, &nobody).await,
        (WorkflowStatus::Failed, None, Some("ValueError".to_owned()), 1),
        "a failure that is not worth a retry ends the run at once"
    );
    node.stop().await;
}
