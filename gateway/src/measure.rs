//! Counts calls by their route, and what stays open.
//!
//! A route is the path as it was registered (`/api/users/{user_id}/channels`), never what was asked for: that has users in it, and
//! whoever calls could make up as many as they like.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use claw_telemetry::metrics::{Counter, CounterHandle, Gauge, Histogram, HistogramHandle};
use tokio::time::MissedTickBehavior;

use crate::app::Shared;

/// How often open connections are counted.
const EVERY: Duration = Duration::from_secs(2);
/// The route of a call that nothing is served for.
const NONE: &str = "none";

/// The series of the routes that were called, so that none is looked up twice.
#[derive(Default)]
pub struct Routes(RwLock<HashMap<String, Vec<Series>>>);

/// Those of one route and method.
#[derive(Clone)]
struct Series {
    method: &'static str,
    duration: HistogramHandle,
    /// By the class of the status.
    requests: [CounterHandle; 5],
}

impl Series {
    fn new(route: &str, method: &'static str) -> Self {
        Self {
            method,
            duration: Histogram::HttpDuration.handle(&[route, method]),
            requests: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                .map(|class| Counter::HttpRequests.handle(&[route, method, class])),
        }
    }

    fn count(&self, status: StatusCode, took: Duration) {
        self.duration.record(took.as_secs_f64());
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.requests[class - 1].increment(1);
    }
}

impl Routes {
    fn series(&self, route: &str, method: &Method) -> Series {
        let method = name(method);
        let find = |routes: &HashMap<String, Vec<Series>>| {
            routes.get(route)?.iter().find(|series| series.method == method).cloned()
        };
        if let Some(known) = find(&self.0.read().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have been faster; then there are two handles of the same series.
        let new = Series::new(route, method);
        routes.entry(route.to_owned()).or_default().push(new.clone());
        new
    }
}

fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        // A caller may invent one.
        _ => "other",
    }
}

/// Counts a call and how long its answer took to begin.
pub async fn count(State(routes): State<Arc<Routes>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or(NONE, MatchedPath::as_str);
    let series = routes.series(route, request.method());
    let began = Instant::now();
    let response = next.run(request).await;
    series.count(response.status(), began.elapsed());
    response
}

/// Counts what stays open, until the process stops.
pub async fn streams(app: Shared) {
    let soft = app.lifecycle.soft();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while soft.run_until_cancelled(tick.tick()).await.is_some() {
        Gauge::OpenStreams.set(&["events"], number(app.streams.open()));
        Gauge::OpenStreams.set(&["chat"], number(app.sockets.count()));
    }
}

fn number(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use claw_telemetry::metrics;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_call_is_counted_by_its_route_and_not_by_what_was_asked_for() {
        metrics::begin();
        let known = Arc::new(Routes::default());
        let router = Router::new()
            .route("/measured/{user}", get(async || StatusCode::CREATED))
            .fallback(async || StatusCode::NOT_FOUND)
            .layer(from_fn_with_state(Arc::clone(&known), count));
        for path in ["/measured/ada", "/measured/bob", "/unmeasured/eve"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap();
        }
        let text = metrics::scrape();
        let counted = |route: &str, status: &str| {
            let labels = format!("{{route=\"{route}\",method=\"GET\",status=\"{status}\"}}");
            text.contains(&format!("claw_http_requests_total{labels} "))
        };
        assert!(counted("/measured/{user}", "2xx") && counted("none", "4xx"), "{text}");
        let two = "claw_http_request_duration_seconds_count{route=\"/measured/{user}\",method=\"GET\"} 2";
        assert!(text.contains(two), "{text}");
        assert!(!text.contains("ada") && !text.contains("eve"), "{text}");
        assert_eq!(known.0.read().unwrap().len(), 2);
    }

    #[test]
    fn a_method_that_somebody_made_up_is_no_label() {
        assert_eq!(name(&"BREW".parse().unwrap()), "other");
        assert_eq!(name(&Method::PATCH), "PATCH");
    }
}
