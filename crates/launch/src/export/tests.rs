//! One process has one tracer, so all of it is tried in one test, in order, against a collector of the test's own.

use std::net::SocketAddr;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::post;
use claw_runtime::SystemClock;
use claw_telemetry::metrics;
use claw_telemetry::trace::{Context, Kind, Span};
use claw_testkit::eventually;
use tokio::net::TcpListener;

use super::*;

/// What a collector answers, one after the other, and what it was given.
#[derive(Default)]
struct Collector {
    answers: Mutex<Vec<(u16, &'static str)>>,
    requests: Mutex<Vec<(HeaderMap, Vec<u8>)>>,
}

async fn take(State(collector): State<Arc<Collector>>, request: Request) -> axum::http::Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    collector.requests.lock().unwrap().push((parts.headers, body.to_vec()));
    let mut answers = collector.answers.lock().unwrap();
    let (status, after) = if answers.is_empty() { (200, "") } else { answers.remove(0) };
    axum::http::Response::builder().status(status).header(RETRY_AFTER, after).body(Body::empty()).unwrap()
}

async fn collector() -> (Arc<Collector>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, collector) = (listener.local_addr().unwrap(), Arc::<Collector>::default());
    let app = Router::new().route("/base/v1/traces", post(take)).with_state(Arc::clone(&collector));
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (collector, address)
}

fn settings(address: SocketAddr) -> TraceSettings {
    TraceSettings {
        otlp_endpoint: Some(format!("http://{address}/base/").parse().unwrap()),
        trace_share: 1.0,
        otlp_headers: Some("x-team=claw".into()),
        otel_service_name: None,
        otel_resource_attributes: Some(
            claw_config::values::pairs("region=here,service.version=mine").unwrap(),
        ),
    }
}

fn counted(series: &str) -> u64 {
    let text = metrics::scrape();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
    line.map_or(0, |value| value.parse().unwrap())
}

/// Records so many spans.
fn record(count: usize) {
    for _ in 0..count {
        drop(Span::child_of(Context::of_message(1), "span", Kind::Internal));
    }
}

#[tokio::test]
async fn spans_reach_the_collector_or_are_counted() {
    claw_testkit::install_tls();
    metrics::begin();
    let (collector, address) = collector().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    trace(Role::Worker, "w-1", &settings(address), &clock).unwrap();
    trace(Role::Gateway, "g-1", &settings(address), &clock).unwrap();

    let (taken, lost) = ("claw_spans_exported_total", "claw_spans_dropped_total{reason=\"not_taken\"}");
    let limit = Duration::from_secs(20);
    record(3);
    eventually("three spans taken", limit, async || (counted(taken) == 3).then_some(())).await;
    let (headers, body) = collector.requests.lock().unwrap().pop().unwrap();
    assert_eq!(
        (&headers["x-team"], &headers[CONTENT_TYPE]),
        (&"claw".parse().unwrap(), &"application/x-protobuf".parse().unwrap())
    );
    for said in ["ii-claw-worker", "w-1", "region", "mine"] {
        assert!(body.windows(said.len()).any(|part| part == said.as_bytes()), "{said}");
    }

    // It asks for a pause, then takes them; what it refuses is lost, and not tried again.
    collector.answers.lock().unwrap().extend([(503, "0"), (429, "0")]);
    record(2);
    eventually("two more taken", limit, async || (counted(taken) == 5).then_some(())).await;
    collector.answers.lock().unwrap().push((400, ""));
    record(4);
    eventually("four lost", limit, async || (counted(lost) == 4).then_some(())).await;
    assert_eq!(collector.requests.lock().unwrap().len(), 4, "three for the two, one for the four");

    // The last ones go when all else has ended.
    record(BATCH + 1);
    finish().await;
    assert_eq!(counted(taken), 5 + 513);
    assert_eq!(counted(lost), 4);
}

#[test]
fn a_header_that_cannot_be_sent_is_named_without_its_value() {
    claw_testkit::install_tls();
    let bad = TraceSettings {
        otlp_headers: Some("bad name=hunter2".into()),
        ..settings(([127, 0, 0, 1], 1).into())
    };
    let refused =
        Exporter::new(&bad.otlp_endpoint.clone().unwrap(), &bad, otlp::Resource::default()).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "OTEL_EXPORTER_OTLP_HEADERS: a header \"bad name\" with this value can't be sent"
    );
}
