//! A hook as the API shows it: everything but its secret.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use claw_store::{Hook, HookAuth};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// How callers show that they know the secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = HookAuth)]
pub enum AuthView {
    /// By a signature of the body: `X-Webhook-Signature` or `X-Hub-Signature-256` (`sha256=<hex>`), or the headers of
    /// Standard Webhooks.
    #[default]
    Hmac,
    /// By `Authorization: Bearer <secret>`.
    Bearer,
}

impl From<AuthView> for HookAuth {
    fn from(auth: AuthView) -> Self {
        match auth {
            AuthView::Hmac => Self::Hmac,
            AuthView::Bearer => Self::Bearer,
        }
    }
}

impl From<HookAuth> for AuthView {
    fn from(auth: HookAuth) -> Self {
        match auth {
            HookAuth::Hmac => Self::Hmac,
            HookAuth::Bearer => Self::Bearer,
        }
    }
}

/// A user's inbound hook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hook)]
pub struct HookView {
    id: Uuid,
    name: String,
    /// Where to post to; put your public address before it.
    #[schema(example = "/hooks/github-claw")]
    path: String,
    /// Whether it takes calls.
    enabled: bool,
    auth: AuthView,
    /// Which agent, `""` when none.
    agent_id: String,
    /// The channel of the chat that its events belong to; null when they belong to none.
    channel: Option<String>,
    /// The platform's id of the chat.
    recipient: Option<String>,
    /// The thread or topic in it.
    thread_id: Option<String>,
    /// The template of the text; null for the default.
    text_template: Option<String>,
    /// Names of metadata and their templates.
    fields: BTreeMap<String, String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Hook> for HookView {
    fn from(hook: Hook) -> Self {
        let Hook { id, name, spec, created_at, updated_at, .. } = hook;
        Self {
            id,
            path: format!("/hooks/{name}"),
            name: name.into(),
            enabled: spec.enabled,
            auth: spec.auth.into(),
            agent_id: spec.agent_id,
            channel: spec.channel,
            recipient: spec.recipient,
            thread_id: spec.thread_id,
            text_template: spec.text_template,
            fields: spec.fields,
            created_at,
            updated_at,
        }
    }
}

/// A hook and its new secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct HookWithSecret {
    #[serde(flatten)]
    view: HookView,
    /// The secret, where the gateway made it: shown this once and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// Whether the call repeats an earlier one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

impl HookWithSecret {
    /// What a call made, or had made before.
    pub fn new(hook: Hook, secret: Option<String>, duplicate: bool) -> Self {
        Self { view: hook.into(), secret, duplicate }
    }
}
