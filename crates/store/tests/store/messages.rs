use claw_store::{
    Accepted, Actor, Error, Lease, Look, MessageFilter, NewMessage, Pending, Selection, Settlement, Whose,
};
use claw_types::{Direction, Epoch, MessageId, MessageState, ShardId, Work};
use serde_json::value::RawValue;

use crate::Bench;

const SHARD: ShardId = ShardId(3);

pub(crate) fn message(bench: &Bench, conversation: &str, text: &str, key: Option<&str>) -> NewMessage {
    NewMessage {
        id: MessageId(bench.ids.next()),
        user_id: "ada".parse().unwrap(),
        channel_id: uuid::Uuid::from_u128(1).into(),
        shard: SHARD,
        direction: Direction::In,
        conversation: conversation.to_owned(),
        payload: RawValue::from_string(serde_json::to_string(text).unwrap()).unwrap(),
        media: None,
        key: key.map(str::to_owned),
        digest: None,
        source: Some("person".to_owned()),
        debounce_ms: 0,
    }
}

async fn accept(bench: &Bench, message: NewMessage) -> Work {
    match bench.writer.accept(message).await.unwrap() {
        Accepted::New(work) => *work,
        Accepted::Duplicate(id) => panic!("{id} was there before"),
    }
}

fn settlement(work: &Work, epoch: Epoch, state: MessageState) -> Settlement {
    Settlement {
        id: work.id,
        shard: work.shard,
        epoch,
        state,
        due_in: 60.0,
        retries: work.retries,
        attempts: 1,
        platform_message_ids: vec!["p1".to_owned()],
        error: Some("why".to_owned()),
        burst: None,
    }
}

async fn claim(bench: &Bench, name: &str) -> (Lease, Epoch) {
    let mut lease = Lease::open(bench.database.url(), Bench::member(name)).await.unwrap();
    let claimed = lease.claim(&[SHARD]).await.unwrap();
    (lease, claimed[0].epoch)
}

#[tokio::test]
async fn what_is_accepted_is_pending_in_order() {
    let bench = Bench::new().await;
    let texts: Vec<String> = (0..50).map(|n| format!("text {n} \0 \u{1F600}")).collect();
    let accepting = texts.iter().map(|text| accept(&bench, message(&bench, "c", text, None)));
    let accepted = futures::future::join_all(accepting).await;
    assert!(accepted.windows(2).all(|pair| pair[0].seq < pair[1].seq), "the order of submission");
    let pending = bench.store.messages_pending(&[(SHARD, 0), (ShardId(4), 0)], 100).await.unwrap();
    let read: Vec<String> =
        pending.iter().map(|(w, _)| serde_json::from_str(w.payload.get()).unwrap()).collect();
    assert_eq!(read, texts, "verbatim, NUL and all");
    let behind = bench.store.messages_pending(&[(SHARD, accepted[47].seq)], 100).await.unwrap();
    assert_eq!(behind.len(), 2);
    let page = bench.store.messages_pending(&[(SHARD, 0)], 10).await.unwrap();
    assert_eq!(page.len(), 10);
    assert!(bench.store.messages_high_water().await.unwrap() >= accepted[49].seq);
}

#[tokio::test]
async fn a_shard_is_read_without_some_tenants_and_one_tenant_by_itself() {
    let bench = Bench::new().await;
    for n in 0..6 {
        let user_id = ["ada", "bob", "\"q\""][n % 3].parse().unwrap();
        accept(&bench, NewMessage { user_id, ..message(&bench, &n.to_string(), "x", None) }).await;
    }
    let read = async |whose: Whose, limit| {
        let page = [Look { shard: SHARD, after: 0, whose }];
        let rows = bench.store.messages_pending_pages(&page, limit).await.unwrap();
        let places = bench.store.messages_pending_places(&page, limit).await.unwrap();
        let place = |(work, _): &(Work, f64)| Pending {
            id: work.id,
            shard: work.shard,
            seq: work.seq,
            retries: work.retries,
            channel_id: work.channel_id,
            direction: work.direction,
            conversation: work.conversation.clone(),
        };
        assert_eq!(places, rows.iter().map(place).collect::<Vec<_>>());
        rows.into_iter().map(|(work, _)| work.conversation).collect::<Vec<_>>()
    };
    let users = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
    assert_eq!(read(Whose::AllBut(users(&["ada", "\"q\""])), 9).await, ["1", "4"]);
    assert_eq!(read(Whose::AllBut(users(&["bob"])), 3).await, ["0", "2", "3"]);
    assert_eq!(read(Whose::Only("\"q\"".parse().unwrap()), 9).await, ["2", "5"]);
}

