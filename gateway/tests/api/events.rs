//! Streams of events: in order, nothing missing, nothing twice, whichever gateway serves.

use std::time::Duration;

use claw_store::Place;
use claw_testkit::TestDatabase;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::common::{KEY, TestGateway};

/// A block of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
struct Frame {
    id: Option<String>,
    event: Option<String>,
    data: Option<String>,
    comment: Option<String>,
    retry: Option<u64>,
}

/// A client of a stream, as the HTML standard wants it.
struct Listener {
    response: Response,
    buffer: String,
    last_id: String,
}

impl Listener {
    async fn open(request: RequestBuilder) -> Self {
        // The client's own limit would end it as it ends any other call.
        let response = request.timeout(Duration::from_secs(300)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{response:?}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let mut listener = Self { response, buffer: String::new(), last_id: String::new() };
        let hello = listener.frame().await.unwrap();
        assert!(hello.retry.is_some() && hello.id.is_some() && hello.data.is_none(), "{hello:?}");
        listener
    }

    /// The next block; `None` at the end.
    async fn frame(&mut self) -> Option<Frame> {
        while !self.buffer.contains("\n\n") {
            let chunk = tokio::time::timeout(Duration::from_secs(25), self.response.chunk()).await;
            let chunk = chunk.unwrap().unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let end = self.buffer.find("\n\n").unwrap();
        let block: String = self.buffer.drain(..end + 2).collect();
        let mut frame = Frame::default();
        for line in block.lines().filter(|line| !line.is_empty()) {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                "id" => frame.id = Some(value),
                "event" => frame.event = Some(value),
                "data" => frame.data = Some(value),
                "" => frame.comment = Some(value),
                "retry" => frame.retry = Some(value.parse().unwrap()),
                other => panic!("{other}"),
            }
        }
        if let Some(id) = &frame.id {
            self.last_id.clone_from(id);
        }
        Some(frame)
    }

    /// The next event; `None` at the end.
    async fn event(&mut self) -> Option<Value> {
        loop {
            let frame = self.frame().await?;
            if let Some(data) = frame.data {
                let data: Value = serde_json::from_str(&data).unwrap();
                if let Some(id) = frame.id {
                    assert_eq!((&data["id"], &data["type"]), (&json!(id), &json!(frame.event.unwrap())));
                }
                return Some(data);
            }
        }
    }

    async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.event().await.unwrap());
        }
        events
    }
}

fn stream(gateway: &TestGateway, path: &str) -> RequestBuilder {
    gateway.request("GET", path).bearer_auth(KEY)
}

/// A person writes; tells the message's id.
async fn write(gateway: &TestGateway, channel: &Value, text: &str) -> String {
    let body = json!({"message_id": text, "sender": {"id": "p1"}, "text": text}).to_string();
    let answer = gateway.post(channel, body.as_bytes()).await.expect(200);
    answer["id"].as_str().unwrap().to_owned()
}

