use chrono::DateTime;

use super::*;
use crate::adapters::webhook::testing::{Recorder, deps};

async fn nothing(uploads: &Uploads) -> Result<Held, ChannelError> {
    uploads.fetch(&[], DateTime::UNIX_EPOCH, 100).await
}

#[tokio::test(start_paused = true)]
async fn a_channel_has_some_of_the_places_and_a_process_has_all() {
    let deps = deps(Arc::new(Recorder::default()));
    let channels: [Uploads; 3] = std::array::from_fn(|_| Uploads::new(&deps));
    let mut held = Vec::new();
    for _ in 0..OF_A_CHANNEL {
        held.push(nothing(&channels[0]).await.unwrap());
    }
    let told = nothing(&channels[0]).await.err();
    assert!(matches!(told, Some(ChannelError::Retryable(_))), "its own are taken: {told:?}");
    while held.len() < AT_ONCE {
        held.push(nothing(&channels[1]).await.unwrap());
    }
    let told = nothing(&channels[2]).await.err();
    assert!(matches!(told, Some(ChannelError::Retryable(_))), "all are taken: {told:?}");
    held.pop();
    assert!(nothing(&channels[2]).await.is_ok(), "one is free again");
}

#[test]
fn an_error_names_the_host_and_no_more() {
    let media = |url: &str| Media { kind: MediaKind::Voice, url: url.to_owned(), filename: None };
    assert_eq!(named(&media("https://me:pw@x.org:8080/a/b?c=d#e")), "the voice note at x.org");
    assert_eq!(named(&media("x.org/secret")), "the address of the voice note");
}
