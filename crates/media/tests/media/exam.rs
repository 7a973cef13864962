//! What every place must do; `folder` and `s3` take it.

use claw_media::{Error, Limits, MediaStore};
use futures::stream;
use std::time::Duration;

use super::*;

pub async fn take(store: &MediaStore) {
    store.check().await.unwrap();
    keeps_what_it_is_given(store).await;
    hands_out_parts(store).await;
    replaces(store).await;
    refuses_what_is_too_large(store).await;
    keeps_nothing_of_a_torn_upload(store).await;
    gives_up_on_a_stalled_source(store).await;
    forgets(store).await;
}

async fn keeps_what_it_is_given(store: &MediaStore) {
    // Nothing, one byte, around one part with its header, and several parts.
    let part = 5 * MIB - 256;
    for (seed, length) in [0, 1, MIB, part - 1, part, part + 1, 12 * MIB].into_iter().enumerate() {
        let (key, content) = (key(100 + seed as u64), content(length));
        assert_eq!(store.find(&key).await.unwrap(), None);
        let stored =
            store.put(&key, Some("audio/ogg; codecs=\"opus\""), LIMITS, chunks(&content)).await.unwrap();
        assert_eq!(stored.size, length as u64);
        assert_eq!(stored.content_type.as_deref(), Some("audio/ogg; codecs=\"opus\""));
        assert_eq!(store.find(&key).await.unwrap().as_ref(), Some(&stored));
        assert!(read(store, &key, &stored, None).await == content, "{length} bytes come back as they were");
    }
}

async fn hands_out_parts(store: &MediaStore) {
    let (key, content) = (key(200), content(300_000));
    let stored = store.put(&key, None, LIMITS, chunks(&content)).await.unwrap();
    assert_eq!(stored.content_type, None);
    for (start, end) in [(0, 1), (0, 256), (255, 257), (100_000, 299_999), (299_999, 300_000)] {
        let part = read(store, &key, &stored, Some(start as u64..end as u64)).await;
        assert!(part == content[start..end], "{start}..{end}");
    }
    assert!(read(store, &key, &stored, Some(299_990..u64::MAX)).await == content[299_990..]);
    assert!(read(store, &key, &stored, Some(300_000..300_001)).await.is_empty());
}

async fn replaces(store: &MediaStore) {
    let key = key(300);
    let old = store.put(&key, Some("image/png"), LIMITS, chunks(b"old")).await.unwrap();
    let new = store.put(&key, Some("image/jpeg"), LIMITS, chunks(b"newer")).await.unwrap();
    assert_ne!(old.etag(), new.etag());
    assert_eq!(store.find(&key).await.unwrap().as_ref(), Some(&new));
    assert_eq!(read(store, &key, &new, None).await, b"newer");
    let stale = store.read(&key, &old, Some(0..2)).await;
    assert!(matches!(stale.map(drop), Err(Error::Changed)), "bytes of two versions are never mixed");
}

async fn refuses_what_is_too_large(store: &MediaStore) {
    let limits = |max_bytes| Limits { max_bytes, ..LIMITS };
    for (seed, length) in [1000, 12 * MIB].into_iter().enumerate() {
        let (key, content) = (key(400 + seed as u64), content(length));
        let most = length as u64 - 1;
        let refused = store.put(&key, None, limits(most), chunks(&content)).await;
        assert!(matches!(refused, Err(Error::TooLarge(limit)) if limit == most), "{refused:?}");
        assert_eq!(store.find(&key).await.unwrap(), None);
        store.put(&key, None, limits(most + 1), chunks(&content)).await.unwrap();
    }
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 10_000])));
    let refused = store.put(&key(450), None, limits(7_000_000), endless).await;
    assert!(matches!(refused, Err(Error::TooLarge(_))), "{refused:?}");
}

async fn keeps_nothing_of_a_torn_upload(store: &MediaStore) {
    for (seed, length) in [0, 1000, 12 * MIB].into_iter().enumerate() {
        let key = key(500 + seed as u64);
        let Err(Error::Source(cause)) = store.put(&key, None, LIMITS, torn(&content(length))).await else {
            panic!("a source that broke after {length} bytes is not the attachment");
        };
        assert!(cause.downcast_ref::<std::io::Error>().is_some(), "the source's own error is told: {cause}");
        assert_eq!(store.find(&key).await.unwrap(), None);
        let before = store.put(&key, Some("image/png"), LIMITS, chunks(b"whole")).await.unwrap();
        store.put(&key, None, LIMITS, torn(&content(length))).await.unwrap_err();
        assert_eq!(store.find(&key).await.unwrap().as_ref(), Some(&before));
        assert_eq!(read(store, &key, &before, None).await, b"whole");
    }
}

async fn gives_up_on_a_stalled_source(store: &MediaStore) {
    let stalled = chunks(&content(6 * MIB)).chain(stream::pending());
    let limits = Limits { timeout: Duration::from_millis(300), ..LIMITS };
    let refused = store.put(&key(600), None, limits, stalled).await;
    assert!(matches!(refused, Err(Error::TimedOut(_))), "{refused:?}");
    assert_eq!(store.find(&key(600)).await.unwrap(), None);
}

async fn forgets(store: &MediaStore) {
    let key = key(700);
    let stored = store.put(&key, None, LIMITS, chunks(b"secret")).await.unwrap();
    store.delete(&key).await.unwrap();
    store.delete(&key).await.unwrap();
    assert_eq!(store.find(&key).await.unwrap(), None);
    assert!(matches!(store.read(&key, &stored, None).await.map(drop), Err(Error::Changed)));
}