fn message_ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["message_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_stream_goes_on_at_the_other_gateway_where_it_was() {
    let gateway = TestGateway::start().await;
    let channel = gateway.webhook("ada", "hook").await;
    let path = "/api/users/ada/events?types=message.*";
    let mut first = Listener::open(stream(&gateway, path)).await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.push(write(&gateway, &channel, &format!("words {n}")).await);
    }
    let seen = first.events(5).await;
    assert_eq!(message_ids(&seen), sent, "live, in order");
    assert_eq!(
        (&seen[0]["type"], &seen[0]["user_id"], &seen[0]["channel"]["instance_name_id"]),
        (&json!("message.received"), &json!("ada"), &json!("hook"))
    );
    assert_eq!((&seen[0]["data"]["direction"], &seen[0]["data"]["source"]), (&json!("in"), &json!("person")));
    assert!(!json!(seen).to_string().contains("words"), "never what people wrote");
    let last = first.last_id.clone();
    drop(first);
    for n in 5..8 {
        sent.push(write(&gateway, &channel, &format!("words {n}")).await);
    }
    // Requests alternate, so these are one of each gateway.
    for way in ["header", "query"] {
        let request = match way {
            "header" => stream(&gateway, path).header("last-event-id", &last),
            _ => stream(&gateway, &format!("{path}&last_event_id={last}")),
        };
        let mut again = Listener::open(request).await;
        assert_eq!(message_ids(&again.events(sent.len() - 5).await), sent[5..], "what was missed");
        let live = write(&gateway, &channel, way).await;
        assert_eq!(message_ids(&again.events(1).await), [live.as_str()], "and goes on");
        sent.push(live);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn many_writers_and_late_listeners_and_still_each_event_once_and_in_order() {
    const EVENTS: usize = 300;
    let gateway = TestGateway::start().await;
    let channel = gateway.webhook("ada", "hook").await;
    let path = "/api/events?types=message.received&last_event_id=0-0";
    let written = watch::Sender::new(0);
    let writing = async {
        let writers = (0..6).map(|writer| {
            let (gateway, channel, written) = (&gateway, &channel, &written);
            async move {
                for n in 0..EVENTS / 6 {
                    write(gateway, channel, &format!("{writer}-{n}")).await;
                    written.send_modify(|written| *written += 1);
                }
            }
        });
        futures::future::join_all(writers).await;
    };
    let reading = futures::future::join_all((0..4).map(|listener| {
        let (gateway, mut written) = (&gateway, written.subscribe());
        async move {
            written.wait_for(|written| *written >= listener * EVENTS / 5).await.unwrap();
            let events = Listener::open(stream(gateway, path)).await.events(EVENTS).await;
            let place = |event: &Value| Place::parse(event["id"].as_str().unwrap()).unwrap();
            assert!(events.is_sorted_by(|a, b| place(a) < place(b)), "in order and each once");
            message_ids(&events).join(" ")
        }
    }));
    let ((), seen) = futures::join!(writing, reading);
    assert!(seen.iter().all(|other| *other == seen[0]), "everyone sees the same");
    gateway.stop().await;
}

#[tokio::test]
async fn a_slow_reader_misses_nothing() {
    // More than all the buffers on the way hold, and then more batches than the feed keeps.
    let batches = [4_000].into_iter().chain([10; 45]);
    let gateway = TestGateway::start().await;
    let path = "/api/events?types=channel.changed";
    let mut slow = Listener::open(stream(&gateway, path)).await;
    // At the same gateway: requests alternate.
    gateway.url();
    let mut quick = Listener::open(stream(&gateway, path)).await;
    let (mut conn, mut all, mut seen) = (gateway.database.connect().await, 0, Vec::new());
    for batch in batches {
        let insert = "insert into events (user_id, type, data)
             select 'ada', 'channel.changed', json_build_object('n', n, 'pad', repeat('x', 4000))
             from generate_series(1, $1) n";
        sqlx::query(insert).bind(batch).execute(&mut conn).await.unwrap();
        // The feed has had it, so the next one is another batch.
        all += quick.events(usize::try_from(batch).unwrap()).await.len();
        // Who takes nothing at all is cut off.
        seen.extend(slow.events(2).await);
    }
    // What is read from now on, rather than kept since then, shows it.
    sqlx::query("update events set data = '{\"read\": \"late\"}'").execute(&mut conn).await.unwrap();
    seen.extend(slow.events(all - seen.len()).await);
    let place = |event: &Value| Place::parse(event["id"].as_str().unwrap()).unwrap();
    assert!(seen.is_sorted_by(|a, b| place(a) < place(b)), "in order and each once");
    let late = seen.iter().filter(|event| event["data"]["read"] == "late").count();
    assert!((1..all).contains(&late), "{late} of {all}: some came from the feed, and then it fell behind");
    let last: i64 = sqlx::query_scalar("select max(id) from events").fetch_one(&mut conn).await.unwrap();
    assert_eq!(place(&seen[all - 1]).id, last, "the last one is the last one");
    drop((slow, quick));
    gateway.stop().await;
}

/// A database whose transactions seem to have numbers that are higher by what is in `ahead`. With less of it, it is as
/// after a takeover by a server that lost the last transactions.
async fn ahead() -> TestDatabase {
    let database = TestDatabase::create().await;
    let ahead = "do $$ begin execute format('alter database %I set search_path = public, pg_catalog',
             current_database()); end $$;
         create table ahead (n bigint not null);
         insert into ahead values (1000000);
         create function public.pg_snapshot_xmin(s pg_snapshot) returns xid8 language sql stable as
             'select (pg_catalog.pg_snapshot_xmin(s)::text::bigint + n)::text::xid8 from public.ahead'";
    sqlx::raw_sql(ahead).execute(&mut database.connect().await).await.unwrap();
    database
}

