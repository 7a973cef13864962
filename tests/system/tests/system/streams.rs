//! A backend that writes its answer while it is read: judged by what the platform saw.

use std::time::Duration;

use claw_system_tests::{Api, Cluster, token};
use claw_testkit::platform::Sent;
use claw_testkit::{Claw, Platform, Receiver, eventually};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3_600);

async fn start(platform: &Platform, cluster: Cluster) -> (Cluster, Api, [Claw; 2]) {
    let (gateway, api) = cluster.gateway().await;
    let worker = cluster.worker("one", &api.base).await;
    let fields = json!({"bot_token_env": platform.bot(1), "api_url": platform.url()});
    api.configure("ada", "bot1", "telegram", fields).await;
    assert!(platform.wait_for_polling(1, LIMIT).await);
    (cluster, api, [gateway, worker])
}

/// A piece of text, as `OpenAI`'s chat completions have it.
fn piece(pause_ms: u64, text: &str) -> (Duration, String) {
    let chunk =
        json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]});
    (Duration::from_millis(pause_ms), format!("data: {chunk}\n\n"))
}

fn done(pause_ms: u64) -> (Duration, String) {
    (Duration::from_millis(pause_ms), "data: [DONE]\n\n".to_owned())
}

/// Waits until the webhook of the only message is answered, for better or worse; tells its record.
async fn asked(api: &Api, settled: impl Fn(&Value) -> bool) -> Value {
    eventually("the message's record", LIMIT, async || {
        let (_, page) = api.call("GET", "/api/users/ada/messages?direction=in", None).await;
        let id = page["messages"][0]["id"].as_str()?.to_owned();
        let (_, message) = api.call("GET", &format!("/api/users/ada/messages/{id}"), None).await;
        settled(&message).then_some(message)
    })
    .await
}

async fn done_with(api: &Api) -> Value {
    asked(api, |message| message["state"] == "done").await
}

