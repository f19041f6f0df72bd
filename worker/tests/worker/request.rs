//! The task `http.request`, against a small server on this machine.

use std::sync::Arc;

use oarlock_protocol::{ErrorDetails, Json};
use oarlock_worker::{Http, Running};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Partition, task};

/// A worker that may call one server, and that server's port.
struct Bench {
    partition: Partition,
    _worker: Running,
    port: u16,
}

impl Bench {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, port));
            }
        });
        let partition = Partition::with(&["http.request"]).await;
        let http = Http::new(vec![format!("127.0.0.1:{port}").parse().unwrap()]).unwrap();
        let worker = partition.worker().handler("http.request", "http.request", Arc::new(http));
        let worker = worker.max_payload_bytes(100_000).build().unwrap().start().await.unwrap();
        Self { partition, _worker: worker, port }
    }

    async fn call(&mut self, path: &str, more: Json) -> Json {
        let id = self.partition.send(&task("http.request", self.input(path, more))).await;
        self.partition.output(id).await
    }

    async fn fail(&mut self, path: &str, more: Json) -> ErrorDetails {
        let id = self.partition.send(&task("http.request", self.input(path, more))).await;
        self.partition.failure(id).await
    }

    fn input(&self, path: &str, more: Json) -> Json {
        let mut input = json!({"url": format!("http://127.0.0.1:{}{path}", self.port)});
        let Value::Object(more) = more else { return input };
        input.as_object_mut().unwrap().extend(more);
        input
    }
}

/// Answers one request after the other: `/status/<n>`, `/text`, `/large`, `/silent`, `/away`, `/round`, else an echo.
async fn serve(stream: TcpStream, port: u16) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let (status, headers, answer) = match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..]
        {
            ["status", status] => (status.to_owned(), String::new(), "why not".to_owned()),
            ["text"] => {
                ("200".into(), "Content-Type: text/plain\r\nX-Two: a\r\nX-Two: b\r\n".into(), "plain".into())
            }
            ["large"] => ("200".into(), "Content-Type: text/plain\r\n".into(), "x".repeat(200_000)),
            ["broken"] => ("200".into(), "Content-Type: application/json\r\n".into(), "{".into()),
            ["silent"] => std::future::pending().await,
            ["away"] => ("302".into(), format!("Location: http://localhost:{port}/\r\n"), String::new()),
            ["round"] => ("302".into(), "Location: /round\r\n".into(), String::new()),
            ["there"] => ("302".into(), "Location: /text\r\n".into(), String::new()),
            _ => {
                let told = json!({
                    "method": method, "type": header(&head, "content-type"), "key": header(&head, "idempotency-key"),
                    "mark": header(&head, "x-mark"), "body": String::from_utf8(body).unwrap(),
                });
                ("200".into(), "Content-Type: application/json; charset=utf-8\r\n".into(), told.to_string())
            }
        };
        let answer =
            format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{answer}", answer.len());
        // A client that has read enough may be gone.
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[tokio::test]
async fn a_request_goes_out_as_told_and_its_answer_comes_back() {
    let mut bench = Bench::new().await;
    let message = task(
        "http.request",
        bench.input("/", json!({"method": "post", "headers": {"X-Mark": "7"}, "body": {"a": 1}})),
    );
    let id = bench.partition.send(&message).await;
    let output = bench.partition.output(id).await;
    assert_eq!(
        (&output["status"], &output["headers"]["content-type"]),
        (&json!(200), &json!("application/json; charset=utf-8"))
    );
    let told = &output["body"];
    assert_eq!(told["key"], json!(message.idempotency_key));
    assert_eq!(
        (&told["method"], &told["type"], &told["mark"]),
        (&json!("POST"), &json!("application/json"), &json!("7"))
    );
    assert_eq!(told["body"], "{\"a\":1}");
    let told = bench.call("/", json!({"method": "PUT", "text": "as it is"})).await["body"].clone();
    assert_eq!((&told["method"], &told["body"]), (&json!("PUT"), &json!("as it is")));
    let text = bench.call("/text", Json::Null).await;
    assert_eq!((&text["body"], &text["headers"]["x-two"]), (&json!("plain"), &json!("a, b")));
}

#[tokio::test]
async fn a_status_that_is_not_expected_is_a_failure() {
    let mut bench = Bench::new().await;
    for (status, retryable) in
        [(404, false), (400, false), (408, true), (429, true), (500, true), (503, true)]
    {
        let error = bench.fail(&format!("/status/{status}"), Json::Null).await;
        assert_eq!((error.code, error.retryable), (format!("HTTP_{status}"), retryable));
        assert_eq!(error.details, json!({"status": status, "body": "why not"}));
    }
    assert_eq!(bench.call("/status/404", json!({"expect": [200, 404]})).await["status"], 404);
    assert_eq!(bench.fail("/text", json!({"expect": [404]})).await.code, "HTTP_200");
}

#[tokio::test]
async fn only_allowed_hosts_are_called_also_by_a_redirect() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.call("/there", Json::Null).await["body"], "plain");
    let url = format!("http://localhost:{}/", bench.port);
    for (path, more) in
        [("/", json!({"url": url})), ("/away", Json::Null), ("/", json!({"url": "http://127.0.0.1/"}))]
    {
        let error = bench.fail(path, more).await;
        assert_eq!((error.code.as_str(), error.retryable), ("HTTP_HOST_NOT_ALLOWED", false), "{error:?}");
        assert!(error.message.contains("worker.toml"), "{error:?}");
    }
    let error = bench.fail("/round", Json::Null).await;
    assert!(error.code == "HTTP_BROKEN" && error.message.contains("redirects"), "{error:?}");
}

#[tokio::test]
async fn answers_are_bounded_and_what_breaks_is_told() {
    let mut bench = Bench::new().await;
    assert_eq!(bench.fail("/large", Json::Null).await.code, "PAYLOAD_TOO_LARGE");
    let error = bench.fail("/text", json!({"maxBytes": 4})).await;
    assert!(error.code == "PAYLOAD_TOO_LARGE" && error.message.contains(" 4 bytes"), "{error:?}");
    assert_eq!(bench.call("/text", json!({"maxBytes": 5})).await["body"], "plain");
    assert_eq!(bench.fail("/broken", Json::Null).await.code, "INVALID_OUTPUT");
    let error = bench.fail("/silent", json!({"timeoutMs": 50})).await;
    assert_eq!((error.code.as_str(), error.retryable), ("HTTP_TIMEOUT", true), "{error:?}");
}

#[tokio::test]
async fn a_host_that_is_down_may_be_tried_again() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut partition = Partition::with(&["http.request"]).await;
    let http = Http::new(vec!["127.0.0.1:*".parse().unwrap()]).unwrap();
    let worker = partition.worker().handler("http.request", "http.request", Arc::new(http));
    let _worker = worker.build().unwrap().start().await.unwrap();
    let id = partition.send(&task("http.request", json!({"url": format!("http://127.0.0.1:{port}/")}))).await;
    let error = partition.failure(id).await;
    assert_eq!((error.code.as_str(), error.retryable), ("HTTP_CONNECT", true), "{error:?}");
}

#[tokio::test]
async fn a_request_ends_with_its_attempt() {
    let mut bench = Bench::new().await;
    let mut message = task("http.request", bench.input("/silent", Json::Null));
    message.timeout_ms = 50;
    let id = bench.partition.send(&message).await;
    assert_eq!(bench.partition.failure(id).await.code, "TIMEOUT_EXECUTION");
}
