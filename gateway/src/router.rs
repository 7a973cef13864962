//! Every path of the gateway.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Router, middleware};
use claw_channels::{ALL, Hub};
use tower_http::catch_panic::CatchPanicLayer;

use crate::app::Shared;
use crate::hub::GatewayHub;
use crate::routes::{channels, health, media, webhooks};
use crate::{answers, auth, body};

type Route = (&'static str, MethodRouter<Shared>);

/// Paths that need the operator's key. A path under `/api` belongs here and nowhere else; a test walks this list.
fn api() -> Vec<Route> {
    vec![
        ("/api/users/{user}/channels", get(channels::list::handle)),
        ("/api/users/{user}/channels/reload", post(channels::reload::handle)),
        (
            "/api/users/{user}/channels/{instance}",
            delete(channels::delete::handle).put(channels::update::handle),
        ),
        ("/api/users/{user}/channels/{instance}/configure", post(channels::configure::handle)),
        ("/api/users/{user}/channels/{instance}/send", post(channels::send::handle)),
    ]
}

/// Paths that anyone may call.
fn open() -> Vec<Route> {
    vec![
        ("/api/health", get(health::report)),
        ("/healthz", get(health::live)),
        ("/readyz", get(health::ready)),
        ("/webhooks/{channel_type}/{channel_id}", post(webhooks::handle)),
        ("/media/{message_id}/{filename}", get(media::handle)),
    ]
}

/// The paths under `/api` that need the operator's key.
pub fn protected_paths() -> Vec<&'static str> {
    api().into_iter().map(|(path, _)| path).collect()
}

/// The whole gateway.
pub fn router(app: &Shared) -> Router {
    let build = |routes: Vec<Route>| {
        routes.into_iter().fold(Router::new(), |router, (path, handlers)| router.route(path, handlers))
    };
    // The fallback comes before the layer, so that without a key not even the methods show.
    let api = build(api())
        .method_not_allowed_fallback(answers::no_such_method)
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), auth::require));
    let mut all = api.merge(build(open())).with_state(Arc::clone(app));
    let hub: Arc<dyn Hub> = Arc::new(GatewayHub(Arc::clone(app)));
    for routes in ALL.iter().filter_map(|entry| (entry.routes)(Arc::clone(&hub))) {
        all = all.merge(routes);
    }
    all.fallback(answers::no_such_path)
        .method_not_allowed_fallback(answers::no_such_method)
        .layer(DefaultBodyLimit::max(body::LIMIT))
        .layer(CatchPanicLayer::custom(answers::panicked))
        .layer(middleware::from_fn(answers::finish))
}
