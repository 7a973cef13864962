//! What a page may not say, or not so often.

use claw_types::Reaction;

use super::*;

#[tokio::test]
async fn a_thumb_is_always_taken_and_nonsense_never() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    client.say(json!({"type": "react", "client_id": "r1", "message_id": "0a-1:1", "added": "👍", "removed": null})).await;
    assert_eq!(client.hear().await["type"], "ack");
    let thumb = Reaction { to: "0a-1:1".into(), added: vec!["👍".into()], ..Reaction::default() };
    assert_eq!(hub.done.lock().unwrap()[0].deed, Deed::Reacted(thumb));
    for frame in [
        json!({"type": "react", "client_id": "r", "message_id": "0a"}),
        json!({"type": "react", "client_id": "r", "message_id": "0a", "added": ""}),
        json!({"type": "react", "client_id": "r", "message_id": "0a", "added": "a b"}),
        json!({"type": "react", "client_id": "r", "message_id": "0a", "added": "x".repeat(65)}),
        json!({"type": "react", "client_id": "r", "message_id": "0a", "added": ["👍"]}),
        json!({"type": "react", "client_id": "r", "message_id": "<b>", "added": "👍"}),
        json!({"type": "react", "client_id": "r", "added": "👍"}),
        json!({"type": "edit", "client_id": "e", "text": "x"}),
        json!({"type": "edit", "client_id": "e", "message": "another:c1", "text": "x"}),
        json!({"type": "edit", "client_id": "e", "message": "c1", "text": " "}),
        json!({"type": "edit", "client_id": "e", "message": "c1", "text": "x".repeat(16_001)}),
        json!({"type": "delete", "client_id": "d", "message": "x".repeat(65)}),
    ] {
        client.say(frame.clone()).await;
        assert_eq!(client.hear().await["type"], "error", "{frame}");
    }
    assert_eq!(hub.done.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_refused_is_named_and_the_socket_stays() {
    let (_hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    for (frame, client_id) in [
        (message("c1", " \n"), json!("c1")),
        (message("c2", &"x".repeat(16_001)), json!("c2")),
        (message("c 3", "x"), json!(null)),
        (message(&"c".repeat(65), "x"), json!(null)),
        (json!({"type": "typing", "client_id": "c4"}), json!(null)),
        (json!([1]), json!(null)),
    ] {
        client.say(frame).await;
        let error = client.hear().await;
        assert_eq!((&error["type"], &error["client_id"]), (&json!("error"), &client_id));
        assert!(error["message"].as_str().unwrap().len() > 10);
    }
    client.say(message("long", &"\u{1}".repeat(16_000))).await;
    assert_eq!(client.hear().await["type"], "ack");
}

#[tokio::test]
async fn too_many_thumbs_at_once_are_refused() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    for n in 0..=said::PACE {
        client
            .say(json!({"type": "react", "client_id": format!("r{n}"), "message_id": "0a", "added": "👍"}))
            .await;
        let expected = if n < said::PACE { "ack" } else { "error" };
        assert_eq!(client.hear().await["type"], expected, "{n}");
    }
    assert_eq!(hub.done.lock().unwrap().len(), said::PACE);
}

#[tokio::test]
async fn too_many_messages_at_once_are_refused() {
    let (_hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    for n in 0..=said::PACE {
        client.say(message(&format!("c{n}"), "x")).await;
        let expected = if n < said::PACE { "ack" } else { "error" };
        assert_eq!(client.hear().await["type"], expected, "{n}");
    }
}
