//! What is read of Slack's events, beyond the payloads of the exam.

use claw_types::Deed;

use super::*;

fn wrapped(event: &Value, authorizations: &Value) -> String {
    json!({"type": "event_callback", "token": "x", "team_id": "T1", "api_app_id": "A1", "event_id": "Ev1", "event_time": 1,
        "event": event, "authorizations": authorizations})
    .to_string()
}

fn read_as(event: &Value, authorizations: &Value) -> Vec<Inbound> {
    event::read(wrapped(event, authorizations).as_bytes()).unwrap()
}

fn read(event: &Value) -> Vec<Inbound> {
    read_as(event, &json!([{"user_id": "U0BOT", "is_bot": true}]))
}

fn message(extra: &Value) -> Value {
    let mut message = json!({"type": "message", "channel": "C1", "channel_type": "channel", "user": "U1", "text": "hi",
        "ts": "1700000000.000100", "event_ts": "1700000000.000100"});
    message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    message
}

/// Both events come for one message where the app subscribes to both; seen 368 s apart, too, and over several sockets.
#[test]
fn a_message_counts_once_by_whichever_event_it_comes() {
    let text = "<@U0BOT> hi";
    let first = read(&message(&json!({"text": text}))).remove(0);
    let again = read(&message(&json!({"type": "app_mention", "channel_type": null, "text": text}))).remove(0);
    assert_eq!(first, again);
    assert_eq!(first.dedup_key.as_deref(), Some("C1:1700000000.000100"));
}

#[test]
fn where_the_bots_id_is_not_told_a_name_may_be_its_own() {
    let mentioned = |text: &str, kind: &str| {
        let event = message(&json!({"type": kind, "text": text}));
        read_as(&event, &json!([{"user_id": "U9", "is_bot": false}])).remove(0).mentioned
    };
    assert_eq!(mentioned("<@U0BOT> hi", "message"), None);
    assert_eq!(mentioned("hi", "message"), Some(false));
    assert_eq!(mentioned("<@U0BOT> hi", "app_mention"), Some(true));
}

#[test]
fn the_bots_own_messages_are_known_by_its_id_and_by_its_app() {
    for own in [json!({"user": "U0BOT"}), json!({"user": "U7", "bot_id": "B1", "app_id": "A1"})] {
        assert!(read(&message(&own))[0].is_own, "{own}");
    }
    let other = read(&message(&json!({"user": "U8", "bot_id": "B2", "app_id": "A2"}))).remove(0);
    assert_eq!((other.is_own, other.sender_is_bot), (false, true));
    let edit = json!({"type": "message", "subtype": "message_changed", "channel": "D1", "channel_type": "im",
        "message": {"user": "U0BOT", "text": "more", "ts": "1.000001", "edited": {"user": "U0BOT", "ts": "2.000000"}}});
    assert!(read(&edit)[0].is_own, "an answer that grows");
}

#[test]
fn a_reply_to_the_bot_in_its_thread_addresses_it() {
    let reply = |parent: &str| {
        let extra = json!({"thread_ts": "1600000000.000100", "parent_user_id": parent});
        read(&message(&extra)).remove(0)
    };
    let (to_bot, to_other) = (reply("U0BOT"), reply("U2"));
    assert_eq!((to_bot.mentioned, to_other.mentioned), (Some(true), Some(false)));
    assert_eq!(to_bot.answers.unwrap().is_own, Some(true));
    assert_eq!(to_bot.metadata["thread_id"], "C1:1600000000.000100");
    let first = read(&message(&json!({"thread_ts": "1700000000.000100"}))).remove(0);
    assert_eq!((first.thread_id, first.answers), (None, None), "what begins a thread is not in it");
}

#[test]
fn several_files_are_several_messages_and_only_the_first_has_the_text() {
    let file = |id: &str| json!({"id": id, "name": "a.png", "mimetype": "image/png", "mode": "hosted"});
    let read = read(&message(&json!({"subtype": "file_share", "files": [file("F1"), file("F2")]})));
    let seen: Vec<_> = read
        .iter()
        .map(|one| {
            (
                one.dedup_key.as_deref().unwrap(),
                one.text.as_deref(),
                one.media.as_ref().unwrap().handle.as_str(),
            )
        })
        .collect();
    assert_eq!(seen, [("C1:1700000000.000100", Some("hi"), "F1"), ("C1:1700000000.000100:F2", None, "F2")]);
}

