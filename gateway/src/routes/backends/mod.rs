//! Backends of users' own. Each call is there twice: for all of a user's messages, and for those of one channel.

pub mod delete;
pub mod get;
pub mod put;
mod view;

use claw_store::BackendPlace;

use crate::app::App;
use crate::dispatch;
use crate::error::Problem;
use crate::path::ChannelPath;

/// The place of a channel.
///
/// # Errors
/// 404 when the user has no such channel.
async fn place_of(app: &App, path: &ChannelPath) -> Result<BackendPlace, Problem> {
    let known = dispatch::channel(app, path).await?;
    Ok(BackendPlace { user_id: path.user.clone(), channel: Some(known.channel.id) })
}
