use serde_json::{Value, json};

use super::*;

#[test]
fn every_rule_can_be_broken() {
    for (schema, good, bad) in [
        (json!({"type": "object"}), json!({"a": 1}), json!([])),
        (json!({"type": "integer"}), json!(7), json!(7.5)),
        (json!({"type": "integer"}), json!(7), json!("7")),
        (json!({"type": "number"}), json!(7.5), json!("7.5")),
        (json!({"type": "boolean"}), json!(true), json!("true")),
        (json!({"type": ["string", "null"]}), json!(null), json!(1)),
        (json!({"type": "array", "items": {"type": "string"}}), json!(["a"]), json!(["a", 1])),
        (json!({"enum": ["a", 2]}), json!(2), json!("2")),
        (json!({"minLength": 1}), json!("é"), json!("")),
        (json!({"maxLength": 1}), json!("é"), json!("éé")),
        (json!({"maxBytes": 2}), json!("é"), json!("éé")),
        (json!({"minItems": 1}), json!([1]), json!([])),
        (json!({"maxItems": 1}), json!([1]), json!([1, 2])),
        (json!({"minimum": 5, "multipleOf": 5}), json!(5), json!(0)),
        (json!({"maximum": 60, "multipleOf": 5}), json!(60), json!(65)),
        (json!({"multipleOf": 5}), json!(20), json!(21)),
        (json!({"format": "int32"}), json!(7), json!(1_u64 << 31)),
        (json!({"format": "uri"}), json!("tel:1"), json!("here")),
        (json!({"format": "https"}), json!("https://a.b"), json!("http://a.b")),
        (json!({"format": "digits"}), json!("12"), json!("1x")),
        (json!({"format": "word"}), json!("a_1"), json!("A")),
        (json!({"format": "ascii_word"}), json!("A_1"), json!("a-1")),
        (json!({"format": "stamp"}), json!("1.2"), json!("12")),
        (json!({"distinct": ["/a"]}), json!([{"a": 1}, {"a": 2}]), json!([{"a": 1}, {"a": 1}])),
        (json!({"distinct": [""]}), json!([1, 2]), json!([1, 1])),
        (json!({"required": ["a"]}), json!({"a": null}), json!({"b": 1})),
        (json!({"properties": {"a": {}}}), json!({"a": 1}), json!({"b": 1})),
        (
            json!({"properties": {}, "additionalProperties": {"type": "string"}}),
            json!({"b": ""}),
            json!({"b": 1}),
        ),
        (json!({"additionalProperties": {"type": "string"}}), json!({"b": ""}), json!({"b": 1})),
        (json!({"additionalProperties": false}), json!({}), json!({"b": 1})),
        (json!({"anyOf": [{"type": "null"}, {"type": "string"}]}), json!("a"), json!(1)),
        (json!({"$ref": "T"}), json!("a"), json!(1)),
        (
            json!({"discriminator": {"propertyName": "type", "mapping": {"t": "O"}}}),
            json!({"type": "t"}),
            json!({"type": "u"}),
        ),
    ] {
        let types = json!({"T": {"type": "string"}, "O": {"properties": {"type": {}}}, "X": schema});
        let description = Description(json!({ "types": types }));
        assert_eq!(description.fits("types/X", &good), Ok(()), "{schema}");
        assert!(description.fits("types/X", &bad).is_err(), "{schema} takes {bad}");
    }
}

#[test]
fn what_is_not_understood_fits_nothing() {
    let description = Description::new(
        r#"{"types": {"rule": {"pattern": "a"}, "format": {"format": "idn"}, "name": {"$ref": "none"}, "no schema": 7}}"#,
    );
    for name in ["types/rule", "types/format", "types/name", "types/no schema", "types/unknown"] {
        assert!(description.fits(name, &json!("a")).is_err(), "{name}");
    }
    assert!(Description::new("no JSON").fits("types/rule", &json!("a")).is_err());
}

#[test]
fn what_does_not_fit_is_named_by_its_place() {
    let description = Description::new(
        r#"{"types": {"T": {"type": "object", "required": ["a"], "properties": {"a": {"items": {"type": "string"}}}}}}"#,
    );
    let told = |value: Value| description.fits("types/T", &value).unwrap_err();
    assert!(told(json!({"a": ["x", 1]})).starts_with("types/T.a[1] is no \"string\""));
    assert!(told(json!({})).starts_with("types/T lacks \"a\""));
    assert!(told(json!({"a": [], "b": 1})).starts_with("types/T has no \"b\""));
}

