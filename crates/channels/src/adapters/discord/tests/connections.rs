//! Sessions outlive connections.

use super::gateway::{Gateway, Kept, while_listening, written};
use super::*;

/// A bot that begins every connection anew has its token reset by Discord after a thousand.
#[tokio::test]
async fn fifty_drops_begin_no_new_session() {
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::default());
    let resume_url = gateway.resume_url();
    let ended = while_listening(&bot, &sink, async {
        let mut first = gateway.greet().await;
        let identify = first.begin(&resume_url).await;
        assert_eq!((&identify["d"]["token"], &identify["d"]["intents"]), (&json!(TOKEN), &json!(37376)));
        first.tell(2, "0").await;
        first.has_taken(2).await;
        drop(first);
        for n in 1..=50 {
            // It would fail on an `IDENTIFY`.
            let mut next = gateway.greet().await;
            next.resume(n + 1).await;
            next.tell(n + 2, &n.to_string()).await;
            next.has_taken(n + 2).await;
        }
    });
    assert_eq!(ended.await, Ok(()));
    assert_eq!(sink.texts(), (0..=50).map(|n: u32| n.to_string()).collect::<Vec<_>>());
    assert_eq!(*gateway.entries.lock().unwrap(), 1, "the gateway's address and budget were asked for once");
    assert_eq!(sink.seq(), Some(52));
    assert_eq!(*sink.troubles.lock().unwrap(), [], "connections that break are no trouble");
}

#[tokio::test]
async fn another_worker_goes_on_with_the_session() {
    let mut gateway = Gateway::start().await;
    let sink = Kept::default();
    let resume_url = gateway.resume_url();
    let first = gateway.bot(json!({}));
    let ended = while_listening(&first, &sink, async {
        let mut connection = gateway.greet().await;
        connection.begin(&resume_url).await;
        connection.tell(2, "one").await;
        connection.has_taken(2).await;
        connection.tell(3, "two").await;
        // Taken, but not confirmed any more.
        while sink.texts().len() < 2 {
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(ended.await, Ok(()));
    let second = gateway.bot(json!({}));
    let ended = while_listening(&second, &sink, async {
        let mut connection = gateway.greet().await;
        connection.resume(3).await;
        // A gateway that does not know what was taken tells it again.
        connection.tell(3, "two").await;
        connection.tell(4, "three").await;
        connection.has_taken(4).await;
    });
    assert_eq!(ended.await, Ok(()));
    assert_eq!(sink.texts(), ["one", "two", "three"], "each once");
    assert_eq!(*gateway.entries.lock().unwrap(), 1);
}

#[tokio::test]
async fn what_was_not_committed_is_not_confirmed_and_comes_again() {
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor(5)));
    *sink.away.lock().unwrap() = 1;
    let ended = while_listening(&bot, &sink, async {
        let mut connection = gateway.greet().await;
        connection.resume(5).await;
        connection.tell(6, "hello").await;
        // The database is away: the bot gives the connection up and resumes from what it has.
        let mut connection = gateway.greet().await;
        connection.resume(5).await;
        connection.tell(6, "hello").await;
        connection.has_taken(6).await;
        assert_eq!(sink.seq(), Some(6), "the database knows before Discord does");
    });
    assert_eq!(ended.await, Ok(()));
    assert_eq!(sink.texts(), ["hello"]);
    let troubles = sink.troubles.lock().unwrap();
    assert_eq!(*troubles, [Some("away".to_owned()), None]);
}

#[tokio::test]
async fn a_connection_that_does_not_answer_is_given_up_and_resumed() {
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor(5)));
    let ended = while_listening(&bot, &sink, async {
        let mut deaf = gateway.accept().await;
        deaf.say(&json!({"op": 10, "d": {"heartbeat_interval": 100}})).await;
        deaf.resume(5).await;
        let code = deaf.ends_with().await;
        assert!(![1000, 1001].contains(&code), "{code} would end the session");
        let mut alive = gateway.accept().await;
        alive.say(&json!({"op": 10, "d": {"heartbeat_interval": 100}})).await;
        alive.resume(5).await;
        for _ in 0..5 {
            assert_eq!(alive.hears().await, json!({"op": 1, "d": 5}));
            alive.say(&json!({"op": 11})).await;
        }
    });
    assert_eq!(ended.await, Ok(()));
}

