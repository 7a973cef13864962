use std::fs::{self, File};
use std::time::SystemTime;

use chrono::TimeDelta;
use claw_media::Expired;

use super::*;

async fn put(store: &MediaStore, key: MediaKey) -> DateTime<Utc> {
    store.put(&key, None, LIMITS, chunks(b"x")).await.unwrap().modified
}

/// Ten attachments of each of three days go in pages; what is young or foreign stays.
pub async fn exam(store: &MediaStore) {
    let days = ["2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z", "2025-12-31T23:59:59Z"];
    let keys: Vec<_> = days.iter().flat_map(|day| (0..10).map(|seed| key_at(day, seed))).collect();
    let mut stored = DateTime::UNIX_EPOCH;
    for key in &keys {
        stored = stored.max(put(store, *key).await);
    }
    // S3's times have whole seconds.
    let (before, after) = (stored - TimeDelta::days(1), stored + TimeDelta::seconds(2));
    let future = key_at("2999-01-01T00:00:00Z", 1);
    put(store, future).await;

    assert_eq!(store.expire(before, 100).await.unwrap(), Expired { removed: 0, more: false });
    assert_eq!(store.expire(after, 12).await.unwrap(), Expired { removed: 12, more: true });
    for (i, key) in keys.iter().enumerate().skip(20) {
        assert_eq!(store.find(key).await.unwrap(), None, "the oldest day goes first: {i}");
    }
    assert_eq!(store.expire(after, 12).await.unwrap(), Expired { removed: 12, more: true });
    assert_eq!(store.expire(after, 12).await.unwrap(), Expired { removed: 6, more: false });
    for key in &keys {
        assert_eq!(store.find(key).await.unwrap(), None);
    }
    assert!(store.find(&future).await.unwrap().is_some());
}

#[tokio::test]
async fn old_attachments_of_a_folder_go() {
    let (folder, store) = folder_store();
    exam(&store).await;
    let years: Vec<_> = fs::read_dir(folder.path().join("media")).unwrap().collect();
    assert_eq!(years.len(), 1, "empty folders go as well: {years:?}");
}

#[tokio::test]
async fn what_is_not_ours_stays() {
    let (folder, store) = folder_store();
    let stored = put(&store, key(1)).await;
    let media = folder.path().join("media");
    let foreign =
        ["2026/03/04/report.pdf", "2026/03/notes", "backup/x", "0000/00/00/a#1"].map(|path| media.join(path));
    for path in &foreign {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let expired = store.expire(stored + TimeDelta::days(1), 100).await.unwrap();
    assert_eq!(expired, Expired { removed: 1, more: false });
    for path in &foreign {
        assert!(path.exists(), "{}", path.display());
    }
}

#[tokio::test]
async fn what_a_killed_process_left_goes_too() {
    let (folder, store) = folder_store();
    let stored = put(&store, key(1)).await;
    let day = folder.path().join("media/2026/03/04");
    let (torn, running) =
        (day.join(format!("{}#1", uuid::Uuid::nil())), day.join(format!("{}#2", uuid::Uuid::nil())));
    File::create(&torn).unwrap().set_modified(SystemTime::from(stored - TimeDelta::days(9))).unwrap();
    File::create(&running).unwrap();
    let expired = store.expire(stored - TimeDelta::days(8), 100).await.unwrap();
    assert_eq!(expired, Expired { removed: 0, more: false });
    assert!(!torn.exists());
    assert!(running.exists());
    assert!(store.find(&key(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn two_who_clean_up_at_once_do_not_mind() {
    let (_folder, store) = folder_store();
    let mut stored = DateTime::UNIX_EPOCH;
    for seed in 0..100 {
        stored = put(&store, key(seed)).await;
    }
    let after = stored + TimeDelta::seconds(1);
    let (a, b) = tokio::join!(store.expire(after, 1000), store.expire(after, 1000));
    assert_eq!(a.unwrap().removed + b.unwrap().removed, 100);
}
