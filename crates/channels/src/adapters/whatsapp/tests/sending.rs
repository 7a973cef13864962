//! What messages become, each checked against Meta's own description.

use super::*;
use crate::adapters::whatsapp::calls::{Attached, of_part, template};
use crate::adapters::whatsapp::exam::described;
use crate::adapters::whatsapp::files::Form;

/// The bodies of the calls that a message to somebody becomes; an attachment is uploaded as `a1`.
fn bodies(recipient: &str, extra: &Value) -> Vec<Result<Value, ChannelError>> {
    let message = parts_of::message(recipient, extra);
    let form = match message.media.first().map(|media| media.kind) {
        Some(MediaKind::Image) => Form::Image,
        Some(MediaKind::Video) => Form::Video,
        Some(MediaKind::Audio | MediaKind::Voice) => Form::Audio,
        _ => Form::Document,
    };
    let bodies = parts_of::each(&message, <WhatsApp as Adapter>::caps_in(recipient), |part| {
        let voice = message.media.first().is_some_and(|media| media.kind == MediaKind::Voice);
        of_part(part, Some(&Attached { id: "a1", form, name: "a.pdf", voice }))
    });
    for body in bodies.iter().flatten() {
        described(body).unwrap();
    }
    bodies
}

fn body(extra: &Value) -> Value {
    bodies("42", extra).remove(0).unwrap()
}

/// The texts that are all of a message without buttons.
fn texts(recipient: &str, extra: &Value) -> Vec<String> {
    let text = |body: Result<Value, ChannelError>| {
        let body = body.unwrap();
        assert_eq!(body["interactive"], json!(null), "{body}");
        let kind = body["type"].as_str().unwrap();
        let text = body[kind].get("body").or_else(|| body[kind].get("caption"));
        text.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    bodies(recipient, extra).into_iter().map(text).collect()
}

fn choices(n: usize) -> Value {
    json!([
        (0..n.min(8))
            .map(|i| json!({"text": format!("Choice {i}"), "data": format!("d{i}")}))
            .collect::<Vec<_>>(),
        (8..n).map(|i| json!({"text": format!("Choice {i}"), "data": format!("d{i}")})).collect::<Vec<_>>()
    ])
}

fn with_choices(text: &str, n: usize) -> Value {
    let rows: Vec<Value> =
        choices(n).as_array().unwrap().iter().filter(|row| *row != &json!([])).cloned().collect();
    json!({"text": text, "buttons": rows})
}

#[test]
fn a_text_is_addressed_by_the_form_of_the_id() {
    let text = json!({"text": "**hi**", "reply_to": "wamid.1"});
    let expected = json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": "42", "type": "text",
        "text": {"body": "*hi*"}, "context": {"message_id": "wamid.1"}});
    assert_eq!(body(&text), expected);
    let hidden = bodies("US.134", &text).remove(0).unwrap();
    assert_eq!((&hidden["recipient"], &hidden["to"]), (&json!("US.134"), &json!(null)));
    let group = bodies("Y2FwaV9ncm91cDox", &text).remove(0).unwrap();
    assert_eq!((&group["recipient_type"], &group["to"]), (&json!("group"), &json!("Y2FwaV9ncm91cDox")));
}

#[test]
fn up_to_three_choices_are_buttons_and_up_to_ten_a_list() {
    let three = body(&with_choices("pick", 3));
    let buttons: Vec<_> = (0..3)
        .map(|i| json!({"type": "reply", "reply": {"id": format!("d{i}"), "title": format!("Choice {i}")}}))
        .collect();
    assert_eq!(
        three["interactive"],
        json!({"type": "button", "body": {"text": "pick"}, "action": {"buttons": buttons}})
    );
    for (n, text) in [(4, "pick".to_owned()), (10, "pick".to_owned()), (2, "x".repeat(1025))] {
        let list = body(&with_choices(&text, n));
        assert_eq!(list["interactive"]["type"], "list", "{n}");
        assert_eq!(list["interactive"]["action"]["sections"][0]["rows"].as_array().unwrap().len(), n);
    }
    let eleven = texts("42", &with_choices("pick", 11)).remove(0);
    assert!(eleven.starts_with("pick\n\n1. Choice 0\n") && eleven.ends_with("\n11. Choice 10"), "{eleven}");
}

