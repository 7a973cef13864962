//! Copies of what was sent.

use super::*;

/// A mail as it is sent.
fn mail(id: &str) -> Vec<u8> {
    format!("From: claw@example.org\r\nMessage-ID: <{id}>\r\n\r\nHello\r\n").into_bytes()
}

#[tokio::test]
async fn what_was_sent_lies_in_its_folder_once() {
    let room = Room::enter().await;
    let mut channel = room.channel();
    channel.copies.gather = Duration::ZERO;
    let sent = room.mails.sent();
    // The provider was first with this one.
    sent.arrive(mail("theirs@example.org"));
    channel.keep_copy("theirs@example.org", mail("theirs@example.org"));
    channel.keep_copy("ours@example.org", mail("ours@example.org"));
    let two = async {
        while sent.all().len() < 2 {
            sent.arrived().await;
        }
    };
    tokio::select! {
        () = channel.copy_for_ever() => unreachable!("it goes on"),
        () = two => {}
    }
    assert_eq!(sent.all(), [mail("theirs@example.org"), mail("ours@example.org")]);
}

#[tokio::test]
async fn none_is_kept_where_it_is_not_wanted_or_the_provider_does() {
    let room = Room::enter().await;
    let copies_in = async |fields: Value| {
        let channel = made(&with_port(&room, fields)).unwrap();
        let mut imap = channel.imap().await.unwrap();
        channel.copies_in(&mut imap).await.unwrap()
    };
    assert_eq!(copies_in(json!({})).await.as_deref(), Some("Sent"));
    assert_eq!(copies_in(json!({"sent_folder": "Entwürfe"})).await.as_deref(), Some("Entw&APw-rfe"));
    assert_eq!(copies_in(json!({"keep_sent": false})).await, None);
    room.mails.has_too("X-GM-EXT-1");
    assert_eq!(copies_in(json!({"sent_folder": "Sent"})).await, None, "Gmail keeps them");
}

fn with_port(room: &Room, mut fields: Value) -> Value {
    fields["imap_port"] = json!(room.imap);
    fields
}