#[test]
fn each_version_of_a_message_counts_once_and_a_change_that_nobody_made_not_at_all() {
    let changed = |message: Value| json!({"type": "message", "subtype": "message_changed", "channel": "C1", "channel_type": "channel", "message": message});
    let edit = |text: &str, at: &str| {
        changed(json!({"user": "U1", "text": text, "ts": "1.000001", "edited": {"user": "U1", "ts": at}}))
    };
    let (first, second) = (read(&edit("a", "2.000000")).remove(0), read(&edit("b", "3.000000")).remove(0));
    assert_eq!(first.deed, Deed::Edited("C1:1.000001".to_owned()));
    assert_ne!(first.dedup_key, second.dedup_key);
    // Its link was found out about after the edit.
    assert_eq!(read(&edit("a", "2.000000")).remove(0).dedup_key, first.dedup_key);
    assert_eq!(read(&changed(json!({"user": "U1", "text": "https://example.org", "ts": "1.000001"}))), []);
    let tombstone = changed(
        json!({"subtype": "tombstone", "user": "USLACKBOT", "text": "This message was deleted.", "ts": "1.000001"}),
    );
    assert_eq!(read(&tombstone)[0].deed, Deed::Deleted("C1:1.000001".to_owned()));
}

#[test]
fn what_is_no_message_of_a_persons_is_nothing() {
    for event in [
        message(&json!({"subtype": "channel_topic"})),
        message(&json!({"subtype": "message_replied"})),
        json!({"type": "reaction_added", "user": "U1", "reaction": "x", "item": {"type": "file", "file": "F1"}}),
        json!({"type": "team_join", "user": {"id": "U1"}}),
        json!({"type": "message", "text": "without a place"}),
        json!({"type": 7}),
        json!("x"),
        message(&json!({"text": {"a": 1}})),
    ] {
        assert_eq!(read(&event), [], "{event}");
    }
    assert_eq!(event::read(br#"{"type": "app_rate_limited", "team_id": "T1"}"#).unwrap(), []);
}

#[test]
fn only_given_channels_are_listened_to_and_direct_messages_always() {
    let slack = slack(&json!({"signing_secret": SECRET, "allowed_channels": ["C1"]})).unwrap();
    let admitted = |channel: &str, kind: &str| {
        let event = message(&json!({"channel": channel, "channel_type": kind}));
        let body = wrapped(&event, &json!([]));
        slack.decode(&posted(&body, "application/json")).unwrap().len()
    };
    assert_eq!((admitted("C1", "channel"), admitted("C2", "channel"), admitted("D9", "im")), (1, 0, 1));
}

#[test]
fn what_can_not_be_read_is_a_bad_request() {
    let slack = slack(&json!({"signing_secret": SECRET})).unwrap();
    for (body, content_type) in [
        ("", "application/json"),
        ("[]", "application/json"),
        ("{}", "application/json"),
        ("", "application/x-www-form-urlencoded"),
        ("payload=%7B", "application/x-www-form-urlencoded"),
        ("command=%2Fask", "application/x-www-form-urlencoded; charset=utf-8"),
    ] {
        let told = slack.decode(&posted(body, content_type));
        assert!(matches!(told, Err(ChannelError::BadRequest(_))), "{body:?}: {told:?}");
    }
    assert_eq!(
        slack.taken(&posted("", "application/json")),
        Some(Reply::text("")),
        "of a command, people would be shown our words"
    );
}

#[test]
fn buttons_that_open_an_address_and_other_elements_say_nothing() {
    let pressed = |action: Value| {
        let payload = json!({"type": "block_actions", "user": {"id": "U1"}, "channel": {"id": "D1", "name": "directmessage"},
            "message": {"ts": "1.000001"}, "actions": [action]});
        incoming::enveloped("interactive", &payload.to_string()).unwrap()
    };
    assert_eq!(pressed(json!({"type": "button", "action_id": "0-0", "action_ts": "2.000000"})), []);
    assert_eq!(pressed(json!({"type": "datepicker", "action_id": "x", "selected_date": null})), []);
    let read = pressed(json!({"type": "button", "action_id": "0-0", "action_ts": "2.000000", "value": "y"}))
        .remove(0);
    assert_eq!(
        (read.text.as_deref(), read.is_group, read.content_type.as_str()),
        (Some("y"), false, "button")
    );
    let view = json!({"type": "view_submission", "user": {"id": "U1"}});
    assert_eq!(incoming::enveloped("interactive", &view.to_string()).unwrap(), []);
}
