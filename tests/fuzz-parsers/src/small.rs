//! The gateway's readers of bodies, headers and queries, the worker's of streams, and the small ones behind them.

use chrono::DateTime;
use claw_channels::kit::jwt::{Expected, PublicKeys};
use claw_channels::kit::{answer, filename, guard};
use claw_gateway::fuzzing;
use claw_media::range::{Answer, select};
use claw_schedule::{Limits, Schedule};
use claw_telemetry::trace::Context;
use claw_types::{HookName, InstanceId, UserId};
use http::HeaderMap;
use http::header::{HeaderValue, RETRY_AFTER};
use url::Url;

use crate::Target;

/// The gateway's, and the small ones.
pub(crate) fn targets() -> Vec<Target> {
    bodies().into_iter().chain(others()).collect()
}

fn bodies() -> Vec<Target> {
    vec![
        Target::new(
            "body-send",
            fuzzing::send_body,
            &[
                r#"{"recipient":"1","message":"hi","image_url":"https://x.org/a.png","buttons":[[{"text":"A","data":"a"}]],"ttl_seconds":60}"#,
                r#"{"recipient":1,"poll":{"question":"q","options":["a","b"]},"location":{"latitude":1,"longitude":2},"media":[{"kind":"file","url":"https://x.org/f"}]}"#,
            ],
        ),
        Target::new(
            "body-job",
            fuzzing::job_body,
            &[
                r#"{"name":"n","schedule":{"type":"cron","expr":"0 9 * * 1-5","tz":"America/New_York"},"action":{"type":"channel_message","channel":"c","recipient":"1","message":"m"}}"#,
                r#"{"name":"n","schedule":{"type":"every","every_secs":300},"action":{"type":"assistant_task","agent_id":"a","context":"c","delivery":{"type":"channel_message","channel":"c","recipient":"1"}},"one_shot":"true"}"#,
                r#"{"name":"n","schedule":{"type":"every","every_secs":300},"action":{"type":"hook","text":"t","mode":"next-heartbeat","channel":"c","recipient":1,"metadata":{"chat_id":"x"}}}"#,
                r#"{"name":"n","schedule":{"type":"every","every_secs":300},"action":{"type":"webhook","url":"https://x.org/a","body":{"a":[1]}}}"#,
            ],
        ),
        Target::new(
            "body-other",
            fuzzing::other_bodies,
            &[
                r#"{"text":"t","mode":"now","user_id":"ada","channel":"c","recipient":"1","metadata":{"a":1},"idempotency_key":"k"}"#,
                r#"{"channel_type":"webhook","fields":{"secret_env":"s"},"instance_name":"n","agent_id":"a"}"#,
                r#"{"name":"k","scopes":["read"],"user_id":"ada","expires_at":"2030-01-01T00:00:00Z"}"#,
            ],
        ),
        Target::new(
            "body-stream",
            claw_shard_worker::fuzzing::stream,
            &[
                "\u{7}event: delta\ndata: {\"delta\": \"a\"}\n\ndata: b\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"c\"}}]}\n\ndata: [DONE]\n\n",
                "\u{1}: c\rdata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"\u{e4}\"}}\r\revent: error\rdata: {\"error\":{\"message\":\"m\"}}\r\r",
                "\u{3}\u{feff}data: {\"immediate_reply\":\"w\"}\n\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"d\"}\n\ndata: {\"replies\":[\"r\",{\"message\":\"m\"}]}\n\n",
            ],
        ),
        Target::new(
            "body-answer",
            claw_shard_worker::fuzzing::answer,
            &[
                r#"{"immediate_reply":"one moment","replies":["a",{"message":"b","image_url":"https://x.org/a.png","buttons":[[{"text":"A","data":"a"}]]}]}"#,
                r#" {"reply":{"message":"m","format":"plain","media":[{"kind":"file","url":"https://x.org/f"}],"recipient":"1"}} "#,
            ],
        ),
    ]
}

