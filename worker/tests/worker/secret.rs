//! Secrets: put into inputs by the worker, and seen nowhere outside its handlers.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use oarlock_protocol::Json;
use oarlock_protocol::message::Outcome;
use oarlock_worker::{Answer, Exec, Http, Running, Secrets, TaskContext, TaskError};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Partition, stop, task};

/// A secret with everything that is escaped somewhere.
const VALUE: &str = "p\u{e4}ss \"w0rd\"/%";

/// A worker whose task `job` is a command, with a folder of secrets.
struct Bench {
    partition: Partition,
    worker: Running,
    folder: TempDir,
}

impl Bench {
    async fn with(command: &str) -> Self {
        let partition = Partition::with(&["job"]).await;
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), VALUE);
        let exec = Arc::new(Exec::new(command, folder.path().to_owned()));
        let secrets = Secrets::new(Some(folder.path().to_owned()));
        let worker = partition.worker().handler("job", "job", exec).secrets(secrets);
        let worker = worker.build().unwrap().start().await.unwrap();
        Self { partition, worker, folder }
    }

    /// The outcome of a task with that input; nothing that was sent holds the secret.
    async fn outcome(&mut self, input: Json) -> Outcome {
        let id = self.partition.send(&task("job", input)).await;
        let outcome = self.partition.result(id).await.outcome;
        assert_hidden(&self.partition);
        outcome
    }
}

fn write(folder: &Path, value: &str) {
    std::fs::write(folder.join("token"), format!("{value}\n")).unwrap();
}

/// Whether no message that the worker sent holds the secret, escaped or not.
fn assert_hidden(partition: &Partition) {
    let escaped = Json::from(VALUE).to_string();
    assert!(!partition.raw.is_empty());
    for delivery in &partition.raw {
        let body = String::from_utf8_lossy(&delivery.message.body).into_owned();
        for form in [VALUE, escaped.trim_matches('"'), "w0rd"] {
            assert!(!body.contains(form), "{form} in {body}");
        }
    }
}

fn token() -> Json {
    json!({"$secret": "token"})
}

fn output(outcome: Outcome) -> Json {
    match outcome {
        Outcome::Completed { output } => output,
        other => panic!("not completed: {other:?}"),
    }
}

#[tokio::test]
async fn a_command_gets_the_value_and_its_output_is_masked() {
    let mut bench = Bench::with("tee got").await;
    let input = json!({"t": token(), "deep": [{"h": {"$secret": {"text": ["Bearer ", {"name": "token"}]}}}]});
    let output = output(bench.outcome(input).await);
    assert_eq!(output, json!({"t": "***", "deep": [{"h": "Bearer ***"}]}));
    let got: Json = serde_json::from_slice(&std::fs::read(bench.folder.path().join("got")).unwrap()).unwrap();
    assert_eq!(got, json!({"t": VALUE, "deep": [{"h": format!("Bearer {VALUE}")}]}));
    stop(bench.worker).await;
}

#[tokio::test]
async fn a_value_that_is_replaced_counts_from_the_next_task_on() {
    let mut bench = Bench::with("cat > got; wc -c < got").await;
    let before = output(bench.outcome(token()).await);
    write(bench.folder.path(), &VALUE.repeat(2));
    let after = output(bench.outcome(token()).await);
    assert!(after.as_u64() > before.as_u64(), "{before} {after}");
    std::fs::remove_file(bench.folder.path().join("token")).unwrap();
    let Outcome::Failed { error } = bench.outcome(token()).await else { panic!("it is gone") };
    assert_eq!(error.code, "SECRET_MISSING");
}

