//! The gateway as adapters see it whose people connect to the gateway itself.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use claw_bus::Frames;
use claw_channels::kit::{media_link, transfer};
use claw_channels::{HistoryItem, Hosted, Hub, HubError, Stored, Upload, UploadError};
use claw_media::{Incoming, Limits, MediaKey};
use claw_store::intake::indexable;
use claw_store::{Accepted, HistoryRow};
use claw_telemetry::trace::mark;
use claw_types::{ChannelId, Inbound, Media, MediaRef, MessageId};
use futures::future;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::app::{App, Shared};
use crate::channel_cache::Known;
use crate::intake;

/// Messages of a conversation that are handed out at most.
const HISTORY: i64 = 200;
/// Frames that wait for a slow socket before its stream is ended.
const BACKLOG: usize = 256;

/// Serves adapters' routes.
pub struct GatewayHub(pub Shared);

impl GatewayHub {
    async fn known(&self, id: ChannelId) -> Result<Arc<Known>, HubError> {
        // The cause can't be told to the person; the adapter's socket has no answer that would carry it to the log.
        let found = self.0.channels.get(id).await.map_err(|problem| {
            error!(channel.id = %id, error = ?problem, "the channel {id} of a socket can't be read");
            HubError::Unavailable
        })?;
        found.filter(|known| known.channel.enabled).ok_or(HubError::NoChannel)
    }

    /// Stores what comes with a message; the task that does it is the store's, so a visitor who leaves in between ends it tidily.
    async fn keep(
        &self,
        id: ChannelId,
        own: MessageId,
        message: &Inbound,
        upload: Upload,
    ) -> Result<(), UploadError> {
        let max_bytes = upload.max_bytes.min(self.max_upload());
        let limits = Limits { max_bytes, timeout: transfer::limit(max_bytes) };
        let content_type = message.media.as_ref().and_then(|media| media.mime.clone());
        let incoming = Incoming { content_type, bytes: upload.bytes };
        let arrived = future::ready(Ok::<_, axum::Error>(incoming));
        let kept = self.0.media.fetch_once(MediaKey::new(own.0), limits, move || arrived).await;
        kept.map(drop).map_err(|error| match error {
            claw_media::Error::TooLarge(_) => UploadError::TooLarge,
            claw_media::Error::Source(_) | claw_media::Error::TimedOut(_) => UploadError::Broken,
            other => {
                let why = claw_store::chain(&other);
                error!(channel.id = %id, "a file of a visitor of channel {id} was not stored: {why}");
                UploadError::Hub(HubError::Unavailable)
            }
        })
    }
}

#[async_trait]
impl Hub for GatewayHub {
    fn home(&self) -> Option<ChannelId> {
        self.0.home
    }

    async fn channel(&self, channel_type: &str, id: ChannelId) -> Result<Hosted, HubError> {
        let known = self.known(id).await?;
        if known.channel.channel_type != channel_type {
            return Err(HubError::NoChannel);
        }
        Ok(Hosted { name: known.channel.instance_name.clone(), config: known.channel.config.clone() })
    }

    async fn accept(&self, id: ChannelId, message: Inbound) -> Result<Option<Stored>, HubError> {
        let known = self.known(id).await?;
        let taken = intake::accept(&self.0, &known, vec![message], mark()).await.map_err(|problem| {
            error!(channel.id = %id, error = ?problem, "a message of a socket of channel {id} was not accepted");
            HubError::Unavailable
        })?;
        let stored = taken.messages.first().map(|accepted| match accepted {
            Accepted::New(work) => Stored { id: work.id, seq: work.seq, duplicate: false },
            Accepted::Duplicate(id) => Stored { id: *id, seq: 0, duplicate: true },
        });
        let handled = taken.handled.first().map(|id| Stored { id: *id, seq: 0, duplicate: false });
        let stored = stored.or(handled);
        if stored.is_none() && !taken.feedback { Err(HubError::NotTaken) } else { Ok(stored) }
    }

