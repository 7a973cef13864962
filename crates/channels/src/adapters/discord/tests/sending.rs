//! What is sent, and what comes of it.

use axum::routing::get;

use super::*;
use crate::adapters::discord::media;
use crate::kit::length::samples::{SOUND, SPOKEN};

fn content(asked: &Asked) -> &str {
    asked.2["content"].as_str().unwrap()
}

#[tokio::test]
async fn a_text_goes_out_with_a_nonce_and_pings_nobody() {
    let (server, bot) = Server::start(json!({})).await;
    for _ in 0..2 {
        server.will(200, json!({"id": "77"}));
    }
    let extra = json!({"text": "**hi** @everyone <@42>", "reply_to": "5"});
    assert_eq!(send(&bot, extra.clone()).await, [Ok(sent("77"))]);
    assert_eq!(send(&bot, extra).await, [Ok(sent("77"))]);
    let asked = server.asked();
    let (method, path, body) = &asked[0];
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/api/v10/channels/700000000000000001/messages"));
    assert!(body["content"].as_str().unwrap().starts_with("**hi**"), "{body}");
    assert!(!body["content"].as_str().unwrap().contains(" <@42>"), "a mention is text: {body}");
    assert_eq!(body["allowed_mentions"], json!({"parse": [], "replied_user": true}));
    assert_eq!(body["message_reference"], json!({"message_id": "5", "fail_if_not_exists": false}));
    assert_eq!(body["enforce_nonce"], json!(true));
    let nonce = body["nonce"].as_str().unwrap();
    assert!((1..=25).contains(&nonce.len()));
    assert_eq!(asked[1].2["nonce"], nonce, "the same part has the same nonce");
}

#[tokio::test]
async fn each_part_has_a_nonce_of_its_own() {
    let (server, bot) = Server::start(json!({})).await;
    for id in ["1", "2"] {
        server.will(200, json!({"id": id}));
    }
    assert_eq!(send(&bot, json!({"text": "word ".repeat(500)})).await, [Ok(sent("1")), Ok(sent("2"))]);
    let asked = server.asked();
    assert_ne!(asked[0].2["nonce"], asked[1].2["nonce"]);
    assert!(asked.iter().all(|one| content(one).chars().count() <= 2000));
}

/// "The past few minutes" are over some time: then nobody knows whether it would be sent twice.
#[tokio::test]
async fn an_answer_that_can_not_be_read_is_asked_for_again_as_long_as_the_nonce_holds() {
    let (server, bot) = Server::start(json!({})).await;
    for _ in 0..2 {
        server.will(200, json!("?"));
    }
    let fresh = send(&bot, json!({"text": "a"})).await.remove(0);
    assert!(matches!(fresh, Err(ChannelError::Retryable(_))), "{fresh:?}");
    let old = send_later(&bot, json!({"text": "a"}), TimeDelta::minutes(2)).await.remove(0);
    assert!(matches!(old, Err(ChannelError::Uncertain(_))), "{old:?}");
}

#[tokio::test]
async fn an_answer_makes_its_thread() {
    let (server, bot) = Server::start(json!({})).await;
    server.will_refuse(404, 10003, "Unknown Channel");
    let mentions = json!([{"id": "1", "username": "helper"}]);
    server.will(200, json!({"id": "9", "content": "<@1> what is\nthis?", "mentions": mentions}));
    server.will(201, json!({"id": "9"}));
    server.will(200, json!({"id": "77"}));
    assert_eq!(send(&bot, json!({"text": "a", "thread_id": "9"})).await, [Ok(sent("77"))]);
    let asked = server.asked();
    let paths: Vec<_> = asked.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(
        paths,
        [
            "POST /api/v10/channels/9/messages",
            "GET /api/v10/channels/700000000000000001/messages/9",
            "POST /api/v10/channels/700000000000000001/messages/9/threads",
            "POST /api/v10/channels/9/messages",
        ]
    );
    assert_eq!(asked[2].2, json!({"name": "@helper what is"}));
}