#[tokio::test]
async fn a_missing_secret_fails_the_task_and_its_handler_never_runs() {
    let mut bench = Bench::with("touch ran").await;
    let Outcome::Failed { error } = bench.outcome(json!({"a": {"$secret": "other"}})).await else {
        panic!("it is not there");
    };
    assert_eq!((error.code.as_str(), error.retryable), ("SECRET_MISSING", true));
    let file = bench.folder.path().join("other").display().to_string();
    for named in ["'other'", &file, "OARLOCK_SECRET_OTHER"] {
        assert!(error.message.contains(named), "{}", error.message);
    }
    let Outcome::Failed { error } = bench.outcome(json!({"a": {"$secret": "../token"}})).await else {
        panic!("it is no name");
    };
    assert_eq!((error.code.as_str(), error.retryable), ("INVALID_INPUT", false));
    assert!(error.message.contains("`/a`"), "{}", error.message);
    assert!(!bench.folder.path().join("ran").exists());
}

#[tokio::test]
async fn what_a_failing_command_says_is_masked_before_it_is_cut() {
    // Each puts the secret where something is cut: the first 200 bytes of an output, the last 8 KiB of stderr.
    let bare = r#"sed 's/^"//; s/"$//'"#;
    let cut = format!("{bare} | tr -d '\\n' >&2; printf '%08182d' 0 >&2; exit 3");
    for (command, code) in [
        ("cat >&2; exit 3", "EXIT_3"),
        ("printf '%0190d x' 0; cat; echo", "INVALID_OUTPUT"),
        (&format!("{bare} >&2; exit 1"), "EXIT_1"),
        (&cut, "EXIT_3"),
        ("echo \"oarlock-error: BAD $(cat)\" >&2; exit 1", "BAD"),
        ("printf '{\"after\": %s}' \"$(cat)\"; exit 75", "INVALID_OUTPUT"),
    ] {
        let mut bench = Bench::with(command).await;
        let Outcome::Failed { error } = bench.outcome(token()).await else { panic!("{command}") };
        assert_eq!(error.code, code, "{command}: {error:?}");
        let told = format!("{}{}", error.message, error.details);
        assert!(told.contains("***"), "{command}: {told}");
    }
}

#[tokio::test]
async fn a_handler_gets_the_value_and_nothing_it_tells_holds_it() {
    async fn leak(input: Json, context: TaskContext) -> Result<Answer<Json>, TaskError> {
        let (how, value) =
            (input["how"].as_str().unwrap().to_owned(), input["t"].as_str().unwrap().to_owned());
        assert_eq!(value, VALUE);
        match how.as_str() {
            "output" => {
                Ok(Answer::Completed(json!({value.as_str(): [value.as_str(), format!("a{value}b")]})))
            }
            "error" => {
                Err(TaskError::new("REFUSED", format!("bad token {value}")).with_details(json!([value])))
            }
            "other error" => Err(std::io::Error::other(value))?,
            "panic" => panic!("bad token {value}"),
            "state" => Ok(Answer::again(std::time::Duration::from_secs(1), json!({"t": value}))),
            "long" => Err(TaskError::new("LONG", format!("{}{value}", "x".repeat(8 * 1024 - 3)))),
            _ => {
                context.heartbeat(json!({"t": value}));
                context.cancelled().await;
                Ok(Answer::Completed(Json::Null))
            }
        }
    }
    let mut partition = Partition::with(&["leak"]).await;
    let worker = partition.worker().task("leak", leak).secrets(Secrets::of([("token", VALUE)]));
    let _worker = worker.build().unwrap().start().await.unwrap();
    for (how, told) in [
        ("output", json!({"status": "COMPLETED", "output": {"***": ["***", "a***b"]}})),
        ("error", json!({"error": {"code": "REFUSED", "message": "bad token ***", "details": ["***"]}})),
        ("other error", json!({"error": {"message": "***"}})),
        ("panic", json!({"error": {"code": "PANIC", "message": "bad token ***"}})),
        ("state", json!({"status": "DEFERRED", "state": {"t": "***"}})),
        ("long", json!({"error": {"code": "LONG"}})),
    ] {
        let id = partition.send(&task("leak", json!({"how": how, "t": token()}))).await;
        let outcome = serde_json::to_value(partition.result(id).await.outcome).unwrap();
        assert!(is_part(&told, &outcome), "{how}: {outcome}");
    }
    let mut lasting = task("leak", json!({"how": "details", "t": token()}));
    (lasting.heartbeat_ms, lasting.timeout_ms) = (300, 5_000);
    partition.send(&lasting).await;
    assert_eq!(partition.sign().await.details, json!({"t": "***"}));
    assert_hidden(&partition);
}

