//! The gateway alone, for images that carry one role; `ii-claw gateway` is the same.

use std::process::ExitCode;

use claw_config::GatewaySettings;
use claw_gateway::Gateway;

fn main() -> ExitCode {
    let about = "The gateway of ii-claw: API, platform webhooks and web chat";
    claw_launch::role("ii-claw-gateway", about, async |settings: GatewaySettings, lifecycle| {
        Gateway::start(settings, None, &lifecycle).await?;
        Ok(())
    })
}
