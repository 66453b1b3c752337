//! The table of all metrics. `/metrics` takes HELP and buckets from it, docs/metrics.md is generated from it, and tests
//! compare it with the sources, a running process, the alerts and the dashboard.

mod table;

pub use self::table::METRICS;
use crate::config::Role;
use crate::domain::events::CATALOG;

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The name ends with the unit: `_seconds`, `_bytes`, `_timestamp_seconds`, or `_total` for a counter.
    pub name: &'static str,
    /// The type of the metric.
    pub kind: Kind,
    /// The roles that export the metric.
    pub exporter: Exporter,
    /// The labels.
    pub labels: &'static [Label],
    /// What the metric counts or measures: its HELP.
    pub help: &'static str,
    /// How an operator interprets the metric.
    pub reading: &'static str,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows, from the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// The processes that export a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exporter {
    /// Every process.
    Any,
    /// Processes that receive IPNs.
    Ingest,
    /// Processes that read objects and publish events.
    Worker,
}

/// A label and its possible values.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// The label name.
    pub name: &'static str,
    /// The label values.
    pub values: Values,
}

/// The possible values of a label. A value never comes from a message.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// One of these words.
    Words(&'static [&'static str]),
    /// The name of an event type.
    EventTypes,
    /// A value of the configuration or of the build; the text describes it.
    Given(&'static str),
}

impl Kind {
    /// The name of the type in Prometheus.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

impl Exporter {
    /// Whether a process of this role exports it.
    pub fn is_in(self, role: Role) -> bool {
        match self {
            Self::Any => true,
            Self::Ingest => role.receives_ipns(),
            Self::Worker => role.runs_worker(),
        }
    }
}

impl Metric {
    /// The unit, derived from the name.
    pub fn unit(&self) -> &'static str {
        let ends = |end: &str| self.name.ends_with(end);
        match self.kind {
            Kind::Counter => "1",
            _ if ends("_timestamp_seconds") || ends("_time_seconds") => "s since 1970",
            _ if ends("_seconds") => "s",
            _ if ends("_bytes") => "bytes",
            _ => "1",
        }
    }
}

impl Values {
    /// All values, if they are known at compile time.
    pub fn known(self) -> Option<Vec<&'static str>> {
        match self {
            Self::Words(words) => Some(words.to_vec()),
            Self::EventTypes => Some(CATALOG.iter().map(|event_type| event_type.name).collect()),
            Self::Given(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_are_unique_and_end_with_their_unit() {
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            let is_count = metric.name.ends_with("_total");
            assert_eq!(is_count, metric.kind == Kind::Counter, "{}", metric.name);
            assert!(!matches!(metric.kind, Kind::Histogram(_)) || metric.unit() == "s", "{}", metric.name);
            for text in [metric.help, metric.reading] {
                assert!(text.ends_with('.') && !text.contains('\n') && !text.contains('|'), "{}: {text}", metric.name);
            }
        }
    }

    #[test]
    fn histogram_buckets_increase() {
        for metric in METRICS {
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(buckets.len() > 5 && buckets.is_sorted_by(|a, b| a < b), "{}", metric.name);
            }
        }
    }
}
