//! What every answer has in common, whoever made it: security headers, problems instead of bare texts, and one log
//! line for each server error.

use std::any::Any;
use std::sync::atomic::Ordering;

use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::error;

use crate::body;
use crate::error::{Cause, Problem};

/// Finishes an answer on its way out.
pub async fn finish(request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let (request, read) = body::watched(request);
    let mut response = next.run(request).await;
    if response.status().is_client_error() && is_plain(&response) {
        response = problem(response).await;
    }
    if !read.load(Ordering::Relaxed) {
        // The server can't go on behind a body that nobody read: it closes the connection, and the caller has to know, or
        // its next call on it fails (RFC 9112, section 9.6).
        response.headers_mut().entry(CONNECTION).or_insert(HeaderValue::from_static("close"));
    }
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().entry(X_CONTENT_TYPE_OPTIONS).or_insert(nosniff);
    log(&method, &uri, &response);
    response
}

fn is_plain(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/plain"))
}

/// What an extractor of the framework says in a bare text.
async fn problem(response: Response) -> Response {
    let (parts, said) = response.into_parts();
    let mut problem = match body::read(said).await {
        Ok(said) => Problem::new(parts.status, String::from_utf8_lossy(&said)).into_response(),
        Err(problem) => problem.into_response(),
    };
    for (name, value) in &parts.headers {
        if ![CONTENT_TYPE, CONTENT_LENGTH].contains(name) {
            problem.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    problem
}

fn log(method: &Method, uri: &Uri, response: &Response) {
    let Some(Cause(cause)) = response.extensions().get() else { return };
    // Without the query: a media link's signature is in it.
    let (path, status) = (uri.path(), response.status().as_u16());
    error!(%method, path, status, error = cause, "{method} {path} was answered with {status}: {cause}");
}

/// Nothing is served at this path.
pub async fn no_such_path(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(200).collect();
    Problem::not_found(format!("there is nothing at {path:?}"))
}

/// Something is, but not by this method; the router adds `Allow`.
pub async fn no_such_method(method: Method) -> Problem {
    let detail = format!("the method {method} is not known here; the header Allow lists those that are");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// A handler panicked: its caller hears a problem, everyone else is served on.
pub fn panicked(payload: Box<dyn Any + Send>) -> Response {
    #[derive(Debug, thiserror::Error)]
    #[error("panicked: {0}")]
    struct Panic(String);

    let text = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other.downcast::<&str>().map_or_else(|_| String::new(), |text| (*text).to_owned()),
    };
    Problem::internal().caused_by(&Panic(text)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        let router: Router = Router::new()
            .route("/", get(async || -> &'static str { panic!("hunter2") }))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn(finish));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(response.extensions().get::<Cause>().unwrap().0, "panicked: hunter2");
        let body = crate::body::read(response.into_body()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["status"], &body["title"]), (&500.into(), &"Internal Server Error".into()));
        assert!(!body.to_string().contains("hunter2"));
    }
}
