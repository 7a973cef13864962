use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use claw_media::{Error, Incoming};
use futures::future::join_all;
use tokio::sync::Semaphore;

use super::*;

/// A source that counts how often it is asked and answers when it may.
#[derive(Default)]
struct Source {
    asked: AtomicUsize,
    gate: Option<Semaphore>,
}

impl Source {
    fn closed() -> Arc<Self> {
        Arc::new(Self { gate: Some(Semaphore::new(0)), ..Self::default() })
    }

    fn open(&self) {
        self.gate.as_ref().unwrap().close();
    }

    async fn fetch(
        self: Arc<Self>,
    ) -> Result<Incoming<impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static>, Infallible> {
        self.asked.fetch_add(1, SeqCst);
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap_err();
        }
        Ok(Incoming { content_type: Some("image/png".to_owned()), bytes: chunks(b"picture") })
    }
}

async fn fetch(store: &MediaStore, key: MediaKey, source: &Arc<Source>) -> claw_media::Result<Stored> {
    let source = Arc::clone(source);
    store.fetch_once(key, LIMITS, || source.fetch()).await
}

#[tokio::test]
async fn many_callers_cause_one_fetch() {
    let (_folder, store) = folder_store();
    let source = Source::closed();
    let mut callers = Box::pin(join_all((0..50).map(|_| fetch(&store, key(1), &source))));
    while source.asked.load(SeqCst) == 0 {
        assert!(futures::poll!(&mut callers).is_pending());
        tokio::task::yield_now().await;
    }
    let other = fetch(&store, key(2), &Arc::default()).await.unwrap();
    assert_eq!(other.size, 7, "another attachment does not wait");
    source.open();
    for stored in callers.await {
        assert_eq!(stored.unwrap().size, 7);
    }
    let later = fetch(&store, key(1), &source).await.unwrap();
    assert_eq!(later.content_type.as_deref(), Some("image/png"));
    assert_eq!(source.asked.load(SeqCst), 1);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_end_the_fetch() {
    let (_folder, store) = folder_store();
    let source = Source::closed();
    let mut caller = Box::pin(fetch(&store, key(1), &source));
    assert!(futures::poll!(&mut caller).is_pending());
    drop(caller);
    source.open();
    let stored = fetch(&store, key(1), &source).await.unwrap();
    assert_eq!(read(&store, &key(1), &stored, None).await, b"picture");
    assert_eq!(source.asked.load(SeqCst), 1);
}

#[tokio::test]
async fn a_failure_is_told_to_all_who_waited_and_not_remembered() {
    let (_folder, store) = folder_store();
    let asked = Arc::new(AtomicUsize::new(0));
    let fail = || {
        let asked = Arc::clone(&asked);
        store.fetch_once(key(1), LIMITS, move || async move {
            asked.fetch_add(1, SeqCst);
            Err::<Incoming<stream::Empty<_>>, _>(std::io::Error::other("the platform said 404"))
        })
    };
    for result in join_all((0..5).map(|_| fail())).await {
        let Err(Error::Source(cause)) = result else { panic!("{result:?}") };
        assert_eq!(cause.to_string(), "the platform said 404");
    }
    assert_eq!(asked.load(SeqCst), 1);
    fail().await.unwrap_err();
    assert_eq!(asked.load(SeqCst), 2);
    assert_eq!(fetch(&store, key(1), &Arc::default()).await.unwrap().size, 7);
}

#[tokio::test]
async fn a_broken_stream_is_not_remembered_either() {
    let (_folder, store) = folder_store();
    let broken = || async { Ok(Incoming { content_type: None, bytes: torn(b"half") }) };
    assert!(matches!(store.fetch_once(key(1), LIMITS, broken).await, Err(Error::Source(_))));
    assert_eq!(fetch(&store, key(1), &Arc::default()).await.unwrap().size, 7);
}

#[tokio::test]
async fn a_source_that_never_answers_does_not_hold_its_callers_for_ever() {
    let (_folder, store) = folder_store();
    let source = Source::closed();
    let limits = Limits { timeout: Duration::from_millis(100), ..LIMITS };
    let asked = Arc::clone(&source);
    let result = store.fetch_once(key(1), limits, || asked.fetch()).await;
    assert!(matches!(result, Err(Error::TimedOut(_))), "{result:?}");
    source.open();
    assert_eq!(fetch(&store, key(1), &source).await.unwrap().size, 7);
}

#[tokio::test]
async fn a_shutdown_waits_for_a_fetch() {
    let folder = TempDir::new().unwrap();
    let lifecycle = Lifecycle::new();
    let store = MediaStore::local(folder.path(), lifecycle.clone()).unwrap();
    let source = Source::closed();
    let mut caller = Box::pin(fetch(&store, key(1), &source));
    assert!(futures::poll!(&mut caller).is_pending());
    drop(caller);
    let mut finished = Box::pin(lifecycle.finish(Duration::from_mins(1)));
    assert!(futures::poll!(&mut finished).is_pending());
    source.open();
    finished.await.unwrap();
    assert!(store.find(&key(1)).await.unwrap().is_some());
}
