//! From what was posted to an event: the hook's templates, filled in.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use claw_store::{Event, Hook, NewMessage};
use claw_template::{Context, Mapped};
use serde_json::{Map, Value};

use super::spec;
use crate::app::App;
use crate::body::lenient::Ident;
use crate::error::Problem;
use crate::wake::{self, Place};

/// Names of headers with one of these in them are not shown to templates: what they carry lets others in.
const SECRET_HEADERS: [&str; 6] = ["authorization", "cookie", "signature", "token", "secret", "api-key"];

/// What was posted, as templates see it.
#[derive(Debug, Default)]
pub struct Posted {
    /// JSON, or else a text.
    pub body: Value,
    /// Those that are no secret.
    pub headers: BTreeMap<String, String>,
    /// The query string.
    pub query: BTreeMap<String, String>,
}

impl Posted {
    /// A request. A body that is no JSON is a text.
    pub fn new(body: &[u8], headers: &HeaderMap, query: Option<&str>) -> Self {
        let text = || Value::String(String::from_utf8_lossy(body).into_owned());
        let shown = headers.iter().filter_map(|(name, value)| {
            let name = name.as_str();
            let secret = SECRET_HEADERS.iter().any(|part| name.contains(part));
            (!secret).then_some((name.to_owned(), value.to_str().ok()?.to_owned()))
        });
        let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self {
            body: serde_json::from_slice(body).unwrap_or_else(|_| text()),
            headers: shown.collect(),
            query: query.into_owned().collect(),
        }
    }
}

/// The hook's text and fields of what was posted.
///
/// # Errors
/// 400 when the templates can't do with it.
pub fn render(hook: &Hook, posted: &Posted) -> Result<Mapped, Problem> {
    let templates = spec::compile(hook.spec.text_template.as_deref(), &hook.spec.fields)?;
    let context = Context::new(&posted.body, &posted.headers, &posted.query);
    let refused = |error: claw_template::TemplateError| Problem::bad_request(error.to_string());
    templates.render(&context.map_err(refused)?).map_err(refused)
}

/// The event for the backend. `id` is what makes it the same call again.
///
/// # Errors
/// 400 or 409 when the hook's chat is not there any more.
pub async fn event(app: &App, hook: &Hook, mapped: Mapped, id: Option<&str>) -> Result<NewMessage, Problem> {
    let spec = &hook.spec;
    let place = Place {
        channel: spec.channel.clone(),
        recipient: spec.recipient.clone().map(Ident),
        thread_id: spec.thread_id.clone().map(Ident),
    };
    let found = wake::find(app, &hook.user_id, &place).await?;
    let fields = mapped.fields.into_iter().map(|(name, text)| (name, Value::String(text)));
    let mut metadata: Map<String, Value> = fields.collect();
    metadata.insert("hook".to_owned(), hook.name.as_str().into());
    let key = id.map(|id| format!("{}/{id}", hook.id));
    let session = format!("hook:{}", hook.name);
    let event = Event {
        user: &hook.user_id,
        agent_id: &spec.agent_id,
        source: "hook",
        session: Some(&session),
        text: mapped.text,
        metadata,
        chat: found.as_ref().map(|found| found.chat(true)),
        key: key.as_deref(),
    };
    Ok(NewMessage::event(event, app.shards, &app.ids, &*app.clock)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn templates_see_no_secret_and_every_body() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "cookie", "x-hub-signature-256", "x-gitlab-token", "x-api-key"] {
            headers.insert(name, "hidden".parse().unwrap());
        }
        headers.insert("x-github-event", "push".parse().unwrap());
        let posted = Posted::new(br#"{"a": 1}"#, &headers, Some("team=ops&x=%20y"));
        assert_eq!(posted.body, json!({"a": 1}));
        assert_eq!(posted.headers, [("x-github-event".to_owned(), "push".to_owned())].into());
        assert_eq!(
            posted.query,
            [("team".to_owned(), "ops".to_owned()), ("x".to_owned(), " y".to_owned())].into()
        );
        assert_eq!(Posted::new(b"disk full", &headers, None).body, json!("disk full"));
        assert_eq!(Posted::new(b"\xff", &headers, None).body, json!("\u{fffd}"));
        assert_eq!(Posted::new(b"", &headers, None).body, json!(""));
    }
}
