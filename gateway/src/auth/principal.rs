//! Whoever a key belongs to.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use claw_store::{Actor, Scope};
use claw_types::UserId;

use crate::error::Problem;

/// What whoever holds the operator's key is called.
const OPERATOR: &str = "operator";

/// The caller of a request.
#[derive(Debug, Clone)]
pub struct Principal {
    /// `operator` or `key <name>`.
    pub name: String,
    /// The one user it may act for; `None` for all.
    pub user: Option<UserId>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Until when its key is good.
    pub expires_at: Option<DateTime<Utc>>,
    /// From where it calls.
    pub address: Option<IpAddr>,
}

impl Principal {
    /// Whoever holds `II_CLAW_API_KEY`.
    pub fn operator() -> Self {
        let scopes = Scope::ALL.to_vec();
        Self { name: OPERATOR.to_owned(), user: None, scopes, expires_at: None, address: None }
    }

    /// Whether it is whoever holds `II_CLAW_API_KEY`. Stored keys are called `key <name>`.
    pub fn is_operator(&self) -> bool {
        self.name == OPERATOR
    }

    /// Whether it may do this.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether it may act for this user.
    pub fn may_act_for(&self, user: &str) -> bool {
        self.user.as_ref().is_none_or(|own| own.as_str() == user)
    }

    /// For the audit log.
    pub fn actor(&self) -> Actor {
        Actor { name: self.name.clone(), address: self.address.map(|address| address.to_string()) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // There on every path that passed `require`; elsewhere a handler that asks for one refuses everybody.
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthorized)
    }
}
