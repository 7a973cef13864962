use claw_types::UserId;
use futures::FutureExt as _;
use tokio::task::unconstrained;

use super::*;

#[tokio::test]
async fn one_tenants_streams_leave_three_quarters_of_the_places() {
    let streams = Streams::new(8, Duration::from_secs(1));
    let (ada, bob): (UserId, UserId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
    let take = |user: &UserId| unconstrained(streams.turns.take(Some(user), Cause::Now)).now_or_never();
    let hers: Vec<_> = std::iter::from_fn(|| take(&ada)).collect();
    assert_eq!(hers.len(), 2);
    assert!(take(&bob).is_some());
}

#[test]
fn a_stream_is_known_by_its_type() {
    let table = [
        (Some("text/event-stream"), true),
        (Some("Text/Event-Stream; charset=utf-8"), true),
        (Some("application/json"), false),
        (Some("text/event-streams"), false),
        (None, false),
    ];
    for (content_type, expected) in table {
        let mut response = http::Response::builder();
        if let Some(content_type) = content_type {
            response = response.header(CONTENT_TYPE, content_type);
        }
        assert_eq!(is_one(&response.body("").unwrap().into()), expected, "{content_type:?}");
    }
}