    async fn accept_upload(
        &self,
        id: ChannelId,
        message: Inbound,
        upload: Upload,
    ) -> Result<Option<Stored>, UploadError> {
        // Before a byte is stored for a channel that is gone.
        self.known(id).await?;
        let own = MessageId(self.0.ids.next());
        self.keep(id, own, &message, upload).await?;
        let taken = self.accept(id, Inbound { id: Some(own), ..message }).await;
        let needed = match &taken {
            Ok(stored) => stored.is_some_and(|stored| stored.id == own),
            // It may be committed although nobody could tell; if it is not, the bytes expire.
            Err(HubError::Unavailable) => true,
            Err(HubError::NoChannel | HubError::NotTaken) => false,
        };
        if !needed && let Err(error) = self.0.media.delete(&MediaKey::new(own.0)).await {
            warn!(channel.id = %id, %error, "a file that channel {id} did not take stays until it expires: {error}");
        }
        Ok(taken?)
    }

    fn max_upload(&self) -> u64 {
        if self.0.takes_files { self.0.media_limits.max_bytes } else { 0 }
    }

    async fn history(
        &self,
        id: ChannelId,
        conversation: &str,
        after: i64,
    ) -> Result<Vec<HistoryItem>, HubError> {
        let rows = self.0.store.messages_history(id, &indexable(conversation), after, HISTORY).await;
        let rows = rows.map_err(|error| {
            error!(channel.id = %id, %error, "a history of channel {id} can't be read: {error}");
            HubError::Unavailable
        })?;
        Ok(rows.into_iter().map(|row| item(&self.0, row)).collect())
    }

    async fn subscribe(&self, id: ChannelId, conversation: &str) -> Result<mpsc::Receiver<Bytes>, HubError> {
        let bus = &self.0.bus;
        if !bus.connected() {
            return Err(HubError::Unavailable);
        }
        let frames = bus.subscribe_live(id, conversation).await.map_err(|error| {
            warn!(channel.id = %id, %error, "a socket of channel {id} gets no live frames: {error}");
            HubError::Unavailable
        })?;
        // The subscription stands once NATS has answered; else a frame published right after this could pass by.
        if bus.flush().await { Ok(forward(&self.0, frames)) } else { Err(HubError::Unavailable) }
    }

    fn draining(&self) -> CancellationToken {
        self.0.lifecycle.soft()
    }

    fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    fn token(&self, n: usize) -> String {
        self.0.ids.token(n)
    }
}

/// Ends the stream when its reader is too slow or NATS was away: then frames are missing, and the reader looks at the
/// history.
fn forward(app: &App, mut frames: Frames) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let soft = app.lifecycle.soft();
    let counted = app.sockets.opened();
    app.lifecycle.spawn("live frames", async move {
        let _counted = counted;
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                () = sender.closed() => return,
                () = soft.cancelled() => return,
            };
            if frame.is_none_or(|frame| sender.try_send(frame).is_err()) {
                return;
            }
        }
    });
    receiver
}

fn item(app: &App, row: HistoryRow) -> HistoryItem {
    let media = row.media.as_deref().and_then(|media| attachment(app, row.id, media));
    HistoryItem {
        id: row.id,
        seq: row.seq,
        direction: row.direction,
        payload: row.payload,
        media,
        accepted_at: row.accepted_at,
    }
}

