//! Handing finished spans to a collector, by OTLP over HTTP (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! It takes from a queue that nobody waits for, so a collector that is slow, away or wrong costs spans, which are counted, and nothing
//! else. It belongs to no role's lifecycle: what ends last is what others end with, and a fault here must end none of them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use claw_config::TraceSettings;
use claw_runtime::{Backoff, Clock, Lifecycle, OsRandom, Random as _};
use claw_telemetry::metrics::{Counter, Role};
use claw_telemetry::trace::{self, Finished, Settings, otlp};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

/// Spans of one request, and how long an answer may take: OpenTelemetry's defaults
/// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor>,
/// <https://opentelemetry.io/docs/specs/otel/protocol/exporter/#configuration-options>).
const BATCH: usize = 512;
const LIMIT: Duration = Duration::from_secs(10);
/// How long a request's spans are gathered at most: somebody who looks for a trace finds it as soon as that.
const GATHER: Duration = Duration::from_secs(1);
/// After this the spans are given up, and those behind them get their turn.
const RETRY: Backoff =
    Backoff { first: Duration::from_secs(1), factor: 2.0, cap: Duration::from_secs(8), attempts: 4 };
/// No collector is waited for longer, whatever it asks.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long the process lives on, when all else has ended, for the last spans.
const LAST: Duration = Duration::from_secs(3);
/// Behind the endpoint (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/#endpoint-urls-for-otlphttp>).
const PATH: &str = "v1/traces";

/// The exporter's own, which ends when all others have.
static EXPORTING: OnceLock<Lifecycle> = OnceLock::new();

/// Why traces can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// There is no client for it.
    #[error("II_CLAW_OTLP_ENDPOINT: can't set up TLS")]
    Client(#[from] reqwest::Error),
    /// The endpoint has no place for a path.
    #[error("II_CLAW_OTLP_ENDPOINT is not like http://host:4318")]
    Endpoint,
    /// A header that can't be sent. Its value may be a secret.
    #[error("OTEL_EXPORTER_OTLP_HEADERS: a header {0:?} with this value can't be sent")]
    Header(String),
}

/// Begins to trace if the settings name a collector; of several roles in one process, for all of them. `name` is the process's among
/// the members.
///
/// # Errors
/// Naming the setting concerned.
pub fn trace(
    role: Role,
    name: &str,
    settings: &TraceSettings,
    clock: &Arc<dyn Clock>,
) -> Result<(), TraceError> {
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(()) };
    let exporter = Exporter::new(endpoint, settings, resource(role, name, settings))?;
    let clock = Arc::clone(clock);
    let begun = trace::begin(Settings {
        share: settings.trace_share,
        clock: Box::new(move || clock.now().timestamp_nanos_opt().unwrap_or_default().unsigned_abs()),
        random: Box::new(|| {
            let mut bytes = [0; 8];
            OsRandom.fill(&mut bytes);
            u64::from_ne_bytes(bytes)
        }),
    });
    if let Some(spans) = begun {
        let lifecycle = EXPORTING.get_or_init(Lifecycle::new);
        lifecycle.spawn("traces", exporter.run(spans, lifecycle.soft()));
        info!(share = settings.trace_share, "of all traces, {} go to the collector", settings.trace_share);
    }
    Ok(())
}

/// Hands over what is left, when all else has ended.
pub(crate) async fn finish() {
    let Some(lifecycle) = EXPORTING.get() else { return };
    if lifecycle.clone().finish(LAST).await.is_err() {
        warn!("the collector did not take the last spans within {LAST:?}");
    }
}

/// What traces say of this process (<https://opentelemetry.io/docs/specs/semconv/resource/service/>). What its operator says of it counts
/// more than what we do.
fn resource(role: Role, name: &str, settings: &TraceSettings) -> otlp::Resource {
    let told = settings.otel_resource_attributes.clone().unwrap_or_default().0;
    let told = |key: &str| told.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    let service = settings.otel_service_name.clone().or_else(|| told("service.name"));
    let service = service.unwrap_or_else(|| format!("ii-claw-{}", role.as_str()));
    let ours = [
        ("service.name", service),
        ("service.version", told("service.version").unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())),
        ("service.instance.id", told("service.instance.id").unwrap_or_else(|| name.to_owned())),
    ];
    let others = settings.otel_resource_attributes.iter().flat_map(|pairs| &pairs.0);
    let others = others.filter(|(key, _)| ours.iter().all(|(known, _)| known != key));
    let attributes = ours.iter().map(|(key, value)| otlp::KeyValue::text(key, value));
    let attributes = attributes.chain(others.map(|(key, value)| otlp::KeyValue::text(key, value)));
    otlp::Resource { attributes: attributes.collect() }
}

