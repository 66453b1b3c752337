//! `[telemetry]`: where traces go, and how many.

use serde::Deserialize;

use super::{Mistake, mistake};

/// `[telemetry]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Where spans are posted as OTLP over HTTP; without it none are made.
    pub otlp_endpoint: Option<String>,
    /// Which part of the traces that begin here is recorded, from 0 to 1.
    pub sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample_ratio: 1.0 }
    }
}

impl Telemetry {
    pub(super) fn mistakes(&self) -> Vec<Mistake> {
        let endpoint = self.otlp_endpoint.as_deref().and_then(wrong_endpoint);
        let ratio = (!(0.0..=1.0).contains(&self.sample_ratio)).then_some("must be between 0 (none) and 1 (all)");
        let endpoint = endpoint.map(|what| mistake("telemetry.otlp_endpoint", what));
        endpoint.into_iter().chain(ratio.map(|what| mistake("telemetry.sample_ratio", what))).collect()
    }
}

fn wrong_endpoint(text: &str) -> Option<&'static str> {
    let Ok(url) = reqwest::Url::parse(text) else {
        return Some("is no URL; write it as http://collector:4318/v1/traces");
    };
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() {
        return Some("must be an http or https URL, as http://collector:4318/v1/traces (gRPC is not spoken)");
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Some(
            "must hold no credentials and no query; put a token into the environment variable OTEL_EXPORTER_OTLP_HEADERS",
        );
    }
    (url.path() == "/")
        .then_some("lacks its path; collectors take traces at /v1/traces, as http://collector:4318/v1/traces")
}
