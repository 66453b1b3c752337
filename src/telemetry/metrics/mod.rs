//! Every metric that this program exports, in one table: `/metrics` takes its HELP and its buckets from it, docs/metrics.md is
//! made from it, and tests compare it with the sources, with a running process, and with what alerts and dashboard ask for.

mod table;

pub use self::table::METRICS;
use crate::config::Role;
use crate::domain::events::CATALOG;

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, which ends with its unit: `_seconds`, `_bytes`, `_timestamp_seconds`, or `_total` for a count.
    pub name: &'static str,
    /// What it can do over time.
    pub kind: Kind,
    /// Which half of the program exports it.
    pub exporter: Exporter,
    /// Its labels.
    pub labels: &'static [Label],
    /// What it counts or shows.
    pub help: &'static str,
    /// What an operator reads from it.
    pub reading: &'static str,
}

/// What a metric can do over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It only grows, from the start of the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many values were at most so large.
    Histogram(&'static [f64]),
}

/// Which half of the program exports a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exporter {
    /// Every process.
    Any,
    /// What takes notifications.
    Ingest,
    /// What reads and publishes.
    Worker,
}

/// A label and what may stand in it.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// What may stand in a label: never anything that came in a message.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// One of these words.
    Words(&'static [&'static str]),
    /// The name of an event type.
    EventTypes,
    /// What the configuration or the build says; this tells what.
    Given(&'static str),
}

impl Kind {
    /// The word of Prometheus.
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
            Self::Ingest => role.takes(),
            Self::Worker => role.works(),
        }
    }
}

impl Metric {
    /// What follows from the name.
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
    /// All of them, if they are known before the program runs.
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
    fn names_are_unique_and_end_with_their_unit() {
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
    fn buckets_grow() {
        for metric in METRICS {
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(buckets.len() > 5 && buckets.is_sorted_by(|a, b| a < b), "{}", metric.name);
            }
        }
    }
}
