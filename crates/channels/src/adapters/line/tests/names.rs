//! Names, which LINE tells only when it is asked.

use super::*;

/// The paths that LINE was asked for, each of which it describes.
fn asked(server: &Meta) -> Vec<String> {
    let paths: Vec<_> = server.asked().into_iter().map(|asked| asked.path).collect();
    for path in &paths {
        exam::call("GET", path, &Value::Null).unwrap();
    }
    paths
}

/// What is read of a text in this chat, with the names that LINE tells.
async fn heard(line: &Line, source: &Value) -> Inbound {
    let event = json!({"type": "message", "mode": "active", "timestamp": 1, "webhookEventId": "1",
        "source": source, "message": {"id": "5", "type": "text", "text": "hi"}});
    let mut read =
        line.decode(&posted(&json!({"destination": "U0", "events": [event]}).to_string())).unwrap();
    line.complete(&mut read).await;
    read.remove(0)
}

#[tokio::test]
async fn members_are_asked_for_by_way_of_their_group_and_once() {
    let server = Meta::start().await;
    let line = line_at(&server, &json!({}));
    // One call: a room has no name.
    server.will(200, &json!({"displayName": "Ada", "userId": "U1"}));
    let room = json!({"type": "room", "roomId": "R1", "userId": "U1"});
    for _ in 0..2 {
        assert_eq!(heard(&line, &room).await.sender.unwrap().display_name, "Ada");
    }
    server.will(404, &json!({"message": "Not found"}));
    let stranger = json!({"type": "user", "userId": "U2"});
    for _ in 0..2 {
        let read = heard(&line, &stranger).await;
        assert_eq!((read.sender.unwrap().display_name.as_str(), read.recipient.as_str()), ("U2", "U2"));
    }
    assert_eq!(asked(&server), ["/v2/bot/room/R1/member/U1", "/v2/bot/profile/U2"]);
}

#[tokio::test]
async fn a_group_has_a_title_even_if_its_members_have_no_names() {
    let server = Meta::start().await;
    let line = line_at(&server, &json!({}));
    // A message without a person's id: they have not agreed to be known.
    server.will(200, &json!({"groupId": "C1", "groupName": "Friends"}));
    let read = heard(&line, &json!({"type": "group", "groupId": "C1"})).await;
    assert_eq!((read.metadata["chat_title"].as_str(), read.sender), (Some("Friends"), None));
    assert_eq!(asked(&server)[0], "/v2/bot/group/C1/summary");
}
