//! The chat's page, the script that embeds it, and the gateway's front page.
//!
//! Must hold: what a user configured reaches the page only as escaped text, put in by one pass over the template, so
//! that a title which looks like a placeholder stays a title; and the policy lets only scripts with this answer's
//! nonce run, in case the first rule is ever broken.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use claw_types::ChannelId;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use uuid::Uuid;

use super::files::Allowed;
use super::look::Asked;
use super::{Config, Webchat};
use crate::kit::markdown::escape;
use crate::{Adapter as _, Hosted, Hub, HubError};

const PAGE: &str = include_str!("../../../assets/webchat/page.html");
const WIDGET: &str = include_str!("../../../assets/webchat/widget.js");

const FRONT: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
    <title>ii-claw</title>\n<h1>ii-claw gateway</h1>\n\
    <p>This is a gateway between chat platforms and an AI backend. Its API is under <code>/api</code>; whether it is \
    well, <a href=\"/api/health\">/api/health</a> tells.</p>\n</html>\n";

/// Loads nothing and runs nothing.
const INERT: &str = "default-src 'none'; base-uri 'none'; form-action 'none'";

/// The pages.
pub fn routes() -> Router<Arc<dyn Hub>> {
    Router::new()
        .route("/", get(front))
        .route("/webchat/widget.js", get(widget))
        .route("/webchat/{channel_id}", get(page))
}

async fn front(State(hub): State<Arc<dyn Hub>>, Query(asked): Query<Asked>) -> Response {
    let Some(id) = hub.home() else { return html(StatusCode::OK, INERT, FRONT.to_owned()) };
    match hub.channel(Webchat::NAME, id).await {
        Ok(hosted) => chat(&*hub, id, &hosted, &asked),
        // The gateway is there even when its chat is switched off.
        Err(HubError::NoChannel) => html(StatusCode::OK, INERT, FRONT.to_owned()),
        Err(error) => unavailable(&error),
    }
}

async fn page(
    State(hub): State<Arc<dyn Hub>>,
    Path(channel): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    match find(&*hub, &channel).await {
        Ok((id, hosted)) => chat(&*hub, id, &hosted, &asked),
        Err(error) => unavailable(&error),
    }
}

async fn widget() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=300"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Sites that isolate themselves load only what says it may be loaded.
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    (headers, WIDGET).into_response()
}

/// The channel that a path names.
pub async fn find(hub: &dyn Hub, channel: &str) -> Result<(ChannelId, Hosted), HubError> {
    let id = ChannelId(Uuid::try_parse(channel).map_err(|_| HubError::NoChannel)?);
    Ok((id, hub.channel(Webchat::NAME, id).await?))
}

/// The status of an error.
pub fn status(error: &HubError) -> StatusCode {
    match error {
        HubError::NoChannel => StatusCode::NOT_FOUND,
        HubError::NotTaken => StatusCode::FORBIDDEN,
        HubError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn chat(hub: &dyn Hub, id: ChannelId, hosted: &Hosted, asked: &Asked) -> Response {
    let config = Config::of(hosted);
    let nonce = hub.token(16);
    let (theme, accent) = asked.over(config.theme, config.accent.as_deref());
    let allowed = Allowed::of(&config, hub.max_upload());
    let (max_bytes, sentence) = (allowed.max_bytes.to_string(), allowed.sentence());
    let body = fill(
        PAGE,
        &[
            ("CHANNEL_ID", &id.to_string()),
            ("TITLE", config.title.as_deref().unwrap_or(&hosted.name)),
            ("GREETING", config.greeting.as_deref().unwrap_or_default()),
            ("NONCE", &nonce),
            ("SCHEME", theme.scheme()),
            ("DARK", theme.dark_media()),
            ("ACCENT", &accent),
            ("MAX_FILE", &max_bytes),
            ("FILE_KINDS", &allowed.kinds.join(" ")),
            ("FILES", &sentence),
        ],
    );
    html(StatusCode::OK, &policy(&nonce, &config.origins()), body)
}

/// Each origin must have come out of [`super::origin::parse`]: whatever else could end the directive.
fn policy(nonce: &str, origins: &[String]) -> String {
    let ancestors = origins.join(" ");
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self' ws: wss:; \
         img-src https: http: data: blob:; media-src https: http:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'self' {ancestors}"
    )
}

fn unavailable(error: &HubError) -> Response {
    let title = match error {
        HubError::NoChannel => "This chat does not exist or is switched off.",
        HubError::NotTaken => "This chat does not take the message.",
        HubError::Unavailable => "This chat can't be opened just now. Please try again in a moment.",
    };
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Chat</title>\n<p>{title}</p>\n</html>\n"
    );
    html(status(error), INERT, body)
}

fn html(status: StatusCode, policy: &str, body: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, body).into_response()
}

/// Puts escaped values where the template names them; a name that is not among them stays as it is.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let known = values
            .iter()
            .find_map(|(name, value)| Some((value, after.strip_prefix(name)?.strip_prefix("}}")?)));
        rest = if let Some((value, behind)) = known {
            escape(value, &mut filled);
            behind
        } else {
            filled.push_str("{{");
            after
        };
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_never_read_as_template() {
        let values = [("TITLE", "<b>{{NONCE}}\"'&"), ("NONCE", "secret")];
        assert_eq!(
            fill("{{TITLE}} {{NONCE}} {{OTHER}} {{ {{TITLE", &values),
            "&lt;b&gt;{{NONCE}}&quot;&#39;&amp; secret {{OTHER}} {{ {{TITLE"
        );
        assert_eq!(fill("{{{{NONCE}}", &values), "{{secret");
    }

    #[test]
    fn the_page_has_every_placeholder_and_nothing_inline_without_a_nonce() {
        let names = [
            "CHANNEL_ID",
            "TITLE",
            "GREETING",
            "NONCE",
            "SCHEME",
            "DARK",
            "ACCENT",
            "MAX_FILE",
            "FILE_KINDS",
            "FILES",
        ];
        let page = fill(PAGE, &names.map(|name| (name, if name == "NONCE" { "n" } else { "v" })));
        for name in names {
            assert!(PAGE.contains(&format!("{{{{{name}}}}}")), "{name}");
            assert!(!page.contains(&format!("{{{{{name}}}}}")), "{name}");
        }
        assert_eq!(page.matches("<script").count(), page.matches("<script nonce=\"n\"").count());
        assert_eq!(page.matches("<style").count(), page.matches("<style nonce=\"n\"").count());
        assert!(!page.contains(" style=\"") && !page.contains(" onclick="));
    }
}