struct Exporter {
    client: Client,
    url: Url,
    resource: otlp::Resource,
    /// Whether the last spans were not taken: a warning for each request would be too many.
    failing: bool,
}

/// Why a request was not taken.
struct Refused {
    why: String,
    /// Whether the same may be taken later.
    again: bool,
    /// When, if the collector says so.
    after: Option<Duration>,
}

impl Exporter {
    fn new(endpoint: &Url, settings: &TraceSettings, resource: otlp::Resource) -> Result<Self, TraceError> {
        let mut url = endpoint.clone();
        url.path_segments_mut().map_err(|()| TraceError::Endpoint)?.pop_if_empty().extend(PATH.split('/'));
        let mut headers = HeaderMap::new();
        for (name, value) in settings.headers().0 {
            let (known, value) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value));
            let (Ok(known), Ok(mut value)) = (known, value) else { return Err(TraceError::Header(name)) };
            value.set_sensitive(true);
            headers.insert(known, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        #[expect(
            clippy::disallowed_methods,
            reason = "an address of the operator's, in roles without channels, too"
        )]
        let builder = Client::builder();
        // The headers are for this server and no other.
        let client = builder.timeout(LIMIT).redirect(Policy::none()).default_headers(headers).build()?;
        Ok(Self { client, url, resource, failing: false })
    }

    async fn run(mut self, mut spans: mpsc::Receiver<Finished>, last: CancellationToken) {
        let mut batch = Vec::new();
        while let Some(1..) = last.run_until_cancelled(spans.recv_many(&mut batch, BATCH)).await {
            last.run_until_cancelled(gather(&mut spans, &mut batch)).await;
            self.hand_over(std::mem::take(&mut batch), &last).await;
        }
        // Everybody else has ended: what is there now is all there will be.
        while let Ok(span) = spans.try_recv() {
            batch.push(span);
            if batch.len() == BATCH {
                self.hand_over(std::mem::take(&mut batch), &last).await;
            }
        }
        if !batch.is_empty() {
            self.hand_over(batch, &last).await;
        }
    }

    /// Hands spans over, or gives them up. At the end there is one attempt.
    async fn hand_over(&mut self, batch: Vec<Finished>, last: &CancellationToken) {
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let body = Bytes::from(otlp::encode(&self.resource, batch));
        let mut failed = 0;
        let why = loop {
            let Refused { why, again, after } = match self.post(body.clone()).await {
                Ok(answer) => return self.taken(count, &answer),
                Err(refused) => refused,
            };
            failed += 1;
            let Some(wait) = RETRY.wait(failed, &OsRandom).filter(|_| again) else { break why };
            let wait = after.unwrap_or(wait).min(LONGEST_WAIT);
            if last.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                break why;
            }
        };
        self.lost(count, &why);
    }

    async fn post(&self, body: Bytes) -> Result<Bytes, Refused> {
        let broken = |error: reqwest::Error| {
            let why = if error.is_timeout() { "it did not answer in time" } else { "it can't be reached" };
            Refused { why: why.to_owned(), again: true, after: None }
        };
        let response = self.client.post(self.url.clone()).body(body).send().await.map_err(broken)?;
        if response.status().is_success() {
            response.bytes().await.map_err(broken)
        } else {
            Err(refused(&response))
        }
    }

    fn taken(&mut self, count: u64, answer: &[u8]) {
        let (rejected, why) = otlp::rejected(answer).unwrap_or_default();
        Counter::SpansExported.add_many(&[], count.saturating_sub(rejected));
        if rejected > 0 {
            self.lost(rejected, &why);
        } else if std::mem::take(&mut self.failing) {
            info!("the collector takes spans again");
        }
    }

    fn lost(&mut self, count: u64, why: &str) {
        Counter::SpansDropped.add_many(&["not_taken"], count);
        if !std::mem::replace(&mut self.failing, true) {
            warn!("the collector at II_CLAW_OTLP_ENDPOINT does not take spans, which are lost: {why}");
        }
    }
}

/// Whether it is worth trying again (<https://opentelemetry.io/docs/specs/otlp/#failures-1>: 429, 502, 503, 504).
fn refused(response: &Response) -> Refused {
    let status = response.status();
    let again = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    );
    let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.parse().ok());
    Refused { why: format!("it answers {}", status.as_u16()), again, after: after.map(Duration::from_secs) }
}

/// Waits for more spans, until the batch is full or they have waited long enough.
async fn gather(spans: &mut mpsc::Receiver<Finished>, batch: &mut Vec<Finished>) {
    let until = Instant::now() + GATHER;
    while batch.len() < BATCH {
        let more = spans.recv_many(batch, BATCH - batch.len());
        if !matches!(timeout_at(until, more).await, Ok(1..)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
