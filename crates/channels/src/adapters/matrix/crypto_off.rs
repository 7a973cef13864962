//! In a build without encrypted rooms: nobody has a [`Crypto`], and to ask for one is refused.

#![allow(clippy::unused_async, reason = "as in a build with encrypted rooms")]

use serde_json::Value;

use super::api::Api;
use super::sync::{Event, Sync};
use crate::{ChannelError, Deps};

/// Never said: there is no session.
pub(super) const NO_SESSION: &str = "";
/// What nobody has.
pub(super) enum Crypto {}

/// As in a build with encrypted rooms.
pub(super) struct Late {
    pub(super) room: String,
    pub(super) id: String,
    pub(super) event: Option<Event>,
}

/// As in a build with encrypted rooms.
pub(super) struct Read {
    pub(super) events: Vec<Event>,
    pub(super) lost: Vec<String>,
}

impl Crypto {
    pub(super) fn new(_: &str, _: &Deps) -> Result<Self, ChannelError> {
        Err(ChannelError::Config(
            "this build can't read encrypted rooms: it was made without the feature matrix-encryption"
                .to_owned(),
        ))
    }

    pub(super) async fn receive(&self, _: &Api, _: &Sync) -> Result<(), ChannelError> {
        match *self {}
    }

    pub(super) async fn note(&self, _: &Api, _: &str, _: &[Event]) -> Result<(), ChannelError> {
        match *self {}
    }

    pub(super) async fn read(&self, _: &Api, _: &str, _: &[Event]) -> Result<Read, ChannelError> {
        match *self {}
    }

    pub(super) async fn late(&self, _: &Api) -> Result<Vec<Late>, ChannelError> {
        match *self {}
    }

    pub(super) async fn settle(&self, _: &Api, _: &[Late]) -> Result<(), ChannelError> {
        match *self {}
    }

    pub(super) async fn is_encrypted(&self, _: &Api, _: &str) -> Result<bool, ChannelError> {
        match *self {}
    }

    pub(super) async fn write(
        &self,
        _: &Api,
        _: &str,
        _: &str,
        _: &Value,
    ) -> Result<Option<Value>, ChannelError> {
        match *self {}
    }
}

/// Attachments.
pub(super) mod file {
    use bytes::Bytes;
    use claw_runtime::Random;
    use futures::stream::BoxStream;
    use serde_json::Value;

    use crate::ChannelError;

    type Pieces = BoxStream<'static, Result<Bytes, ChannelError>>;

    pub(in crate::adapters::matrix) fn seal(bytes: &[u8], _: &dyn Random) -> (Bytes, Value) {
        (Bytes::copy_from_slice(bytes), Value::Null)
    }

    pub(in crate::adapters::matrix) fn handle(_: &Value) -> Option<String> {
        None
    }

    pub(in crate::adapters::matrix) fn open(_: &str, _: Pieces) -> Result<Pieces, ChannelError> {
        Err(ChannelError::Permanent("this build can't read encrypted attachments".to_owned()))
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(_: &[u8]) {}