fn is_part(part: &Json, whole: &Json) -> bool {
    match (part, whole) {
        (Json::Object(part), Json::Object(whole)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|whole| is_part(value, whole)))
        }
        _ => part == whole,
    }
}

#[tokio::test]
async fn a_request_carries_the_value_and_what_comes_back_is_masked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        // Each request is told, and answered with what it was: with 200, then with 500.
        for status in [200, 500] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            // The secret falls on the cut of what is shown of a refusal.
            let body = format!("{}{request}", "x".repeat(4 * 1024 - 14));
            let head =
                format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            tell.send(request).unwrap();
        }
    });
    let mut partition = Partition::with(&["http.request"]).await;
    let http = Http::new(vec!["127.0.0.1:*".parse().unwrap()]).unwrap();
    let worker = partition.worker().handler("http.request", "http.request", Arc::new(http));
    let worker = worker.secrets(Secrets::of([("key", "k-w0rd-1")]));
    let _worker = worker.build().unwrap().start().await.unwrap();
    let input = json!({
        "url": {"$secret": {"text": [format!("http://127.0.0.1:{port}/?k="), {"name": "key"}]}},
        "headers": {"authorization": {"$secret": {"text": ["Bearer ", {"name": "key"}]}}},
    });
    let id = partition.send(&task("http.request", input.clone())).await;
    let body = partition.output(id).await["body"].clone();
    assert!(body.as_str().unwrap().contains("/?k=***"), "{body}");
    let request = heard.recv().await.unwrap();
    assert!(
        request.contains("/?k=k-w0rd-1 ") && request.contains("authorization: Bearer k-w0rd-1"),
        "{request}"
    );
    let id = partition.send(&task("http.request", input.clone())).await;
    assert_eq!(partition.failure(id).await.code, "HTTP_500");
    // The server is gone: the error names the address.
    let id = partition.send(&task("http.request", input)).await;
    let error = partition.failure(id).await;
    assert!(error.code == "HTTP_CONNECT" && error.message.contains("/?k=***"), "{error:?}");
    assert_hidden(&partition);
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_tells_of_failures_without_the_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::TRACE);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    // A line of secrets, longer than what is traced at once.
    let noise = r#"sed 's/^"//; s/"$//' > got; i=0; while [ $i -lt 300 ]; do tr -d '\n' < got; i=$((i+1)); done >&2; echo >&2; exit 1"#;
    let mut bench = Bench::with(noise).await;
    assert!(matches!(bench.outcome(token()).await, Outcome::Failed { .. }));

    async fn panics(input: String, _: TaskContext) -> Result<(), TaskError> {
        panic!("bad token {input}")
    }
    let mut partition = Partition::with(&["panics"]).await;
    let worker = partition.worker().task("panics", panics).secrets(Secrets::of([("token", VALUE)]));
    let _worker = worker.build().unwrap().start().await.unwrap();
    let id = partition.send(&task("panics", token())).await;
    assert_eq!(partition.failure(id).await.code, "PANIC");

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for told in ["stderr=", "the attempt failed", "code=\"EXIT_1\"", "panicked at", "bad token ***"] {
        assert!(log.contains(told), "{told}: {log}");
    }
    for hidden in ["w0rd", "/%", "p\u{e4}"] {
        assert!(!log.contains(hidden), "{hidden}: {log}");
    }
}

#[tokio::test]
async fn data_beside_the_input_is_no_reference() {
    let mut bench = Bench::with("printf '%s' \"$OARLOCK_STATE\"").await;
    let mut message = task("job", Json::Null);
    message.state = Some(token());
    let id = bench.partition.send(&message).await;
    assert_eq!(bench.partition.output(id).await, token());
}
