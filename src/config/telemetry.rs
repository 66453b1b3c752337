//! `[telemetry]`: where traces are sent, and how many.

use serde::Deserialize;

use super::{Mistake, mistake};

/// `[telemetry]`
#[expect(missing_docs, reason = "`reference` describes each setting")]
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    pub otlp_endpoint: Option<String>,
    pub sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_ratio: 1.0 }
    }
}

impl Telemetry {
    pub(super) fn mistake(&self) -> Option<Mistake> {
        self.otlp_endpoint.as_deref().and_then(wrong_endpoint).map(|what| mistake("telemetry.otlp_endpoint", what))
    }
}

fn wrong_endpoint(text: &str) -> Option<&'static str> {
    let Ok(url) = reqwest::Url::parse(text) else {
        return Some("is not a URL; write it as http://collector:4318/v1/traces");
    };
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return Some("must be an http or https URL, as http://collector:4318/v1/traces (gRPC is not supported)");
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Some(
            "must not contain credentials or a query; put a token into the environment variable OTEL_EXPORTER_OTLP_HEADERS",
        );
    }
    (url.path() == "/")
        .then_some("has no path; collectors accept traces at /v1/traces, as http://collector:4318/v1/traces")
}