#[tokio::test]
async fn where_there_can_be_no_thread_the_answer_is_in_the_channel() {
    let (server, bot) = Server::start(json!({})).await;
    server.will_refuse(404, 10003, "Unknown Channel");
    server.will(200, json!({"id": "9"}));
    server.will_refuse(403, 50013, "Missing Permissions");
    server.will(200, json!({"id": "77"}));
    assert_eq!(send(&bot, json!({"text": "a", "thread_id": "9"})).await, [Ok(sent("77"))]);
    assert_eq!(server.paths().last().unwrap(), "POST /channels/700000000000000001/messages");
    // No thread and no message of that id: the sender is told.
    server.will_refuse(404, 10003, "Unknown Channel");
    server.will_refuse(404, 10008, "Unknown Message");
    let said = "Discord answered 404: Unknown Channel (10003)".to_owned();
    assert_eq!(
        send(&bot, json!({"text": "a", "thread_id": "9"})).await,
        [Err(ChannelError::Permanent(said))]
    );
}

#[tokio::test]
async fn typing_is_shown_in_the_channel_until_the_thread_is_there() {
    let (server, bot) = Server::start(json!({})).await;
    server.will_refuse(404, 10003, "Unknown Channel");
    server.will(204, Value::Null);
    bot.typing("7", Some("9")).await.unwrap();
    assert_eq!(server.paths(), ["POST /channels/9/typing", "POST /channels/7/typing"]);
}

#[tokio::test]
async fn buttons_have_ids_of_their_own_and_fit_into_rows() {
    let (server, bot) = Server::start(json!({})).await;
    server.will(200, json!({"id": "77"}));
    let same = |n: usize| (0..n).map(|_| json!({"text": "Yes", "data": "y"})).collect::<Vec<_>>();
    let site = json!([{"text": "x".repeat(64), "url": "https://example.org"}]);
    assert_eq!(send(&bot, json!({"text": "a", "buttons": [same(6), site]})).await, [Ok(sent("77"))]);
    let rows = server.asked()[0].2["components"].clone();
    let counts: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| row["components"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [5, 1, 1]);
    assert_eq!(rows[0]["components"][1]["custom_id"], "1:y");
    assert_eq!(
        rows[2]["components"][0],
        json!({"type": 2, "style": 5, "label": "x".repeat(64), "url": "https://example.org"})
    );
}

#[tokio::test]
async fn more_buttons_than_fit_are_menus_to_choose_from() {
    let (server, bot) = Server::start(json!({})).await;
    let choices =
        |n: usize| (0..n).map(|i| json!({"text": format!("City {i}"), "data": "y"})).collect::<Vec<_>>();
    server.will(200, json!({"id": "77"}));
    let full: Vec<_> = (0..8).map(|_| choices(8)).collect();
    assert_eq!(send(&bot, json!({"text": "a", "buttons": full})).await, [Ok(sent("77"))]);
    let rows = server.asked()[0].2["components"].clone();
    let menus: Vec<&Value> = rows.as_array().unwrap().iter().map(|row| &row["components"][0]).collect();
    let lines: Vec<&Value> = menus.iter().flat_map(|menu| menu["options"].as_array().unwrap()).collect();
    assert_eq!((menus.len(), lines.len()), (3, 64));
    let mut ids: Vec<_> = lines.iter().map(|line| line["value"].as_str().unwrap()).collect();
    ids.dedup();
    assert_eq!((ids.len(), ids[63]), (64, "63:y"));
    assert_eq!((&menus[1]["type"], &menus[1]["custom_id"]), (&json!(3), &json!("menu:1")));
    assert_eq!(menus[0]["placeholder"], "City 0 – City 5");

    let link = || json!({"text": "site", "url": "https://example.org"});
    server.will(200, json!({"id": "78"}));
    let mixed = json!([choices(8), choices(8), choices(7), [link(), link()]]);
    assert_eq!(send(&bot, json!({"text": "a", "buttons": mixed})).await, [Ok(sent("78"))]);
    let rows = server.asked()[0].2["components"].clone();
    assert_eq!(
        (&rows[0]["components"][0]["options"][22]["label"], rows.as_array().unwrap().len()),
        (&json!("City 6"), 2)
    );
    assert_eq!(rows[1]["components"].as_array().unwrap().len(), 2);

    let addresses: Vec<_> = (0..4).map(|_| (0..8).map(|_| link()).collect::<Vec<_>>()).collect();
    let refused =
        send(&bot, json!({"text": "a", "buttons": addresses})).await.remove(0).unwrap_err().to_string();
    assert!(refused.contains("5 rows") && refused.contains("7 rows"), "{refused}");
    assert_eq!(server.paths(), [""; 0], "it is not sent");
}