#[tokio::test]
async fn a_stream_goes_on_when_the_database_has_lost_its_last_transactions() {
    let gateway = TestGateway::on(ahead().await, &["--allow-private-urls"]).await;
    let mut listener = Listener::open(stream(&gateway, "/api/events?types=channel.changed")).await;
    let opened = Place::parse(&listener.last_id).unwrap();
    let mut conn = gateway.database.connect().await;
    // Its own transaction's number holds the stream back until it is there: a number from before it, the stream may have
    // passed, when others' transactions run beside.
    let before = "insert into events (xact, type, data)
         select (pg_current_xact_id()::text::bigint + n)::text::xid8, 'channel.changed', '{}' from ahead";
    sqlx::query(before).execute(&mut conn).await.unwrap();
    listener.event().await.unwrap();
    sqlx::raw_sql("update ahead set n = 0").execute(&mut conn).await.unwrap();
    let insert = "insert into events (type, data) values ('channel.changed', '{\"n\": 7}')";
    sqlx::query(insert).execute(&mut conn).await.unwrap();
    let gap = listener.event().await.unwrap();
    assert!(Place::parse(gap["after"].as_str().unwrap()).unwrap() > opened, "{gap}");
    let event = listener.event().await.unwrap();
    assert_eq!(event["data"], json!({"n": 7}));
    assert!(Place::parse(event["id"].as_str().unwrap()).unwrap() < opened);
    drop(listener);
    gateway.stop().await;
}

#[tokio::test]
async fn filters_choose_and_nobody_is_told_of_others() {
    let gateway = TestGateway::start().await;
    let mut all = Listener::open(stream(&gateway, "/api/events?types=message.*,channel.created")).await;
    let mut bobs = Listener::open(stream(&gateway, "/api/users/bob/events")).await;
    let mut one =
        Listener::open(stream(&gateway, "/api/users/ada/events?channel=two&types=message.received")).await;
    let key = gateway.key(Some("ada"), &["read"]).await;
    let own = gateway.request("GET", "/api/users/ada/events?types=channel.*").bearer_auth(&key);
    let mut own = Listener::open(own).await;
    let (hook, two) = (gateway.webhook("ada", "hook").await, gateway.webhook("ada", "two").await);
    write(&gateway, &hook, "a").await;
    let in_two = write(&gateway, &two, "b").await;
    let bobs_own = gateway.webhook("bob", "his").await;
    assert_eq!(message_ids(&one.events(1).await), [in_two.as_str()]);
    let kinds = |events: &[Value]| events.iter().map(|event| event["type"].clone()).collect::<Vec<_>>();
    let seen = all.events(5).await;
    assert_eq!(
        kinds(&seen),
        ["channel.created", "channel.created", "message.received", "message.received", "channel.created"]
    );
    assert_eq!(seen[4]["user_id"], "bob", "the operator sees everybody's");
    assert_eq!(bobs.event().await.unwrap()["channel"]["id"], bobs_own["id"], "and none of Ada's before it");
    assert_eq!(kinds(&own.events(2).await), ["channel.created", "channel.created"]);
    let path = "/api/users/ada/channels/hook";
    gateway.call("PUT", path, json!({"enabled": false})).await.expect(200);
    gateway.call("DELETE", path, Value::Null).await.expect(200);
    assert_eq!(kinds(&own.events(2).await), ["channel.changed", "channel.deleted"]);
    gateway.stop().await;
}

