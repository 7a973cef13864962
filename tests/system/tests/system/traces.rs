//! A collector that is not ours receives one trace from a platform's update to the backend's call and to the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use claw_system_tests::{API_KEY, Api, Cluster, SECRET, address_in, token};
use claw_telemetry::trace::otlp::{Any, ExportTraceServiceRequest, Span};
use claw_testkit::platform::Platform as Bots;
use claw_testkit::{Claw, Collector, Delivery, Receiver, eventually};
use prost::Message as _;
use reqwest::StatusCode;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
/// The route of a send, as its span is called.
const SEND: &str = "POST /api/users/{user}/channels/{instance}/send";
const AWAIT: &str = "iiclaw.v1.Worker/AwaitDelivery";
/// Who makes spans, where each role has a process of its own.
const GATEWAY: &str = "ii-claw-gateway";
const WORKER: &str = "ii-claw-worker";
/// What a backend makes of its call that traces, too: a span of its own below ours.
const BACKENDS: &str = "b0b0b0b0b0b0b0b0";

/// A span as the collector has it.
#[derive(Debug, Clone)]
struct Seen {
    /// The service that made it.
    service: String,
    span: Span,
}

impl Seen {
    fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    fn says(&self, key: &str) -> Option<String> {
        let said = self.span.attributes.iter().find(|attribute| attribute.key == key)?;
        match said.value.as_ref()?.value.as_ref()? {
            Any::Text(text) => Some(text.clone()),
            Any::Number(number) => Some(number.to_string()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let each: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    each.concat()
}

/// All that the collector has.
fn spans(collector: &Collector) -> Vec<Seen> {
    let mut seen = Vec::new();
    for body in collector.bodies() {
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        for process in request.resource_spans {
            let attributes = process.resource.unwrap_or_default().attributes;
            let service = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
            let Some(Any::Text(service)) = service.value.clone().unwrap().value else {
                panic!("{service:?}")
            };
            let spans = process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            seen.extend(spans.map(|span| Seen { service: service.clone(), span }));
        }
    }
    seen
}

/// Waits until the collector has so many spans of a trace.
async fn trace(collector: &Collector, trace: &str, count: usize) -> Vec<Seen> {
    eventually(&format!("{count} spans of {trace}"), LIMIT, async || {
        let seen: Vec<Seen> = spans(collector).into_iter().filter(|seen| seen.trace() == trace).collect();
        (seen.len() >= count).then_some(seen)
    })
    .await
}

/// A trace as a tree: how often there is each span, by its service and name and those above it. A parent that the collector does not
/// have is called by its id.
fn tree(seen: &[Seen]) -> BTreeMap<String, usize> {
    let mut paths = BTreeMap::new();
    for one in seen {
        *paths.entry(path(seen, one)).or_default() += 1;
    }
    paths
}

fn path<'a>(seen: &'a [Seen], mut of: &'a Seen) -> String {
    let called = |seen: &Seen| format!("{} {}", seen.service, seen.span.name);
    let mut names = vec![called(of)];
    while let Some(above) = seen.iter().find(|above| above.id() == of.parent()) {
        names.push(called(above));
        of = above;
    }
    if !of.parent().is_empty() {
        names.push(of.parent());
    }
    names.reverse();
    names.join(" > ")
}

/// Each of these once.
fn once(paths: &[String]) -> BTreeMap<String, usize> {
    paths.iter().map(|path| (path.clone(), 1)).collect()
}

/// A channel of type webhook, whose platform is a receiver of the test's.
struct Platform {
    receiver: Receiver,
    channel: String,
    secret: String,
}

impl Platform {
    async fn start(api: &Api) -> Self {
        let (receiver, secret) = (Receiver::start().await, token(16));
        let fields = json!({"secret_env": secret, "callback_url": receiver.url()});
        let channel = api.configure("zoe", "hook", "webhook", fields).await;
        api.wait_for_status("zoe", "hook", "running").await;
        Self { receiver, channel, secret }
    }

    /// A person writes; the platform says that its call is part of a trace of its own.
    async fn update(&self, api: &Api, n: u32) {
        let body =
            json!({"message_id": format!("m{n}"), "sender": {"id": "person-1"}, "text": "the question"});
        let bytes = serde_json::to_vec(&body).unwrap();
        let signature = claw_secrets::signature::sign(self.secret.as_bytes(), &bytes);
        let url = format!("{}/webhooks/webhook/{}", api.base, self.channel);
        let request = api.client.post(url).header("x-webhook-signature", signature).body(bytes);
        let answer = request.header("traceparent", STRANGER).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
}

/// The trace that a stranger would have us record.
const STRANGER: &str = "00-5742a9657374616e676572000000cafe-5742a96573740001-01";

/// The trace, the span and the flags of a webhook's `traceparent`.
fn told(delivery: &Delivery) -> [String; 3] {
    let header = delivery.header("traceparent");
    let parts: Vec<&str> = header.split('-').collect();
    let ["00", trace, span, flags] = parts.as_slice() else { panic!("{header:?}") };
    [trace, span, flags].map(|part| (*part).to_owned())
}

/// The backend answers with a key, in a trace.
async fn answer(api: &Api, key: &str, traceparent: &str) -> Value {
    answer_in(api, ["hook", "person-1"], key, traceparent).await
}

/// The same into another channel, and to another person.
async fn answer_in(api: &Api, [slug, recipient]: [&str; 2], key: &str, traceparent: &str) -> Value {
    let url = format!("{}/api/users/zoe/channels/{slug}/send", api.base);
    let request = api.client.post(url).bearer_auth(key).header("traceparent", traceparent);
    let body = json!({"recipient": recipient, "message": "the answer"});
    let answer = request.json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

async fn start(share: &str) -> (Collector, Cluster, Api, [Claw; 2]) {
    let collector = Collector::start().await;
    let cluster = Cluster::prepare().await;
    let cluster = cluster.with("II_CLAW_OTLP_ENDPOINT", collector.url()).with("II_CLAW_TRACE_SHARE", share);
    let (gateway, api) = cluster.gateway().await;
    let worker = cluster.worker("one", &api.base).await;
    (collector, cluster, api, [gateway, worker])
}

/// The spans of a question and of an answer by the API, of each role in a process of its own; the question came to `receiver`.
fn round_trip(receiver: &str) -> Vec<String> {
    let receive = format!("{receiver} receive");
    let question_delivered = format!("{receive} > {WORKER} deliver");
    let send = format!("{BACKENDS} > {GATEWAY} {SEND}");
    let answer_delivered = format!("{send} > {WORKER} deliver");
    vec![
        receive.clone(),
        format!("{receive} > {receiver} commit"),
        question_delivered.clone(),
        format!("{question_delivered} > {WORKER} POST"),
        format!("{question_delivered} > {WORKER} settle"),
        send.clone(),
        format!("{send} > {GATEWAY} commit"),
        format!("{send} > {GATEWAY} publish"),
        format!("{send} > {GATEWAY} {AWAIT}"),
        format!("{send} > {GATEWAY} {AWAIT} > {WORKER} {AWAIT}"),
        answer_delivered.clone(),
        format!("{answer_delivered} > {WORKER} send"),
        format!("{answer_delivered} > {WORKER} settle"),
    ]
}

/// What holds for the spans of every question and answer of which nothing failed.
fn assert_well(seen: &[Seen], question: &Delivery, answered: &Value) {
    let [_, posted, _] = told(question);
    let post = seen.iter().find(|seen| seen.span.name == "POST").unwrap();
    assert_eq!(post.id(), posted, "the backend's span is below the call that it answers");
    assert_eq!(post.says("http.response.status_code").as_deref(), Some("200"));
    let delivered = |id: &str| seen.iter().find(|seen| seen.says("message.id").as_deref() == Some(id));
    assert!(delivered(question.header("webhook-id")).is_some());
    assert_eq!(delivered(answered["id"].as_str().unwrap()).unwrap().span.name, "deliver");
    assert!(seen.iter().all(|seen| seen.span.status.is_none()), "nothing failed: {seen:?}");
    assert!(seen.iter().all(|seen| seen.span.end_time_unix_nano >= seen.span.start_time_unix_nano));
}

/// No span that the collector has says any of these, or what a test of this file must not show anybody.
fn assert_discreet(collector: &Collector, secrets: &[&str]) {
    let all = format!("{:?}", spans(collector));
    for secret in ["the question", "the answer", "zoe", API_KEY, SECRET].iter().chain(secrets) {
        assert!(!all.contains(secret), "{secret:?} in {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_update_to_the_backend_and_to_the_answer() {
    let (collector, cluster, api, _processes) = start("1").await;
    let platform = Platform::start(&api).await;
    platform.update(&api, 1).await;
    let [question] = cluster.receiver.wait_for(1).await.try_into().unwrap();
    let [trace_id, _, flags] = told(&question);
    assert_eq!(
        trace_id,
        question.header("webhook-id").replace('-', ""),
        "who knows the message knows its trace"
    );
    assert_eq!(flags, "01");

    let answered = answer(&api, API_KEY, &format!("00-{trace_id}-{BACKENDS}-01")).await;
    platform.receiver.wait_for(1).await;

    let mut expected = round_trip(GATEWAY);
    expected.push(format!("{GATEWAY} receive > {GATEWAY} publish"));
    let expected = once(&expected);
    let seen = trace(&collector, &trace_id, expected.len()).await;
    assert_eq!(tree(&seen), expected);
    assert_well(&seen, &question, &answered);
    assert_discreet(&collector, &["person-1", &platform.secret]);
    assert!(
        spans(&collector).iter().all(|seen| seen.trace() != STRANGER[3..35]),
        "a stranger decides nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_an_update_that_a_worker_polled_to_the_backend_and_to_the_answer() {
    let (collector, cluster, api, _processes) = start("1").await;
    let (bots, person) = (Bots::start().await, 4_242_424_242);
    let fields = json!({"bot_token_env": bots.bot(1), "api_url": bots.url()});
    api.configure("zoe", "bot", "telegram", fields).await;
    assert!(bots.wait_for_polling(1, LIMIT).await);
    bots.inject(1, person, "the question");
    let [question] = cluster.receiver.wait_for(1).await.try_into().unwrap();
    let [trace_id, _, flags] = told(&question);
    assert_eq!(trace_id, question.header("webhook-id").replace('-', ""));
    assert_eq!(flags, "01");

    let to = question.json()["reply_to"]["recipient"].as_str().unwrap().to_owned();
    let answered = answer_in(&api, ["bot", &to], API_KEY, &format!("00-{trace_id}-{BACKENDS}-01")).await;
    let sent: Vec<_> = bots.sent().into_iter().map(|sent| (sent.chat, sent.text)).collect();
    assert_eq!(sent, [(person.to_string(), "the answer".to_owned())]);

    // Who polled it delivers it, so it is published to nobody.
    let expected = once(&round_trip(WORKER));
    let seen = trace(&collector, &trace_id, expected.len()).await;
    assert_eq!(tree(&seen), expected);
    assert_well(&seen, &question, &answered);
    assert_discreet(&collector, &[&to, &bots.bot(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_the_operators_key_decides_what_is_recorded_and_nobody_else() {
    let (collector, cluster, api, _processes) = start("0").await;
    let platform = Platform::start(&api).await;
    platform.update(&api, 1).await;
    let [question] = cluster.receiver.wait_for(1).await.try_into().unwrap();
    let [left_out, span, flags] = told(&question);
    assert_eq!(flags, "00", "the backend is told that it need not record it, either");

    let key = json!({"name": "zoe's", "user_id": "zoe", "scopes": ["send"]});
    let (status, key) = api.call("POST", "/api/keys", Some(key)).await;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    answer(&api, key["key"].as_str().unwrap(), STRANGER).await;
    answer(&api, API_KEY, &format!("00-{left_out}-{span}-00")).await;
    answer(&api, API_KEY, "no such thing").await;
    let wanted = "0af7651916cd43dd8448eb211c80319c";
    answer(&api, API_KEY, &format!("00-{wanted}-{span}-01")).await;
    // Of the send, its commit, its publish and its wait at both ends, and of the delivery, the call and its record.
    trace(&collector, wanted, 8).await;
    // Each process exports in order, so whatever came before would be there.
    let others: Vec<_> = spans(&collector).into_iter().filter(|seen| seen.trace() != wanted).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_of_all_roles_traces_an_answer_in_the_body_and_says_it_in_its_log() {
    let collector = Collector::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_OTLP_ENDPOINT", collector.url());
    cluster.receiver.reply_with(json!({"reply": "the answer"}));
    let folder = tempfile::tempdir().unwrap();
    let more = [
        ("II_CLAW_LISTEN", "127.0.0.1:0"),
        ("II_CLAW_TRACE_SHARE", "1"),
        ("II_CLAW_LOG_FORMAT", "json"),
        ("II_CLAW_DATA", folder.path().to_str().unwrap()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let mut up = cluster.start(&["up"], &more);
    let line: Value = serde_json::from_str(&up.wait_for_line("the gateway listens on").await).unwrap();
    let api = Api::new(&format!("http://{}", address_in(line["message"].as_str().unwrap())));
    let platform = Platform::start(&api).await;
    // The first attempt fails: it is a span of the same trace, and a line of the log.
    cluster.receiver.answer_next([StatusCode::INTERNAL_SERVER_ERROR]);
    platform.update(&api, 1).await;
    platform.receiver.wait_for(1).await;
    let [trace_id, ..] = told(&cluster.receiver.deliveries()[0]);

    let here = "ii-claw";
    let receive = format!("{here} receive");
    let delivered = format!("{receive} > {here} deliver");
    let answered = format!("{delivered} > {here} deliver");
    let once_each = once(&[
        receive.clone(),
        format!("{receive} > {here} commit"),
        format!("{receive} > {here} publish"),
        format!("{delivered} > {here} commit"),
        answered.clone(),
        format!("{answered} > {here} send"),
        format!("{answered} > {here} settle"),
    ]);
    let twice =
        [delivered.clone(), format!("{delivered} > {here} POST"), format!("{delivered} > {here} settle")];
    let mut expected = once_each;
    expected.extend(twice.map(|path| (path, 2)));
    let seen = trace(&collector, &trace_id, expected.values().sum()).await;
    assert_eq!(tree(&seen), expected);
    let failed: Vec<_> = seen.iter().filter_map(|seen| seen.span.status.as_ref()).collect();
    assert_eq!(failed.len(), 2, "the attempt, and its call: {failed:?}");

    let line: Value = serde_json::from_str(&up.wait_for_line("trying again in").await).unwrap();
    assert_eq!(line["span"]["trace_id"], json!(trace_id), "{line}");
    assert_eq!(line["message.id"], json!(cluster.receiver.deliveries()[0].header("webhook-id")), "{line}");

    // What is left goes before the process does, and its end is a good one.
    up.signal("TERM").await;
    assert_eq!(up.wait().await, Some(0), "{}", up.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_spans_and_no_message() {
    let cluster = Cluster::prepare().await.with("II_CLAW_TRACE_SHARE", "1");
    // A port that refuses.
    let cluster = cluster.with("II_CLAW_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let (_gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    let platform = Platform::start(&api).await;
    platform.update(&api, 1).await;
    cluster.receiver.wait_for(1).await;
    worker.wait_for_line("does not take spans, which are lost: it can't be reached").await;
    platform.update(&api, 2).await;
    cluster.receiver.wait_for(2).await;
    let url = format!("{}/metrics", api.base);
    eventually("lost spans to be counted", LIMIT, async || {
        let text = api.client.get(&url).bearer_auth(API_KEY).send().await.ok()?.text().await.ok()?;
        let counted = text
            .lines()
            .find_map(|line| line.strip_prefix("claw_spans_dropped_total{reason=\"not_taken\"} "))?;
        (counted.parse::<u64>().ok()? > 0).then_some(())
    })
    .await;
}