#[tokio::test]
async fn the_same_key_is_the_same_message() {
    let bench = Bench::new().await;
    let first = accept(&bench, message(&bench, "c", "one", Some("in:7"))).await;
    let again = bench.writer.accept(message(&bench, "c", "two", Some("in:7"))).await.unwrap();
    assert!(matches!(again, Accepted::Duplicate(id) if id == first.id));
    // In one batch, and from two writers at once.
    let many = (0..20).map(|_| bench.writer.accept(message(&bench, "c", "x", Some("in:8"))));
    let answers = futures::future::join_all(many).await;
    let ids: std::collections::HashSet<_> = answers.iter().map(|a| a.as_ref().unwrap().id()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(bench.store.messages_pending(&[(SHARD, 0)], 100).await.unwrap().len(), 2);
    assert_eq!(bench.store.message_keys_forget(7, 10).await.unwrap(), 0);
    for left in [1, 1, 0] {
        assert_eq!(bench.store.message_keys_forget(-1, 1).await.unwrap(), left, "some at a time");
    }
}

/// It is committed by then: who heard an error would send it again.
#[tokio::test]
async fn what_is_stored_is_told_though_the_keys_of_others_can_not_be_looked_up() {
    let bench = Bench::new().await;
    let first = accept(&bench, message(&bench, "c", "one", Some("in:7"))).await;
    let mut admin = bench.database.connect().await;
    // Enough for writing a key.
    let less = "revoke select on message_keys from ii_claw_app; grant select (message_id) on message_keys to ii_claw_app";
    sqlx::raw_sql(less).execute(&mut admin).await.unwrap();
    // In one batch.
    let (fresh, again) = tokio::join!(
        bench.writer.accept(message(&bench, "c", "two", None)),
        bench.writer.accept(message(&bench, "c", "x", Some("in:7"))),
    );
    assert!(matches!(fresh, Ok(Accepted::New(_))), "{fresh:?}");
    assert!(matches!(again, Err(Error::NotCommitted(_))), "{again:?}");
    sqlx::raw_sql("grant select on message_keys to ii_claw_app").execute(&mut admin).await.unwrap();
    let again = bench.writer.accept(message(&bench, "c", "x", Some("in:7"))).await.unwrap();
    assert!(matches!(again, Accepted::Duplicate(id) if id == first.id));
    assert_eq!(bench.store.messages_pending(&[(SHARD, 0)], 100).await.unwrap().len(), 2);
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused_as_far_as_the_bodies_are_known() {
    let bench = Bench::new().await;
    let with = |key: &str, digest: Option<[u8; 32]>| {
        bench.writer.accept(NewMessage { digest, ..message(&bench, "c", "x", Some(key)) })
    };
    let (a, b) = (Some([1; 32]), Some([2; 32]));
    let first = with("out:1", a).await.unwrap().id();
    assert_eq!(with("out:1", a).await.unwrap().id(), first);
    assert!(matches!(with("out:1", b).await, Err(Error::KeyReused)));
    assert_eq!(with("out:1", None).await.unwrap().id(), first);
    let unknown = with("out:2", None).await.unwrap().id();
    assert_eq!(with("out:2", b).await.unwrap().id(), unknown, "from before bodies were kept");
    // In one batch.
    let (one, two) = tokio::join!(with("out:3", a), with("out:3", b));
    assert!(one.is_ok() && matches!(two, Err(Error::KeyReused)));
}

#[tokio::test]
async fn a_row_that_can_not_be_stored_fails_alone() {
    let bench = Bench::new().await;
    let bad = message(&bench, "nul \0 here", "bad", None);
    let (good, bad, also_good) = tokio::join!(
        bench.writer.accept(message(&bench, "c", "one", None)),
        bench.writer.accept(bad),
        bench.writer.accept(message(&bench, "c", "two", None)),
    );
    assert!(good.is_ok() && bad.is_err() && also_good.is_ok());
}

#[tokio::test]
async fn a_reason_is_stored_whatever_the_platform_said() {
    let bench = Bench::new().await;
    let (_lease, epoch) = claim(&bench, "one").await;
    let work = accept(&bench, message(&bench, "c", "one", None)).await;
    let said = format!("no\0 way\n{}", "x".repeat(100_000));
    let settlement = Settlement { error: Some(said), ..settlement(&work, epoch, MessageState::Failed) };
    assert!(bench.writer.settle(settlement).await.unwrap());
    let error = bench.store.message_status(work.id).await.unwrap().unwrap().error.unwrap();
    assert!(error.starts_with("no way x") && error.len() == 1_000, "{error}");
}

#[tokio::test]
async fn the_message_of_a_key_is_found() {
    let bench = Bench::new().await;
    let stored = NewMessage { digest: Some([1; 32]), ..message(&bench, "c", "one", Some("out:k")) };
    let id = accept(&bench, stored.clone()).await.id;
    let of = |key: &'static str, digest| bench.store.message_of_key(stored.channel_id, key, digest);
    assert_eq!(of("k", [1; 32]).await.unwrap(), Some(id));
    assert_eq!(of("other", [1; 32]).await.unwrap(), None);
    assert!(matches!(of("k", [2; 32]).await, Err(Error::KeyReused)));
    let elsewhere = bench.store.message_of_key(uuid::Uuid::from_u128(2).into(), "k", [1; 32]).await;
    assert_eq!(elsewhere.unwrap(), None);
}

#[tokio::test]
async fn a_settled_message_is_done_and_a_failed_one_waits() {
    let bench = Bench::new().await;
    let (_lease, epoch) = claim(&bench, "one").await;
    let done = accept(&bench, message(&bench, "c", "one", None)).await;
    let failed = accept(&bench, message(&bench, "c", "two", None)).await;
    assert!(bench.writer.settle(settlement(&done, epoch, MessageState::Done)).await.unwrap());
    assert!(bench.writer.settle(settlement(&failed, epoch, MessageState::Pending)).await.unwrap());
    let pending = bench.store.messages_pending(&[(SHARD, 0)], 10).await.unwrap();
    assert_eq!(pending.len(), 1);
    let (work, due_in) = &pending[0];
    assert_eq!((work.id, work.attempts), (failed.id, 1));
    assert_eq!(work.platform_message_ids, ["p1"]);
    assert!((50.0..=60.0).contains(due_in), "{due_in}");
    let status = bench.store.message_status(done.id).await.unwrap().unwrap();
    assert_eq!((status.state, status.error.as_deref()), (MessageState::Done, Some("why")));
    let lane = |after| bench.store.messages_pending_in(done.channel_id, Direction::In, "c", after, 10);
    assert_eq!(lane(0).await.unwrap().len(), 1);
    assert_eq!(lane(failed.seq).await.unwrap().len(), 0);
    let history = bench.store.messages_history(done.channel_id, "c", 0, 10).await.unwrap();
    assert_eq!(history.iter().map(|row| row.id).collect::<Vec<_>>(), [done.id, failed.id]);
}

#[tokio::test]
async fn what_was_put_aside_before_its_person_saw_it_is_no_history() {
    let bench = Bench::new().await;
    let (_lease, epoch) = claim(&bench, "one").await;
    let of = async |direction, text: &str| {
        accept(&bench, NewMessage { direction, ..message(&bench, "c", text, None) }).await
    };
    let asked = of(Direction::In, "hi").await;
    let aside = of(Direction::Out, "Processing...").await;
    let answer = of(Direction::Out, "the answer").await;
    for work in [&asked, &aside] {
        assert!(bench.writer.settle(settlement(work, epoch, MessageState::Discarded)).await.unwrap());
    }
    let history = bench.store.messages_history(asked.channel_id, "c", 0, 10).await.unwrap();
    let found: Vec<_> = history.iter().map(|row| row.id).collect();
    assert_eq!(found, [asked.id, answer.id], "what a person wrote stays theirs");
}

#[tokio::test]
async fn a_stale_claim_writes_nothing() {
    let bench = Bench::new().await;
    let (lease, old) = claim(&bench, "one").await;
    let work = accept(&bench, message(&bench, "c", "one", None)).await;
    lease.close().await.unwrap();
    let (_lease, new) = claim(&bench, "two").await;
    assert!(new > old);
    // Alone, and in one batch with a write of the present claim.
    assert!(!bench.writer.settle(settlement(&work, old, MessageState::Done)).await.unwrap());
    let other = accept(&bench, message(&bench, "c", "two", None)).await;
    let (stale, fresh) = tokio::join!(
        bench.writer.settle(settlement(&work, old, MessageState::Done)),
        bench.writer.settle(settlement(&other, new, MessageState::Done)),
    );
    assert_eq!((stale.unwrap(), fresh.unwrap()), (false, true));
    let status = bench.store.message_status(work.id).await.unwrap().unwrap();
    assert_eq!(status.state, MessageState::Pending);
}

#[tokio::test]
async fn what_becomes_of_a_burst_becomes_of_all_of_its_messages() {
    let bench = Bench::new().await;
    let (_lease, epoch) = claim(&bench, "one").await;
    let waiting = |text| NewMessage { debounce_ms: 1_500, ..message(&bench, "c", text, None) };
    let first = accept(&bench, waiting("one")).await;
    let last = accept(&bench, waiting("two")).await;
    let after = accept(&bench, waiting("three")).await;
    assert_eq!((first.debounce_ms, first.burst), (1_500, None));
    let seal = Settlement {
        due_in: 0.0,
        attempts: 0,
        error: None,
        burst: Some(vec![first.id]),
        ..settlement(&last, epoch, MessageState::Pending)
    };
    let stale = Settlement { epoch: Epoch(epoch.0 - 1), ..seal.clone() };
    assert!(!bench.writer.settle(stale).await.unwrap(), "an owner of before makes no bursts");
    assert!(bench.writer.settle(seal.clone()).await.unwrap());
    let pending = async || {
        let rows = bench.store.messages_pending(&[(SHARD, 0)], 10).await.unwrap();
        rows.into_iter()
            .map(|(work, _)| (work.id, work.debounce_ms, work.burst, work.attempts))
            .collect::<Vec<_>>()
    };
    let burst = Some(last.id);
    assert_eq!(
        pending().await,
        [(first.id, 1_500, burst, 0), (last.id, 1_500, burst, 0), (after.id, 1_500, None, 0)]
    );
    let failed = Settlement { attempts: 1, error: Some("why".to_owned()), ..seal.clone() };
    assert!(bench.writer.settle(failed).await.unwrap());
    assert_eq!(pending().await[..2], [(first.id, 1_500, burst, 1), (last.id, 1_500, burst, 1)]);
    let done = Settlement { attempts: 2, state: MessageState::Done, ..seal };
    assert!(bench.writer.settle(done).await.unwrap());
    assert_eq!(pending().await, [(after.id, 1_500, None, 0)]);
    for id in [first.id, last.id] {
        assert_eq!(bench.store.message_status(id).await.unwrap().unwrap().state, MessageState::Done);
    }
}

/// A version that can't read the state runs beside this one: in the row it is another.
#[tokio::test]
async fn what_came_too_late_is_stored_as_failed_with_a_mark_until_it_is_tried_again() {
    let bench = Bench::new().await;
    let (_lease, epoch) = claim(&bench, "one").await;
    let user = "ada".parse().unwrap();
    let late = accept(&bench, message(&bench, "c", "late", None)).await;
    let refused = accept(&bench, message(&bench, "c", "refused", None)).await;
    assert!(bench.writer.settle(settlement(&late, epoch, MessageState::Expired)).await.unwrap());
    assert!(bench.writer.settle(settlement(&refused, epoch, MessageState::Failed)).await.unwrap());
    let mut raw = bench.database.connect().await;
    let states = "select state from messages where state = 'failed' and expired is not distinct from $1";
    for (mark, count) in [(Some(true), 1), (None, 1), (Some(false), 0)] {
        let found: Vec<String> = sqlx::query_scalar(states).bind(mark).fetch_all(&mut raw).await.unwrap();
        assert_eq!(found.len(), count, "{mark:?}");
    }
    assert_eq!(bench.store.message_status(late.id).await.unwrap().unwrap().state, MessageState::Expired);
    let dead = async |state: Option<MessageState>| -> Vec<(MessageId, MessageState)> {
        let filter = MessageFilter { dead: true, state, ..MessageFilter::default() };
        let found = bench.store.messages_of_all(None, &filter, None, 10).await.unwrap();
        found.into_iter().map(|row| (row.id, row.state)).collect()
    };
    assert_eq!(dead(Some(MessageState::Expired)).await, [(late.id, MessageState::Expired)]);
    assert_eq!(dead(Some(MessageState::Failed)).await, [(refused.id, MessageState::Failed)]);
    assert_eq!(dead(None).await.len(), 2);
    let kinds = "select type from events where message_id = $1 order by id desc limit 1";
    let told: String = sqlx::query_scalar(kinds).bind(late.id.0).fetch_one(&mut raw).await.unwrap();
    assert_eq!(told, "message.expired");

    let mut tenant = bench.store.tenant(&user).await.unwrap();
    let which = Selection::Ids(vec![late.id]);
    let (revived, _) = tenant.messages_revive(&which, &Actor::named("a test")).await.unwrap();
    tenant.commit().await.unwrap();
    assert_eq!(revived[0].was, MessageState::Expired);
    let again = &revived[0].work;
    assert!(bench.writer.settle(settlement(again, epoch, MessageState::Failed)).await.unwrap());
    assert_eq!(bench.store.message_status(late.id).await.unwrap().unwrap().state, MessageState::Failed);
}
