//! What people see of a backend that answers in the body, and while one works, on a platform: judged by what the platform saw.

use std::time::Duration;

use claw_system_tests::{Api, Cluster};
use claw_testkit::platform::{Faults, Reacted};
use claw_testkit::{Claw, Platform, eventually};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

async fn start(platform: &Platform) -> (Cluster, Api, [Claw; 2]) {
    start_in(Cluster::prepare().await, platform).await
}

async fn start_in(cluster: Cluster, platform: &Platform) -> (Cluster, Api, [Claw; 2]) {
    let (gateway, api) = cluster.gateway().await;
    let worker = cluster.worker("one", &api.base).await;
    bot(&api, platform, 1, json!(null)).await;
    assert!(platform.wait_for_polling(1, LIMIT).await);
    (cluster, api, [gateway, worker])
}

async fn bot(api: &Api, platform: &Platform, n: u32, typing: Value) {
    let mut fields = json!({"bot_token_env": platform.bot(n), "api_url": platform.url()});
    if !typing.is_null() {
        fields["typing"] = typing;
    }
    api.configure("ada", &format!("bot{n}"), "telegram", fields).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_the_body_arrive_once_each_and_in_order() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform).await;
    cluster.receiver.reply_with(json!({"replies": [
        "one",
        {"message": "two", "buttons": [[{"text": "more", "data": "more"}]]},
        {"mesage": "a typing error"},
    ]}));
    platform.inject(1, 42, "hi");
    let sent = eventually("both answers", LIMIT, async || {
        let sent = platform.sent();
        (sent.len() == 2).then_some(sent)
    })
    .await;
    let seen: Vec<_> = sent.iter().map(|sent| (&*sent.chat, &*sent.text)).collect();
    assert_eq!(seen, [("42", "one"), ("42", "two")]);
    assert_eq!(sent[1].buttons, json!([[{"text": "more", "callback_data": "more"}]]));

    let asked = eventually("the message to be settled", LIMIT, async || {
        let (_, page) = api.call("GET", "/api/users/ada/messages?direction=in", None).await;
        let message = page["messages"][0].clone();
        (message["state"] == "done").then_some(message)
    })
    .await;
    let path = format!("/api/users/ada/messages/{}", asked["id"].as_str().unwrap());
    let (_, asked) = api.call("GET", &path, None).await;
    let error = asked["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("reply 3: unknown field `mesage`"),
        "its user is told what could not be used: {asked}"
    );
    assert_eq!(cluster.receiver.deliveries().len(), 1, "and the backend is not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_shown_until_the_answer_and_only_where_it_is_wanted() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform).await;
    bot(&api, &platform, 2, json!(false)).await;
    assert!(platform.wait_for_polling(2, LIMIT).await);
    let shown = |chat: &str| platform.typing().iter().filter(|typing| typing.chat == chat).count();
    let shown_to = async |chat: &str, times: usize| {
        eventually("typing", LIMIT, async || (shown(chat) >= times).then_some(())).await;
    };

    cluster.receiver.reply_with(json!({"immediate_reply": "Processing...", "async_processing": true}));
    platform.inject(1, 42, "one who gets an answer");
    platform.inject(1, 43, "one who waits");
    platform.inject(2, 44, "one who sees nothing");
    cluster.receiver.wait_for(3).await;
    shown_to("42", 2).await;
    let (status, answer) = api.send("ada", "bot1", "42", "the answer").await;
    assert!(status.is_success(), "{answer}");
    let (when_answered, other) = (shown("42"), shown("43"));
    // The other's sign is the clock: hers would have been shown anew twice meanwhile.
    shown_to("43", other + 3).await;
    // One call may have been on its way.
    assert!(shown("42") <= when_answered + 1, "nobody is writing any more");
    assert_eq!(shown("44"), 0, "her channel does not want it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_gets_the_reaction_that_its_channel_names_once() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform).await;
    let fields = json!({"bot_token_env": platform.bot(2), "api_url": platform.url(), "ack_reaction": "👀"});
    api.configure("ada", "bot2", "telegram", fields).await;
    assert!(platform.wait_for_polling(2, LIMIT).await);

    platform.inject(1, 41, "one whose channel names none");
    let question = platform.inject(2, 42, "one who is told that it was seen");
    cluster.receiver.wait_for(2).await;
    eventually("the reaction", LIMIT, async || platform.reacted().first().cloned()).await;
    let (status, answer) = api.send("ada", "bot2", "42", "the answer").await;
    assert!(status.is_success(), "{answer}");
    let seen = Reacted { bot: 2, chat: "42".to_owned(), message: question, emoji: Some("👀".to_owned()) };
    assert_eq!(platform.reacted(), [seen], "it stays, and the other channel has none");
}

/// A person's message, and the placeholder that stands for its answer.
async fn asks(platform: &Platform, cluster: &Cluster, chat: i64) -> i64 {
    let before = platform.sent().len();
    cluster.receiver.reply_with(json!({"immediate_reply": "Processing...", "async_processing": true}));
    platform.inject(1, chat, "hi");
    eventually("a placeholder", LIMIT, async || platform.sent().get(before).map(|sent| sent.id)).await
}

fn texts(platform: &Platform) -> Vec<(String, bool)> {
    platform.sent().into_iter().map(|sent| (sent.text, sent.edited)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_takes_the_place_of_what_stood_for_it() {
    let platform = Platform::start().await;
    let (cluster, api, [_gateway, worker]) = start(&platform).await;
    let answers = async |text: &str| {
        let (status, answer) = api.send("ada", "bot1", "42", text).await;
        assert!(status.is_success(), "{answer}");
    };
    let seen = |text: &str, edited: bool| (text.to_owned(), edited);

    asks(&platform, &cluster, 42).await;
    answers("first").await;
    answers("and more").await;
    assert_eq!(texts(&platform), [seen("first", true), seen("and more", false)]);

    // A person deleted it: the answer is sent like any other.
    let gone = asks(&platform, &cluster, 42).await;
    platform.delete(1, gone);
    answers("second").await;
    assert_eq!(texts(&platform)[2..], [seen("second", false)]);

    // One that is too long goes on below.
    asks(&platform, &cluster, 42).await;
    answers(&"word ".repeat(1_000)).await;
    let edited: Vec<_> = texts(&platform)[3..].iter().map(|(_, edited)| *edited).collect();
    assert_eq!(edited, [true, false]);

    // One person waits at two: the newest becomes the answer, and the other one goes.
    asks(&platform, &cluster, 42).await;
    asks(&platform, &cluster, 42).await;
    answers("third").await;
    assert_eq!(texts(&platform)[5..], [seen("third", true)]);

    // Another worker finds what stands there, and whose it is.
    asks(&platform, &cluster, 42).await;
    asks(&platform, &cluster, 42).await;
    all_is_written_down(&api).await;
    drop(worker);
    let _other = cluster.worker("two", &api.base).await;
    answers("fourth").await;
    let last = [seen("third", true), seen("fourth", true)];
    eventually("the answer", LIMIT, async || (texts(&platform)[5..] == last).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_does_not_take_the_place_of_an_answer() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (cluster, api, _processes) = start_in(cluster, &platform).await;
    let _scheduler = cluster.scheduler("clock").await;
    asks(&platform, &cluster, 42).await;
    let action =
        json!({"type": "channel_message", "channel": "telegram", "recipient": 42, "message": "pills"});
    let job = json!({"name": "pills", "schedule": {"type": "every", "every_secs": 1}, "action": action});
    let (status, job) = api.call("POST", "/api/users/ada/cron/jobs", Some(job)).await;
    assert!(status.is_success(), "{job}");
    eventually("the reminder", LIMIT, async || (platform.sent().len() >= 2).then_some(())).await;
    assert_eq!(texts(&platform)[0], ("Processing...".to_owned(), false));
    let (status, answer) = api.send("ada", "bot1", "42", "the answer").await;
    assert!(status.is_success(), "{answer}");
    let answered = ("the answer".to_owned(), true);
    eventually("the answer", LIMIT, async || (texts(&platform)[0] == answered).then_some(())).await;
    assert!(texts(&platform)[1..].iter().all(|sent| *sent == ("pills".to_owned(), false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_shown_before_the_answer_came_is_put_aside() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform).await;
    platform.misbehave(Faults { refused: 1, ..Faults::default() });
    cluster.receiver.reply_with(json!({"immediate_reply": "Processing...", "async_processing": true}));
    platform.inject(1, 42, "hi");
    let shown = eventually("a placeholder that is refused", LIMIT, async || {
        let (_, page) = api.call("GET", "/api/users/ada/messages?direction=out", None).await;
        let message = &page["messages"][0];
        (message["attempts"].as_u64()? > 0).then(|| message["id"].as_str().unwrap().to_owned())
    })
    .await;
    let path = format!("/api/users/ada/messages/{shown}");
    let aside = async {
        let record = eventually("it to be put aside", LIMIT, async || {
            let (_, record) = api.call("GET", &path, None).await;
            (record["state"] == "discarded").then_some(record)
        })
        .await;
        platform.misbehave(Faults::default());
        record
    };
    let ((status, answer), record) = tokio::join!(api.send("ada", "bot1", "42", "the answer"), aside);
    assert!(status.is_success(), "{answer}");
    let why = record["discard_reason"].as_str().unwrap_or_default();
    assert!(why.starts_with("the answer came before"), "{record}");
    let answered = [("the answer".to_owned(), false)];
    eventually("the answer alone", LIMIT, async || (texts(&platform) == answered).then_some(())).await;
}

/// Waits until it is written down of all that was sent that it was.
async fn all_is_written_down(api: &Api) {
    eventually("all that was sent to be written down", LIMIT, async || {
        let (_, page) = api.call("GET", "/api/users/ada/messages?direction=out&state=pending", None).await;
        page["messages"].as_array()?.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_a_second_attempt_takes_the_place_of_what_the_first_one_brought() {
    let platform = Platform::start().await;
    let (cluster, api, [_gateway, worker]) = start(&platform).await;
    asks(&platform, &cluster, 42).await;
    asks(&platform, &cluster, 43).await;
    settled(&api, 2).await;
    all_is_written_down(&api).await;
    drop(worker);
    // As if it had died before it was written down that its webhooks were answered, and one had been a worker of the version before.
    let mut database = cluster.database.connect().await;
    for change in [
        "update messages set state = 'pending', finished_at = null where direction = 'in'",
        "update message_keys k set key = 'answer:' || m.id from messages m
         where m.direction = 'in' and m.conversation = '43' and k.key = 'answer:' || m.id || ':11'",
    ] {
        let changed = sqlx::query(change).execute(&mut database).await.unwrap();
        assert!(changed.rows_affected() > 0, "{change}");
    }
    cluster.receiver.reply_with(json!({"reply": "the answer"}));
    let _other = cluster.worker("two", &api.base).await;
    let answered = [("the answer".to_owned(), true), ("the answer".to_owned(), true)];
    eventually("both answers", LIMIT, async || (texts(&platform) == answered).then_some(())).await;
    settled(&api, 2).await;
    assert_eq!(cluster.receiver.deliveries().len(), 4);
}

/// Waits until the backend's answers to so many messages are committed.
async fn settled(api: &Api, count: usize) {
    let what = format!("{count} messages to be settled");
    eventually(&what, LIMIT, async || {
        let (_, page) = api.call("GET", "/api/users/ada/messages?direction=in&state=done", None).await;
        (page["messages"].as_array()?.len() == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placeholder_is_not_shown_behind_the_answer_and_a_channel_may_keep_it_or_do_without() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform).await;
    for (n, manner) in [(2, "keep"), (3, "off")] {
        let fields =
            json!({"bot_token_env": platform.bot(n), "api_url": platform.url(), "placeholder": manner});
        api.configure("ada", &format!("bot{n}"), "telegram", fields).await;
    }
    assert!(platform.wait_for_polling(3, LIMIT).await);
    let answers = async |slug: &str, text: &str| {
        let (status, answer) = api.send("ada", slug, "42", text).await;
        assert!(status.is_success(), "{answer}");
    };
    let seen = |text: &str| (text.to_owned(), false);

    asks(&platform, &cluster, 42).await;
    answers("bot1", "the first answer").await;
    // The backend sends its answer, and then says that it works on it. What was sent before it was asked is no answer.
    cluster.receiver.answer_after(Duration::from_secs(5));
    platform.inject(1, 42, "asked again");
    cluster.receiver.wait_for(2).await;
    answers("bot1", "early").await;
    settled(&api, 2).await;
    answers("bot1", "next").await;
    assert_eq!(texts(&platform)[1..], [seen("early"), seen("next")]);
    cluster.receiver.answer_after(Duration::ZERO);

    platform.inject(2, 42, "hi");
    eventually("a placeholder", LIMIT, async || (platform.sent().len() == 4).then_some(())).await;
    answers("bot2", "kept").await;
    assert_eq!(texts(&platform)[3..], [seen("Processing..."), seen("kept")]);

    platform.inject(3, 42, "hi");
    settled(&api, 4).await;
    answers("bot3", "alone").await;
    assert_eq!(texts(&platform)[5..], [seen("alone")]);
}