#[tokio::test]
async fn a_poll_is_one_or_is_refused_with_a_sentence() {
    let (server, bot) = Server::start(json!({})).await;
    server.will(200, json!({"id": "77"}));
    let poll = |options: Value| json!({"poll": {"question": "q?", "options": options, "multiple": true}});
    assert_eq!(send(&bot, poll(json!(["a", "b"]))).await, [Ok(sent("77"))]);
    let body = &server.asked()[0].2;
    assert_eq!(
        body["poll"],
        json!({"question": {"text": "q?"}, "answers": [{"poll_media": {"text": "a"}}, {"poll_media": {"text": "b"}}],
            "duration": 24, "allow_multiselect": true})
    );
    let refused = send(&bot, poll(json!(["a", "x".repeat(56)]))).await.remove(0).unwrap_err().to_string();
    assert!(refused.contains("55 characters"), "{refused}");
}

#[tokio::test]
async fn an_edit_takes_text_and_buttons_and_a_deletion_of_what_is_gone_is_done() {
    let (server, bot) = Server::start(json!({})).await;
    server.will(200, json!({"id": "5"}));
    let edit = json!({"act": {"type": "edit", "message_id": "5"}, "text": "b"});
    assert_eq!(send(&bot, edit).await, [Ok(sent("5"))]);
    let asked = server.asked();
    assert_eq!(asked[0].0, "PATCH");
    assert_eq!(asked[0].2["components"], json!([]), "those that were there go");
    server.will_refuse(404, 10008, "Unknown Message");
    let delete = json!({"act": {"type": "delete", "message_ids": ["5"]}});
    assert_eq!(send(&bot, delete).await, [Ok(sent("5"))]);
    // Done in the channel before there was a thread.
    server.will_refuse(404, 10003, "Unknown Channel");
    server.will(204, Value::Null);
    let delete = json!({"act": {"type": "delete", "message_ids": ["5"]}, "thread_id": "9"});
    assert_eq!(send(&bot, delete).await, [Ok(sent("5"))]);
    assert_eq!(server.paths().last().unwrap(), "DELETE /channels/700000000000000001/messages/5");
}

#[tokio::test]
async fn reactions_are_put_in_either_form_and_taken_away() {
    let (server, bot) = Server::start(json!({})).await;
    let react = |emoji: Value| json!({"act": {"type": "react", "message_id": "5", "emoji": emoji}});
    server.will_refuse(400, 10014, "Unknown Emoji");
    server.will(204, Value::Null);
    assert_eq!(send(&bot, react(json!("❤"))).await, [Ok(sent("5"))]);
    let paths = server.paths();
    assert!(paths[0].ends_with("/reactions/%E2%9D%A4/@me"), "{paths:?}");
    assert!(paths[1].ends_with("/reactions/%E2%9D%A4%EF%B8%8F/@me"), "{paths:?}");
    server.will(
        200,
        json!({"id": "5", "reactions": [
        {"me": false, "count": 2, "emoji": {"id": null, "name": "👍"}},
        {"me": true, "count": 1, "emoji": {"id": "12", "name": "oh"}}]}),
    );
    server.will(204, Value::Null);
    assert_eq!(send(&bot, react(Value::Null)).await, [Ok(sent("5"))]);
    let paths = server.paths();
    assert!(paths[1].starts_with("DELETE ") && paths[1].ends_with("/reactions/oh:12/@me"), "{paths:?}");
}

