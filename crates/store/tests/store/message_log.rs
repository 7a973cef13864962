//! Looking at messages, and deciding about dead letters.

use chrono::TimeDelta;
use claw_runtime::SystemClock;
use claw_store::{
    Accepted, Actor, AgentEvent, Lease, MessageDetail, MessageFilter, MessagePlace, MessageRow, NewMessage,
    Place, Selection, Settlement, Unchanged, When,
};
use claw_types::{ChannelId, Direction, Epoch, MessageId, MessageState, ShardCount, ShardId, UserId, Work};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use crate::Bench;

/// A channel with an owner, and what it is told to do with messages.
struct Owned {
    bench: Bench,
    user: UserId,
    channel: ChannelId,
    shard: ShardId,
    epoch: Epoch,
    _lease: Lease,
}

impl Owned {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let save = bench.channel("ada", "chat");
        bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
        let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
        let epoch = lease.claim(&[save.shard]).await.unwrap()[0].epoch;
        Self { bench, user: save.user_id, channel: save.id, shard: save.shard, epoch, _lease: lease }
    }

    async fn accept(&self, user: &str, conversation: &str, payload: Value) -> Work {
        let message = NewMessage {
            id: MessageId(self.bench.ids.next()),
            user_id: user.parse().unwrap(),
            channel_id: self.channel,
            shard: self.shard,
            direction: Direction::Out,
            conversation: conversation.to_owned(),
            payload: to_raw_value(&payload).unwrap(),
            media: None,
            key: None,
            digest: None,
            source: None,
            debounce_ms: 0,
        };
        match self.bench.writer.accept(message).await.unwrap() {
            Accepted::New(work) => *work,
            Accepted::Duplicate(id) => panic!("{id} was there before"),
        }
    }

    async fn text(&self, conversation: &str) -> Work {
        self.accept("ada", conversation, json!({"recipient": "r", "text": conversation})).await
    }

    /// Records the outcome of the attempt number `attempts`.
    async fn settle(&self, work: &Work, attempts: u32, state: MessageState) {
        let settlement = Settlement {
            id: work.id,
            shard: work.shard,
            epoch: self.epoch,
            state,
            due_in: 60.0,
            retries: work.retries,
            attempts,
            platform_message_ids: vec!["p1".to_owned()],
            error: (state != MessageState::Done).then(|| format!("failure {attempts}")),
            burst: None,
        };
        assert!(self.bench.writer.settle(settlement).await.unwrap());
    }

    async fn dead(&self, conversation: &str, state: MessageState) -> Work {
        let work = self.text(conversation).await;
        self.settle(&work, 1, state).await;
        work
    }

    async fn list(
        &self,
        filter: &MessageFilter,
        before: Option<MessagePlace>,
        limit: i64,
    ) -> Vec<MessageRow> {
        self.bench.store.tenant(&self.user).await.unwrap().messages(filter, before, limit).await.unwrap()
    }

    async fn detail(&self, id: MessageId) -> MessageDetail {
        self.bench.store.tenant(&self.user).await.unwrap().message(id).await.unwrap().unwrap()
    }

    async fn revive(&self, which: &Selection) -> (Vec<Work>, Vec<Unchanged>) {
        let mut tenant = self.bench.store.tenant(&self.user).await.unwrap();
        let (revived, unchanged) = tenant.messages_revive(which, &Actor::named("a test")).await.unwrap();
        tenant.commit().await.unwrap();
        (revived.into_iter().map(|revived| revived.work).collect(), unchanged)
    }

    async fn discard(&self, which: &Selection) -> (Vec<MessageId>, Vec<Unchanged>) {
        let mut tenant = self.bench.store.tenant(&self.user).await.unwrap();
        let done = tenant.messages_discard(which, "spam", &Actor::named("a test")).await.unwrap();
        tenant.commit().await.unwrap();
        done
    }
}

