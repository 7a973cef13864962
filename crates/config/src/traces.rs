//! Where traces go.
//!
//! What OpenTelemetry's own tools set for any program and all its signals has OpenTelemetry's names here, too
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>). Where to and how many are ours: what such a
//! tool sets for every program of a machine must not make this one begin to export.

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::values::{self, Pairs};

/// Traces.
#[derive(Debug, Clone, Args)]
pub struct TraceSettings {
    /// A collector of OpenTelemetry traces, by OTLP over HTTP: http://host:4318; without it nothing is traced
    #[arg(long, env = "II_CLAW_OTLP_ENDPOINT", value_parser = values::http_url)]
    pub otlp_endpoint: Option<Url>,
    /// The part of all messages whose traces are recorded, 0 to 1
    #[arg(long, env = "II_CLAW_TRACE_SHARE", default_value = "0.01", value_parser = values::share)]
    pub trace_share: f64,
    /// What the collector wants to see in each request: name=value,name=value, percent-encoded
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", value_parser = values::secret_pairs, hide_env_values = true)]
    pub otlp_headers: Option<SecretString>,
    /// The service's name in traces; default: ii-claw- and the role
    #[arg(long, env = "OTEL_SERVICE_NAME")]
    pub otel_service_name: Option<String>,
    /// What else traces say of this process: name=value,name=value, percent-encoded
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", value_parser = values::pairs)]
    pub otel_resource_attributes: Option<Pairs>,
}

impl TraceSettings {
    /// The headers of each request; their values are secrets.
    pub fn headers(&self) -> Pairs {
        let parsed = self.otlp_headers.as_ref().map(|text| values::pairs(text.expose_secret()));
        // It was read before, when the settings were.
        parsed.and_then(Result::ok).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        traces: TraceSettings,
    }

    fn parse(args: &[&str]) -> Result<TraceSettings, String> {
        let all = std::iter::once("test").chain(args.iter().copied());
        Cli::try_parse_from(all).map(|cli| cli.traces).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_traced_unless_somebody_asks_for_it() {
        let traces = parse(&[]).unwrap();
        assert!(traces.otlp_endpoint.is_none() && traces.headers().0.is_empty());
        assert!((traces.trace_share - 0.01).abs() < f64::EPSILON);
    }

    #[test]
    fn headers_are_read_and_not_printed() {
        let traces = parse(&["--otlp-headers", "api-key=hunter2, x-team = a%20b"]).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(traces.headers().0, [pair("api-key", "hunter2"), pair("x-team", "a b")]);
        assert!(!format!("{traces:?}").contains("hunter2"));
        let refused = parse(&["--otlp-headers", "hunter2"]).unwrap_err();
        assert!(refused.contains("name=value"), "{refused}");
    }

    #[test]
    fn a_share_is_a_part() {
        for bad in ["-0.1", "1.1", "NaN", "1%"] {
            let refused = parse(&[&format!("--trace-share={bad}")]).unwrap_err();
            assert!(refused.contains("is not a number from 0 to 1"), "{refused}");
        }
        assert!(parse(&["--trace-share", "1"]).is_ok());
    }
}
