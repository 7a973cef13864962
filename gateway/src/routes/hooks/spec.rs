//! What a hook's user decides, checked before it is stored: a hook that is there works.

use std::collections::BTreeMap;

use claw_template::{FieldMap, TemplateError};
use claw_types::UserId;

use crate::app::App;
use crate::body::lenient::Ident;
use crate::edit;
use crate::error::Problem;
use crate::wake::{self, Found, Place};

/// Shortest secret of the user's own, in characters.
const SECRET_MIN: usize = 16;
/// Longest one.
const SECRET_MAX: usize = 256;
/// A secret of the user's own.
///
/// # Errors
/// 400 when it is too short or can't stand in a header.
pub fn check_secret(secret: &str) -> Result<(), Problem> {
    let fits = (SECRET_MIN..=SECRET_MAX).contains(&secret.len());
    if fits && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Problem::bad_request(format!(
        "\"secret\" must have {SECRET_MIN} to {SECRET_MAX} visible ASCII characters; leave it out to get a good one"
    )))
}

/// An agent's id; null and empty unbind it.
///
/// # Errors
/// 400 when it can't be one.
pub fn agent(given: Option<&str>) -> Result<String, Problem> {
    given.map_or(Ok(String::new()), |agent| edit::label("agent_id", agent))
}

/// A template; null and blank stand for the default.
pub fn template(given: Option<String>) -> Option<String> {
    given.filter(|template| !template.trim().is_empty())
}

/// Names of metadata that say where an event came from.
const OURS: [&str; 2] = ["hook", "source"];

/// Reads the templates.
///
/// # Errors
/// 400 naming the key and the line.
pub fn compile(text: Option<&str>, fields: &BTreeMap<String, String>) -> Result<FieldMap, Problem> {
    if let Some(name) = OURS.into_iter().find(|name| fields.contains_key(*name)) {
        return Err(Problem::bad_request(format!(
            "\"fields\": {name:?} says where the event came from: choose another name"
        )));
    }
    if text.is_some_and(|text| text.contains('\0')) {
        return Err(Problem::bad_request("\"text_template\" may not contain the control character '\\0'"));
    }
    FieldMap::compile(text, fields).map_err(|error| {
        let key = match error {
            TemplateError::Field { .. } | TemplateError::FieldName(_) | TemplateError::FieldCount { .. } => {
                "fields"
            }
            _ => "text_template",
        };
        Problem::bad_request(format!("{key:?}: {error}"))
    })
}

/// A chat that is there, as it is stored: by the channel's slug, also where the caller named its type.
///
/// # Errors
/// 400 when it can't be found, 409 when its channel is switched off.
pub async fn chat(app: &App, user: &UserId, place: Place) -> Result<Place, Problem> {
    Ok(wake::find(app, user, &place).await?.map(Found::place).unwrap_or_default())
}

/// The text of an id.
pub fn text(id: Option<Ident>) -> Option<String> {
    id.map(|Ident(text)| text)
}