fn ids(rows: &[MessageRow]) -> Vec<MessageId> {
    rows.iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn lists_are_newest_first_and_every_page_goes_on_where_the_last_ended() {
    let owned = Owned::new().await;
    // One batch: all accepted at the same moment.
    let names: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    let works = futures::future::join_all(names.iter().map(|name| owned.text(name))).await;
    let all = owned.list(&MessageFilter::default(), None, 100).await;
    let newest_first: Vec<_> = works.iter().rev().map(|work| work.id).collect();
    assert_eq!(ids(&all), newest_first);
    let (mut read, mut before) = (Vec::new(), None);
    loop {
        let page = owned.list(&MessageFilter::default(), before, 3).await;
        let Some(last) = page.last() else { break };
        before = Some(last.place);
        read.extend(ids(&page));
        owned.text("meanwhile").await;
    }
    assert_eq!(read, newest_first);
}

#[tokio::test]
async fn every_filter_narrows() {
    let owned = Owned::new().await;
    let failed = owned.dead("a", MessageState::Failed).await;
    let done = owned.text("a").await;
    owned.settle(&done, 1, MessageState::Done).await;
    let pending = owned.text("b").await;
    owned.accept("bob", "a", json!({"text": "bob's"})).await;
    let now = owned.bench.store.now().await.unwrap();
    let all = MessageFilter::default;
    let table = [
        (all(), vec![pending.id, done.id, failed.id]),
        (MessageFilter { dead: true, ..all() }, vec![failed.id]),
        (
            MessageFilter { channel: Some("chat".parse().unwrap()), ..all() },
            vec![pending.id, done.id, failed.id],
        ),
        (MessageFilter { channel: Some("other".parse().unwrap()), ..all() }, vec![]),
        (MessageFilter { conversation: Some("a".into()), ..all() }, vec![done.id, failed.id]),
        (MessageFilter { direction: Some(Direction::In), ..all() }, vec![]),
        (MessageFilter { state: Some(MessageState::Pending), ..all() }, vec![pending.id]),
        (MessageFilter { state: Some(MessageState::Done), ..all() }, vec![done.id]),
        (MessageFilter { since: Some(now + TimeDelta::hours(1)), ..all() }, vec![]),
        (MessageFilter { until: Some(now - TimeDelta::hours(1)), ..all() }, vec![]),
        (
            MessageFilter {
                dead: true,
                state: Some(MessageState::Failed),
                direction: Some(Direction::Out),
                since: Some(now - TimeDelta::hours(1)),
                until: Some(now + TimeDelta::hours(1)),
                channel: Some("chat".parse().unwrap()),
                conversation: Some("a".into()),
            },
            vec![failed.id],
        ),
    ];
    for (filter, expected) in table {
        assert_eq!(ids(&owned.list(&filter, None, 10).await), expected, "{filter:?}");
        let user = Some(&owned.user);
        let of_all = owned.bench.store.messages_of_all(user, &filter, None, 10).await.unwrap();
        assert_eq!(ids(&of_all), expected, "{filter:?}");
    }
    let everybody = owned.bench.store.messages_of_all(None, &all(), None, 10).await.unwrap();
    assert_eq!(everybody.len(), 4);
    let (name, actor) = ("chat".parse().unwrap(), Actor::named("a test"));
    owned.bench.store.channel_delete(&owned.user, &name, &actor).await.unwrap();
    let filter = MessageFilter { channel: Some("chat".parse().unwrap()), ..all() };
    assert_eq!(
        owned.list(&filter, None, 10).await.len(),
        3,
        "the name of a deleted channel still finds them"
    );
}

#[tokio::test]
async fn a_list_shows_the_beginning_of_whatever_the_body_is() {
    let owned = Owned::new().await;
    let long = format!("\0\u{1F600}{}", "\u{1}".repeat(100_000));
    let bodies = [
        (json!({"recipient": "42", "text": long}), Some("42"), Some(200), Some("text")),
        (
            json!({"recipient": "42", "text": "see", "media": [{"kind": "image", "url": "u"}]}),
            Some("42"),
            Some(3),
            Some("image"),
        ),
        (json!({"recipient": "42", "poll": {"question": "?"}}), Some("42"), None, Some("poll")),
        (json!({"recipient": "42", "location": {"latitude": 1}}), Some("42"), None, Some("location")),
        (json!({"recipient": "42", "act": {"type": "delete"}}), Some("42"), None, Some("delete")),
        (json!({"content_type": "voice", "reply_to": {"recipient": "7"}}), Some("7"), None, Some("voice")),
        (json!("not an object"), None, None, None),
        (json!([1]), None, None, None),
    ];
    for (body, recipient, text, kind) in bodies {
        let work = owned.accept("ada", "c", body.clone()).await;
        let row = owned.list(&MessageFilter::default(), None, 1).await.remove(0);
        assert_eq!(row.id, work.id);
        let shown = (
            row.recipient.as_deref(),
            row.text.as_deref().map(|t| t.chars().count()),
            row.content_type.as_deref(),
        );
        assert_eq!(shown, (recipient, text, kind), "{}", row.text.unwrap_or_default().len());
        assert_eq!((row.instance.as_deref(), row.channel_type.as_deref()), (Some("chat"), Some("kind")));
        let detail = owned.detail(work.id).await;
        assert_eq!(serde_json::from_str::<Value>(detail.payload.get()).unwrap(), body, "as it was given");
    }
}

#[tokio::test]
async fn failed_attempts_are_kept_and_the_last_one_is_the_messages_own() {
    use MessageState::{Dead, Done, Pending};

    let owned = Owned::new().await;
    let work = owned.text("c").await;
    assert!(owned.detail(work.id).await.attempts.is_empty());
    for n in 1..=3 {
        owned.settle(&work, n, Pending).await;
        // The answer was lost, so it is written again.
        owned.settle(&work, n, Pending).await;
    }
    owned.settle(&work, 4, Done).await;
    let detail = owned.detail(work.id).await;
    let told: Vec<_> =
        detail.attempts.iter().map(|a| (a.retry, a.n, a.outcome, a.error.as_deref())).collect();
    let expected = [
        (0, 1, Pending, Some("failure 1")),
        (0, 2, Pending, Some("failure 2")),
        (0, 3, Pending, Some("failure 3")),
        (0, 4, Done, None),
    ];
    assert_eq!((told, detail.row.attempts), (expected.to_vec(), 4));
    assert_eq!(detail.attempts[3].at, detail.row.finished_at.unwrap());

    let dead = owned.dead("c", Dead).await;
    let (revived, _) = owned.revive(&Selection::Ids(vec![dead.id])).await;
    owned.settle(&revived[0], 1, Done).await;
    let detail = owned.detail(dead.id).await;
    let told: Vec<_> = detail.attempts.iter().map(|a| (a.retry, a.n, a.outcome)).collect();
    assert_eq!(told, [(0, 1, Dead), (1, 1, Done)]);
    let mut admin = owned.bench.database.connect().await;
    let rows: i64 =
        sqlx::query_scalar("select count(*) from message_attempts").fetch_one(&mut admin).await.unwrap();
    assert_eq!(rows, 4, "a success is written nowhere else");
    sqlx::query("delete from messages").execute(&mut admin).await.unwrap();
    let rows: i64 =
        sqlx::query_scalar("select count(*) from message_attempts").fetch_one(&mut admin).await.unwrap();
    assert_eq!(rows, 0, "attempts go with their message");
}

#[tokio::test]
async fn which_parts_were_sent_is_kept_and_is_no_attempt() {
    let owned = Owned::new().await;
    let work = owned.text("long").await;
    let sent = Settlement {
        id: work.id,
        shard: work.shard,
        epoch: owned.epoch,
        state: MessageState::Pending,
        due_in: 0.0,
        retries: work.retries,
        attempts: work.attempts,
        platform_message_ids: vec!["p1".to_owned(), "p2".to_owned()],
        error: None,
        burst: None,
    };
    assert!(owned.bench.writer.settle(sent).await.unwrap());
    let pending = owned.bench.store.messages_pending(&[(work.shard, 0)], 10).await.unwrap();
    assert_eq!((pending[0].0.platform_message_ids.len(), pending[0].0.attempts), (2, 0));
    assert!(owned.detail(work.id).await.attempts.is_empty());
    owned.settle(&work, 1, MessageState::Pending).await;
    assert_eq!(owned.detail(work.id).await.attempts.len(), 1, "a failure is one");
}

#[tokio::test]
async fn a_revived_message_is_pending_at_a_new_place_with_what_was_sent() {
    let owned = Owned::new().await;
    let first = owned.dead("c", MessageState::Dead).await;
    let second = owned.dead("c", MessageState::Uncertain).await;
    let newer = owned.text("c").await;
    // The order of the call does not matter.
    let (revived, unchanged) = owned.revive(&Selection::Ids(vec![second.id, first.id])).await;
    assert_eq!(revived.iter().map(|w| w.id).collect::<Vec<_>>(), [first.id, second.id]);
    assert!(unchanged.is_empty());
    assert!(newer.seq < revived[0].seq && revived[0].seq < revived[1].seq);
    for work in &revived {
        assert_eq!((work.retries, work.attempts), (1, 0));
        assert_eq!(work.platform_message_ids, ["p1"]);
        assert!(work.retried_at_ms >= work.accepted_at_ms && work.fresh_at_ms() == work.retried_at_ms);
    }
    let pending = owned.bench.store.messages_pending(&[(owned.shard, newer.seq)], 10).await.unwrap();
    assert_eq!(
        pending.iter().map(|(w, _)| (w.id, w.retries)).collect::<Vec<_>>(),
        [(first.id, 1), (second.id, 1)]
    );
    assert!(owned.bench.store.messages_high_water().await.unwrap() >= revived[1].seq);
    // In lists it stays where it was.
    let listed = owned.list(&MessageFilter::default(), None, 10).await;
    assert_eq!(ids(&listed), [newer.id, second.id, first.id]);
    let row = owned.detail(first.id).await.row;
    assert_eq!((row.state, row.error.as_deref(), row.retries), (MessageState::Pending, Some("failure 1"), 1));
    assert!(row.next_attempt_at.is_some() && row.retried_at.is_some() && row.finished_at.is_none());
}

#[tokio::test]
async fn a_late_word_about_the_time_before_changes_nothing() {
    let owned = Owned::new().await;
    let work = owned.dead("c", MessageState::Dead).await;
    let (revived, _) = owned.revive(&Selection::Ids(vec![work.id])).await;
    // Its owner did not hear that this was committed, and says it once more.
    owned.settle(&work, 1, MessageState::Dead).await;
    assert_eq!(owned.detail(work.id).await.row.state, MessageState::Pending);
    owned.settle(&revived[0], 1, MessageState::Done).await;
    assert_eq!(owned.detail(work.id).await.row.state, MessageState::Done);
}

#[tokio::test]
async fn only_what_ended_without_success_is_decided_about_and_only_ones_own() {
    let owned = Owned::new().await;
    let pending = owned.text("c").await;
    let done = owned.text("c").await;
    owned.settle(&done, 1, MessageState::Done).await;
    let bobs = owned.accept("bob", "c", json!({})).await;
    owned.settle(&bobs, 1, MessageState::Dead).await;
    let nobodys = MessageId(owned.bench.ids.next());
    let which = Selection::Ids(vec![pending.id, nobodys, done.id, bobs.id]);
    let unchanged = |id, state| Unchanged { id, state };
    let expected = [
        unchanged(pending.id, Some(MessageState::Pending)),
        unchanged(nobodys, None),
        unchanged(done.id, Some(MessageState::Done)),
        unchanged(bobs.id, None),
    ];
    let (revived, refused) = owned.revive(&which).await;
    assert_eq!((revived.len(), refused.as_slice()), (0, expected.as_slice()));
    let (discarded, refused) = owned.discard(&which).await;
    assert_eq!((discarded.len(), refused.as_slice()), (0, expected.as_slice()));
    assert!(owned.bench.store.tenant(&owned.user).await.unwrap().message(bobs.id).await.unwrap().is_none());
    let of_all =
        owned.bench.store.messages_revive_of_all(None, &which, &Actor::named("a test")).await.unwrap();
    assert_eq!(of_all.0.iter().map(|r| r.work.id).collect::<Vec<_>>(), [bobs.id]);
}

#[tokio::test]
async fn the_oldest_are_taken_first_and_uncertain_ones_only_when_asked_for() {
    let owned = Owned::new().await;
    let mut dead = Vec::new();
    for state in [MessageState::Uncertain, MessageState::Dead, MessageState::Failed, MessageState::Dead] {
        dead.push(owned.dead("c", state).await.id);
    }
    let taken = |(works, _): (Vec<Work>, Vec<Unchanged>)| works.iter().map(|w| w.id).collect::<Vec<_>>();
    let filter = MessageFilter::default;
    assert_eq!(taken(owned.revive(&Selection::Oldest(filter(), 2)).await), dead[1..3]);
    assert_eq!(taken(owned.revive(&Selection::Oldest(filter(), 9)).await), dead[3..]);
    assert!(taken(owned.revive(&Selection::Oldest(filter(), 9)).await).is_empty());
    let uncertain = MessageFilter { state: Some(MessageState::Uncertain), ..filter() };
    assert_eq!(taken(owned.revive(&Selection::Oldest(uncertain, 9)).await), dead[..1]);
}

#[tokio::test]
async fn what_is_discarded_keeps_its_reason_until_it_is_revived_and_both_are_noted() {
    let owned = Owned::new().await;
    let work = owned.dead("c", MessageState::Dead).await;
    let which = Selection::Ids(vec![work.id]);
    assert_eq!(owned.discard(&which).await.0, [work.id]);
    assert_eq!(
        owned.discard(&which).await.1,
        [Unchanged { id: work.id, state: Some(MessageState::Discarded) }]
    );
    let row = owned.detail(work.id).await.row;
    assert_eq!((row.state, row.discard_reason.as_deref()), (MessageState::Discarded, Some("spam")));
    let status = owned.bench.store.message_status(work.id).await.unwrap().unwrap();
    assert_eq!(status.error.as_deref(), Some("spam"));
    assert!(owned.list(&MessageFilter { dead: true, ..MessageFilter::default() }, None, 9).await.is_empty());
    assert_eq!(owned.revive(&which).await.0.len(), 1);
    assert_eq!(owned.detail(work.id).await.row.discard_reason, None);
    let audit = owned.bench.store.audit_entries(&claw_store::AuditFilter::default(), 2).await.unwrap();
    let told: Vec<_> =
        audit.iter().map(|e| (e.action.as_str(), e.subject.clone(), e.user_id.as_deref())).collect();
    let subject = work.id.to_string();
    assert_eq!(
        told,
        [("message.retried", subject.clone(), Some("ada")), ("message.discarded", subject, Some("ada"))]
    );
    assert_eq!(audit[1].detail, Some(json!({"was": "dead", "reason": "spam"})));
}

#[tokio::test]
async fn what_somebody_decides_is_told_with_the_change() {
    let owned = Owned::new().await;
    // As long as anybody's older transaction runs, the channel's own event lies behind this moment, too.
    claw_testkit::eventually(
        "the channel's event to be settled",
        std::time::Duration::from_secs(20),
        async || {
            let mut page =
                owned.bench.store.events_after(Some(&owned.user), Place::default(), 1).await.unwrap();
            page.events.pop().map(drop)
        },
    )
    .await;
    let start = owned.bench.store.events_now().await.unwrap();
    let work = owned.dead("c", MessageState::Failed).await;
    let which = Selection::Ids(vec![work.id]);
    owned.discard(&which).await;
    owned.discard(&which).await;
    owned.revive(&which).await;
    owned.revive(&which).await;
    let mut undone = owned.bench.store.tenant(&owned.user).await.unwrap();
    undone.messages_discard(&which, "spam", &Actor::named("a test")).await.unwrap();
    drop(undone);
    let limit = std::time::Duration::from_secs(20);
    let told = claw_testkit::eventually("four events", limit, async || {
        let page = owned.bench.store.events_after(Some(&owned.user), start, 10).await.unwrap();
        (page.events.len() >= 4).then_some(page.events)
    });
    let told: Vec<Value> =
        told.await.iter().map(|event| serde_json::from_str(&event.json().unwrap()).unwrap()).collect();
    let kinds: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message.queued", "message.failed", "message.discarded", "message.retried"]);
    let data =
        |was, retries| json!({"direction": "out", "conversation": "c", "was": was, "retries": retries});
    assert_eq!((&told[2]["data"], &told[3]["data"]), (&data("failed", 0), &data("discarded", 1)));
    assert!(told.iter().all(|event| event["message_id"] == json!(work.id.0)));
}

#[tokio::test]
async fn what_belongs_to_no_channel_is_among_what_is_pending() {
    let owned = Owned::new().await;
    let eve: UserId = "eve".parse().unwrap();
    let mut expected = Vec::new();
    for user in [&owned.user, &eve] {
        let event = AgentEvent {
            user,
            agent_id: "",
            source: "wake",
            session: None,
            text: "disk full".to_owned(),
            metadata: Map::new(),
            chat: None,
            key: None,
        };
        let shards = ShardCount::new(8).unwrap();
        let event = NewMessage::event(event, shards, &owned.bench.ids, &SystemClock).unwrap();
        owned.bench.store.wake(&event, When::Now, None).await.unwrap();
        expected.push(event.id);
    }
    let texts = owned.text("c").await;
    let pending = MessageFilter { state: Some(MessageState::Pending), ..MessageFilter::default() };
    assert_eq!(ids(&owned.list(&pending, None, 10).await), [texts.id, expected[0]]);
    let mut hers = owned.bench.store.tenant(&eve).await.unwrap();
    assert_eq!(ids(&hers.messages(&pending, None, 10).await.unwrap()), [expected[1]], "without any channel");
    let in_session =
        MessageFilter { conversation: Some("eve/hook:wake:eve".into()), ..MessageFilter::default() };
    assert_eq!(ids(&hers.messages(&in_session, None, 10).await.unwrap()), [expected[1]]);
}

#[tokio::test]
async fn two_that_retry_at_once_revive_once() {
    let owned = Owned::new().await;
    let work = owned.dead("c", MessageState::Dead).await;
    let which = Selection::Ids(vec![work.id]);
    let (one, two) = tokio::join!(owned.revive(&which), owned.revive(&which));
    assert_eq!(one.0.len() + two.0.len(), 1);
    assert_eq!(owned.detail(work.id).await.row.retries, 1);
}
