//! A destination's settings from a body, checked.

use claw_channels::kit::guard;
use claw_store::{Destination, DestinationSettings};

use crate::app::App;
use crate::body;
use crate::error::Problem;
use crate::events::filter::filter;

/// Longest name, in characters.
const NAME_LIMIT: usize = 100;
/// Longest URL, in characters.
const URL_LIMIT: usize = 2_000;

/// A name without the spaces around it.
///
/// # Errors
/// 400 when it is empty, too long or can't be shown.
pub fn name(given: &str) -> Result<String, Problem> {
    let name = given.trim();
    body::printable("name", name, NAME_LIMIT)?;
    if name.is_empty() {
        return Err(Problem::bad_request("\"name\" is empty: say what the destination is for"));
    }
    Ok(name.to_owned())
}

/// Settings that make sense. The URL may be called right now, unless it is in use `before`: a destination whose host is
/// gone can still be renamed and switched off.
///
/// # Errors
/// 400 naming what is wrong.
pub async fn check(
    app: &App,
    settings: DestinationSettings,
    before: Option<&Destination>,
) -> Result<DestinationSettings, Problem> {
    let DestinationSettings { name: given, url, filter: wanted, enabled } = settings;
    let name = name(&given)?;
    let filter = filter(wanted.types.iter().map(String::as_str), wanted.channel.as_deref())?;
    body::printable("url", &url, URL_LIMIT)?;
    let in_use = before.is_some_and(|before| before.url == url && (before.enabled || !enabled));
    if !in_use {
        guard::check(&url, app.allow_private).await.map_err(|error| Problem::of_url("url", &error))?;
    }
    Ok(DestinationSettings { name, url, filter, enabled })
}