/// The only message, once it says this.
async fn only(platform: &Platform, text: &str) -> Sent {
    eventually(&format!("only {text:?}"), LIMIT, async || match platform.sent().as_slice() {
        [sent] if sent.text == text => Some(sent.clone()),
        _ => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_grows_before_ones_eyes_and_is_one_message() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform, Cluster::prepare().await).await;
    let words: Vec<_> = (0..40).map(|n| format!("word{n} ")).collect();
    let pieces = words.iter().map(|word| piece(100, word)).chain([done(0)]);
    cluster.receiver.stream_with(Some(pieces.collect()));
    platform.inject(1, 42, "hi");
    let sent = only(&platform, words.concat().trim_end()).await;
    assert!(sent.former.len() >= 2, "it was seen to grow: {sent:?}");
    assert!(sent.former.windows(2).all(|two| two[1].starts_with(&two[0])), "{sent:?}");
    let beginnings = sent.former.iter().all(|former| sent.text.starts_with(former));
    assert!(beginnings && sent.former[0].chars().count() >= 20, "{sent:?}");
    assert!(sent.former.len() <= 6, "at most one edit a second: {sent:?}");
    assert!(!platform.typing().is_empty(), "and people saw that it was being written");
    let record = done_with(&api).await;
    assert_eq!((&record["error"], &record["attempts"]), (&Value::Null, &json!(1)), "{record}");
    assert_eq!(platform.sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_at_once_becomes_the_answer_and_what_came_before_an_error_stays() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform, Cluster::prepare().await).await;
    let at_once = "data: {\"immediate_reply\": \"Processing...\"}\n\n".to_owned();
    let error = "event: error\ndata: {\"error\": {\"message\": \"Overloaded\"}}\n\n".to_owned();
    let beginning = "the beginning of a longer answer";
    let pieces = vec![(Duration::ZERO, at_once), piece(1_500, beginning), (Duration::from_secs(3), error)];
    cluster.receiver.stream_with(Some(pieces));
    platform.inject(1, 42, "hi");
    let record = done_with(&api).await;
    assert!(record["error"].as_str().unwrap_or_default().contains("Overloaded"), "{record}");
    let sent = only(&platform, beginning).await;
    assert_eq!(sent.former, ["Processing..."]);
    assert_eq!(cluster.receiver.deliveries().len(), 1, "the backend is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_in_mid_stream_leaves_one_message() {
    let platform = Platform::start().await;
    let (cluster, api, [_gateway, mut worker]) = start(&platform, Cluster::prepare().await).await;
    let begun = "what the first worker lived to see";
    cluster.receiver.stream_with(Some(vec![piece(0, begun), (NEVER, String::new())]));
    platform.inject(1, 42, "hi");
    only(&platform, begun).await;
    // A worker that dies before it is written down that a message was sent may send it again, as with any message.
    eventually("the preview's record", LIMIT, async || {
        let (_, page) = api.call("GET", "/api/users/ada/messages?direction=out&state=done", None).await;
        (page["messages"].as_array()?.len() == 1).then_some(())
    })
    .await;
    worker.kill().await;
    cluster.receiver.stream_with(Some(vec![
        piece(0, "what the second worker is told "),
        piece(3_000, "to its end"),
        done(100),
    ]));
    let _other = cluster.worker("two", &api.base).await;
    let sent = only(&platform, "what the second worker is told to its end").await;
    assert_eq!(sent.former[0], begun, "the same message was changed");
    done_with(&api).await;
    assert_eq!(platform.sent().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_never_ends_is_cut_and_what_there_is_of_it_is_the_answer() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_STREAM_SECS", "4");
    let (cluster, api, _processes) = start(&platform, cluster).await;
    let begun = "an answer that does not come to its end";
    let never = (NEVER, String::new());
    cluster.receiver.stream_with(Some(vec![piece(0, begun), never]));
    platform.inject(1, 42, "hi");
    let record = done_with(&api).await;
    let told = record["error"].as_str().unwrap_or_default();
    assert!(told.contains("it did not end within 4 s, which is where it was cut"), "{record}");
    only(&platform, begun).await;
    assert_eq!(cluster.receiver.deliveries().len(), 1, "the backend is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_brings_nothing_in_its_time_is_a_failed_attempt() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_STREAM_SECS", "4");
    let (cluster, api, _processes) = start(&platform, cluster).await;
    let comment = (Duration::ZERO, ": thinking\n\n".to_owned());
    cluster.receiver.stream_with(Some(vec![comment, (NEVER, String::new())]));
    platform.inject(1, 42, "hi");
    let failed = asked(&api, |message| !message["error"].is_null()).await;
    assert_eq!(failed["error"], "the backend's answer did not end within 4 s", "{failed}");
    cluster.receiver.stream_with(Some(vec![piece(0, "short"), done(0)]));
    only(&platform, "short").await;
    done_with(&api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_before_any_answer_and_an_end_without_its_mark_are_failed_attempts() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform, Cluster::prepare().await).await;
    let at_once = "data: {\"immediate_reply\": \"Processing...\"}\n\n".to_owned();
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let error = format!("event: error\ndata: {error}\n\n");
    cluster.receiver.stream_with(Some(vec![(Duration::ZERO, at_once), (Duration::ZERO, error)]));
    platform.inject(1, 42, "hi");
    let failed = asked(&api, |message| !message["error"].is_null()).await;
    assert_eq!(failed["error"], "the backend broke it off: Overloaded", "{failed}");
    assert_eq!(failed["state"], "pending", "{failed}");
    cluster.receiver.stream_with(Some(vec![piece(0, "only the beginning")]));
    let without = "the backend's answer ended without the mark of its end";
    asked(&api, |message| message["error"] == without).await;
    cluster.receiver.stream_with(Some(vec![piece(0, "all of it"), done(0)]));
    only(&platform, "all of it").await;
    let record = done_with(&api).await;
    assert_eq!(record["error"], Value::Null, "{record}");
    assert_eq!(platform.sent().len(), 1, "what was shown at once became the answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_characters_arrive_whole_and_in_order() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform, Cluster::prepare().await).await;
    let words: Vec<_> = (0..10_000).map(|n| format!("word{n:05} ")).collect();
    let pieces = words.chunks(100).map(|words| piece(20, &words.concat())).chain([done(0)]);
    cluster.receiver.stream_with(Some(pieces.collect()));
    platform.inject(1, 42, "hi");
    let record = done_with(&api).await;
    assert_eq!(record["error"], Value::Null, "{record}");
    let whole = words.concat();
    // A bot may send one message a second into a chat.
    let sent = eventually("all of it", 2 * LIMIT, async || {
        let sent = platform.sent();
        sent.last()?.text.ends_with("word09999").then_some(sent)
    })
    .await;
    let texts: Vec<_> = sent.iter().map(|sent| sent.text.as_str()).collect();
    assert_eq!(texts.join(" "), whole.trim_end());
    assert!(sent[0].edited && sent[1..].iter().all(|sent| !sent.edited));
    assert!(sent[0].former.iter().all(|former| sent[0].text.starts_with(former)));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_can_be_changed_the_answer_comes_when_it_is_whole() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform, Cluster::prepare().await).await;
    let (program, secret) = (Receiver::start().await, token(16));
    let fields = json!({"secret_env": secret, "callback_url": program.url()});
    let channel = api.configure("ada", "hook", "webhook", fields).await;
    api.wait_for_status("ada", "hook", "running").await;
    let pieces =
        vec![piece(0, "an answer that is long enough to be shown, "), piece(2_500, "and its end"), done(0)];
    cluster.receiver.stream_with(Some(pieces));
    let body = json!({"message_id": "m1", "sender": {"id": "p1"}, "text": "hi"});
    assert!(api.push(&channel, &secret, &body).await.unwrap().is_success());
    let got = program.wait_for(1).await;
    assert_eq!(got[0].json()["text"], "an answer that is long enough to be shown, and its end");
    done_with(&api).await;
    let (_, page) = api.call("GET", "/api/users/ada/messages?direction=out", None).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1, "{page}");
}

/// Fills a channel of ada's that a program writes to with messages, each in a chat of its own.
async fn write_to_program_channel(api: &Api, messages: usize) {
    let secret = token(16);
    let channel = api.configure("ada", "hook", "webhook", json!({"secret_env": secret})).await;
    api.wait_for_status("ada", "hook", "running").await;
    for n in 0..messages {
        let body = json!({"message_id": format!("m{n}"), "sender": {"id": format!("p{n}")}, "text": "hi"});
        assert!(api.push(&channel, &secret, &body).await.unwrap().is_success());
    }
}

async fn away_backends(api: &Api) -> Vec<Value> {
    let (_, cluster) = api.call("GET", "/api/cluster", None).await;
    let members = cluster["members"].as_array().cloned().unwrap_or_default();
    members.iter().filter_map(|member| member["away_backends"].as_array()).flatten().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_whose_answers_break_off_is_left_alone_until_one_is_whole() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let beginning = vec![piece(0, "an answer that breaks off"), piece(50, " in the middle")];
    cluster.receiver.stream_with(Some(beginning));
    cluster.receiver.cut_streams(true);
    write_to_program_channel(&api, 6).await;
    let away = eventually("a backend that is left alone", LIMIT, async || {
        let away = away_backends(&api).await;
        (!away.is_empty()).then_some(away)
    })
    .await;
    assert_eq!(away[0]["user_id"], Value::Null, "it is the operator's: {away:?}");
    cluster.receiver.stream_with(Some(vec![piece(0, "an answer that comes to its end"), done(50)]));
    cluster.receiver.cut_streams(false);
    eventually("all answers", LIMIT, async || {
        let (_, page) = api.call("GET", "/api/users/ada/messages?direction=in&state=done", None).await;
        (page["messages"].as_array()?.len() == 6).then_some(())
    })
    .await;
    assert_eq!(away_backends(&api).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_more_is_shown_to_who_was_erased_while_an_answer_was_written() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform, Cluster::prepare().await).await;
    let words = (0..400).map(|n| piece(100, &format!("word{n} ")));
    cluster.receiver.stream_with(Some(words.chain([done(0)]).collect()));
    platform.inject(1, 42, "hi");
    eventually("the first change", LIMIT, async || {
        platform.sent().first().is_some_and(|sent| sent.edited).then_some(())
    })
    .await;
    let (status, erasure) = api.call("DELETE", "/api/users/ada?confirm=ada", None).await;
    assert!(status.is_success(), "{erasure}");
    // The worker looks every 3 s who was erased; the backend would write for 40 s.
    eventually("the stream's end", Duration::from_secs(10), async || {
        (cluster.receiver.streaming() == 0).then_some(())
    })
    .await;
    let shown = platform.sent();
    let erasure = eventually("the erasure's end", LIMIT, async || {
        let (_, erasure) = api.call("GET", "/api/users/ada/erasure", None).await;
        (erasure["complete"] == true).then_some(erasure)
    })
    .await;
    assert_eq!((shown.len(), platform.sent()), (1, shown), "no answer, and no other change");
    let (status, page) = api.call("GET", "/api/users/ada/messages", None).await;
    assert_eq!(page["messages"], json!([]), "{status} {erasure}");
}
