//! Sockets while the database, the bus, the gateway or the page goes away.

use super::*;

#[tokio::test]
async fn what_can_not_be_stored_ends_the_socket_so_that_it_is_sent_again() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    *hub.database_is_away.lock().unwrap() = true;
    client.say(message("c1", "x")).await;
    let error = client.hear().await;
    assert_eq!(
        error,
        json!({"type": "error", "client_id": null, "message": HubError::Unavailable.to_string()})
    );
    assert_eq!(client.closed().await, 1013);
    *hub.database_is_away.lock().unwrap() = false;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    client.say(message("c1", "x")).await;
    assert_eq!(client.hear().await["duplicate"], false);
}

#[tokio::test]
async fn what_the_bus_loses_the_history_has() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    hub.answer(1, "first").await;
    assert_eq!(client.hear().await["text"], "first");
    // The bus goes away with an answer on it.
    *hub.bus_is_away.lock().unwrap() = true;
    hub.listeners.lock().unwrap().clear();
    hub.answer(2, "second").await;
    let mut texts = Vec::new();
    while !texts.contains(&json!("second")) {
        texts.push(client.hear().await["text"].clone());
    }
    *hub.bus_is_away.lock().unwrap() = false;
    while hub.listeners.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    hub.answer(3, "third").await;
    while client.hear().await["text"] != "third" {}
}

#[tokio::test]
async fn a_page_is_ready_only_once_it_was_brought_up_to_date() {
    let (hub, url) = gateway().await;
    hub.answer(1, "earlier").await;
    *hub.database_is_away.lock().unwrap() = true;
    let mut client = connect(&url, 0).await;
    let early = timeout(Duration::from_millis(50), client.hear()).await;
    assert!(early.is_err(), "{early:?}");
    *hub.database_is_away.lock().unwrap() = false;
    assert_eq!(client.replay().await, ["earlier"]);
}

#[tokio::test]
async fn a_draining_gateway_says_goodbye() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    hub.draining.cancel();
    assert_eq!(client.closed().await, 1001);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_answers_pings_is_kept_and_a_silent_one_is_not() {
    let (hub, url) = gateway().await;
    let mut awake = connect(&url, 0).await;
    awake.replay().await;
    let mut asleep = connect(&url, 0).await;
    asleep.replay().await;
    // Reading is what answers pings.
    assert!(timeout(Duration::from_mins(5), awake.hear()).await.is_err());
    hub.answer(1, "still here").await;
    assert_eq!(awake.hear().await["text"], "still here");
    let end = loop {
        match asleep.0.next().await {
            Some(Ok(WsMessage::Ping(_))) => {}
            other => break other,
        }
    };
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
}
