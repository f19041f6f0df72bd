//! The exporter against a receiver that takes, refuses, or is not there.

#![allow(clippy::unwrap_used, reason = "a test that fails names its line")]

use std::time::{Duration, Instant};

use oarlock_protocol::{RunId, SpanId, TraceId};
use oarlock_telemetry::{Kind, Settings, Span, Telemetry};
use oarlock_test_collector::Collector;

/// Sends what is left: long enough for a machine that does much else.
const LAST: Duration = Duration::from_secs(10);

fn span(name: &str) -> Span {
    Span {
        trace: TraceId::of_run(RunId::random()),
        id: SpanId::fresh(),
        parent: None,
        scope: "test",
        name: name.to_owned(),
        kind: Kind::Internal,
        start_ns: 1,
        end_ns: 2,
        attributes: Vec::new(),
        events: Vec::new(),
        failure: None,
    }
}

#[tokio::test]
async fn spans_go_out_within_seconds_in_batches_with_the_headers() {
    let collector = Collector::start().await;
    let headers = vec![("authorization".to_owned(), "Bearer secret".to_owned())];
    let telemetry =
        Telemetry::start(&Settings { headers, ..Settings::new(collector.endpoint(), "oarlock") }).unwrap();
    for number in 0..1_500 {
        telemetry.export(span(&number.to_string()));
    }
    // Nobody asks for it: time alone sends them.
    let spans = collector.spans_when("1,500 spans", |spans| spans.len() == 1_500).await;
    let names: Vec<String> = (0..1_500).map(|number: u32| number.to_string()).collect();
    assert_eq!(spans.iter().map(|span| span.name.clone()).collect::<Vec<_>>(), names);
    assert_eq!(spans[0].service, "oarlock");
    let requests = collector.requests();
    assert!(requests.len() <= 5, "{} requests", requests.len());
    assert!(requests.iter().all(|headers| headers["authorization"] == "Bearer secret"));
    // The last answer may still be on its way.
    telemetry.end(LAST).await;
    assert_eq!((telemetry.sent(), telemetry.dropped()), (1_500, 0));
}

#[tokio::test]
async fn what_is_left_at_the_end_is_sent_at_once() {
    let collector = Collector::start().await;
    let telemetry = Telemetry::start(&Settings::new(collector.endpoint(), "oarlock")).unwrap();
    let begun = Instant::now();
    (0..600).for_each(|number: u32| telemetry.export(span(&number.to_string())));
    telemetry.end(LAST).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "it waited for more: {:?}", begun.elapsed());
    assert_eq!(collector.spans().len(), 600);
    telemetry.export(span("late"));
    assert_eq!(telemetry.dropped(), 1);
}

#[tokio::test]
async fn a_collector_that_is_away_takes_the_spans_when_it_is_back() {
    let collector = Collector::start().await;
    collector.answer(503);
    let telemetry = Telemetry::start(&Settings::new(collector.endpoint(), "oarlock")).unwrap();
    telemetry.export(span("kept"));
    while collector.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    collector.answer(200);
    let spans = collector.spans_when("the span of before", |spans| !spans.is_empty()).await;
    assert_eq!((spans[0].name.as_str(), telemetry.dropped()), ("kept", 0));
}

#[tokio::test]
async fn what_a_collector_refuses_for_good_is_dropped_and_counted() {
    let collector = Collector::start().await;
    collector.answer(400);
    let telemetry = Telemetry::start(&Settings::new(collector.endpoint(), "oarlock")).unwrap();
    (0..3).for_each(|_| telemetry.export(span("refused")));
    // At once, though nothing ends here: the same would be answered alike again.
    let dropped = async {
        while telemetry.dropped() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LAST, dropped).await.unwrap();
    telemetry.end(LAST).await;
    assert_eq!((telemetry.sent(), telemetry.dropped(), collector.requests().len()), (0, 3, 1));
}

#[tokio::test]
async fn a_full_queue_drops_what_comes_and_nobody_waits() {
    // Nobody listens there: the port is free again.
    let endpoint = Collector::start().await.endpoint().to_owned();
    let telemetry = Telemetry::start(&Settings { queue: 10, ..Settings::new(&endpoint, "oarlock") }).unwrap();
    let begun = Instant::now();
    // The exporter has no turn in between, so that ten wait and no more.
    (0..1_000).for_each(|_| telemetry.export(span("lost")));
    assert_eq!(telemetry.dropped(), 990);
    assert!(begun.elapsed() < Duration::from_secs(1));
    telemetry.end(LAST).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "the end waited: {:?}", begun.elapsed());
    assert_eq!((telemetry.sent(), telemetry.dropped()), (0, 1_000));
}

#[tokio::test]
async fn what_is_off_takes_nothing_and_samples_nothing() {
    let telemetry = Telemetry::default();
    telemetry.export(span("nothing"));
    telemetry.end(LAST).await;
    assert!(!telemetry.is_on() && !telemetry.samples(TraceId::of_run(RunId::random())));
    assert_eq!((telemetry.sent(), telemetry.dropped()), (0, 0));
}
