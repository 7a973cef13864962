//! What channels and threads are called, by which a backend may choose its agent. Only interactions tell it by themselves: servers'
//! channels come with the intent for servers, which would have Discord send all of every server the bot is in. So Discord is asked, for
//! each channel in which something happens once a day (<https://docs.discord.com/developers/resources/channel#get-channel>).
//!
//! What the server is called would take a call of its own and is not asked for: an agent is chosen by what is nearest, and a server's
//! channels all have names.
//!
//! Must hold: no event is lost or waits for long because a name can't be had.

use claw_types::Inbound;
use serde_json::json;

use super::Discord;
use super::api::Api;
use super::calls::Call;
use super::event::{Channel, Event};
use super::incoming::Spot;
use crate::ChannelError;
use crate::kit::names::matters;

/// Tells `channel_name`, for a thread that of the channel which it is in, and `thread_name`.
pub(super) async fn complete(bot: &Discord, event: &Event, spot: Spot<'_>, messages: &mut [Inbound]) {
    let (api, names, now) = (&bot.api, &bot.places.names, bot.deps.clock.now());
    if let Some(name) = event.channel().and_then(|channel| channel.name) {
        names.told(event.place().1, &name, now);
    }
    // Direct messages have no names.
    if spot.guild.is_some() && messages.iter().any(matters) {
        let ids = [Some(spot.chat), spot.thread].into_iter().flatten().map(str::to_owned).collect();
        names.learn(ids, now, |id: String| async move { ask(api, &id).await }).await;
    }
    for (key, id) in [("channel_name", Some(spot.chat)), ("thread_name", spot.thread)] {
        let Some(name) = id.and_then(|id| names.of(id)) else { continue };
        for message in messages.iter_mut() {
            message.metadata.insert(key.to_owned(), json!(name));
        }
    }
}

async fn ask(api: &Api, id: &str) -> Result<Option<String>, ChannelError> {
    Ok(api.ask::<Channel>(&Call::get("get_channel", &["channels", id])).await?.name)
}
