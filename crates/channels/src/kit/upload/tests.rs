use chrono::DateTime;
use futures::FutureExt as _;

use super::*;
use crate::adapters::webhook::testing::{Recorder, deps};

async fn nothing(uploads: &Uploads) -> Result<Held, ChannelError> {
    uploads.fetch(&[], DateTime::UNIX_EPOCH, 100).await
}

/// A channel of this user's, with the places of these.
fn channel(deps: &Deps, user: &str) -> Uploads {
    Uploads::new(&Deps { owner: Some(user.parse().unwrap()), ..deps.clone() })
}

#[tokio::test(start_paused = true)]
async fn a_user_has_half_of_the_places_and_a_process_has_all() {
    let deps = deps(Arc::new(Recorder::default()));
    let mut held = Vec::new();
    // However many channels it is.
    for n in 0..OF_A_USER {
        held.push(nothing(&channel(&deps, "ada")).await.unwrap());
        assert_eq!(held.len(), n + 1);
    }
    let told = nothing(&channel(&deps, "ada")).await.err();
    assert!(matches!(told, Some(ChannelError::Retryable(_))), "her own are taken: {told:?}");
    while held.len() < AT_ONCE {
        held.push(nothing(&channel(&deps, "bob")).await.unwrap());
    }
    let told = nothing(&channel(&deps, "eve")).await.err();
    assert!(matches!(told, Some(ChannelError::Retryable(_))), "all are taken: {told:?}");
    held.pop();
    assert!(nothing(&channel(&deps, "eve")).await.is_ok(), "one is free again");
}

#[tokio::test(start_paused = true)]
async fn who_waits_stands_in_line_and_slow_hosts_of_one_user_keep_no_other_one_waiting() {
    let deps = deps(Arc::new(Recorder::default()));
    let (hers, his) = (channel(&deps, "ada"), channel(&deps, "bob"));
    // Four messages with hosts that drip: two have places, two wait for them.
    let (first, _second) = (nothing(&hers).await.unwrap(), nothing(&hers).await.unwrap());
    let mut waiting = [Box::pin(nothing(&hers)), Box::pin(nothing(&hers))];
    for waits in &mut waiting {
        assert!(waits.as_mut().now_or_never().is_none(), "she has as many as one may have");
    }
    assert!(nothing(&his).now_or_never().is_some_and(|got| got.is_ok()), "his goes at once");
    // As long as a slow host may take, which is more than she waited for before.
    tokio::time::sleep(FETCH_LIMIT).await;
    drop(first);
    let [third, fourth] = &mut waiting;
    assert!(third.as_mut().now_or_never().is_some_and(|got| got.is_ok()), "the first in line is next");
    assert!(fourth.as_mut().now_or_never().is_some_and(|got| got.is_ok()), "and then the other one");
}

#[test]
fn an_error_names_the_host_and_no_more() {
    let media = |url: &str| Media { kind: MediaKind::Voice, url: url.to_owned(), filename: None };
    assert_eq!(named(&media("https://me:pw@x.org:8080/a/b?c=d#e")), "the voice note at x.org");
    assert_eq!(named(&media("x.org/secret")), "the address of the voice note");
}
