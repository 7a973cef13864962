//! What becomes of a call that fails, by what the caller can do about it; and of one that is given up.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::features;
use super::room::{Room, Taken};
use super::server::Mood;
use super::{Found, Outcome, Road};
use crate::kit::http::Http;
use crate::{Channel, ChannelError};

/// How soon receiving ends when it is asked to.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The platform, or the outcome where there is none.
macro_rules! platform {
    ($room:expr) => {
        match $room.platform() {
            Ok(platform) => platform,
            Err(why) => return Ok(Outcome::cant(why)),
        }
    };
}

/// What a text to a platform of this mood came to. A text before that went well, so what is got once, such as an access token, is
/// there.
async fn refused(room: &Room<'_>, mood: Mood, channel: &dyn Channel) -> Result<ChannelError, String> {
    room.platform_is(Mood::Well);
    room.send_text(channel).await.map_err(|error| room.said(&error))?;
    room.platform_is(mood);
    match room.send_text(channel).await {
        Err(error) => Ok(error),
        Ok(_) => Err(format!("a send to a platform that is {mood:?} counts as sent")),
    }
}

pub(super) async fn probe_asks(room: &Room<'_>) -> Found {
    let channel = room.channel()?;
    channel.probe().await.map_err(|error| room.said(&error))?;
    if let Err(why) = room.platform() {
        return Ok(Outcome::cant(why));
    }
    let asked = room.server.asked();
    if asked.is_empty() {
        return Err("the probe asks the platform nothing".to_owned());
    }
    if let Some(seen) = asked.iter().flat_map(|asked| room.examinee.texts(&asked.body)).next() {
        return Err(format!("people would see the probe: {seen:?}"));
    }
    Ok(Outcome::Met)
}

pub(super) async fn rate_limit(room: &Room<'_>) -> Found {
    let wait = platform!(room).wait();
    let error = refused(room, Mood::Refuses(429), &*room.channel()?).await?;
    match error {
        ChannelError::RateLimited(told) | ChannelError::ChatLimited { wait: told, .. } if told == wait => {
            Ok(Outcome::Met)
        }
        other => Err(format!("429 is {other:?} and not a wait of {wait:?}")),
    }
}

pub(super) async fn server_error(room: &Room<'_>) -> Found {
    platform!(room);
    for status in [500, 502, 503] {
        let error = refused(room, Mood::Refuses(status), &*room.channel()?).await?;
        if !matches!(error, ChannelError::Retryable(_) | ChannelError::RateLimited(_)) {
            return Err(format!("{status} is {error:?}"));
        }
    }
    Ok(Outcome::Met)
}

pub(super) async fn time_out(room: &Room<'_>) -> Found {
    platform!(room);
    no_answer(room, Mood::Silent).await
}

pub(super) async fn cut(room: &Room<'_>) -> Found {
    platform!(room);
    no_answer(room, Mood::Cuts).await
}

/// It may have happened. A test that gets no answer says nothing of the token.
async fn no_answer(room: &Room<'_>, mood: Mood) -> Found {
    let again = platform!(room).knows_repeated_calls();
    let channel = room.impatient_channel()?;
    let error = refused(room, mood, &*channel).await?;
    match (&error, again) {
        (ChannelError::Retryable(_), true) | (ChannelError::Uncertain(_), false) => {}
        _ => return Err(format!("a send without an answer is {error:?}; repeated calls are known: {again}")),
    }
    match channel.probe().await {
        Err(error @ (ChannelError::Retryable(_) | ChannelError::Uncertain(_))) => {
            room.said(&error);
            Ok(Outcome::Met)
        }
        other => Err(format!("a test without an answer is {other:?}")),
    }
}

pub(super) async fn unreachable(room: &Room<'_>) -> Found {
    platform!(room);
    // Bound and given back: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let nobody = free.map_err(|error| format!("no free port: {error}"))?;
    let http = Http::new(true).map_err(|error| error.to_string())?;
    let channel = room.channel_at(&format!("http://{nobody}"), http)?;
    match room.send_text(&*channel).await.map(|sent| sent.receipts) {
        Err(ChannelError::Retryable(_)) => Ok(Outcome::Met),
        other => Err(format!("a send to nobody is {other:?}")),
    }
}

pub(super) async fn revoked(room: &Room<'_>) -> Found {
    platform!(room);
    let channel = room.channel()?;
    let error = refused(room, Mood::Refuses(401), &*channel).await?;
    if !matches!(error, ChannelError::BadCredentials(_)) {
        return Err(format!("a send with a revoked token is {error:?}"));
    }
    let probed = channel.probe().await.inspect_err(|error| drop(room.said(error)));
    if !matches!(probed, Err(ChannelError::BadCredentials(_))) {
        return Err(format!("a test of a revoked token is {probed:?}"));
    }
    if matches!(room.road, Road::Poll { .. } | Road::Socket(_)) {
        let listened = channel.listen(&Taken::default(), CancellationToken::new()).await;
        let listened = listened.inspect_err(|error| drop(room.said(error)));
        if !matches!(listened, Err(ChannelError::BadCredentials(_))) {
            return Err(format!("receiving with a revoked token is {listened:?}"));
        }
    }
    Ok(Outcome::Met)
}

pub(super) async fn stop(room: &Room<'_>) -> Found {
    let channel = room.channel()?;
    if room.platform().is_ok() {
        // More often than any limit of what may be on its way at once.
        for _ in 0..10 {
            give_up_midway(room, &*channel).await?;
        }
        room.platform_is(Mood::Well);
        room.send_text(&*channel)
            .await
            .map_err(|error| format!("after sends that were given up, one fails: {}", room.said(&error)))?;
    }
    let (stop, sink) = (CancellationToken::new(), Taken::default());
    let count = room.server.count();
    let asked_to_end = async {
        if matches!(room.road, Road::Poll { .. } | Road::Socket(_)) {
            room.server.asked_more_than(count).await;
        }
        stop.cancel();
    };
    let both = futures::future::join(channel.listen(&sink, stop.clone()), asked_to_end);
    match tokio::time::timeout(AT_ONCE, both).await {
        Ok((Ok(()), ())) => Ok(Outcome::Met),
        Ok((Err(error), ())) => Err(format!("receiving ends with {}", room.said(&error))),
        Err(_) => Err(format!("receiving does not end within {} s", AT_ONCE.as_secs())),
    }
}

/// Drops a send when the platform has it and did not answer yet.
async fn give_up_midway(room: &Room<'_>, channel: &dyn Channel) -> Result<(), String> {
    room.platform_is(Mood::Silent);
    let count = room.server.count();
    let message = room.message(&features::laden(room))?;
    tokio::select! {
        sent = room.send(channel, &message) => {
            let came_to = sent.map(|sent| sent.receipts);
            Err(format!("a send that is not answered came to {came_to:?}"))
        }
        () = room.server.asked_more_than(count) => Ok(()),
    }
}
