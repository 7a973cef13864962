//! Every path of the gateway.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use claw_channels::{ALL, Hub};
use claw_store::Scope::{Manage, Read, Send};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::Shared;
use crate::hub::GatewayHub;
use crate::measure::Routes;
use crate::openapi::{self, needs};
use crate::routes::{
    audit, backends, channels, cluster, cron, dead_letters, destinations, document, events, health, hooks,
    keys, media, messages, metrics, problems, settings, users, webhooks,
};
use crate::{answers, auth, body, measure};

/// Paths that need a key, and the scope that it needs. A path under `/api` belongs here and nowhere else; tests walk
/// this list.
fn api() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(needs(Read, routes!(channels::list::handle)))
        .routes(needs(Manage, routes!(channels::reload::handle)))
        .routes(needs(Manage, routes!(channels::delete::handle)))
        .routes(needs(Manage, routes!(channels::update::handle)))
        .routes(needs(Manage, routes!(channels::configure::handle)))
        .routes(needs(Read, routes!(channels::catalogue::handle)))
        .routes(needs(Manage, routes!(channels::test::handle)))
        .routes(needs(Send, routes!(channels::send::handle)))
        .routes(needs(Send, routes!(channels::typing::handle)))
        .routes(needs(Send, routes!(channels::messages::edit::handle)))
        .routes(needs(Send, routes!(channels::messages::delete::handle)))
        .routes(needs(Send, routes!(channels::messages::react::handle)))
        .routes(needs(Read, routes!(channels::pairing::list::handle)))
        .routes(needs(Manage, routes!(channels::pairing::invite::handle)))
        .routes(needs(Manage, routes!(channels::pairing::approve::handle)))
        .routes(needs(Manage, routes!(channels::pairing::revoke::handle)))
        .routes(needs(Manage, routes!(cron::create::handle)))
        .routes(needs(Read, routes!(cron::list::handle)))
        .routes(needs(Read, routes!(cron::get::handle)))
        .routes(needs(Manage, routes!(cron::replace::handle)))
        .routes(needs(Manage, routes!(cron::delete::handle)))
        .routes(needs(Manage, routes!(cron::enable::handle)))
        .routes(needs(Send, routes!(cron::test::handle)))
        .routes(needs(Send, routes!(cron::complete::handle)))
        .routes(needs(Read, routes!(cron::job_history::handle)))
        .routes(needs(Read, routes!(cron::history::handle)))
        .routes(needs(Read, routes!(cron::preview::handle)))
        .routes(needs(Manage, routes!(cron::signing_secret::handle)))
        .routes(needs(Read, routes!(messages::list::handle)))
        .routes(needs(Read, routes!(messages::get::handle)))
        .routes(needs(Manage, routes!(messages::retry::handle)))
        .routes(needs(Manage, routes!(messages::discard::handle)))
        .routes(needs(Read, routes!(dead_letters::list::handle)))
        .routes(needs(Manage, routes!(dead_letters::replay::handle)))
        .routes(needs(Manage, routes!(dead_letters::discard::handle)))
        .routes(needs(Read, routes!(dead_letters::list_all::handle)))
        .routes(needs(Manage, routes!(dead_letters::replay_all::handle)))
        .routes(needs(Manage, routes!(keys::create::handle)))
        .routes(needs(Read, routes!(keys::list::handle)))
        .routes(needs(Read, routes!(keys::get::handle)))
        .routes(needs(Manage, routes!(keys::revoke::handle)))
        .routes(needs(Read, routes!(audit::handle)))
        .routes(needs(Manage, routes!(users::erase::handle)))
        .routes(needs(Read, routes!(users::erasure::handle)))
        .routes(needs(Read, routes!(metrics::handle)))
        .routes(needs(Read, routes!(cluster::get::handle)))
        .routes(needs(Manage, routes!(cluster::drain::handle)))
        .routes(needs(Manage, routes!(cluster::step_down::handle)))
        .routes(needs(Send, routes!(hooks::wake::handle)))
        .routes(needs(Send, routes!(hooks::agent::handle)))
        .routes(needs(Read, routes!(hooks::list::handle)))
        .routes(needs(Manage, routes!(hooks::create::handle)))
        .routes(needs(Read, routes!(hooks::get::handle)))
        .routes(needs(Manage, routes!(hooks::update::handle)))
        .routes(needs(Manage, routes!(hooks::delete::handle)))
        .routes(needs(Manage, routes!(hooks::secret::handle)))
        .routes(needs(Manage, routes!(hooks::test::handle)))
        .routes(needs(Read, routes!(hooks::deliveries::handle)))
        .routes(needs(Read, routes!(backends::get::of_user)))
        .routes(needs(Manage, routes!(backends::put::of_user)))
        .routes(needs(Manage, routes!(backends::delete::of_user)))
        .routes(needs(Read, routes!(backends::get::of_channel)))
        .routes(needs(Manage, routes!(backends::put::of_channel)))
        .routes(needs(Manage, routes!(backends::delete::of_channel)))
        .routes(needs(Read, routes!(settings::get::handle)))
        .routes(needs(Manage, routes!(settings::put::handle)))
        .routes(needs(Read, routes!(events::of_user::handle)))
        .routes(needs(Read, routes!(events::of_all::handle)))
        .routes(needs(Manage, routes!(destinations::create::of_user)))
        .routes(needs(Manage, routes!(destinations::create::of_all)))
        .routes(needs(Read, routes!(destinations::list::of_user)))
        .routes(needs(Read, routes!(destinations::list::of_all)))
        .routes(needs(Read, routes!(destinations::get::of_user)))
        .routes(needs(Read, routes!(destinations::get::of_all)))
        .routes(needs(Manage, routes!(destinations::change::of_user)))
        .routes(needs(Manage, routes!(destinations::change::of_all)))
        .routes(needs(Manage, routes!(destinations::delete::of_user)))
        .routes(needs(Manage, routes!(destinations::delete::of_all)))
        .routes(needs(Manage, routes!(destinations::test::of_user)))
        .routes(needs(Manage, routes!(destinations::test::of_all)))
        .routes(needs(Manage, routes!(destinations::secret::of_user)))
        .routes(needs(Manage, routes!(destinations::secret::of_all)))
}

