//! Texts, pictures and buttons: what is a card, what is a text, and that no message is both.

use super::*;

/// The elements of a call's card, which has no text beside it.
fn card_of(body: &Value) -> &[Value] {
    assert_eq!(body.get("text"), None, "Teams would make two messages of it: {body}");
    let [attachment] = body["attachments"].as_array().unwrap().as_slice() else { panic!("{body}") };
    attachment["content"]["body"].as_array().unwrap()
}

#[test]
fn buttons_are_actions_of_a_card_below_the_text() {
    let row: Vec<_> = (0..7).map(|n| json!({"text": n.to_string(), "data": "d"})).collect();
    let rows = json!([row, [{"text": "Site", "url": "https://example.org"}]]);
    let call = body_of(&json!({"text": "**pick**", "buttons": rows}));
    assert_eq!(call["summary"], "pick", "of what a notification tells");
    let [text, sets @ ..] = card_of(&call) else { panic!("{call}") };
    let pick = json!({"type": "TextRun", "text": "pick", "weight": "Bolder"});
    assert_eq!(*text, json!({"type": "RichTextBlock", "inlines": [pick]}));
    let lengths: Vec<_> = sets.iter().map(|set| set["actions"].as_array().unwrap().len()).collect();
    assert_eq!(lengths, [6, 1, 1], "six fit side by side");
    assert_eq!(sets[0]["actions"][0]["data"], json!({"pressed": {"data": "d", "text": "0"}}));
    assert_eq!(
        sets[2]["actions"][0],
        json!({"type": "Action.OpenUrl", "title": "Site", "url": "https://example.org"})
    );
}

/// Of a text in a card, each run and what it is beside text.
fn runs_of(extra: &Value) -> Vec<(String, Value)> {
    let call = body_of(extra);
    let runs = card_of(&call)[0]["inlines"].as_array().unwrap().clone();
    let told = |mut run: Value| {
        let rest = run.as_object_mut().unwrap();
        assert_eq!(rest.remove("type"), Some(json!("TextRun")));
        (rest.remove("text").unwrap().as_str().unwrap().to_owned(), run)
    };
    runs.into_iter().map(told).collect()
}

#[test]
fn a_text_with_buttons_keeps_its_formatting() {
    let buttons = json!([[{"text": "A", "data": "a"}]]);
    let text = "_it_ `x_y` [site](https://example.org/a) 1 < 2";
    let run = |text: &str, style: Value| (text.to_owned(), style);
    let to = json!({"selectAction": {"type": "Action.OpenUrl", "url": "https://example.org/a"}});
    assert_eq!(
        runs_of(&json!({"text": text, "buttons": buttons})),
        [
            run("it", json!({"italic": true})),
            run(" ", json!({})),
            run("x_y", json!({"fontType": "Monospace"})),
            run(" ", json!({})),
            run("site", to),
            run(" 1 < 2", json!({})),
        ]
    );
    let plain = runs_of(&json!({"text": "**a**\nb", "format": "plain", "buttons": buttons}));
    assert_eq!(plain, [run("**a**\nb", json!({}))]);
    let long = runs_of(&json!({"text": "**a** b ".repeat(400), "buttons": buttons}));
    assert_eq!(long.len(), 1, "a card as large as that would be refused");
    assert_eq!(long[0].0.split_whitespace().collect::<String>(), "ab".repeat(400));
}

