use serde_json::{Value, json};

use super::*;

fn to() -> ReplyTo {
    ReplyTo { channel: "platform".into(), recipient: "-100".into(), thread_id: Some("7".into()) }
}

fn read(answer: &Value) -> (Vec<Outbound>, Option<String>) {
    let stands = Placeholder { question: Some("5".into()), ..Placeholder::default() };
    Answer::of(answer.to_string().as_bytes(), true).messages(&to(), stands, false)
}

#[test]
fn every_form_of_an_answer_goes_where_the_message_came_from() {
    let picture = json!({"message": "look", "image_url": "https://example.org/a.png",
        "buttons": [[{"text": "more", "data": "more"}]]});
    let table = [
        (json!({}), vec![]),
        (json!({"async_processing": true, "reply": null, "replies": null}), vec![]),
        (json!({"immediate_reply": "Processing..."}), vec!["Processing..."]),
        (json!({"reply": "hi"}), vec!["hi"]),
        (json!({"reply": "  "}), vec![]),
        (json!({"reply": picture.clone()}), vec!["look"]),
        (json!({"replies": ["one", {"message": "two"}]}), vec!["one", "two"]),
        (json!({"immediate_reply": "wait", "reply": "a", "replies": ["b"]}), vec!["wait", "a", "b"]),
    ];
    for (answer, texts) in table {
        let (messages, trouble) = read(&answer);
        assert_eq!(trouble, None, "{answer}");
        let written: Vec<_> = messages.iter().filter_map(Outbound::written).collect();
        assert_eq!(written, texts, "{answer}");
        assert!(messages.iter().all(|m| m.recipient == "-100" && m.thread_id.as_deref() == Some("7")));
    }
    let (messages, _) = read(&json!({ "reply": picture }));
    assert_eq!((messages[0].media.len(), messages[0].buttons.len()), (1, 1));
}

#[test]
fn what_is_good_in_an_answer_is_sent_and_what_is_not_is_told() {
    let (messages, trouble) = read(&json!({
        "immediate_reply": 5,
        "replies": ["good", {"mesage": "typo"}, {"recipient": "1", "message": "x"}, ["no"], {"caption": "alone"},
                    {"image_url": "http://169.254.169.254/"}],
    }));
    assert_eq!(messages.iter().filter_map(Outbound::written).collect::<Vec<_>>(), ["good"]);
    let trouble = trouble.unwrap();
    let reasons = [
        "immediate_reply: it must be text",
        "reply 2: unknown field `mesage`",
        "reply 3: \"recipient\" may be left out",
        "reply 4: it must be text",
        "reply 5: there is nothing to send",
        "reply 6: the field \"image_url\"",
    ];
    for reason in reasons {
        assert!(trouble.contains(reason), "{reason} in {trouble}");
    }
}

#[test]
fn what_is_shown_at_once_stands_for_an_answer_that_is_still_to_come() {
    let marks = |answer: Value| -> Vec<bool> {
        read(&answer).0.iter().map(|message| message.placeholder.is_some()).collect()
    };
    assert_eq!(marks(json!({"immediate_reply": "Processing..."})), [true]);
    assert_eq!(marks(json!({"immediate_reply": "Processing...", "reply": "hi"})), [false, false]);
    let asked = read(&json!({"immediate_reply": "wait"})).0.remove(0).placeholder.unwrap();
    assert_eq!(asked.question.as_deref(), Some("5"));
}

#[test]
fn the_first_message_of_a_stream_takes_the_place_of_its_preview() {
    let preview = MessageId(uuid::Uuid::from_u128(7));
    let replies = ["5", "\"a\"", "\"b\""].map(|json| serde_json::from_str(json).unwrap());
    let answer = Answer::streamed(replies.into(), &["it broke off".to_owned()], Some(preview));
    let (messages, trouble) = answer.messages(&to(), Placeholder::default(), false);
    let taken: Vec<_> = messages.iter().map(|message| (message.written(), message.replaces)).collect();
    assert_eq!(taken, [(Some("a"), Some(preview)), (Some("b"), None)]);
    let trouble = trouble.unwrap();
    assert!(trouble.contains("it broke off") && trouble.contains("reply 1"), "{trouble}");
}

#[test]
fn an_address_that_says_the_same_is_no_mistake() {
    let (messages, trouble) = read(&json!({"reply": {"recipient": -100, "thread_id": "7", "message": "hi"}}));
    assert_eq!((messages.len(), trouble), (1, None));
}

#[test]
fn there_is_an_end_to_the_replies() {
    let (messages, trouble) = read(&json!({"replies": vec!["x"; 12]}));
    assert_eq!(messages.len(), MAX_REPLIES);
    assert_eq!(trouble.unwrap(), "it has 12 replies, of which 10 are sent");
}

#[test]
fn what_is_no_json_is_no_answer_unless_it_says_it_is_one() {
    for (body, says_json, told) in [
        ("", true, false),
        ("OK", false, false),
        ("<html>", false, false),
        ("OK", true, true),
        ("{\"reply\": ", false, true),
        ("[]", true, true),
        ("[]", false, false),
    ] {
        let answer = Answer::of(body.as_bytes(), says_json);
        assert!(answer.is_nothing());
        assert_eq!(answer.trouble.is_some(), told, "{body:?} {says_json}");
    }
}