/// Paths that anyone may call.
fn open() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(health::report))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(problems::handle))
        .routes(routes!(webhooks::handle, webhooks::handshake))
        .routes(routes!(hooks::receive::handle))
        .routes(routes!(media::handle))
}

/// The API's document: every path, body and answer.
pub fn document() -> OpenApi {
    openapi::complete(api().merge(open()).into_openapi())
}

/// The whole gateway.
///
/// # Errors
/// When the API's document can't be written.
pub fn router(app: &Shared) -> serde_json::Result<Router> {
    // The fallback comes before the layer, so that without a key not even the methods show.
    let (api, _) = api().split_for_parts();
    let api = api
        .method_not_allowed_fallback(answers::no_such_method)
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), auth::require));
    let (open, _) = open().split_for_parts();
    let mut all = api.merge(open).with_state(Arc::clone(app)).merge(document::routes(&document())?);
    let hub: Arc<dyn Hub> = Arc::new(GatewayHub(Arc::clone(app)));
    for routes in ALL.iter().filter_map(|entry| (entry.routes)(Arc::clone(&hub))) {
        all = all.merge(routes);
    }
    Ok(all
        .fallback(answers::no_such_path)
        .method_not_allowed_fallback(answers::no_such_method)
        .layer(DefaultBodyLimit::max(body::LIMIT))
        .layer(CatchPanicLayer::custom(answers::panicked))
        .layer(middleware::from_fn(answers::finish))
        .layer(middleware::from_fn_with_state(Arc::new(Routes::default()), measure::count)))
}