#[test]
fn a_long_choice_is_whole_in_its_rows_description() {
    let long = "a choice that needs more words than fit";
    let four = json!({"text": "pick", "buttons": [[{"text": long, "data": "d"}, {"text": "b", "data": "b"},
        {"text": "c", "data": "c"}, {"text": "e", "data": "e"}]]});
    let rows = body(&four)["interactive"]["action"]["sections"][0]["rows"].clone();
    assert_eq!(rows[0], json!({"id": "d", "title": "a choice that needs mor…", "description": long}));
    assert_eq!(rows[1], json!({"id": "b", "title": "b"}));
}

#[test]
fn one_address_is_a_button_and_more_are_written_below_the_text() {
    let link = |n: usize| json!({"text": format!("Site {n}"), "url": format!("https://example.org/{n}")});
    let one = body(&json!({"text": "look", "buttons": [[link(1)]]}));
    let action =
        json!({"name": "cta_url", "parameters": {"display_text": "Site 1", "url": "https://example.org/1"}});
    assert_eq!(one["interactive"], json!({"type": "cta_url", "body": {"text": "look"}, "action": action}));
    let two = body(&json!({"text": "look", "buttons": [[link(1), link(2)]]}));
    assert_eq!(two["text"]["body"], "look\n\nSite 1: https://example.org/1\nSite 2: https://example.org/2");
    let mixed = body(&json!({"text": "look", "buttons": [[link(1), {"text": "Yes", "data": "y"}]]}));
    assert_eq!(mixed["interactive"]["body"]["text"], "look\n\nSite 1: https://example.org/1");
    assert_eq!(mixed["interactive"]["action"]["buttons"][0]["reply"]["id"], "y");
    let full = texts("42", &json!({"text": "x".repeat(4096), "buttons": [[link(1)]]}));
    assert_eq!(full.len(), 2);
    assert!(full.concat().ends_with("Site 1: https://example.org/1"), "{full:?}");
}

#[test]
fn an_attachment_has_its_caption_and_a_document_its_name() {
    let media =
        |kind: &str| json!({"text": "look", "media": [{"kind": kind, "url": "https://example.org/a"}]});
    assert_eq!(body(&media("image"))["image"], json!({"id": "a1", "caption": "look"}));
    assert_eq!(body(&media("file"))["document"], json!({"id": "a1", "caption": "look", "filename": "a.pdf"}));
    let voice: Vec<_> = bodies("42", &media("voice")).into_iter().map(Result::unwrap).collect();
    assert_eq!(voice[0]["audio"], json!({"id": "a1", "voice": true}));
    assert_eq!(voice[1]["text"], json!({"body": "look"}), "sound has no caption");
}

#[test]
fn a_picture_stands_above_buttons() {
    let yes = json!([[{"text": "Yes", "data": "y"}]]);
    let media = json!([{"kind": "image", "url": "https://example.org/a"}]);
    let sent = body(&json!({"text": "this?", "media": media, "buttons": yes}));
    assert_eq!(sent["interactive"]["header"], json!({"type": "image", "image": {"id": "a1"}}));
    assert_eq!(sent["interactive"]["body"], json!({"text": "this?"}));
    assert_eq!(texts("42", &json!({"media": media, "buttons": yes})), ["1. Yes"]);
    let mut many = with_choices("this?", 4);
    many["media"] = media;
    assert_eq!(texts("42", &many), ["this?\n\n1. Choice 0\n2. Choice 1\n3. Choice 2\n4. Choice 3"]);
}

#[test]
fn in_a_group_buttons_are_text() {
    let yes_or_no =
        json!({"text": "sure?", "buttons": [[{"text": "Yes", "data": "y"}, {"text": "No", "data": "n"}]]});
    assert_eq!(texts("Y2FwaV9ncm91cDox", &yes_or_no), ["sure?\n\n1. Yes\n2. No"]);
}

