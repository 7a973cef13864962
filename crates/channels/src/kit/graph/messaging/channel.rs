//! A channel of either platform: all but what only one of them has, which is its [`Product`].

use async_trait::async_trait;
use claw_types::{Inbound, MediaRef};
use tokio_util::sync::CancellationToken;

use super::Page;
use crate::kit::graph::api::Api;
use crate::{Caps, Channel, ChannelError, MediaStream, Part, Probe, RawRequest, Receipt, Reply, Sink};

/// What only one of the platforms has.
#[async_trait]
pub trait Product: Send + Sync + 'static {
    /// Asks which account the token belongs to.
    ///
    /// # Errors
    /// Why it does not work.
    async fn account(&self, api: &Api) -> Result<Probe, ChannelError>;

    /// What the channel's owner does beside sending, until `stop`.
    ///
    /// # Errors
    /// As of [`Channel::listen`].
    async fn watch(&self, _api: &Api, _sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        stop.cancelled().await;
        Ok(())
    }
}

/// The conversations of one account.
pub struct Conversations<P> {
    page: Page,
    product: P,
}

impl<P> Conversations<P> {
    /// Of an account whose fields were checked.
    pub fn of(page: Page, product: P) -> Self {
        Self { page, product }
    }

    /// Has the account offer the channel's commands.
    pub async fn offer_commands(&self) {
        self.page.offer_commands().await;
    }
}

#[async_trait]
impl<P: Product> Channel for Conversations<P> {
    fn caps(&self) -> &'static Caps {
        self.page.kind.caps
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        self.page.decode(request)
    }

    async fn complete(&self, messages: &mut [Inbound]) {
        self.page.complete(messages).await;
    }

    fn handshake(&self, request: &RawRequest) -> Result<Option<Reply>, ChannelError> {
        self.page.hook.handshake(request)
    }

    fn fuzz(&self, data: &[u8]) {
        self.page.fuzz(data);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        self.page.send(part).await
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        self.product.account(&self.page.api).await
    }

    async fn typing(&self, recipient: &str, _thread_id: Option<&str>) -> Result<(), ChannelError> {
        self.page.act(recipient, "typing_on").await
    }

    /// The person sees, too, that their messages were seen.
    async fn answering(
        &self,
        recipient: &str,
        _thread_id: Option<&str>,
        _question: &str,
    ) -> Result<(), ChannelError> {
        self.page.act(recipient, "mark_seen").await?;
        self.page.act(recipient, "typing_on").await
    }

    async fn listen(&self, sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        stop.run_until_cancelled(self.offer_commands()).await;
        self.product.watch(&self.page.api, sink, stop).await
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        self.page.open(&media.handle).await
    }
}