#[test]
fn pictures_that_go_together_are_one_card() {
    let picture = |name: &str| json!({"kind": "image", "url": format!("https://example.org/{name}")});
    let bodies = |extra: &Value| -> Vec<Value> {
        calls_of(extra).into_iter().map(|call| call.unwrap().body.unwrap()).collect()
    };
    let image = json!("Image");
    let is_card = |body: &Value| {
        let addresses: Vec<_> =
            card_of(body).iter().map(|one| (one["type"].clone(), one["url"].clone())).collect();
        let both = ["a", "b"].map(|name| (image.clone(), json!(format!("https://example.org/{name}"))));
        assert_eq!(addresses, both);
    };
    let two = bodies(&json!({"text": "**look**", "media": [picture("a"), picture("b")]}));
    let [card, text] = two.as_slice() else { panic!("{two:?}") };
    is_card(card);
    assert_eq!((&text["text"], text.get("attachments")), (&json!("**look**"), None));
    // Buttons stand below the text, and an insecure address is refused wherever it stands.
    let buttons = json!([[{"text": "A", "data": "a"}]]);
    let pressed = bodies(&json!({"text": "pick", "media": [picture("a"), picture("b")], "buttons": buttons}));
    let [card, text] = pressed.as_slice() else { panic!("{pressed:?}") };
    is_card(card);
    let kinds: Vec<_> = card_of(text).iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["RichTextBlock", "ActionSet"]);
    let plain = json!({"media": [picture("a"), {"kind": "image", "url": "http://example.org/b"}]});
    assert!(
        matches!(calls_of(&plain).remove(0), Err(ChannelError::Permanent(why)) if why.contains("https://"))
    );
}

/// An update with both is refused: "Activity resulted into multiple skype activities".
#[test]
fn an_edit_with_buttons_is_a_card() {
    let edit = json!({"type": "edit", "message_id": "7"});
    let buttons = json!([[{"text": "A", "data": "a"}]]);
    let changed = body_of(&json!({"text": "now", "act": edit, "buttons": buttons}));
    let kinds: Vec<_> = card_of(&changed).iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!((kinds, &changed["id"]), (vec!["RichTextBlock", "ActionSet"], &json!("7")));
    let bare = body_of(&json!({"text": "now", "act": edit}));
    assert_eq!((&bare["text"], bare.get("attachments")), (&json!("now"), None));
}

/// Microsoft took it: it is neither sent again nor in doubt.
#[tokio::test]
async fn an_answer_without_an_id_is_sent_all_the_same() {
    let token = || async { axum::Json(json!({"access_token": "t", "expires_in": 3600})) };
    let to = |answer: &'static str| {
        let activities = move || async move { (http::StatusCode::ACCEPTED, answer) };
        axum::Router::new()
            .route("/{tenant}/oauth2/v2.0/token", axum::routing::post(token))
            .route("/v3/conversations/{chat}/activities", axum::routing::post(activities))
    };
    let sent = async |answer: &'static str| {
        let teams = at(&serve(to(answer)).await, None);
        let message = json!({"text": "hi"});
        let piece = each_part("a:1", &message, &CAPS, |part| part.piece.clone()).remove(0);
        let part = Part {
            message_id: claw_types::MessageId(crate::kit::testing::MESSAGE),
            seq: 1,
            index: 1,
            recipient: "a:1",
            thread_id: None,
            piece: &piece,
            accepted_at: teams.deps.clock.now(),
            replaces: None,
        };
        teams.send(&part).await.map(|receipt| receipt.platform_message_id)
    };
    let ours = format!("{}:1", crate::kit::testing::MESSAGE);
    for none in ["", "{}", r#"{"id": ""}"#] {
        assert_eq!(sent(none).await, Ok(ours.clone()), "{none}");
    }
    assert_eq!(sent(r#"{"id": "17"}"#).await, Ok("17".to_owned()));
    assert!(matches!(sent("<html>").await, Err(ChannelError::Uncertain(_))));
    for act in [
        json!({"type": "edit", "message_id": ours}),
        json!({"type": "delete", "message_ids": [ours]}),
        json!({"type": "react", "message_id": ours, "emoji": "👍"}),
    ] {
        let text = (act["type"] == "edit").then_some("now");
        let refused = calls_of(&json!({"act": act, "text": text})).remove(0);
        assert!(matches!(refused, Err(ChannelError::Permanent(why)) if why.contains("gave no id")), "{act}");
    }
}