#[test]
fn the_buttons_of_a_place_are_a_text_before_it() {
    let place = json!({"location": {"latitude": 48.5, "longitude": -2.25}, "buttons": [[{"text": "Yes", "data": "y"}]]});
    let sent: Vec<_> = bodies("42", &place).into_iter().map(Result::unwrap).collect();
    assert_eq!((&sent[0]["text"]["body"], &sent[1]["type"]), (&json!("1. Yes"), &json!("location")));
}

#[test]
fn a_template_has_no_other_buttons() {
    let template = json!({"template": {"name": "x"}}).to_string();
    let message = json!({"text": template, "format": "plain", "buttons": [[{"text": "Yes", "data": "y"}]]});
    let sent = bodies("42", &message).remove(0);
    assert!(matches!(&sent, Err(ChannelError::Permanent(why)) if why.contains("template")), "{sent:?}");
}

#[test]
fn titles_that_are_alike_when_cut_get_numbers() {
    let titles = ["I agree to all of the terms", "I agree to all of them, but", "No"];
    let row: Vec<Value> = titles.iter().map(|title| json!({"text": title, "data": title})).collect();
    let buttons =
        body(&json!({"text": "sure?", "buttons": [row]}))["interactive"]["action"]["buttons"].clone();
    let shown: Vec<_> = (0..3).map(|i| buttons[i]["reply"]["title"].as_str().unwrap()).collect();
    assert_eq!(shown, ["I agree to all of t…", "I agree to all of… 2", "No"]);
    assert_eq!(buttons[1]["reply"]["id"], titles[1]);
    let same = |data: &str| json!({"text": "same", "data": data});
    let rows = body(&json!({"text": "sure?", "buttons": [[same("a"), same("b"), same("c"), same("d")]]}));
    let rows = &rows["interactive"]["action"]["sections"][0]["rows"];
    assert_eq!((&rows[0]["title"], &rows[3]["title"]), (&json!("same"), &json!("same 4")));
}

/// WhatsApp refuses two ids that are alike; what is pressed says the data all the same.
#[test]
fn buttons_that_send_back_the_same_have_ids_of_their_own() {
    let button = |text: &str| json!({"text": text, "data": "y"});
    for (row, list) in [
        (json!([button("Yes"), button("Sure")]), "/buttons"),
        (json!([button("Yes"), button("Sure"), button("OK"), button("Do")]), "/sections/0/rows"),
    ] {
        let action = body(&json!({"text": "sure?", "buttons": [row]}))["interactive"]["action"].clone();
        let one = |choice: &Value| {
            choice.pointer("/reply/id").unwrap_or(&choice["id"]).as_str().unwrap().to_owned()
        };
        let ids: Vec<_> = action.pointer(list).unwrap().as_array().unwrap().iter().map(one).collect();
        assert_eq!(ids[..2], ["y", "~1:y~"]);
        let reply = json!({"type": "button_reply", "button_reply": {"id": ids[1], "title": "Sure"}});
        let read =
            decoded(json!({"messages": [message(&json!({"type": "interactive", "interactive": reply}))]}));
        assert_eq!((read[0].text.as_deref(), &read[0].metadata["callback_data"]), (Some("y"), &json!("y")));
    }
}

#[test]
fn a_label_is_measured_as_whatsapp_measures() {
    for label in ["क्या आप सहमत हैं या नहीं बताइए", "ยืนยันการสั่งซื้อสินค้านี้หรือไม่", "👩‍👩‍👧‍👧👩‍👩‍👧‍👧👩‍👩‍👧‍👧"]
    {
        let sent = body(&json!({"text": "?", "buttons": [[{"text": label, "data": "d"}]]}));
        let title = sent["interactive"]["action"]["buttons"][0]["reply"]["title"].as_str().unwrap();
        assert!(title.ends_with('…') && title.encode_utf16().count() <= 20, "{title}");
    }
}

#[test]
fn a_place_is_numbers_as_texts() {
    let place = json!({"location": {"latitude": 48.5, "longitude": -2.25, "title": "Here"}});
    assert_eq!(body(&place)["location"], json!({"latitude": "48.5", "longitude": "-2.25", "name": "Here"}));
}

