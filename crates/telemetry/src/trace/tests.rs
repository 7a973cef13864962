//! One process has one tracer, so what it does is tried in one test, in order.

use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message as _;

use super::otlp::{Any, ExportTraceServiceRequest, Resource};
use super::*;

/// Of these ids half is recorded: those whose random bits are in the lower half.
const RECORDED: u128 = 0x0192_0000_0000_7000_8000_0000_0000_0001;
const LEFT_OUT: u128 = 0x0192_0000_0000_7000_80ff_0000_0000_0001;

fn half() -> Settings {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Settings {
        share: 0.5,
        clock: Box::new(|| 1_000),
        random: Box::new(|| NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}

fn wire(span: Finished) -> otlp::Span {
    let bytes = otlp::encode(&Resource::default(), vec![span]);
    let mut request = ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap();
    request.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)
}

#[tokio::test]
async fn what_is_recorded_comes_out_once_it_is_over() {
    assert!(!is_on() && mark().is_none() && Context::of_message(RECORDED).is_none());
    assert!(!Span::first(RECORDED, "receive", Kind::Server, mark()).is_recorded(), "nobody wants it");
    let mut spans = begin(half()).unwrap();
    assert!(begin(half()).is_none(), "the first one who begins exports");

    let first = Span::first(RECORDED, "receive", Kind::Server, mark());
    assert_eq!(first.context(), Context::of_message(RECORDED), "whoever knows the message knows it");
    let mut child = Span::child_of(Context::of_message(RECORDED), "deliver", Kind::Consumer);
    child.set("message.id", "the id");
    child.set("attempt", 3_u32);
    child.failed("silent");
    child.link(Context::of_message(LEFT_OUT));
    child.link(Context::of_message(RECORDED + 1));
    within(child.context(), async {
        assert_eq!(current(), child.context());
        drop(Span::child("post", Kind::Client));
    })
    .await;
    assert_eq!(current(), None, "only within");
    let parent = child.context().unwrap();
    drop((child, first));

    let (post, deliver, receive) =
        (spans.try_recv().unwrap(), spans.try_recv().unwrap(), spans.try_recv().unwrap());
    assert!(spans.try_recv().is_err());
    assert_eq!((post.name, post.parent), ("post", Some(parent.span)));
    assert_eq!((receive.name, receive.parent), ("receive", None));
    let deliver = wire(deliver);
    assert_eq!(deliver.trace_id, RECORDED.to_be_bytes());
    assert_eq!(deliver.parent_span_id, wire(receive).span_id);
    assert_eq!((deliver.kind, deliver.flags, deliver.start_time_unix_nano), (5, 1, 1_000));
    assert!(deliver.end_time_unix_nano >= 1_000);
    assert_eq!(deliver.attributes[1].value.as_ref().unwrap().value, Some(Any::Number(3)));
    assert_eq!(deliver.status.unwrap().message, "silent");
    assert_eq!(deliver.links.len(), 1, "what is not recorded can't be looked at");

    nothing_of_what_is_left_out(&mut spans).await;
    a_full_queue_is_nobodys_trouble(&mut spans);
}

async fn nothing_of_what_is_left_out(spans: &mut mpsc::Receiver<Finished>) {
    let context = Context::of_message(LEFT_OUT).unwrap();
    assert!(context.header().ends_with("-00"), "others are told that they need not record it, either");
    let span = Span::child_of(Some(context), "deliver", Kind::Consumer);
    assert!(!span.is_recorded() && span.context().is_none());
    within(Some(context), async { assert_eq!(current(), None) }).await;
    drop((span, Span::first(LEFT_OUT, "receive", Kind::Server, mark())));
    assert!(spans.try_recv().is_err());
}

fn a_full_queue_is_nobodys_trouble(spans: &mut mpsc::Receiver<Finished>) {
    crate::metrics::begin();
    for _ in 0..QUEUE + 3 {
        drop(Span::child_of(Context::of_message(RECORDED), "deliver", Kind::Consumer));
    }
    let text = crate::metrics::scrape();
    assert!(text.contains("claw_spans_dropped_total{reason=\"full\"} 3"), "{text}");
    let mut left = 0;
    while spans.try_recv().is_ok() {
        left += 1;
    }
    assert_eq!(left, QUEUE);
}

#[test]
fn a_share_is_that_part_of_the_ids() {
    assert_eq!((below(0.0), below(1.0), below(7.0), below(-1.0)), (0, 1 << 56, 1 << 56, 0));
    assert_eq!(below(0.25), 1 << 54);
}

#[test]
fn what_a_collector_did_not_take_is_told() {
    let answer = otlp::ExportTraceServiceResponse {
        partial_success: Some(otlp::ExportTracePartialSuccess {
            rejected_spans: 2,
            error_message: "too old".to_owned(),
        }),
    };
    assert_eq!(otlp::rejected(&answer.encode_to_vec()), Some((2, "too old".to_owned())));
    assert_eq!(otlp::rejected(&[]), None, "all of them");
    assert_eq!(otlp::rejected(b"<html>"), None, "no answer of a collector's");
}
