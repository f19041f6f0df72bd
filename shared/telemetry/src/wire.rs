//! Spans as a collector takes them: the protobuf of an `ExportTraceServiceRequest`, written by hand. Pure.
//!
//! Six messages are needed of all that OTLP has, and their numbers never change: it is stable. The libraries that know the rest
//! bring thirty crates. The tests read what is written here with OpenTelemetry's own types.

use std::collections::BTreeMap;

use crate::span::{Kind, Span, Value};

/// The kinds of fields on the wire.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;
/// The flags of a span: its trace is recorded (`W3C sampled`).
const SAMPLED: u32 = 1;

/// The request that tells a collector of `spans`, done by the program that `resource` describes.
pub(crate) fn encode(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let mut by_scope: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        by_scope.entry(span.scope).or_default().push(span);
    }
    let mut resource_spans = Message::default();
    let mut described = Message::default();
    for (name, value) in resource {
        described.put(1, &text_attribute(name, value));
    }
    resource_spans.put(1, &described);
    for (scope, spans) in by_scope {
        let mut scope_spans = Message::default();
        let mut named = Message::default();
        named.text(1, scope);
        named.text(2, env!("CARGO_PKG_VERSION"));
        scope_spans.put(1, &named);
        spans.into_iter().for_each(|span| scope_spans.put(2, &one(span)));
        resource_spans.put(2, &scope_spans);
    }
    let mut request = Message::default();
    request.put(1, &resource_spans);
    request.0
}

fn one(span: &Span) -> Message {
    let mut message = Message::default();
    message.bytes(1, &span.trace.to_bytes());
    message.bytes(2, &span.id.to_bytes());
    if let Some(parent) = span.parent {
        message.bytes(4, &parent.to_bytes());
    }
    message.text(5, &span.name);
    message.number(6, number_of(span.kind));
    message.fixed64(7, span.start_ns);
    // A span that ended before it began would be refused; clocks of two machines may say so.
    message.fixed64(8, span.end_ns.max(span.start_ns));
    for (name, value) in &span.attributes {
        message.put(9, &attribute(name, value));
    }
    for event in &span.events {
        let mut noted = Message::default();
        noted.fixed64(1, event.at_ns);
        noted.text(2, event.name);
        message.put(11, &noted);
    }
    if let Some(failure) = &span.failure {
        let mut status = Message::default();
        status.text(2, failure);
        status.number(3, ERROR);
        message.put(15, &status);
    }
    message.fixed32(16, SAMPLED);
    message
}

fn number_of(kind: Kind) -> u64 {
    match kind {
        Kind::Internal => 1,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    }
}

fn attribute(name: &str, value: &Value) -> Message {
    match value {
        Value::Text(text) => text_attribute(name, text),
        Value::Number(number) => {
            let mut held = Message::default();
            // Negative ones are written as they lie in 64 bits.
            held.number(3, u64::from_ne_bytes(number.to_ne_bytes()));
            pair(name, &held)
        }
    }
}

fn text_attribute(name: &str, text: &str) -> Message {
    let mut held = Message::default();
    held.text(1, text);
    pair(name, &held)
}

fn pair(name: &str, value: &Message) -> Message {
    let mut pair = Message::default();
    pair.text(1, name);
    pair.put(2, value);
    pair
}

/// A protobuf message as it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.key(field, VARINT);
        self.varint(number);
    }

    fn fixed64(&mut self, field: u64, number: u64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u64, number: u32) {
        self.key(field, FIXED32);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn put(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }
}

#[cfg(test)]
mod tests {
    use oarlock_protocol::trace::TraceParent;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
    use prost::Message as _;

    use super::*;
    use crate::span::Event;

    fn span(id: &str) -> Span {
        let parent: TraceParent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{id}-01").parse().unwrap();
        Span {
            trace: parent.trace,
            id: parent.span,
            parent: None,
            scope: "oarlock.worker",
            name: "execute pay ä".to_owned(),
            kind: Kind::Consumer,
            start_ns: 1_795_740_482_464_000_001,
            end_ns: u64::MAX,
            attributes: Vec::new(),
            events: Vec::new(),
            failure: None,
        }
    }

