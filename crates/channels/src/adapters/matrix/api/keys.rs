//! Calls about keys (<https://spec.matrix.org/latest/client-server-api/#key-management-api>) and about who is to have them.

use serde_json::{Value, json};

use super::{Api, MAX_ANSWER, MAX_SYNC};
use crate::ChannelError;

/// How long a homeserver waits for others, in milliseconds
/// (<https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3keysquery>): a send waits for it.
const OTHERS_MS: u64 = 5_000;

impl Api {
    /// Publishes keys of this device (<https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3keysupload>).
    pub(in crate::adapters::matrix) async fn upload_keys(&self, keys: &Value) -> Result<(), ChannelError> {
        let url = self.address(&["client", "v3", "keys", "upload"])?;
        self.act(self.deps.http.calls().post(url).json(keys)).await
    }

    /// The devices of these accounts (<https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3keysquery>).
    pub(in crate::adapters::matrix) async fn query_keys(
        &self,
        accounts: impl IntoIterator<Item = &String>,
    ) -> Result<Value, ChannelError> {
        let url = self.address(&["client", "v3", "keys", "query"])?;
        let wanted: serde_json::Map<_, _> =
            accounts.into_iter().map(|account| (account.clone(), json!([]))).collect();
        let body = json!({"timeout": OTHERS_MS, "device_keys": wanted});
        self.answer(self.deps.http.calls().post(url).json(&body), MAX_SYNC).await
    }

    /// One one-time key of each of these devices
    /// (<https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3keysclaim>).
    pub(in crate::adapters::matrix) async fn claim_keys(
        &self,
        wanted: &Value,
    ) -> Result<Value, ChannelError> {
        let url = self.address(&["client", "v3", "keys", "claim"])?;
        let body = json!({"timeout": OTHERS_MS, "one_time_keys": wanted});
        self.answer(self.deps.http.calls().post(url).json(&body), MAX_SYNC).await
    }

    /// Hands something to devices, by account and device
    /// (<https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid>).
    pub(in crate::adapters::matrix) async fn send_to_devices(
        &self,
        transaction: &str,
        messages: &Value,
    ) -> Result<(), ChannelError> {
        let path = ["client", "v3", "sendToDevice", "m.room.encrypted", transaction];
        self.act(self.put_json(&path, &json!({"messages": messages}))?).await
    }

    /// Who is in a room or invited to it (<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3roomsroomidmembers>).
    pub(in crate::adapters::matrix) async fn members(&self, room: &str) -> Result<Value, ChannelError> {
        self.answer(self.get(&["client", "v3", "rooms", room, "members"])?, MAX_SYNC).await
    }

    /// How a room is encrypted; `None` of one that is not.
    pub(in crate::adapters::matrix) async fn encryption(
        &self,
        room: &str,
    ) -> Result<Option<Value>, ChannelError> {
        let path = ["client", "v3", "rooms", room, "state", "m.room.encryption"];
        match self.answer(self.get(&path)?, MAX_ANSWER).await {
            Ok(content) => Ok(Some(content)),
            Err(ChannelError::Permanent(why)) if why.contains("M_NOT_FOUND") => Ok(None),
            Err(error) => Err(error),
        }
    }
}
