//! `GET /openapi.json`, and the page at `/docs` that shows it.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Where the document is.
const PATH: &str = "/openapi.json";

/// Serves the document and its page. Both are the same for everybody, so they need no key.
///
/// # Errors
/// When the document can't be written, which would be a fault of ours.
pub fn routes(api: &OpenApi) -> serde_json::Result<Router> {
    let document = Bytes::from(serde_json::to_vec(api)?);
    let json = get(move || {
        let document = document.clone();
        async move { ([(CONTENT_TYPE, "application/json")], document) }
    });
    let page = SwaggerUi::new("/docs").config(Config::new([PATH]).persist_authorization(false));
    Ok(Router::new().route(PATH, json).merge(page))
}