#[test]
fn path_query_and_body_are_checked() {
    let description = Description(json!({"calls": {
        "one": {"call": "POST /a/{id}", "path": {"id": {"format": "digits"}}, "query": {"properties": {"n": {"type": "integer"}}},
            "body": {"type": "object"}},
        "all": {"call": "GET /a/all", "path": {}, "query": {"properties": {}}},
        "other": {"call": "GET /a/{id}", "path": {"id": {"format": "digits"}}, "query": {"properties": {}}},
    }}));
    assert_eq!(description.call("GET", "/a/all"), Ok("all"));
    assert_eq!(description.call("GET", "/a/7"), Ok("other"));
    let asked = |method, target, body: Value| description.asked(method, target, &body);
    assert_eq!(asked("POST", "/a/7?n=1", json!({})), Ok(()));
    assert_eq!(asked("GET", "/a/all", Value::Null), Ok(()));
    for (method, target, body, why) in [
        ("POST", "/a/x", json!({}), "{id}"),
        ("POST", "/a/7?n=x", json!({}), "one?.n"),
        ("POST", "/a/7?m=1", json!({}), "one? has no \"m\""),
        ("POST", "/a/7", Value::Null, "one is no \"object\""),
        ("GET", "/a/all", json!({}), "takes no body"),
        ("PUT", "/a/7", json!({}), "has no PUT /a/7"),
        ("POST", "/a/", json!({}), "has no POST"),
        ("POST", "/a/7/b", json!({}), "has no POST"),
    ] {
        let told = asked(method, target, body).unwrap_err();
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn a_form_s_texts_become_what_is_described() {
    let description = Description(json!({"types": {"T": {"properties": {
        "n": {"type": "integer"}, "s": {"anyOf": [{"type": "integer"}, {"type": "string"}]}, "o": {"$ref": "O"},
    }}, "O": {"type": "object"}}}));
    let fields = [("n", "7"), ("s", "7"), ("o", "{}"), ("x", "7")]
        .map(|(key, text)| (key.to_owned(), text.to_owned()));
    assert_eq!(description.of_form("types/T", fields), json!({"n": 7, "s": "7", "o": {}, "x": "7"}));
}

/// A call that each platform takes, with one thing made wrong after the other: a place in its body, and what stands there.
mod a_wrong_call {
    use super::*;

    fn is_refused(takes: impl Fn(&Value) -> Result<(), String>, good: &Value, wrong: &[(&str, Value)]) {
        assert_eq!(takes(good), Ok(()));
        for (place, value) in wrong {
            let mut bad = good.clone();
            let (parent, key) = place.rsplit_once('/').unwrap();
            match bad.pointer_mut(parent).unwrap() {
                Value::Object(object) => drop(object.insert(key.to_owned(), value.clone())),
                list => list[key.parse::<usize>().unwrap()] = value.clone(),
            }
            assert!(takes(&bad).is_err(), "{place} may be {value}");
        }
    }

    #[test]
    fn of_telegram() {
        let telegram = Description::new(include_str!("../../adapters/telegram/bot-api.json"));
        let good = json!({
            "chat_id": "-100123", "text": "a", "parse_mode": "HTML", "message_thread_id": 9,
            "reply_parameters": {"message_id": 5, "allow_sending_without_reply": true},
            "reply_markup": {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]},
        });
        is_refused(
            |body| telegram.fits("methods/sendMessage", body),
            &good,
            &[
                ("/chat_id", json!(null)),
                ("/text", json!("")),
                ("/parse_mode", json!("Word")),
                ("/message_thread_id", json!("9")),
                ("/reply_parameters/message_id", json!("5")),
                ("/reply_parameters/quiet", json!(true)),
                ("/reply_markup/inline_keyboard", json!([{"text": "Yes", "callback_data": "y"}])),
                ("/reply_markup/inline_keyboard/0/0", json!({"text": "Yes"})),
                ("/reply_markup/inline_keyboard/0/0/callback_data", json!("é".repeat(33))),
            ],
        );
        let updates = json!({"offset": 1, "timeout": 30, "limit": 100, "allowed_updates": ["message"]});
        is_refused(
            |body| telegram.fits("methods/getUpdates", body),
            &updates,
            &[("/offset", json!("1")), ("/limit", json!(101)), ("/allowed_updates", json!(["messages"]))],
        );
        is_refused(
            |body| telegram.fits("methods/getFile", body),
            &json!({"file_id": "a"}),
            &[("/file_id", json!(7))],
        );
        let poll = json!({"chat_id": 1, "question": "q", "options": [{"text": "a"}, {"text": "b"}]});
        is_refused(
            |body| telegram.fits("methods/sendPoll", body),
            &poll,
            &[
                ("/question", json!("q".repeat(301))),
                ("/options", json!(["a", "b"])),
                ("/options", json!(vec![json!({"text": "a"}); 13])),
            ],
        );
    }

    #[test]
    fn of_discord() {
        let discord = Description::new(include_str!("../../adapters/discord/api.json"));
        let button = json!({"type": 2, "style": 2, "label": "Yes", "custom_id": "0:y"});
        let good = json!({
            "content": "a", "nonce": "abc", "enforce_nonce": true, "allowed_mentions": {"parse": [], "replied_user": true},
            "message_reference": {"message_id": "5", "fail_if_not_exists": false}, "attachments": [{"id": "0", "filename": "a.png"}],
            "components": [{"type": 1, "components": [button]}],
        });
        is_refused(
            |body| discord.asked("POST", "/channels/7/messages", body),
            &good,
            &[
                ("/content", json!("a".repeat(2001))),
                ("/nonce", json!("a".repeat(26))),
                ("/allowed_mentions/parse", json!(["all"])),
                ("/message_reference/message_id", json!(5)),
                ("/attachments/0/id", json!(0)),
                ("/components/0/type", json!(2)),
                ("/components/0/components", json!(vec![button.clone(); 6])),
                ("/components/0/components/0/style", json!("primary")),
                ("/components/0/components/0/custom_id", json!("a".repeat(101))),
                ("/text", json!("a")),
            ],
        );
        for target in ["/channels/general/messages", "/channels/7/messages?wait=true"] {
            assert!(discord.asked("POST", target, &good).is_err(), "{target}");
        }
    }

    #[test]
    fn of_line() {
        let line = Description::new(include_str!("../../adapters/line/api.json"));
        let action = json!({"type": "postback", "label": "Yes", "data": "y", "displayText": "Yes"});
        let good = json!({"to": "U1", "messages": [{"type": "text", "text": "a",
            "quickReply": {"items": [{"type": "action", "action": action}]}}]});
        is_refused(
            |body| line.asked("POST", "/v2/bot/message/push", body),
            &good,
            &[
                ("/to", json!(1)),
                ("/messages", json!([])),
                ("/messages/0/type", json!("sound")),
                ("/messages/0/text", json!("a".repeat(5001))),
                ("/messages/0/markdown", json!(true)),
                (
                    "/messages/0/quickReply/items",
                    json!(vec![json!({"type": "action", "action": action}); 14]),
                ),
                ("/messages/0/quickReply/items/0/action/data", json!("y".repeat(301))),
                ("/messages/0/quickReply/items/0/action/data", json!(1)),
            ],
        );
        let loading = json!({"chatId": "U1", "loadingSeconds": 20});
        is_refused(
            |body| line.asked("POST", "/v2/bot/chat/loading/start", body),
            &loading,
            &[("/loadingSeconds", json!(22)), ("/loadingSeconds", json!(65))],
        );
        assert_eq!(line.asked("GET", "/v2/bot/group/C1/member/U1", &Value::Null), Ok(()));
        assert!(line.asked("GET", "/v2/bot/group/C1/member", &Value::Null).is_err());
    }

    #[test]
    fn of_whatsapp() {
        let whatsapp = Description::new(include_str!("../../adapters/whatsapp/api.json"));
        let button = |id: &str, title: &str| json!({"type": "reply", "reply": {"id": id, "title": title}});
        let good = json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "42", "type": "interactive",
            "interactive": {"type": "button", "body": {"text": "a"}, "action": {"buttons": [button("a", "A"), button("b", "B")]}},
        });
        is_refused(
            |body| whatsapp.asked("POST", "/v25.0/7/messages", body),
            &good,
            &[
                ("/messaging_product", json!("messenger")),
                ("/to", json!(42)),
                ("/interactive/body/text", json!("a".repeat(1025))),
                ("/interactive/action/buttons", json!([button("a", "A"), button("a", "B")])),
                ("/interactive/action/buttons", json!([button("a", "A"), button("b", "A")])),
                ("/interactive/action/buttons/0/reply/title", json!("a".repeat(21))),
                ("/interactive/action/sections", json!([])),
            ],
        );
        let mut nowhere = good.clone();
        nowhere.as_object_mut().unwrap().remove("to");
        assert!(whatsapp.asked("POST", "/v25.0/7/messages", &nowhere).is_err());
        let place = json!({"latitude": "48.5", "longitude": "-2.25"});
        let place = json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": "42", "type": "location",
            "location": place});
        is_refused(
            |body| whatsapp.asked("POST", "/v25.0/7/messages", body),
            &place,
            &[("/location/latitude", json!(48.5)), ("/location/address", json!(null))],
        );
    }

    #[test]
    fn of_slack() {
        let slack = Description::new(include_str!("../../adapters/slack/api.json"));
        let button = json!({"type": "button", "action_id": "0-0", "text": {"type": "plain_text", "text": "Yes"}, "value": "y"});
        let good = json!({"channel": "C1", "thread_ts": "1.2", "text": "a", "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": "a"}}, {"type": "actions", "elements": [button]}]});
        is_refused(
            |body| slack.fits("methods/chat.postMessage", body),
            &good,
            &[
                ("/channel", json!(7)),
                ("/thread_ts", json!(1.2)),
                ("/text", json!("a".repeat(40_001))),
                ("/blocks/0/text/text", json!("a".repeat(3001))),
                ("/blocks/0/type", json!("headline")),
                ("/blocks/1/elements", json!([button, button])),
                ("/blocks/1/elements/0/text/text", json!("a".repeat(76))),
                ("/blocks/1/elements/0/url", json!("here")),
                ("/markdown", json!("a")),
            ],
        );
        let form = |length: &str| {
            let fields = [("filename", "a.png"), ("length", length)]
                .map(|(key, text)| (key.to_owned(), text.to_owned()));
            let name = "methods/files.getUploadURLExternal";
            slack.fits(name, &slack.of_form(name, fields))
        };
        assert_eq!(form("3"), Ok(()));
        assert!(form("three").is_err() && form("0").is_err());
    }
}