fn others() -> Vec<Target> {
    vec![
        Target::new("traceparent", traceparent, &["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]),
        Target::new(
            "intake",
            claw_intake::fuzzing::words,
            &[
                "/pair@bot deny abcd-2345",
                "/start ABCDEFGH23456789",
                "Claw\nhey claw, how are you?",
                "\u{e04}\u{e25}\u{e2d}\u{e27}\n",
            ],
        ),
        Target::new("range", range, &["bytes=0-99", "bytes=-5", "bytes=7-", "bytes=0-1, 4-"]),
        Target::new(
            "hook-call",
            fuzzing::hook_call,
            &["sha256=00ff\n{\"action\":\"opened\"}", "v1,AAAA v1a,BB\nplain text", "Bearer whsec_x\n[1,2]"],
        ),
        Target::new(
            "hook-template",
            fuzzing::template,
            &[
                "{{ body.user.name }}{% if body.a %}x{% endif %}\n{\"user\":{\"name\":\"n\"},\"a\":[1]}",
                "{% for x in body %}{{ x|upper }}{% endfor %}\n[\"a\",\"b\"]",
                "{% set x = body.a ~ 'b' %}{{ x|truncate(3) }}\n{\"a\":\"c\"}",
            ],
        ),
        Target::new(
            "queries",
            fuzzing::queries,
            &[
                "channel=c&state=dead&since=2026-01-01T00:00:00Z&limit=5&cursor=1700000000000000.5",
                "types=message.*&last_event_id=1-2",
            ],
        ),
        Target::new("forwarded", fuzzing::forwarded, &["2001:db8::1, 198.51.100.2", "203.0.113.7, 10.0.0.1"]),
        Target::new(
            "schedule",
            schedule,
            &[
                r#"{"type":"cron","expr":"0 17 * * 5#L","tz":"Europe/Berlin"}"#,
                r#"{"type":"every","every_secs":60}"#,
                r#"{"type":"at","at":"2026-12-01T09:00:00.000Z"}"#,
                r#"{"type":"cron","expr":"*/5 0-6,22 L JAN-MAR MON"}"#,
            ],
        ),
        Target::new(
            "filename",
            file_name,
            &["attachment; filename=\"a.txt\"; filename*=UTF-8''%e2%82%ac.txt", "https://x.org/a/b%20c.pdf"],
        ),
        Target::new(
            "web-token",
            web_token,
            &[
                "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJpIn0.AAAA",
                r#"{"keys":[{"kty":"RSA","kid":"k","n":"sXch","e":"AQAB"}]}"#,
            ],
        ),
        Target::new("retry-after", retry_after, &["120", "Fri, 31 Dec 1999 23:59:59 GMT", "0.5"]),
        Target::new("names", names, &["ada", "telegram_a1b2c3d4", "https://user:pw@[::ffff:10.0.0.1]:80/x"]),
    ]
}

/// What is understood is written as it was, but for what only a later version knows.
fn traceparent(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(context) = Context::parse(text) {
        let written = context.header();
        assert_eq!(Context::parse(&written), Some(context), "{text:?}");
        assert_eq!(written[2..53], text[2..53], "{text:?}");
    }
}

/// A schedule, and when it is due next at several times.
fn schedule(data: &[u8]) {
    let Ok(object) = serde_json::from_slice(data) else { return };
    let Ok(schedule) = Schedule::parse(&object, Limits::default()) else { return };
    for seconds in [0, 1_700_000_000, 1_774_746_000, 4_102_444_800] {
        let Some(after) = DateTime::from_timestamp(seconds, 0) else { continue };
        if let Some(next) = schedule.next_after(after, DateTime::UNIX_EPOCH) {
            assert!(next > after, "{next} is not after {after}");
        }
    }
}

/// A token, and the keys by which it would be judged.
fn web_token(data: &[u8]) {
    let keys = PublicKeys::read(data).unwrap_or_default();
    let token = String::from_utf8_lossy(data);
    let known =
        PublicKeys::read(br#"{"keys":[{"kty":"RSA","kid":"k","n":"sXch","e":"AQAB"}]}"#).unwrap_or_default();
    let expected = Expected { issuers: &["i"], audience: "a" };
    for keys in [keys, known] {
        assert!(keys.verify(&token, expected, 1_700_000_000).is_err(), "nobody signed this");
    }
}

/// A file's name in a header, in a URL and by itself.
fn file_name(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let of_url = Url::parse(&text).ok().and_then(|url| filename::of_url(&url));
    for name in [filename::of_disposition(data), filename::clean(&text), of_url].into_iter().flatten() {
        assert!(!name.is_empty() && !name.contains(['/', '\\', '\0']), "{name:?} is no file's name");
    }
}

/// How long a server asks to wait.
fn retry_after(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let headers: HeaderMap = [(RETRY_AFTER, value)].into_iter().collect();
    let _ = answer::retry_after(&headers, 1_700_000_000);
}

/// Which part of a file is asked for: never more than there is of it.
fn range(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for size in [0, 1, 100, u64::MAX] {
        let answer = select(Some(&text), size);
        if let Answer::Part(part) = &answer {
            assert!(part.start < part.end && part.end <= size, "{part:?} of {size}");
        }
        drop(answer.content_range(size));
    }
}

/// What stands in paths: users, channels, hooks; and addresses to call.
fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    drop(text.parse::<UserId>());
    drop(text.parse::<InstanceId>());
    drop(text.parse::<HookName>());
    if let Ok(url) = guard::check_form(&text, false) {
        assert!(url.username().is_empty() && url.password().is_none(), "{url} carries a password");
    }
}