    fn read(pairs: &[KeyValue]) -> Vec<(String, any_value::Value)> {
        let value = |pair: &KeyValue| pair.value.clone().unwrap().value.unwrap();
        pairs.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
    }

    #[test]
    fn what_is_written_is_what_the_types_of_opentelemetry_read() {
        let mut full = span("00f067aa0ba902b7");
        full.parent = Some(span("00000000000000ff").id);
        full.set("a.text", "x".repeat(300));
        full.set("a.number", u64::MAX);
        full.attributes.push(("negative", Value::Number(-3)));
        full.events.push(Event { at_ns: 7, name: "started" });
        full.fail("BUSY", "try later");
        let other = Span {
            scope: "oarlock.orchestrator",
            kind: Kind::Producer,
            end_ns: 0,
            ..span("0000000000000001")
        };
        let resource = [("service.name".to_owned(), "oarlock".to_owned())];
        let written = encode(
            &resource,
            &[full.clone(), other.clone(), Span { kind: Kind::Internal, ..span("0000000000000002") }],
        );
        let request = ExportTraceServiceRequest::decode(written.as_slice()).unwrap();
        // What has a name that these types do not know would be gone.
        assert_eq!(request.encoded_len(), written.len());
        let [whole] = request.resource_spans.as_slice() else { panic!("{request:?}") };
        let text = |text: &str| any_value::Value::StringValue(text.to_owned());
        let described = read(&whole.resource.as_ref().unwrap().attributes);
        assert_eq!(described, [("service.name".to_owned(), text("oarlock"))]);
        let [theirs, ours] = whole.scope_spans.as_slice() else { panic!("{whole:?}") };
        assert_eq!(theirs.scope.as_ref().unwrap().name, "oarlock.orchestrator");
        assert_eq!((theirs.spans[0].kind, theirs.spans[0].end_time_unix_nano), (4, other.start_ns));
        assert_eq!(theirs.spans[0].status, None);
        let [read_full, internal] = ours.spans.as_slice() else { panic!("{ours:?}") };
        assert_eq!((internal.kind, internal.parent_span_id.as_slice()), (1, [].as_slice()));
        assert_eq!(read_full.trace_id, full.trace.to_bytes());
        assert_eq!(read_full.span_id, full.id.to_bytes());
        assert_eq!(read_full.parent_span_id, [0, 0, 0, 0, 0, 0, 0, 255]);
        assert_eq!((read_full.name.as_str(), read_full.kind, read_full.flags), ("execute pay ä", 5, 1));
        assert_eq!((read_full.start_time_unix_nano, read_full.end_time_unix_nano), (full.start_ns, u64::MAX));
        let attributes = read(&read_full.attributes);
        assert_eq!(attributes[0], ("a.text".to_owned(), text(&"x".repeat(300))));
        assert_eq!(attributes[1], ("a.number".to_owned(), any_value::Value::IntValue(i64::MAX)));
        assert_eq!(attributes[2], ("negative".to_owned(), any_value::Value::IntValue(-3)));
        assert_eq!(attributes[3], ("error.type".to_owned(), text("BUSY")));
        assert_eq!((read_full.events[0].time_unix_nano, read_full.events[0].name.as_str()), (7, "started"));
        let status = read_full.status.as_ref().unwrap();
        assert_eq!((status.code, status.message.as_str()), (2, "BUSY: try later"));
    }

    #[test]
    fn a_text_is_cut_between_two_characters() {
        let mut span = span("0000000000000001");
        span.fail("X", &"ä".repeat(2_000));
        let failure = span.failure.unwrap();
        assert!(failure.len() <= 1024 && failure.ends_with('ä'), "{}", failure.len());
    }
}