/// 429 handled on one kind of call only is a bot that is barred for the others.
#[tokio::test]
async fn every_kind_of_call_waits_as_long_as_it_is_told() {
    let (server, bot) = Server::start(json!({})).await;
    let refusal = json!({"message": "You are being rate limited.", "retry_after": 7.5, "global": false});
    let refuse = || server.will(429, refusal.clone());
    let wait = Duration::from_millis(7500);
    let in_chat = ChannelError::ChatLimited { wait, told: true };
    for extra in [
        json!({"text": "a"}),
        json!({"poll": {"question": "q?", "options": ["a", "b"]}}),
        json!({"act": {"type": "edit", "message_id": "5"}, "text": "b"}),
        json!({"act": {"type": "delete", "message_ids": ["5"]}}),
        json!({"act": {"type": "react", "message_id": "5", "emoji": "👍"}}),
        json!({"act": {"type": "react", "message_id": "5", "emoji": null}}),
    ] {
        refuse();
        assert_eq!(send(&bot, extra.clone()).await, [Err(in_chat.clone())], "{extra}");
    }
    refuse();
    assert_eq!(bot.typing(CHAT, None).await, Err(in_chat));
    refuse();
    assert_eq!(bot.probe().await, Err(ChannelError::RateLimited(wait)));
}

