//! Sockets that break, with and without a word.

use axum::body::Bytes;
use tokio::time::Instant;

use super::*;

#[tokio::test]
async fn a_socket_that_breaks_is_followed_by_another() {
    let ended = listening(well, 0, async |mut fake, mut taken, sink| {
        drop(fake.link().await);
        let mut link = fake.link().await;
        say(&mut link, &envelope("e-1", "1.000001")).await;
        taken.recv().await.unwrap();
        let troubles = sink.troubles.lock().unwrap().clone();
        assert!(matches!(troubles.as_slice(), [Some(_), None]), "{troubles:?}");
    });
    assert_eq!(ended.await, None);
}

#[tokio::test]
async fn who_is_welcomed_by_slack_does_not_wait_longer_each_time() {
    let ended = listening(well, 0, async |mut fake, _, _| {
        let began = Instant::now();
        for _ in 0..8 {
            let mut link = fake.link().await;
            say(&mut link, &json!({"type": "hello", "num_connections": 1})).await;
        }
        fake.link().await;
        // The pauses of eight failures one after another are 12 s at least.
        assert!(began.elapsed() < Duration::from_secs(8), "it took {:?}", began.elapsed());
    });
    assert_eq!(ended.await, None);
}

/// Lets time pass at once; afterwards it goes on as before, so that what is on its way over a socket arrives.
async fn passes(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn answers_a_ping(link: &mut WebSocket) {
    link.send(Message::Ping(Bytes::from_static(b"?"))).await.unwrap();
    let answer = link.recv().await;
    assert!(matches!(answer, Some(Ok(Message::Pong(_)))), "{answer:?}");
}

/// Sockets that are open and deaf are what other gateways are reported to keep, and to call healthy.
#[tokio::test]
async fn a_socket_that_stays_open_and_goes_silent_is_dropped_and_made_anew() {
    let limit = Duration::from_mins(10);
    let ended = listening_for(limit, well, 0, async |mut fake, mut taken, sink| {
        let mut deaf = fake.link().await;
        say(&mut deaf, &json!({"type": "hello", "num_connections": 1})).await;
        // Pings are a sign of life, for as long as they come.
        answers_a_ping(&mut deaf).await;
        for _ in 0..3 {
            passes(Duration::from_secs(20)).await;
            answers_a_ping(&mut deaf).await;
        }
        assert!(sink.troubles.lock().unwrap().is_empty(), "it was not given up");

        passes(Duration::from_secs(40)).await;
        let end = deaf.recv().await;
        assert!(!matches!(end, Some(Ok(_))), "{end:?}");
        let mut next = fake.link().await;
        say(&mut next, &envelope("e-1", "1.000001")).await;
        assert_eq!(taken.recv().await.unwrap().text.as_deref(), Some("hi"));
        sink.commit.notify_one();
        assert_eq!(heard(&mut next).await, acknowledged("e-1"));
        let troubles = sink.troubles.lock().unwrap().clone();
        assert!(
            matches!(troubles.as_slice(), [Some(why), None] if why.contains("nothing comes")),
            "{troubles:?}"
        );
    });
    assert_eq!(ended.await, None);
}
