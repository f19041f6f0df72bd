//! An OpenTelemetry collector's receiver (OTLP over HTTP) in the process of a test: keeps the spans that it takes.
//!
//! Called by the tests of every crate that sends spans. It reads with OpenTelemetry's own types, which know nothing of how the
//! spans were written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use it; what fails names its line"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// No span takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A receiver at work. Dropping it ends it.
pub struct Collector {
    address: String,
    taken: Arc<Taken>,
    server: JoinHandle<()>,
}

struct Taken {
    status: AtomicU16,
    requests: Mutex<Vec<HeaderMap>>,
    spans: Mutex<Vec<Span>>,
}

/// A span as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of OTLP's Span, ids in hex")]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: Option<String>,
    pub service: String,
    pub scope: String,
    pub name: String,
    pub kind: i32,
    pub start_ns: u64,
    pub end_ns: u64,
    pub attributes: BTreeMap<String, String>,
    pub events: Vec<(String, u64)>,
    pub error: Option<String>,
}

impl Span {
    /// The text of an attribute; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    /// Begins to receive, at an address of its own.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Taken {
            status: AtomicU16::new(200),
            requests: Mutex::default(),
            spans: Mutex::default(),
        });
        let router = Router::new().route("/v1/traces", post(receive)).with_state(taken.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, taken, server }
    }

    /// Where it receives.
    pub fn endpoint(&self) -> &str {
        &self.address
    }

    /// Answers with this status from now on; it takes spans only with 200.
    pub fn answer(&self, status: u16) {
        self.taken.status.store(status, Ordering::SeqCst);
    }

    /// The headers of every request that came, whatever it was answered.
    pub fn requests(&self) -> Vec<HeaderMap> {
        self.taken.requests.lock().unwrap().clone()
    }

    /// The spans that were taken, in the order in which they came.
    pub fn spans(&self) -> Vec<Span> {
        self.taken.spans.lock().unwrap().clone()
    }

    /// Waits until the spans are as `enough` wants them, and fails where they never are.
    pub async fn spans_when(&self, what: &str, enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let begun = std::time::Instant::now();
        loop {
            let spans = self.spans();
            if enough(&spans) {
                return spans;
            }
            assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}: {spans:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn receive(State(taken): State<Arc<Taken>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    taken.requests.lock().unwrap().push(headers);
    let status = StatusCode::from_u16(taken.status.load(Ordering::SeqCst)).unwrap();
    if status.is_success() {
        let request = ExportTraceServiceRequest::decode(body).expect("an ExportTraceServiceRequest");
        taken.spans.lock().unwrap().extend(spans_of(request));
    }
    status
}

fn spans_of(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = attributes(&of_resource.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").cloned().unwrap_or_default();
        for of_scope in of_resource.scope_spans {
            let scope = of_scope.scope.unwrap_or_default().name;
            spans.extend(of_scope.spans.into_iter().map(|sent| span(sent, &service, &scope)));
        }
    }
    spans
}

fn span(sent: Sent, service: &str, scope: &str) -> Span {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!((sent.trace_id.len(), sent.span_id.len()), (16, 8), "{sent:?}");
    Span {
        trace: hex(&sent.trace_id),
        id: hex(&sent.span_id),
        parent: Some(hex(&sent.parent_span_id)).filter(|id| !id.is_empty()),
        service: service.to_owned(),
        scope: scope.to_owned(),
        name: sent.name,
        kind: sent.kind,
        start_ns: sent.start_time_unix_nano,
        end_ns: sent.end_time_unix_nano,
        attributes: attributes(&sent.attributes),
        events: sent.events.into_iter().map(|event| (event.name, event.time_unix_nano)).collect(),
        error: sent.status.filter(|status| status.code == 2).map(|status| status.message),
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("no text and no number: {other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}