#[tokio::test]
async fn a_call_into_an_empty_bucket_is_not_made() {
    let (server, bot) = Server::start(json!({})).await;
    let empty =
        [("x-ratelimit-bucket", "b"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset-after", "60")];
    server.will_with(200, json!({"id": "77"}), &empty);
    assert_eq!(send(&bot, json!({"text": "a"})).await, [Ok(sent("77"))]);
    let told = send(&bot, json!({"text": "b"})).await.remove(0);
    let limited = |wait: Duration| wait > Duration::from_secs(50) && wait <= Duration::from_secs(60);
    assert!(matches!(told, Err(ChannelError::ChatLimited { wait, told: true }) if limited(wait)), "{told:?}");
    assert_eq!(server.asked().len(), 1);
    server.will(200, json!({"id": "78"}));
    assert_eq!(
        send(&bot, json!({"text": "b", "recipient": "8"})).await,
        [Ok(sent("78"))],
        "another chat's is its own"
    );
}

async fn files() -> String {
    let small = async || ([("content-type", "image/png")], Bytes::from_static(b"\x89PNG\r\n\x1a\n"));
    let large =
        async || ([("content-type", "application/pdf")], Bytes::from(vec![b'%'; media::MAX_BYTES + 1]));
    let spoken = async || ([("content-type", "audio/ogg")], SPOKEN);
    let sound = async || ([("content-type", "audio/mpeg")], &SOUND[..]);
    let router = Router::new().route("/small", get(small)).route("/large", get(large));
    serve(router.route("/spoken", get(spoken)).route("/sound", get(sound))).await
}

#[tokio::test]
async fn a_voice_note_in_opus_is_a_voice_message_of_its_own() {
    let (server, bot) = Server::start(json!({})).await;
    let files = files().await;
    let voice = json!({"kind": "voice", "url": format!("{files}/spoken")});
    let picture = json!({"kind": "image", "url": format!("{files}/small"), "filename": "a"});
    for id in ["77", "78"] {
        server.will(200, json!({"id": id}));
    }
    let extra = json!({"text": "listen", "media": [voice, picture], "reply_to": "5"});
    assert_eq!(send(&bot, extra).await, [Ok(sent("77")), Ok(sent("78"))]);
    let asked = server.asked();
    let body = &asked[0].2;
    let attachment = json!({"id": "0", "filename": "voice-message.ogg", "duration_secs": 1.0, "waveform": "QEBAQEBAQEBAQA=="});
    assert_eq!((&body["attachments"], &body["flags"]), (&json!([attachment]), &json!(1 << 13)));
    assert_eq!((&body["content"], &body["message_reference"]["message_id"]), (&Value::Null, &json!("5")));
    let body = &asked[1].2;
    assert_eq!(body["attachments"], json!([{"id": "0", "filename": "a.png"}]));
    assert_eq!((&body["content"], &body["flags"]), (&json!("listen"), &Value::Null));
}

#[tokio::test]
async fn a_voice_note_that_can_not_be_a_voice_message_is_a_file() {
    let (server, bot) = Server::start(json!({})).await;
    let files = files().await;
    let voice = |name: &str| json!([{"kind": "voice", "url": format!("{files}/{name}"), "filename": "a.b"}]);
    // Where none may be sent.
    server.will_refuse(403, 50173, "You cannot send voice messages in this channel");
    server.will(200, json!({"id": "77"}));
    assert_eq!(send(&bot, json!({"media": voice("spoken")})).await, [Ok(sent("77"))]);
    let asked = server.asked();
    assert_eq!(asked[0].2["flags"], json!(1 << 13));
    assert_eq!(asked[1].2["flags"], Value::Null);
    assert_eq!(asked[1].2["attachments"], json!([{"id": "0", "filename": "voice-message.ogg"}]));
    assert_eq!(asked[1].2["nonce"], asked[0].2["nonce"], "it is the same part");
    // No OPUS, or buttons below it.
    let buttons = json!([[{"text": "Yes", "data": "y"}]]);
    for extra in [json!({"media": voice("sound")}), json!({"media": voice("spoken"), "buttons": buttons})] {
        server.will(200, json!({"id": "78"}));
        assert_eq!(send(&bot, extra).await, [Ok(sent("78"))]);
        let body = server.asked().remove(0).2;
        assert_eq!(body["attachments"], json!([{"id": "0", "filename": "a.b"}]));
        assert_eq!(body["flags"], Value::Null);
    }
    // Another refusal is one.
    server.will_refuse(403, 50001, "Missing Access");
    let refused = send(&bot, json!({"media": voice("spoken")})).await.remove(0);
    assert!(matches!(refused, Err(ChannelError::Permanent(why)) if why.contains("Missing Access")));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn files_are_uploaded_together_and_what_is_too_large_is_a_link() {
    let (server, bot) = Server::start(json!({})).await;
    let files = files().await;
    let media = |name: &str| json!({"kind": "file", "url": format!("{files}/{name}"), "filename": "a"});
    server.will(200, json!({"id": "77"}));
    assert_eq!(
        send(&bot, json!({"text": "look", "media": [media("small"), media("small")]})).await,
        [Ok(sent("77"))]
    );
    let body = server.asked().remove(0).2;
    assert_eq!(
        body["attachments"],
        json!([{"id": "0", "filename": "a.png"}, {"id": "1", "filename": "a.png"}])
    );
    assert_eq!(body["content"], "look");
    server.will(200, json!({"id": "78"}));
    assert_eq!(send(&bot, json!({"text": "look", "media": [media("large")]})).await, [Ok(sent("78"))]);
    assert_eq!(content(&server.asked()[0]), format!("look\n{files}/large"));
    // What Discord finds too large, too.
    server.will_refuse(413, 40005, "Request entity too large");
    server.will(200, json!({"id": "79"}));
    assert_eq!(send(&bot, json!({"media": [media("small")]})).await, [Ok(sent("79"))]);
    assert_eq!(content(&server.asked()[1]), format!("{files}/small"));
}

#[tokio::test]
async fn an_attachment_whose_address_has_expired_has_a_new_one() {
    use futures::StreamExt as _;

    let (server, bot) = Server::start(json!({})).await;
    let files = files().await;
    let open = |url: String| {
        let media =
            MediaRef { kind: MediaKind::Image, handle: format!("7/5/3 {url}"), filename: None, mime: None };
        let bot = &bot;
        async move {
            let opened = bot.open_media(&media).await?;
            Ok::<_, ChannelError>((opened.content_type, opened.bytes.collect::<Vec<_>>().await.len()))
        }
    };
    assert_eq!(open(format!("{files}/small")).await, Ok((Some("image/png".to_owned()), 1)));
    assert_eq!(server.asked(), [], "its address is enough, and gets no token");
    let attachment = json!({"id": "3", "filename": "a.png", "url": format!("{files}/small")});
    server.will(200, json!({"id": "5", "attachments": [attachment]}));
    assert!(open(format!("{files}/expired")).await.is_ok());
    assert_eq!(server.paths(), ["GET /channels/7/messages/5"]);
    server.will(200, json!({"id": "5", "attachments": []}));
    assert!(matches!(open(format!("{files}/expired")).await, Err(ChannelError::Permanent(_))));
    server.asked();
    // Of a message that carries another one on, it is that one's.
    let forwarded = json!({"id": "3", "filename": "a.png", "url": format!("{files}/small")});
    let snapshots = json!([{"message": {"content": "", "attachments": [forwarded]}}]);
    server.will(200, json!({"id": "5", "attachments": [], "message_snapshots": snapshots}));
    assert!(open(format!("{files}/expired")).await.is_ok());
}