/// Without the gateway's address: the page that reads it came from there.
fn attachment(app: &App, id: MessageId, media: &str) -> Option<Media> {
    let media: MediaRef = serde_json::from_str(media)
        .inspect_err(|error| warn!(message.id = %id, %error, "the attachment of {id} can't be read: {error}"))
        .ok()?;
    let url = media_link::of(app.media_keys.first()?, id, &media, app.clock.now());
    Some(Media { kind: media.kind, url, filename: media.filename })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;
    use claw_channels::registry;
    use claw_config::GatewaySettings;
    use claw_runtime::Lifecycle;
    use claw_store::{SaveChannel, Store};
    use claw_testkit::TestDatabase;
    use claw_types::Direction;
    use serde_json::{Map, Value, json};

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        settings: GatewaySettings,
    }

    async fn hub(lifecycle: &Lifecycle) -> GatewayHub {
        let media = std::env::temp_dir().join("ii-claw-test-media");
        hub_with(lifecycle, &[&format!("--media={}", media.display())]).await
    }

    async fn hub_with(lifecycle: &Lifecycle, more: &[&str]) -> GatewayHub {
        claw_testkit::install_tls();
        let database = TestDatabase::create().await;
        let store = Store::connect(database.url(), "test", 2).await.unwrap();
        store.migrate(None).await.unwrap();
        let nats = claw_testkit::nats_url();
        let args = ["", "--api-key=k", "--database-url", database.url(), "--nats-url", &nats];
        let cli = Cli::parse_from(args.iter().chain(more));
        GatewayHub(App::connect(&cli.settings, None, lifecycle).await.unwrap())
    }

    async fn save(hub: &GatewayHub, enabled: bool, replaces: Option<i64>, id: ChannelId) {
        save_with(hub, Map::new(), enabled, replaces, id).await;
    }

    async fn save_with(
        hub: &GatewayHub,
        config: Map<String, Value>,
        enabled: bool,
        replaces: Option<i64>,
        id: ChannelId,
    ) {
        let (user, instance) = ("u".parse().unwrap(), "chat".parse().unwrap());
        let save = SaveChannel {
            id,
            shard: hub.0.shards.shard_of(&user, &instance),
            user_id: user,
            instance,
            instance_name: "A chat".into(),
            channel_type: registry::FRONT_PAGE.into(),
            config,
            secrets: Map::new(),
            credentials: Vec::new(),
            enabled,
            agent_id: String::new(),
            replaces,
        };
        hub.0.store.channel_save(&hub.0.vault, &save, &claw_store::Actor::named("a test")).await.unwrap();
        hub.0.channels.forget(id).await;
    }

    fn message(id: &str) -> Inbound {
        Inbound {
            platform_message_id: Some(id.into()),
            content_type: "text".into(),
            text: Some(id.into()),
            recipient: "visitor".into(),
            ..Inbound::default()
        }
    }

    #[tokio::test]
    async fn a_channel_is_there_while_it_is_switched_on_and_of_its_type_only() {
        let lifecycle = Lifecycle::new();
        let hub = hub(&lifecycle).await;
        let id = ChannelId(hub.0.ids.next());
        assert_eq!(hub.channel(registry::FRONT_PAGE, id).await.unwrap_err(), HubError::NoChannel);
        save(&hub, true, None, id).await;
        assert_eq!(hub.channel(registry::FRONT_PAGE, id).await.unwrap().name, "A chat");
        assert_eq!(hub.channel("other", id).await.unwrap_err(), HubError::NoChannel);
        save(&hub, false, Some(1), id).await;
        assert_eq!(hub.channel(registry::FRONT_PAGE, id).await.unwrap_err(), HubError::NoChannel);
        assert_eq!(hub.accept(id, message("m")).await.unwrap_err(), HubError::NoChannel);
    }

    #[tokio::test]
    async fn what_is_accepted_is_history_once_and_in_order() {
        let lifecycle = Lifecycle::new();
        let hub = hub(&lifecycle).await;
        let id = ChannelId(hub.0.ids.next());
        save(&hub, true, None, id).await;
        let first = hub.accept(id, message("m-1")).await.unwrap().unwrap();
        let second = hub.accept(id, message("m-2")).await.unwrap().unwrap();
        assert!(!first.duplicate && first.seq < second.seq);
        let again = hub.accept(id, message("m-1")).await.unwrap().unwrap();
        assert_eq!((again.id, again.duplicate), (first.id, true));
        let history = hub.history(id, "visitor", 0).await.unwrap();
        assert_eq!(history.iter().map(|item| item.id).collect::<Vec<_>>(), [first.id, second.id]);
        assert!(history.iter().all(|item| item.direction == Direction::In));
        assert_eq!(hub.history(id, "visitor", first.seq).await.unwrap().len(), 1);
        assert!(hub.history(id, "somebody else", 0).await.unwrap().is_empty());
    }

    fn file(id: &str) -> Inbound {
        let media = MediaRef {
            kind: claw_types::MediaKind::Image,
            handle: "kept".into(),
            filename: Some("a b.png".into()),
            mime: Some("image/png".into()),
        };
        Inbound { text: None, media: Some(media), ..message(id) }
    }

    fn upload(max_bytes: u64, chunks: Vec<Result<Bytes, axum::Error>>) -> Upload {
        Upload { max_bytes, bytes: Box::pin(futures::stream::iter(chunks)) }
    }

    fn whole() -> Vec<Result<Bytes, axum::Error>> {
        vec![Ok(Bytes::from_static(b"01234")), Ok(Bytes::from_static(b"56789"))]
    }

    #[tokio::test]
    async fn a_file_is_stored_under_its_message_and_history_links_to_it() {
        let lifecycle = Lifecycle::new();
        let hub = hub(&lifecycle).await;
        let id = ChannelId(hub.0.ids.next());
        save(&hub, true, None, id).await;
        let first = hub.accept_upload(id, file("f-1"), upload(10, whole())).await.unwrap().unwrap();
        let stored = hub.0.media.find(&MediaKey::new(first.id.0)).await.unwrap().unwrap();
        assert_eq!((stored.size, stored.content_type.as_deref()), (10, Some("image/png")));
        let again = hub.accept_upload(id, file("f-1"), upload(10, whole())).await.unwrap().unwrap();
        assert_eq!((again.id, again.duplicate), (first.id, true), "sent again, stored once");
        let history = hub.history(id, "visitor", 0).await.unwrap();
        assert_eq!(history.len(), 1);
        let media = history[0].media.clone().unwrap();
        assert_eq!(media.filename.as_deref(), Some("a b.png"));
        assert!(media.url.starts_with(&format!("/media/{}/a_b.png?expires=", first.id)), "{}", media.url);
    }

    #[tokio::test]
    async fn who_was_not_told_where_to_keep_files_takes_none() {
        let lifecycle = Lifecycle::new();
        let hub = hub_with(&lifecycle, &[]).await;
        assert_eq!(hub.max_upload(), 0);
        let id = ChannelId(hub.0.ids.next());
        save(&hub, true, None, id).await;
        let refused = hub.accept_upload(id, file("f-1"), upload(10, whole())).await;
        assert_eq!(refused.unwrap_err(), UploadError::TooLarge);
    }

    #[tokio::test]
    async fn a_file_that_is_too_large_or_breaks_off_or_is_not_taken_leaves_no_message() {
        let lifecycle = Lifecycle::new();
        let hub = hub(&lifecycle).await;
        let id = ChannelId(hub.0.ids.next());
        let refused =
            async |max, chunks| hub.accept_upload(id, file("f"), upload(max, chunks)).await.unwrap_err();
        assert_eq!(refused(10, whole()).await, UploadError::Hub(HubError::NoChannel));
        save(&hub, true, None, id).await;
        assert_eq!(refused(9, whole()).await, UploadError::TooLarge);
        let broken = vec![Ok(Bytes::from_static(b"0")), Err(axum::Error::new("gone"))];
        assert_eq!(refused(10, broken).await, UploadError::Broken);
        let nobody = Map::from_iter([("dm_policy".to_owned(), json!("disabled"))]);
        save_with(&hub, nobody, true, Some(1), id).await;
        assert_eq!(refused(10, whole()).await, UploadError::Hub(HubError::NotTaken));
        assert!(hub.history(id, "visitor", 0).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_policy_counts_for_channels_added_and_changed_at_run_time() {
        let lifecycle = Lifecycle::new();
        let hub = hub(&lifecycle).await;
        let id = ChannelId(hub.0.ids.next());
        let policy = |name: &str| Map::from_iter([("dm_policy".to_owned(), json!(name))]);
        save_with(&hub, policy("disabled"), true, None, id).await;
        assert_eq!(hub.accept(id, message("m-1")).await.unwrap_err(), HubError::NotTaken);
        save_with(&hub, policy("open"), true, Some(1), id).await;
        let taken = hub.accept(id, message("m-2")).await.unwrap().unwrap();
        save_with(&hub, policy("allowlist"), true, Some(2), id).await;
        assert_eq!(hub.accept(id, message("m-3")).await.unwrap_err(), HubError::NotTaken);
        let history = hub.history(id, "visitor", 0).await.unwrap();
        assert_eq!(history.iter().map(|item| item.id).collect::<Vec<_>>(), [taken.id]);
    }

    #[tokio::test]
    async fn what_a_group_says_in_between_goes_with_the_message_that_addresses_the_bot() {
        let lifecycle = Lifecycle::new();
        let hub = hub(&lifecycle).await;
        let id = ChannelId(hub.0.ids.next());
        save(&hub, true, None, id).await;
        let group = |id: &str, mentioned| Inbound { is_group: true, mentioned, ..message(id) };
        let known = hub.known(id).await.unwrap();
        for aside in ["m-1", "m-1", "m-2"] {
            let taken = hub.accept(id, group(aside, Some(false))).await;
            assert_eq!(taken.unwrap_err(), HubError::NotTaken, "{aside}");
        }
        let batch = [("m-3", false), ("m-4", true), ("m-5", false), ("m-6", true), ("m-7", true)];
        let batch = batch.into_iter().map(|(id, mentioned)| group(id, Some(mentioned)));
        let taken = intake::accept(&hub.0, &known, batch.collect(), None).await.unwrap();
        assert_eq!(taken.messages.len(), 3);
        hub.accept(id, group("m-8", Some(true))).await.unwrap();
        hub.accept(id, group("m-9", None)).await.unwrap();
        let history = hub.history(id, "visitor", 0).await.unwrap();
        let context = |item: &HistoryItem| -> (String, Vec<String>) {
            let body: Value = serde_json::from_str(item.payload.get()).unwrap();
            let said = body["metadata"]["context"].as_array().cloned().unwrap_or_default();
            let texts = said.iter().map(|said| said["text"].as_str().unwrap().to_owned()).collect();
            (body["text"].as_str().unwrap().to_owned(), texts)
        };
        let with = |id: &str, said: &[&str]| (id.to_owned(), said.iter().map(ToString::to_string).collect());
        assert_eq!(
            history.iter().map(context).collect::<Vec<(String, Vec<String>)>>(),
            [
                with("m-4", &["m-1", "m-2", "m-3"]),
                with("m-6", &["m-5"]),
                with("m-7", &[]),
                with("m-8", &[]),
                with("m-9", &[]),
            ]
        );
    }

    #[tokio::test]
    async fn a_group_message_that_comes_again_takes_no_context_with_it() {
        let lifecycle = Lifecycle::new();
        let hub = hub(&lifecycle).await;
        let id = ChannelId(hub.0.ids.next());
        save(&hub, true, None, id).await;
        let group =
            |id: &str, mentioned| Inbound { is_group: true, mentioned: Some(mentioned), ..message(id) };
        let known = hub.known(id).await.unwrap();
        let batch = |ids: &[(&str, bool)]| ids.iter().map(|(id, mentioned)| group(id, *mentioned)).collect();
        let first: Vec<Inbound> = batch(&[("m-1", false), ("m-2", true)]);
        intake::accept(&hub.0, &known, first.clone(), None).await.unwrap();
        hub.accept(id, group("m-3", false)).await.unwrap_err();
        // All of it once more, as a platform sends what it believes was lost.
        intake::accept(&hub.0, &known, first, None).await.unwrap();
        hub.accept(id, group("m-2", true)).await.unwrap();
        intake::accept(&hub.0, &known, batch(&[("m-4", false), ("m-5", true)]), None).await.unwrap();
        hub.accept(id, group("m-6", true)).await.unwrap();
        let history = hub.history(id, "visitor", 0).await.unwrap();
        let context = |item: &HistoryItem| -> Vec<String> {
            let body: Value = serde_json::from_str(item.payload.get()).unwrap();
            let said = body["metadata"]["context"].as_array().cloned().unwrap_or_default();
            said.iter().map(|said| said["text"].as_str().unwrap().to_owned()).collect()
        };
        let contexts: Vec<Vec<String>> = history.iter().map(context).collect();
        assert_eq!(contexts, [vec!["m-1"], vec!["m-3", "m-4"], vec![]], "each once, and none lost");
    }

    #[tokio::test]
    async fn live_frames_arrive_until_the_gateway_drains() {
        let lifecycle = Lifecycle::new();
        let hub = hub(&lifecycle).await;
        let id = ChannelId(hub.0.ids.next());
        let mut frames = hub.subscribe(id, "a visitor").await.unwrap();
        hub.0.deps.live.publish(id, "somebody else", Bytes::from_static(b"not for them")).await;
        hub.0.deps.live.publish(id, "a visitor", Bytes::from_static(b"hi")).await;
        assert_eq!(frames.recv().await.unwrap(), "hi");
        lifecycle.shutdown();
        assert!(hub.draining().is_cancelled());
        assert_eq!(frames.recv().await, None);
        drop(hub);
        lifecycle.finish(Duration::from_secs(5)).await.unwrap();
    }
}
