//! Work that is not done yet: looked at again later with a state, or completed by somebody else.

use std::sync::Arc;
use std::time::Duration;

use oarlock_protocol::Json;
use oarlock_protocol::message::Outcome;
use oarlock_worker::{Answer, Exec, Http, TaskContext, TaskError};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Partition, task};

#[derive(serde::Deserialize)]
struct Job {
    how: String,
}

/// Begins a job at the first look, and finds it done at the second.
async fn look(job: Job, context: TaskContext) -> Result<Answer<u64>, TaskError> {
    match (job.how.as_str(), context.state()) {
        ("accepted", _) => Ok(Answer::Accepted),
        ("large", _) => Ok(Answer::again(Duration::from_secs(1), "x".repeat(20_000))),
        (_, None) => Ok(Answer::again(Duration::from_secs(90), json!({"job": 7}))),
        (_, Some(state)) => Ok(Answer::Completed(state["job"].as_u64().unwrap_or_default())),
    }
}

#[tokio::test]
async fn a_handler_looks_again_with_the_state_it_left() {
    let mut partition = Partition::with(&["look"]).await;
    let _worker = partition.worker().task("look", look).build().unwrap().start().await.unwrap();
    let id = partition.send(&task("look", json!({"how": "again"}))).await;
    let deferred = partition.result(id).await.outcome;
    assert_eq!(deferred, Outcome::Deferred { after_ms: 90_000, state: json!({"job": 7}) });
    let mut second = task("look", json!({"how": "again"}));
    second.state = Some(json!({"job": 7}));
    let id = partition.send(&second).await;
    assert_eq!(partition.output(id).await, json!(7));
    let id = partition.send(&task("look", json!({"how": "accepted"}))).await;
    assert_eq!(partition.result(id).await.outcome, Outcome::Accepted);
    let id = partition.send(&task("look", json!({"how": "large"}))).await;
    let error = partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.retryable), ("INVALID_OUTPUT", false));
    assert!(error.message.contains("`state`"), "{error:?}");
}

async fn command(command: &str, state: Option<Json>) -> Outcome {
    let mut partition = Partition::with(&["job"]).await;
    let exec = Arc::new(Exec::new(command, std::env::temp_dir()));
    let worker = partition.worker().handler("job", "job", exec).build().unwrap();
    let _worker = worker.start().await.unwrap();
    let mut message = task("job", Json::Null);
    message.state = state;
    let id = partition.send(&message).await;
    partition.result(id).await.outcome
}

#[tokio::test]
async fn a_command_defers_accepts_and_gets_its_state() {
    let deferred = command(r#"echo '{"after": "1m 30s", "state": {"n": 1}}'; exit 75"#, None).await;
    assert_eq!(deferred, Outcome::Deferred { after_ms: 90_000, state: json!({"n": 1}) });
    assert_eq!(command(r#"echo '{"accepted": true}'; exit 76"#, None).await, Outcome::Accepted);
    let told = r#"printf '{"state": %s, "is": "%s"}' "${OARLOCK_STATE:-0}" "${OARLOCK_STATE+set}""#;
    let output = |state: Json, is: &str| Outcome::Completed { output: json!({"state": state, "is": is}) };
    assert_eq!(command(told, None).await, output(json!(0), ""));
    assert_eq!(command(told, Some(json!({"n": "ä"}))).await, output(json!({"n": "ä"}), "set"));
}

#[tokio::test]
async fn a_command_that_answers_in_a_wrong_form_is_told_the_field() {
    for (line, code, said) in [
        (r#"echo '{"after": 10}'; exit 75"#, "INVALID_OUTPUT", "`after`"),
        (r#"echo '{"after": "soon"}'; exit 75"#, "INVALID_OUTPUT", "`after`"),
        (r#"echo '{"state": 1}'; exit 75"#, "INVALID_OUTPUT", "`after`"),
        (r#"echo '{"after": "1s", "stat": 1}'; exit 75"#, "INVALID_OUTPUT", "`stat`"),
        (r#"printf '{"after": "1s", "state": "%020000d"}' 0; exit 75"#, "INVALID_OUTPUT", "`state`"),
        ("echo later; exit 75", "INVALID_OUTPUT", "no JSON"),
        (r#"echo '{"accepted": "yes"}'; exit 76"#, "INVALID_OUTPUT", "`accepted`"),
        ("echo '[]'; exit 76", "INVALID_OUTPUT", "no object"),
        // As commands mean it that know nothing of this.
        ("echo 'try again' >&2; exit 75", "EXIT_75", "try again"),
        ("exit 76", "EXIT_76", "76"),
    ] {
        match command(line, None).await {
            Outcome::Failed { error } => {
                assert_eq!(error.code, code, "{line}: {error:?}");
                assert!(error.message.contains(said), "{line}: {error:?}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }
}

/// What `http.request` comes to where the server answers so; and what it was asked.
async fn request(answer: &str, state: Option<Json>) -> (Outcome, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (head, body) = answer.split_once('|').unwrap();
    let answer = format!("HTTP/1.1 {head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let mut partition = Partition::with(&["http.request"]).await;
    let http = Arc::new(Http::new(vec!["127.0.0.1:*".parse().unwrap()]).unwrap());
    let worker = partition.worker().handler("http.request", "http.request", http).build().unwrap();
    let _worker = worker.start().await.unwrap();
    let mut message = task("http.request", json!({"url": url}));
    message.state = state;
    let id = partition.send(&message).await;
    (partition.result(id).await.outcome, serving.await.unwrap())
}

#[tokio::test]
async fn a_server_defers_accepts_and_gets_its_state() {
    let deferred = "202 A\r\nOarlock-Outcome: DEFERRED\r\n|{\"after\": \"10s\", \"state\": {\"n\": \"ä\"}}";
    let (outcome, asked) = request(deferred, None).await;
    assert_eq!(outcome, Outcome::Deferred { after_ms: 10_000, state: json!({"n": "ä"}) });
    assert!(!asked.contains("oarlock-state"), "{asked}");
    let (outcome, asked) = request("202 A\r\nOarlock-Outcome: ACCEPTED\r\n|", Some(json!({"n": "ä"}))).await;
    assert_eq!(outcome, Outcome::Accepted);
    assert!(asked.contains("oarlock-state: {\"n\":\"\\u00e4\"}\r\n"), "{asked}");
}

#[tokio::test]
async fn any_other_202_is_an_output_and_a_wrong_form_is_told() {
    let (outcome, _) = request("202 A\r\nContent-Type: text/plain\r\n|queued", None).await;
    assert!(matches!(outcome, Outcome::Completed { output } if output["body"] == "queued"));
    for answer in ["200 A\r\nOarlock-Outcome: ACCEPTED\r\n|", "201 A\r\nOarlock-Outcome: DEFERRED\r\n|"] {
        assert!(matches!(request(answer, None).await.0, Outcome::Completed { .. }), "{answer}");
    }
    for (answer, said) in [
        ("202 A\r\nOarlock-Outcome: DEFERRED\r\n|", "no JSON"),
        ("202 A\r\nOarlock-Outcome: DEFERRED\r\n|{\"after\": 1}", "`after`"),
        ("202 A\r\nOarlock-Outcome: LATER\r\n|", "`Oarlock-Outcome`"),
    ] {
        let (outcome, _) = request(answer, None).await;
        let Outcome::Failed { error } = outcome else { panic!("{answer}: {outcome:?}") };
        assert_eq!(error.code, "INVALID_OUTPUT");
        assert!(error.message.contains(said), "{answer}: {error:?}");
    }
}
