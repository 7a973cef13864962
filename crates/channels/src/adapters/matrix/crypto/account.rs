//! This device: its own keys, and those that others need to begin a conversation with it
//! (<https://spec.matrix.org/latest/client-server-api/#device-keys>,
//! <https://spec.matrix.org/latest/client-server-api/#one-time-and-fallback-keys>).
//!
//! Must hold: private keys are remembered before their public halves are published.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::warn;
use vodozemac::olm::{Account, AccountPickle};

use super::devices::canonical;
use super::{MEGOLM, OLM, State};
use crate::ChannelError;
use crate::adapters::matrix::api::Api;
use crate::adapters::matrix::sync::Sync;

const ROW: &str = "account";
/// One-time keys are made when the homeserver has fewer than this part of what it should have.
const LOW: usize = 2;

#[derive(Serialize, Deserialize)]
struct Kept {
    pickle: AccountPickle,
    /// Whether the homeserver has the device's own keys.
    is_published: bool,
}

impl State {
    /// Makes this device known, if it is not yet.
    pub(super) async fn introduce(&mut self, api: &Api) -> Result<(), ChannelError> {
        let kept: Option<Kept> = self.rows.get(ROW).await?;
        let (account, is_published) = if let Some(kept) = kept {
            (Account::from_pickle(kept.pickle), kept.is_published)
        } else {
            self.must_be_unused(api).await?;
            let account = Account::new();
            self.keep(&account, false).await?;
            self.rows.save().await?;
            (account, false)
        };
        self.curve = account.curve25519_key().to_base64();
        self.ed = account.ed25519_key().to_base64();
        if !is_published {
            let keys = json!({"device_keys": self.device_keys(&account)});
            api.upload_keys(&keys).await?;
            self.keep(&account, true).await?;
            self.rows.save().await?;
        }
        Ok(())
    }

    /// Another program's keys can't be replaced: people's programs take other keys of the same device for a break-in, and rightly.
    async fn must_be_unused(&self, api: &Api) -> Result<(), ChannelError> {
        let told = api.query_keys([&self.user]).await?;
        if told["device_keys"][&self.user].get(&self.device).is_none() {
            return Ok(());
        }
        Err(ChannelError::Config(format!(
            "encryption needs a session of its own: {} of {} has keys of another program already, such as Element; make a session by \
             POST /_matrix/client/v3/login and put its token in access_token_env",
            self.device, self.user
        )))
    }

    pub(super) async fn account(&mut self) -> Result<Account, ChannelError> {
        let kept: Option<Kept> = self.rows.get(ROW).await?;
        let kept = kept.ok_or_else(|| ChannelError::Retryable("the device's keys are gone".to_owned()))?;
        Ok(Account::from_pickle(kept.pickle))
    }

    pub(super) async fn keep(&mut self, account: &Account, is_published: bool) -> Result<(), ChannelError> {
        self.rows.put(ROW, &Kept { pickle: account.pickle(), is_published }, None).await
    }

    /// Publishes one-time keys, and one for when they are used up, as far as the homeserver tells that they are wanted.
    pub(super) async fn publish(&mut self, api: &Api, told: &Sync) -> Result<(), ChannelError> {
        let left = told.device_one_time_keys_count.get("signed_curve25519").copied().unwrap_or(0);
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let has_fallback = told
            .device_unused_fallback_key_types
            .as_ref()
            .is_none_or(|kinds| kinds.iter().any(|kind| kind == "signed_curve25519"));
        let mut account = self.account().await?;
        let full = account.max_number_of_one_time_keys();
        // Those that were made before and maybe not published go out again, as they were.
        if left < full / LOW && account.one_time_keys().is_empty() {
            account.generate_one_time_keys(full - left);
        }
        if !has_fallback && account.fallback_key().is_empty() {
            account.generate_fallback_key();
        }
        let (keys, fallback) = (account.one_time_keys(), account.fallback_key());
        if keys.is_empty() && fallback.is_empty() {
            return Ok(());
        }
        self.keep(&account, true).await?;
        self.rows.save().await?;
        let signed = |(id, key): (vodozemac::KeyId, vodozemac::Curve25519PublicKey), is_fallback: bool| {
            let mut object = json!({"key": key.to_base64()});
            if is_fallback {
                object["fallback"] = json!(true);
            }
            (format!("signed_curve25519:{}", id.to_base64()), self.signed(&account, object))
        };
        let keys: BTreeMap<_, _> = keys.into_iter().map(|key| signed(key, false)).collect();
        let fallback: BTreeMap<_, _> = fallback.into_iter().map(|key| signed(key, true)).collect();
        match api.upload_keys(&json!({"one_time_keys": keys, "fallback_keys": fallback})).await {
            // After a database was restored: what is there by these names is of no use, and goes as it is used.
            Err(ChannelError::Permanent(why)) if why.contains("already exists") => {
                warn!(device = self.device, "one-time keys with these names were published before: {why}");
            }
            other => other?,
        }
        account.mark_keys_as_published();
        self.keep(&account, true).await?;
        self.rows.save().await
    }

    fn device_keys(&self, account: &Account) -> Value {
        let keys = json!({
            "user_id": self.user, "device_id": self.device, "algorithms": [OLM, MEGOLM],
            "keys": {format!("curve25519:{}", self.device): self.curve, format!("ed25519:{}", self.device): self.ed},
        });
        self.signed(account, keys)
    }

    /// An object with this device's signature (<https://spec.matrix.org/latest/appendices/#signing-json>).
    fn signed(&self, account: &Account, mut object: Value) -> Value {
        let signature = account.sign(canonical(&object)).to_base64();
        object["signatures"] = json!({&self.user: {format!("ed25519:{}", self.device): signature}});
        object
    }
}