#[tokio::test]
async fn whoever_missed_something_is_told() {
    let gateway = TestGateway::start().await;
    let channel = gateway.webhook("ada", "hook").await;
    let path = "/api/users/ada/events?types=message.*";
    let mut listener = Listener::open(stream(&gateway, &format!("{path}&last_event_id=0-0"))).await;
    for n in 0..3 {
        write(&gateway, &channel, &format!("words {n}")).await;
    }
    let ids: Vec<String> =
        listener.events(3).await.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    drop(listener);
    let mut conn = gateway.database.connect().await;
    let second = Place::parse(&ids[1]).unwrap();
    let old = "update events set at = now() - interval '1 year' where id <= $1";
    sqlx::query(old).bind(second.id).execute(&mut conn).await.unwrap();
    let forgotten = gateway.store.events_forget(72, Place::default(), 100).await.unwrap().unwrap();
    assert_eq!(forgotten.1, second);
    for too_old in [ids[0].clone(), "0-0".to_owned(), "9000000000000000000-1".to_owned()] {
        let mut late = Listener::open(stream(&gateway, path).header("last-event-id", &too_old)).await;
        let gap = loop {
            let frame = late.frame().await.unwrap();
            if frame.event.is_some() {
                break frame;
            }
        };
        assert_eq!((gap.event.as_deref(), gap.id), (Some("gap"), None), "{too_old}");
        let data: Value = serde_json::from_str(&gap.data.unwrap()).unwrap();
        assert_eq!(data, json!({"after": too_old, "oldest": ids[2]}));
        assert_eq!(late.event().await.unwrap()["id"], ids[2].as_str(), "the oldest that is kept");
    }
    let mut in_time = Listener::open(stream(&gateway, path).header("last-event-id", &ids[1])).await;
    assert_eq!(in_time.event().await.unwrap()["id"], ids[2].as_str(), "nothing behind it was forgotten");
    drop(in_time);
    gateway.stop().await;
}

#[tokio::test]
async fn a_draining_gateway_ends_its_streams_politely() {
    let gateway = TestGateway::start().await;
    let mut listener = Listener::open(stream(&gateway, "/api/events")).await;
    gateway.lifecycle.shutdown();
    let mut last = None;
    while let Some(frame) = listener.frame().await {
        last = Some(frame);
    }
    let bye = last.unwrap();
    assert!(bye.retry.is_some() && bye.comment.unwrap().contains("goes down"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams() {
    let gateway = TestGateway::start().await;
    let made = gateway.call("POST", "/api/keys", json!({"name": "k", "user_id": "ada"})).await.expect(201);
    let request = gateway.request("GET", "/api/users/ada/events").bearer_auth(made["key"].as_str().unwrap());
    let mut listener = Listener::open(request).await;
    let path = format!("/api/keys/{}", made["id"].as_str().unwrap());
    gateway.call("DELETE", &path, Value::Null).await.expect(200);
    let mut last = None;
    while let Some(frame) = listener.frame().await {
        last = frame.comment.or(last);
    }
    assert_eq!(last.as_deref(), Some("the key is not good any more"));
    gateway.stop().await;
}

#[tokio::test]
async fn without_following_a_stream_ends_at_the_present() {
    let gateway = TestGateway::start().await;
    let channel = gateway.webhook("ada", "hook").await;
    let id = write(&gateway, &channel, "words").await;
    let seen = claw_testkit::eventually("it is visible", Duration::from_secs(20), async || {
        let path = "/api/users/ada/events?follow=false&last_event_id=0-0&types=message.received";
        let mut listener = Listener::open(stream(&gateway, path)).await;
        let first = listener.event().await?;
        assert_eq!(listener.event().await, None, "the end");
        Some(first)
    })
    .await;
    assert_eq!(seen["message_id"], id.as_str());
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_that_makes_no_sense_is_refused_with_a_sentence() {
    let gateway = TestGateway::start().await;
    let table = [
        ("types=mesage.*", "\"types\" names \"mesage.*\", which no event is; there are: backend.disabled, "),
        ("types=%00", "which no event is"),
        ("channel=a%20b", "\"channel\""),
        ("last_event_id=x", "\"last_event_id\" must be the id of an event, like 7421-18"),
        ("last_event_id=1--1", "must be the id of an event"),
        ("follow=perhaps", "\"follow\""),
        (
            "type=message.*",
            "the key \"type\" is not known here; the keys are: types, channel, last_event_id, follow",
        ),
        ("types=channel.failed&types=message.*", "more than once"),
    ];
    for path in ["/api/events", "/api/users/ada/events"] {
        for (query, sentence) in table {
            let said = gateway.call("GET", &format!("{path}?{query}"), Value::Null).await.problem(400);
            assert!(said.contains(sentence), "{query} was refused with: {said}");
        }
        let request = stream(&gateway, path).header("last-event-id", "from the start");
        let said = crate::common::read(request).await.problem(400);
        assert!(said.starts_with("the header Last-Event-ID must be"), "{said}");
    }
    gateway.stop().await;
}
