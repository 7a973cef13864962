use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use claw_media::{Error, Incoming};
use futures::stream;

use super::*;

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn a_folder_does_what_every_place_must() {
    exam::take(&folder_store().1).await;
}

#[tokio::test]
async fn after_a_failure_no_file_is_left() {
    let (folder, store) = folder_store();
    for length in [0, 1000, 12 * MIB] {
        store.put(&key(1), None, LIMITS, torn(&content(length))).await.unwrap_err();
        assert_eq!(files(folder.path()), [""; 0].map(PathBuf::from), "after {length} bytes");
    }
}

#[tokio::test]
async fn an_upload_in_progress_is_not_visible_and_leaves_with_its_caller() {
    let (folder, store) = folder_store();
    let key = key(1);
    let stalled = chunks(&content(6 * MIB)).chain(stream::pending());
    let mut put = Box::pin(store.put(&key, None, LIMITS, stalled));
    let written = || !files(folder.path()).is_empty();
    while !written() {
        assert!(futures::poll!(&mut put).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(store.find(&key).await.unwrap(), None);
    drop(put);
    while written() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn other_users_of_the_machine_are_kept_out() {
    let (folder, _store) = folder_store();
    let mode = fs::metadata(folder.path().join("media")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_folder_that_can_not_be_made_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    File::create(&file).unwrap();
    let error = MediaStore::local(&file.join("media"), Lifecycle::new()).map(drop).unwrap_err();
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_folder_that_went_away_is_told() {
    let (folder, store) = folder_store();
    let media = folder.path().join("media");
    fs::remove_dir(&media).unwrap();
    fs::write(&media, "not a folder").unwrap();
    assert!(matches!(store.check().await, Err(Error::Store(_))));
    assert!(matches!(store.put(&key(1), None, LIMITS, chunks(b"x")).await, Err(Error::Store(_))));
    fs::set_permissions(&media, Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_damaged_attachment_is_told_and_fetched_again() {
    let (folder, store) = folder_store();
    let key = key(1);
    store.put(&key, None, LIMITS, chunks(b"whole")).await.unwrap();
    let file = files(folder.path()).pop().unwrap();
    for damage in [&b""[..], b"short", &[b'x'; 1000]] {
        fs::write(&file, damage).unwrap();
        let told = store.find(&key).await.unwrap_err();
        assert!(matches!(&told, Error::Damaged(name) if *name == key.to_string()), "{told:?}");
        let fetch = || async { Ok(Incoming { content_type: None, bytes: chunks(b"whole") }) };
        let stored = store.fetch_once(key, LIMITS, fetch).await.unwrap();
        assert_eq!(read(&store, &key, &stored, None).await, b"whole");
    }
}
