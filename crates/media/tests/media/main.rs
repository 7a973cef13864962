//! The store as its callers see it, on both kinds of places: a folder, and a bucket of a real S3 server.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod exam;
mod expire;
mod flight;
mod folder;
mod full;
mod s3;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use claw_media::{Limits, MediaKey, MediaStore, Stored};
use claw_runtime::{Ids, Lifecycle, ManualClock, SeededRandom};
use futures::stream::{self, Stream};
use futures::{StreamExt as _, TryStreamExt as _};
use tempfile::TempDir;

const MIB: usize = 1024 * 1024;

const LIMITS: Limits = Limits { max_bytes: 20 * 1024 * 1024, timeout: Duration::from_mins(1) };

/// A key of a message of this time.
fn key_at(time: &str, seed: u64) -> MediaKey {
    let clock = ManualClock::new(time.parse::<DateTime<Utc>>().unwrap());
    MediaKey::new(Ids::new(Arc::new(clock), Arc::new(SeededRandom::new(seed))).next())
}

fn key(seed: u64) -> MediaKey {
    key_at("2026-03-04T05:06:07Z", seed)
}

fn folder_store() -> (TempDir, MediaStore) {
    let folder = TempDir::new().unwrap();
    let store = MediaStore::local(&folder.path().join("media"), Lifecycle::new()).unwrap();
    (folder, store)
}

/// Bytes that differ from place to place, in chunks of odd sizes.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
}

fn chunks(content: &[u8]) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let chunks: Vec<_> = content.chunks(70_001).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    stream::iter(chunks)
}

/// A source that breaks after these bytes.
fn torn(content: &[u8]) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let end = stream::iter([Err(std::io::Error::other("the platform hung up"))]);
    chunks(content).map(|chunk| Ok(chunk.unwrap())).chain(end)
}

async fn read(
    store: &MediaStore,
    key: &MediaKey,
    stored: &Stored,
    range: Option<std::ops::Range<u64>>,
) -> Vec<u8> {
    let chunks: Vec<Bytes> = store.read(key, stored, range).await.unwrap().try_collect().await.unwrap();
    chunks.concat()
}
