//! Reading a stream to its end, or until its time is up.
//!
//! The backend may be silent for a moment and write for some minutes. Anything that it sends is a sign of life, a comment too.
//! An answer that breaks off before its end may lack what matters, so the backend is to be asked again; what it says of its
//! own accord, an error too, is the end, unless there is nothing before it. One that is still being written when its time is up
//! is cut there: asked again, it would be as long.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::event::{End, Folded, Reader};
use crate::deliver::backend::Sign;

/// How long a stream may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Without a word.
    pub(super) silence: Duration,
    /// In all.
    pub(super) whole: Duration,
}

/// Why nothing more is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The answer is there.
    Complete,
    /// It broke off, and why.
    Broken(String),
    /// The backend said that it failed, and nothing before that.
    Failed(String),
    /// There was nothing of it when its time was up.
    TooLong(String),
    /// The shard is stopping.
    NotOurs,
    /// Its user was erased.
    Erased,
}

impl Ending {
    /// What it says of the backend.
    pub(super) fn sign(&self) -> Option<Sign> {
        match self {
            // Who writes for that long is there.
            Self::Complete | Self::TooLong(_) => Some(Sign::Answered),
            Self::Broken(_) => Some(Sign::Silent),
            Self::Failed(_) => Some(Sign::Failing),
            Self::NotOurs | Self::Erased => None,
        }
    }
}

/// Reads `body` into `folded`, whose watchers hear of every change.
pub(super) async fn read<E>(
    body: impl Stream<Item = Result<Bytes, E>>,
    limits: Limits,
    stopping: &CancellationToken,
    folded: &watch::Sender<Folded>,
) -> Ending {
    let reading = to_the_end(body, limits, folded);
    stopping.run_until_cancelled(reading).await.unwrap_or(Ending::NotOurs)
}

async fn to_the_end<E>(
    body: impl Stream<Item = Result<Bytes, E>>,
    limits: Limits,
    folded: &watch::Sender<Folded>,
) -> Ending {
    let mut body = std::pin::pin!(body);
    let (mut reader, last) = (Reader::new(), Instant::now() + limits.whole);
    loop {
        let silent = Instant::now() + limits.silence;
        match timeout_at(silent.min(last), body.next()).await {
            Ok(Some(Ok(chunk))) => folded.send_modify(|folded| reader.read(chunk, folded)),
            Ok(None) => folded.send_modify(|folded| reader.end(folded)),
            Ok(Some(Err(_))) => return broken("the connection to the backend broke in its answer"),
            Err(_) if silent < last => {
                let silence = limits.silence.as_secs();
                return broken(&format!("the backend wrote nothing for {silence} s in its answer"));
            }
            Err(_) => return too_long(limits, folded),
        }
        if let Some(end) = folded.borrow().end() {
            return over(end);
        }
        // Where there is always something to read, no timer is asked.
        if Instant::now() >= last {
            return too_long(limits, folded);
        }
    }
}

fn over(end: &End) -> Ending {
    match end {
        End::Answer => Ending::Complete,
        End::Failed(why) => Ending::Failed(why.clone()),
        End::Cut => broken("the backend's answer ended without the mark of its end"),
    }
}

fn too_long(limits: Limits, folded: &watch::Sender<Folded>) -> Ending {
    let (within, mut is_cut) = (limits.whole.as_secs(), false);
    folded.send_modify(|folded| {
        is_cut = folded.cut(format!("it did not end within {within} s, which is where it was cut"));
    });
    if is_cut {
        Ending::Complete
    } else {
        Ending::TooLong(format!("the backend's answer did not end within {within} s"))
    }
}

fn broken(why: &str) -> Ending {
    Ending::Broken(why.to_owned())
}

#[cfg(test)]
mod tests;
