//! Posts of forums, which are begun by what is sent to the forum.

use axum::routing::get;

use super::*;

/// The bot finds out that the channel is of this type.
fn refuses(server: &Server, kind: u64) {
    server.will_refuse(400, 50008, "Cannot send messages in a non-text channel");
    server.will(200, json!({"id": CHAT, "type": kind, "name": "ideas"}));
}

fn begins(server: &Server, post: &str) {
    server.will(
        201,
        json!({"id": post, "type": 11, "parent_id": CHAT, "message": {"id": post, "channel_id": post}}),
    );
}

#[tokio::test]
async fn what_is_sent_to_a_forum_begins_a_post() {
    for kind in [15, 16] {
        let (server, bot) = Server::start(json!({})).await;
        refuses(&server, kind);
        begins(&server, "88");
        let extra = json!({"text": "**A bird** of paper\nand how to fold it", "reply_to": "5"});
        assert_eq!(send(&bot, extra).await, [Ok(sent("88"))]);
        let asked = server.asked();
        let paths: Vec<_> = asked.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        let channel = format!("/api/v10/channels/{CHAT}");
        let expected =
            [format!("POST {channel}/messages"), format!("GET {channel}"), format!("POST {channel}/threads")];
        assert_eq!(paths, expected);
        let post = &asked[2].2;
        assert_eq!(post["name"], "A bird of paper");
        assert!(post["message"]["content"].as_str().unwrap().starts_with("**A bird**"), "{post}");
        assert_eq!(post["message"]["allowed_mentions"], json!({"parse": [], "replied_user": true}));
    }
}

#[tokio::test]
async fn the_parts_of_a_message_are_one_post() {
    let (server, bot) = Server::start(json!({})).await;
    refuses(&server, 15);
    begins(&server, "88");
    server.will(200, json!({"id": "89"}));
    assert_eq!(send(&bot, json!({"text": "word ".repeat(500)})).await, [Ok(sent("88")), Ok(sent("89"))]);
    let asked = server.asked();
    assert_eq!(asked[2].2["name"].as_str().unwrap().chars().count(), 100);
    assert_eq!((asked.len(), asked[3].1.as_str()), (4, "/api/v10/channels/88/messages"));
    // The same part, whose receipt was not kept.
    assert_eq!(send(&bot, json!({"text": "word"})).await, [Ok(sent("88"))]);
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn a_post_may_be_a_poll_or_a_picture() {
    let picture = async || ([("content-type", "image/png")], Bytes::from_static(b"\x89PNG\r\n\x1a\n"));
    let files = serve(Router::new().route("/small", get(picture))).await;
    let media = json!([{"kind": "image", "url": format!("{files}/small"), "filename": "bird.png"}]);
    for (extra, name) in [
        (json!({"poll": {"question": "Which one?", "options": ["a", "b"]}}), "Which one?"),
        (json!({"media": media}), "bird.png"),
    ] {
        let (server, bot) = Server::start(json!({})).await;
        refuses(&server, 15);
        begins(&server, "88");
        assert_eq!(send(&bot, extra).await, [Ok(sent("88"))]);
        assert_eq!(server.asked()[2].2["name"], name);
    }
}

/// Discord takes no nonce for it.
#[tokio::test]
async fn a_post_that_may_have_begun_is_not_begun_again() {
    let (server, bot) = Server::start(json!({})).await;
    refuses(&server, 15);
    server.will(201, json!("?"));
    let told = send(&bot, json!({"text": "a"})).await.remove(0);
    assert!(matches!(told, Err(ChannelError::Uncertain(_))), "{told:?}");
}

#[tokio::test]
async fn a_channel_that_is_no_forum_stays_refused_and_a_message_in_a_post_has_a_thread() {
    let (server, bot) = Server::start(json!({})).await;
    refuses(&server, 4);
    let said = "Discord answered 400: Cannot send messages in a non-text channel (50008)".to_owned();
    assert_eq!(send(&bot, json!({"text": "a"})).await, [Err(ChannelError::Permanent(said))]);
    let (server, bot) = Server::start(json!({})).await;
    refuses(&server, 15);
    let edit = json!({"act": {"type": "edit", "message_id": "88"}, "text": "b"});
    let told = send(&bot, edit).await.remove(0);
    assert!(matches!(&told, Err(ChannelError::Permanent(why)) if why.contains("thread_id")), "{told:?}");
}