#[tokio::test]
async fn a_request_to_reconnect_is_followed_and_a_session_that_is_gone_is_begun_anew() {
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor(5)));
    let resume_url = gateway.resume_url();
    let ended = while_listening(&bot, &sink, async {
        let mut connection = gateway.greet().await;
        connection.resume(5).await;
        connection.say(&json!({"op": 7, "d": null})).await;
        let mut connection = gateway.greet().await;
        connection.hears().await;
        connection.say(&json!({"op": 9, "d": true})).await;
        let mut connection = gateway.greet().await;
        connection.hears().await;
        connection.say(&json!({"op": 9, "d": false})).await;
        let mut connection = gateway.greet().await;
        connection.begin(&resume_url).await;
        connection.has_taken(1).await;
    });
    assert_eq!(ended.await, Ok(()));
    assert_eq!(*gateway.entries.lock().unwrap(), 1, "its budget was asked for");
    assert_eq!(sink.seq(), Some(1));
}

#[tokio::test]
async fn the_last_sessions_of_the_day_are_not_begun() {
    let mut gateway = Gateway::with_sessions(50).await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::default());
    let ended = while_listening(&bot, &sink, async { sink.told.notified().await }).await;
    assert_eq!(ended, Ok(()), "it waits, and can be stopped");
    let told = sink.troubles.lock().unwrap().remove(0).unwrap();
    assert!(told.contains("in 60 min"), "{told}");
    assert!(!gateway.is_called());
}

#[tokio::test]
async fn a_close_code_says_what_is_to_be_done() {
    for (code, words) in
        [(4004, "Reset Token"), (4013, "37376"), (4014, "Message Content Intent"), (4012, "too old")]
    {
        let mut gateway = Gateway::start().await;
        let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor(5)));
        let ended = while_listening(&bot, &sink, async {
            let mut connection = gateway.greet().await;
            connection.hears().await;
            connection.end(code, "because").await;
        });
        match ended.await {
            Err(ChannelError::BadCredentials(why)) => assert!(code == 4004 && why.contains(words), "{why}"),
            Err(ChannelError::Config(why)) => assert!(code != 4004 && why.contains(words), "{why}"),
            other => panic!("{code}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_close_code_that_says_nothing_of_the_session_is_resumed() {
    for code in [1000, 1001, 4000, 4008, 4009] {
        let mut gateway = Gateway::start().await;
        let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor(5)));
        let ended = while_listening(&bot, &sink, async {
            let mut connection = gateway.greet().await;
            connection.resume(5).await;
            connection.end(code, "").await;
            gateway.greet().await.resume(5).await;
        });
        assert_eq!(ended.await, Ok(()), "{code}");
    }
}

/// The address of a session may be gone before the session is.
#[tokio::test]
async fn a_session_whose_address_is_gone_is_resumed_elsewhere() {
    let mut gateway = Gateway::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let cursor = gateway.cursor_at(&format!("ws://{free}"), 5);
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(cursor));
    let ended = while_listening(&bot, &sink, async { gateway.greet().await.resume(5).await });
    assert_eq!(ended.await, Ok(()));
}

/// A session has the intents with which it was begun, for as long as it lasts.
#[tokio::test]
async fn other_intents_begin_a_session_of_their_own() {
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(json!({"intents": 513})), Kept::at(gateway.cursor(5)));
    let resume_url = gateway.resume_url();
    let ended = while_listening(&bot, &sink, async {
        let mut connection = gateway.greet().await;
        assert_eq!(connection.begin(&resume_url).await["d"]["intents"], 513);
        connection.has_taken(1).await;
    });
    assert_eq!(ended.await, Ok(()));
}

/// What was one server's session is no reason to send it another one's token.
#[tokio::test]
async fn an_address_gets_the_token_of_its_own_server_only() {
    let (mut old, mut new) = (Gateway::start().await, Gateway::start().await);
    let (bot, sink) = (new.bot(json!({})), Kept::at(old.cursor(5)));
    let resume_url = new.resume_url();
    let ended = while_listening(&bot, &sink, async { drop(new.greet().await.begin(&resume_url).await) });
    assert_eq!(ended.await, Ok(()));
    assert!(!old.is_called());
}

#[tokio::test]
async fn odd_frames_do_no_harm() {
    let mut gateway = Gateway::start().await;
    let (bot, sink) = (gateway.bot(json!({})), Kept::at(gateway.cursor(5)));
    let ended = while_listening(&bot, &sink, async {
        let mut connection = gateway.greet().await;
        connection.resume(5).await;
        for odd in [
            json!("?"),
            json!({"op": 99}),
            json!({"op": 0, "t": null, "s": 6, "d": {}}),
            json!({"op": 0, "t": "MESSAGE_CREATE", "s": 7, "d": {"id": 7}}),
            json!({"op": 0, "t": "OF_THE_FUTURE", "s": 8, "d": [1]}),
            json!({"op": 10, "d": {"heartbeat_interval": 0}}),
        ] {
            connection.say(&odd).await;
        }
        connection.say(&written(9, "hello")).await;
        connection.has_taken(9).await;
    });
    assert_eq!(ended.await, Ok(()));
    assert_eq!(sink.texts(), ["hello"]);
}
