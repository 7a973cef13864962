//! Other people's devices: which there are, and whether what they say is signed by them
//! (<https://spec.matrix.org/latest/client-server-api/#tracking-the-device-list-for-a-user>).
//!
//! A person's list is asked for when something is to be sent and the list is not known or was changed. Devices are taken as the
//! homeserver names them: a bot compares no emoji with anybody. But one that was known with one key is not believed with another.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;
use vodozemac::{Ed25519PublicKey, Ed25519Signature};

use super::{MEGOLM, OLM, State};
use crate::ChannelError;
use crate::adapters::matrix::api::Api;
use crate::adapters::matrix::sync::DeviceLists;

/// A device's keys: by which one talks to it, and by which it signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Device {
    pub(super) curve: String,
    pub(super) ed: String,
}

/// An account's.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Devices {
    is_old: bool,
    pub(super) by_id: BTreeMap<String, Device>,
}

/// A device by its account and id.
pub(super) type Named = BTreeMap<(String, String), Device>;

pub(super) fn row(account: &str) -> String {
    format!("devices/{account}")
}

impl State {
    /// Takes whose lists were changed, and of whom nothing will be told any more.
    pub(super) async fn note_lists(&mut self, lists: &DeviceLists) -> Result<(), ChannelError> {
        self.rows.load(lists.changed.iter().chain(&lists.left).map(|account| row(account))).await?;
        for account in &lists.changed {
            if let Some(known) = self.rows.get::<Devices>(&row(account)).await? {
                self.rows.put(&row(account), &Devices { is_old: true, ..known }, None).await?;
            }
            self.later.remove(account);
        }
        for account in &lists.left {
            self.rows.remove(&row(account)).await?;
        }
        Ok(())
    }

    /// The devices of these accounts but this one.
    pub(super) async fn devices_of(
        &mut self,
        api: &Api,
        accounts: &BTreeSet<String>,
    ) -> Result<Named, ChannelError> {
        self.rows.load(accounts.iter().map(|account| row(account))).await?;
        let mut unknown = Vec::new();
        for account in accounts {
            let known: Option<Devices> = self.rows.get(&row(account)).await?;
            if known.is_none_or(|known| known.is_old) && self.is_due(account) {
                unknown.push(account);
            }
        }
        if !unknown.is_empty() {
            self.ask(api, &unknown).await?;
        }
        let mut all = Named::new();
        for account in accounts {
            let known: Devices = self.rows.get(&row(account)).await?.unwrap_or_default();
            let named = known.by_id.into_iter().map(|(id, device)| ((account.clone(), id), device));
            all.extend(named.filter(|(_, device)| device.curve != self.curve));
        }
        Ok(all)
    }

    async fn ask(&mut self, api: &Api, accounts: &[&String]) -> Result<(), ChannelError> {
        let told = api.query_keys(accounts.iter().copied()).await?;
        for account in accounts {
            let Some(devices) = told["device_keys"][account.as_str()].as_object() else {
                // Its server can't be reached: what was known of it has to do for a while.
                self.try_later(account);
                continue;
            };
            let known: Devices = self.rows.get(&row(account)).await?.unwrap_or_default();
            let mut by_id = BTreeMap::new();
            for (id, keys) in devices {
                let Some(device) = device(account, id, keys) else { continue };
                match known.by_id.get(id) {
                    Some(before) if before.ed != device.ed => {
                        warn!(
                            account,
                            device = id,
                            "a device has another key than before: it is not believed"
                        );
                        by_id.insert(id.clone(), before.clone());
                    }
                    _ => drop(by_id.insert(id.clone(), device)),
                }
            }
            self.rows.put(&row(account), &Devices { is_old: false, by_id }, None).await?;
        }
        self.rows.save().await
    }
}

/// A device out of what the homeserver tells, if it signs for itself and can do what is needed.
fn device(account: &str, id: &str, keys: &Value) -> Option<Device> {
    let key = |kind: &str| keys["keys"][format!("{kind}:{id}")].as_str().map(str::to_owned);
    let device = Device { curve: key("curve25519")?, ed: key("ed25519")? };
    let can = |algorithm: &str| {
        keys["algorithms"].as_array().is_some_and(|all| all.iter().any(|one| one == algorithm))
    };
    let is_it = keys["user_id"] == account && keys["device_id"] == id;
    (is_it && can(OLM) && can(MEGOLM) && is_signed(keys, account, id, &device.ed)).then_some(device)
}

/// Whether an object is signed by a device (<https://spec.matrix.org/latest/appendices/#checking-for-a-signature>).
pub(super) fn is_signed(object: &Value, account: &str, device: &str, key: &str) -> bool {
    let signature = object["signatures"][account][format!("ed25519:{device}")].as_str();
    let (Some(signature), Ok(key)) = (signature, Ed25519PublicKey::from_base64(key)) else { return false };
    let Ok(signature) = Ed25519Signature::from_base64(signature) else { return false };
    key.verify(canonical(object).as_bytes(), &signature).is_ok()
}

/// What is signed of an object: keys in order, without spaces, without signatures (<https://spec.matrix.org/latest/appendices/#canonical-json>).
/// `serde_json` writes objects so, as long as nobody turns on its `preserve_order`.
pub(super) fn canonical(object: &Value) -> String {
    let mut object = object.clone();
    if let Some(object) = object.as_object_mut() {
        object.remove("signatures");
        object.remove("unsigned");
    }
    object.to_string()
}