#[test]
fn a_reaction_without_an_emoji_takes_ours_away() {
    let react = |emoji: Value| {
        body(&json!({"act": {"type": "react", "message_id": "wamid.1", "emoji": emoji}}))["reaction"].clone()
    };
    assert_eq!(react(json!("👍")), json!({"message_id": "wamid.1", "emoji": "👍"}));
    assert_eq!(react(json!(null)), json!({"message_id": "wamid.1", "emoji": ""}));
}

#[test]
fn a_text_that_is_a_template_is_sent_as_one() {
    let order = json!({"name": "order_ready", "language": {"code": "en_US"}, "components": [{"type": "body",
        "parameters": [{"type": "text", "text": "*7* _x_"}]}]});
    let text = json!({ "template": order }).to_string();
    let sent = body(&json!({"text": text, "format": "plain"}));
    assert_eq!((&sent["type"], &sent["template"]), (&json!("template"), &order));
    for other in [
        "{}",
        "{\"template\": 7}",
        "{\"template\": {}, \"more\": 1}",
        "here is one: {\"template\": {\"name\": \"x\"}}",
        "[{\"template\": {}}]",
    ] {
        assert_eq!(template(other), None, "{other}");
        assert_eq!(body(&json!({"text": other, "format": "plain"}))["type"], "text", "{other}");
    }
}

#[tokio::test]
async fn a_file_is_uploaded_and_then_sent_by_its_id() {
    let meta = Meta::start().await;
    let channel = whatsapp(&json!({"api_url": meta.api_url()}));
    meta.will(200, &json!({"id": "a9"}));
    meta.will(200, &json!({"messages": [{"id": "wamid.9"}]}));
    let picture =
        json!({"text": "cat", "media": [{"kind": "image", "url": meta.file_url(), "filename": "cat.png"}]});
    let sent = send(&channel, &CAPS, "42", &picture).await;
    assert_eq!(sent, [Ok(Receipt { platform_message_id: "wamid.9".to_owned() })]);
    let [upload, message] = meta.asked().try_into().unwrap();
    assert_eq!(upload.path, format!("/v25.0/{NUMBER}/media"));
    for field in ["name=\"messaging_product\"", "name=\"type\"", "image/png", "filename=\"cat.png\""] {
        assert!(upload.body.contains(field), "{field}: {}", upload.body);
    }
    assert_eq!(message.path, format!("/v25.0/{NUMBER}/messages"));
    assert_eq!(message.json()["image"], json!({"id": "a9", "caption": "cat"}));
}

#[tokio::test]
async fn who_answers_after_a_day_is_told_of_templates() {
    let meta = Meta::start().await;
    let channel = whatsapp(&json!({"api_url": meta.api_url()}));
    meta.will(400, &json!({"error": {"code": 131_047, "message": "(#131047) Re-engagement message"}}));
    let sent = send(&channel, &CAPS, "42", &json!({"text": "hi"})).await.remove(0);
    assert!(
        matches!(&sent, Err(ChannelError::Permanent(why)) if why.contains("approved template")),
        "{sent:?}"
    );
}

#[tokio::test]
async fn too_many_messages_to_one_person_stop_no_other_chat() {
    let meta = Meta::start().await;
    let channel = whatsapp(&json!({"api_url": meta.api_url()}));
    meta.will(400, &json!({"error": {"code": 131_056, "message": "(#131056) pair rate limit hit"}}));
    let sent = send(&channel, &CAPS, "42", &json!({"text": "hi"})).await.remove(0);
    assert!(matches!(sent, Err(ChannelError::ChatLimited { told: true, .. })), "{sent:?}");
}

#[tokio::test]
async fn an_answer_that_names_no_message_is_not_sent() {
    let meta = Meta::start().await;
    let channel = whatsapp(&json!({"api_url": meta.api_url()}));
    for answer in [json!({}), json!("odd"), json!({"messages": []})] {
        meta.will(200, &answer);
        let sent = send(&channel, &CAPS, "42", &json!({"text": "hi"})).await.remove(0);
        assert!(matches!(sent, Err(ChannelError::Uncertain(_))), "{answer}: {sent:?}");
    }
}
