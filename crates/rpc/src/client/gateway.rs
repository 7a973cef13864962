//! Calling gateways.

use std::time::Duration;

use claw_proto::v1::{self, gateway_client::GatewayClient};

use super::{CallError, Peers, QUICK, Repeat, timed};
use crate::GatewayStatus;

impl Peers {
    /// What the gateway at `address` says of itself.
    ///
    /// # Errors
    /// When it does not answer within 2 s.
    pub async fn gateway_status(&self, address: &str) -> Result<GatewayStatus, CallError> {
        let call = |line, left| async move {
            GatewayClient::new(line).status(timed(v1::GatewayStatusRequest {}, left)).await
        };
        let status = self.call(address, Repeat::Harmless, QUICK, call).await?;
        Ok(GatewayStatus {
            name: status.name,
            version: status.version,
            uptime: Duration::from_millis(status.uptime_ms),
            streams: status.streams,
            sockets: status.sockets,
        })
    }
}
