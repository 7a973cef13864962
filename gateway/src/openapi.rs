//! The API's document (OpenAPI 3.1): made of the handlers' own annotations and body types, so it can't lag behind them.
//!
//! What every call has in common is added here once: the key and its scope, and the problems that any call may answer.

use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use claw_store::Scope;
use serde::Serialize;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, InfoBuilder, LicenseBuilder, Object, ObjectBuilder, OpenApi, Ref, RefOr,
    ResponseBuilder, ServerBuilder, Type,
};
use utoipa::{PartialSchema as _, ToSchema};
use utoipa_axum::router::{UtoipaMethodRouter, UtoipaMethodRouterExt as _};

use crate::app::Shared;
use crate::auth;
use crate::error::Kind;

/// The name of the security scheme.
const BEARER: &str = "bearer";

/// The groups of calls, in the order in which the page shows them.
const TAGS: &[(&str, &str)] = &[
    ("channels", "A user's connections to platforms."),
    ("messages", "Sending, and what became of every message in either direction."),
    ("backends", "Where a user's or a channel's messages go instead of the operator's backend."),
    ("cron", "A user's scheduled jobs and their runs."),
    ("hooks", "Waking the agent from outside."),
    ("events", "What happens, as a stream and as webhooks to other destinations."),
    ("keys", "Keys to this API, and who changed what."),
    ("users", "Removing everything that is kept of a person."),
    ("cluster", "The processes behind this API, for their operator."),
    ("health", "Whether the gateway is of use."),
    ("platforms", "What platforms and browsers call; not for the backend."),
];

/// A problem (RFC 9457). `error` repeats `detail` for clients that read that key.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemSchema {
    /// What kind of problem; leads to its description.
    #[schema(schema_with = kinds)]
    r#type: String,
    /// The status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// One sentence that says what to change.
    detail: String,
    /// The same sentence.
    error: String,
}

/// Every kind of problem there is.
fn kinds() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("What kind of problem; leads to its description."))
        .enum_values(Some(Kind::ALL.iter().map(|kind| kind.uri())))
        .examples([Kind::NotFound.uri()])
        .build()
}

/// Routes whose callers need this scope; the document says so, too.
pub fn needs(
    scope: Scope,
    (schemas, mut paths, router): UtoipaMethodRouter<Shared>,
) -> UtoipaMethodRouter<Shared> {
    for item in paths.paths.values_mut() {
        for operation in operations(item) {
            operation.security = Some(vec![SecurityRequirement::new(BEARER, [scope.as_str()])]);
        }
    }
    (schemas, paths, router).layer(from_fn_with_state(scope, auth::scope))
}

/// Completes what the routes' annotations say.
pub fn complete(mut api: OpenApi) -> OpenApi {
    api.info = InfoBuilder::new()
        .title("ii-claw")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(include_str!("openapi.md")))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    api.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    api.tags = Some(
        TAGS.iter()
            .map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build())
            .collect(),
    );
    let components = api.components.get_or_insert_default();
    components.schemas.insert("Problem".to_owned(), ProblemSchema::schema());
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The operator's key (II_CLAW_API_KEY), or one made by POST /api/keys."))
        .build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    for item in api.paths.paths.values_mut() {
        for operation in operations(item) {
            add_problems(operation);
        }
    }
    api
}

/// Every operation of a path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// The problems that any call may answer, and how each that the call names itself looks.
fn add_problems(operation: &mut Operation) {
    let keyed = operation.security.is_some();
    let mut any = vec![Kind::InvalidRequest, Kind::Internal, Kind::Unavailable];
    if keyed {
        any.extend([Kind::Unauthorized, Kind::Forbidden, Kind::TooManyRequests]);
    }
    if operation.request_body.is_some() {
        any.extend([Kind::BodyTimeout, Kind::BodyTooLarge]);
    }
    for kind in any {
        let response = ResponseBuilder::new().description(kind.meaning());
        let status = kind.status().as_str().to_owned();
        operation.responses.responses.entry(status).or_insert_with(|| response.build().into());
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let refused = status.parse::<StatusCode>().is_ok_and(|s| s.is_client_error() || s.is_server_error());
        if refused && response.content.is_empty() {
            let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            response.content.insert("application/problem+json".to_owned(), problem.into());
        }
        if let Some((name, text)) = header(status) {
            let header = HeaderBuilder::new().description(Some(text)).build();
            response.headers.insert(name.to_owned(), header.into());
        }
    }
}

/// The header that comes with every answer of this status.
fn header(status: &str) -> Option<(&'static str, &'static str)> {
    match status {
        "401" => Some(("WWW-Authenticate", "`Bearer`")),
        "429" | "503" => Some(("Retry-After", "After how many seconds the call may be repeated.")),
        _ => None,
    }
}
