//! Runs examples/python-worker as a stranger would: an orchestrator over RabbitMQ, and nothing of Oarlock in worker and producer.
//! Each is a user of RabbitMQ of its own, with no more rights than docs/security.md gives it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test names its line")]

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use oarlock_broker::parking::Parked;
use oarlock_broker::rabbitmq::{RabbitMq, Settings as Broker};
use oarlock_broker::{Broker as _, Message, Publication, topology};
use oarlock_orchestrator::members::memory::Memory as Alone;
use oarlock_orchestrator::store::memory::Memory;
use oarlock_orchestrator::{Clock, Node, Settings};
use oarlock_protocol::instance::WorkflowStatus;
use oarlock_protocol::message::{Answer, AnswerMessage, Kind, StartMessage};
use oarlock_protocol::security::SecurityContext;
use oarlock_protocol::{FORMAT, Json, RunId, RunKey};
use oarlock_test_servers::{Vhost, management, shared};
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

/// A user of RabbitMQ; gone when dropped.
struct User {
    name: String,
    uri: String,
}

impl User {
    /// With the rights of a row of the table in docs/security.md.
    fn create(vhost: &Vhost, role: &str) -> Self {
        let name = format!("{}-{}", role.replace(' ', "-"), vhost.name());
        let [configure, write, read] = rights_of(role);
        let rights = json!({"configure": configure, "write": write, "read": read});
        for (path, body) in [
            (format!("/api/users/{name}"), json!({"password": "pass", "tags": ""})),
            (format!("/api/permissions/{}/{name}", vhost.name()), rights),
        ] {
            management::ask("PUT", &shared().management, &path, &body.to_string()).unwrap();
        }
        let uri = vhost.uri().replace("guest:guest", &format!("{name}:pass"));
        Self { name, uri }
    }

    fn connect(&self) -> RabbitMq {
        RabbitMq::connect(Broker { nodes: vec![self.uri.clone()], ..Broker::default() }).expect("a good URI")
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let path = format!("/api/users/{}", self.name);
        management::ask("DELETE", &shared().management, &path, "").ok();
    }
}

/// What the documentation gives a role: configure, write, read.
fn rights_of(role: &str) -> [String; 3] {
    let page = include_str!("../../docs/security.md");
    let row = page.lines().find(|line| line.starts_with(&format!("| {role} |"))).expect("the role is told");
    // A bar within a cell is escaped.
    let row = row.replace("\\|", "\u{1}");
    let mut cells = row.split('|').skip(2).map(|cell| cell.trim().trim_matches('`').replace('\u{1}', "|"));
    std::array::from_fn(|_| cells.next().expect("three rights"))
}

async fn orchestrator(user: &User, producer_user: &User) -> Node {
    let broker = user.connect();
    let mut settings = Settings { partitions: 2, ..Settings::default() };
    settings.orchestrators = Some(user.name.clone());
    let context = json!({"userId": "ada", "tenantId": TENANT});
    let producer: SecurityContext = serde_json::from_value(context).unwrap();
    settings.producers.insert(producer_user.name.clone(), producer);
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
    let [orchestrators, workers, shop] =
        ["orchestrators", "workers", "a producer"].map(|role| User::create(&vhost, role));
    let uri = shop.uri.clone();
    // Before the orchestrator: the queue is not there yet, and it waits for it.
    let _worker: Child = python("worker.py", &workers.uri).spawn().unwrap();
    let node = orchestrator(&orchestrators, &shop).await;

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
    // Its beats are heard too.
    let listed = std::time::Instant::now();
    let seen = loop {
        let seen = node.workers().into_iter().find(|worker| worker.completed > 0);
        if let Some(seen) = seen {
            break seen;
        }
        assert!(listed.elapsed() < PATIENCE, "the worker is not listed: {:?}", node.workers());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(seen.worker.starts_with("python-") && seen.failed == 1, "{seen:?}");
    assert_eq!((seen.queues, seen.slots, seen.marks), (vec!["text.greet".to_owned()], 1, vec![]));

    // What is asked of an inbox counts from orchestrators only; and a producer does not reach one.
    workers.connect().publish(vec![forged()]).await.remove(0).unwrap();
    let begun = std::time::Instant::now();
    let forgery = |parked: &Parked| parked.reason.contains("only orchestrators");
    while !node.parked().await.unwrap().iter().any(forgery) {
        assert!(begun.elapsed() < PATIENCE, "the worker's start is not parked");
    }
    shop.connect().publish(vec![forged()]).await.remove(0).unwrap_err();
    node.stop().await;
}

/// A start that claims a security context of its own making.
fn forged() -> Publication {
    let run = RunId::random();
    let context = SecurityContext {
        user_id: "root".to_owned(),
        tenant_id: TENANT.to_owned(),
        ..SecurityContext::default()
    };
    let start = StartMessage {
        parent: None,
        traceparent: None,
        format: FORMAT,
        workflow_instance_id: run,
        workflow_definition_id: "greet".to_owned(),
        workflow_definition_version: None,
        input: json!({"name": "Eve"}),
        idempotency_key: None,
        correlation_id: None,
        priority: None,
        security_context: context,
    };
    let body = serde_json::to_vec(&start).unwrap();
    let message = Message { body: body.into(), kind: Kind::Start.as_str().to_owned(), ..Message::default() };
    Publication { queue: topology::inbox(run.partition(2)), message }
}
