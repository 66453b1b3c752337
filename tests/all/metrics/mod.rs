//! Compares the table of metrics with the sources, a running process, docs/metrics.md, the alerts and the dashboard.
//! After a change run: `UPDATE_DOCS=1 cargo test --test all metrics`.

mod prometheus;
mod promql;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ipn_receiver::telemetry::metrics::{Exporter, Kind, METRICS, Metric, Values};

use self::promql::{expressions, without_variables};
use crate::buyer_data::Busy;
use crate::harness::run;
use crate::layering::rust_files;

/// Metrics that `Busy::everything` does not produce: a certificate of Amazon's own host, and a change found without an IPN.
const NOT_SEEN: &[&str] =
    &["ipn_receiver_signing_certificate_not_after_timestamp_seconds", "ipn_receiver_missed_ipns_found_total"];

/// Lines of a worker that owns all partitions and has read everything. Counters of events that did not happen are 0.
const HEALTHY_LINES: &[&str] = &[
    "\nipn_receiver_worker_ready 1\n",
    "\nipn_receiver_assigned_partitions 3\n",
    "\nipn_receiver_inbox_partitions 3\n",
    "\nipn_receiver_inbox_retention_seconds 1209600\n",
    "\nipn_receiver_inbox_oldest_unread_age_seconds 0\n",
    "\nipn_receiver_inbox_writable 1\n",
    "\nipn_receiver_queued_objects ",
    "ipn_receiver_requests_total{outcome=\"not-an-envelope\"} 0\n",
    "ipn_receiver_dead_letters_total{reason=\"unknown_object\"} 1\n",
    "ipn_receiver_dead_letters_total{reason=\"undecodable\"} 0\n",
    "ipn_receiver_signing_certificate_fetches_total{outcome=\"fetched\"} 1\n",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn row(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

#[test]
fn table_has_exactly_the_metrics_of_the_sources() {
    let mut found = BTreeSet::new();
    for file in rust_files(&root().join("src")) {
        let source = std::fs::read_to_string(&file).unwrap();
        for kind in ["counter", "gauge", "histogram"] {
            for rest in source.split(&format!("metrics::{kind}!(")).skip(1) {
                let Some(name) = rest.trim_start().strip_prefix('"') else { continue };
                let name = &name[..name.find('"').unwrap()];
                let row = row(name).unwrap_or_else(|| panic!("{name} of {} is not in the table", file.display()));
                assert_eq!(row.kind.as_str(), kind, "{name} in {}", file.display());
                found.insert(row.name);
            }
        }
    }
    let stale: Vec<_> = METRICS.iter().map(|metric| metric.name).filter(|name| !found.contains(name)).collect();
    assert!(stale.is_empty(), "no source sets these metrics: {stale:?}");
}

#[test]
fn label_values_of_the_table_occur_in_the_sources() {
    let sources: String = rust_files(&root().join("src"))
        .iter()
        .filter(|file| !file.ends_with("telemetry/metrics/table.rs"))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    for metric in METRICS {
        for label in metric.labels {
            for word in label.values.known().into_iter().flatten() {
                assert!(sources.contains(&format!("\"{word}\"")), "{}{{{}={word}}}", metric.name, label.name);
            }
        }
    }
    let answers = text("src/ingress/rejection.rs");
    let slugs = answers.split(", \"").skip(1).filter_map(|rest| rest.split('"').next());
    let outcomes = row("ipn_receiver_requests_total").unwrap().labels[0].values.known().unwrap();
    let slugs: Vec<&str> = slugs.filter(|slug| slug.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')).collect();
    assert!(slugs.len() >= 17 && slugs.iter().all(|slug| outcomes.contains(slug)), "{slugs:?}");
}

#[test]
fn process_exports_the_metrics_of_the_table() {
    run(async {
        let busy = Busy::start().await;
        busy.everything().await;
        let page = format!("http://{}/metrics", busy.serve.address("admin"));
        // Metrics of operations and reconciliation are updated every five seconds.
        let deadline = Instant::now() + Duration::from_secs(30);
        let exported = loop {
            let exported = reqwest::get(&page).await.unwrap().text().await.unwrap();
            let seen = compare(&exported);
            let is_seen = |metric: &&Metric| seen.contains(metric.name) || NOT_SEEN.contains(&metric.name);
            let missing: Vec<_> = METRICS.iter().filter(|metric| !is_seen(metric)).map(|metric| metric.name).collect();
            let wrong: Vec<_> = HEALTHY_LINES.iter().filter(|line| !exported.contains(*line)).collect();
            if missing.is_empty() && wrong.is_empty() {
                break exported;
            }
            assert!(Instant::now() < deadline, "never exported: {missing:?}, {wrong:?}\n{exported}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        for name in ["ipn_receiver_last_genuine_ipn_timestamp_seconds", "process_start_time_seconds"] {
            let line = exported.lines().find(|line| line.starts_with(name)).unwrap();
            let at_s: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert!((now_s - 120.0..=now_s).contains(&at_s), "{line}");
        }
    });
}

/// Checks each line of `/metrics` against the table. Returns the names that have values.
fn compare(exported: &str) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    for line in exported.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert_eq!(row(name).map(|row| row.help), Some(help), "{line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(row(name).map(|row| row.kind.as_str()), Some(kind), "{line}");
        } else {
            let query = line.rsplit_once(' ').unwrap().0;
            let problems = promql::problems(query, &[]);
            assert!(problems.is_empty(), "{line}: {problems:?}");
            let selector = &promql::parse(query).selectors[0];
            let (row, is_bucket) = promql::row_of(&selector.name).unwrap();
            let labels: BTreeSet<&str> = selector.matchers.iter().map(|matcher| matcher.label.as_str()).collect();
            let expected = row.labels.iter().map(|label| label.name).chain(is_bucket.then_some("le"));
            assert_eq!(labels, expected.collect(), "{line}");
            seen.insert(row.name);
        }
    }
    seen
}

#[test]
fn metrics_document_is_generated_from_the_table() {
    let mut document = String::from(HEAD);
    for (exporter, title) in [
        (Exporter::Any, "Every process"),
        (Exporter::Ingest, "Ingress (`role` ingest or all)"),
        (Exporter::Worker, "Worker (`role` worker or all)"),
    ] {
        write!(
            document,
            "\n## {title}\n\n| metric | type, unit | labels | meaning | interpretation |\n|---|---|---|---|---|\n"
        )
        .unwrap();
        for metric in METRICS.iter().filter(|metric| metric.exporter == exporter) {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{}`", label.name)).collect();
            let (kind, unit) = (metric.kind.as_str(), metric.unit());
            let unit = if unit == "1" { String::new() } else { format!(", {unit}") };
            let labels = labels.join(", ");
            writeln!(
                document,
                "| `{}` | {kind}{unit} | {labels} | {} | {} |",
                metric.name, metric.help, metric.reading
            )
            .unwrap();
        }
    }
    document.push_str("\n## Labels\n\n| label | metrics | values |\n|---|---|---|\n");
    let mut labels: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for metric in METRICS {
        for label in metric.labels {
            let values = match label.values {
                Values::EventTypes => "the names of [event types](events.md)".to_owned(),
                Values::Given(description) => description.to_owned(),
                Values::Words(words) => format!("`{}`", words.join("`, `")),
            };
            labels.entry((label.name, values)).or_default().push(metric.name);
        }
    }
    for ((name, values), metrics) in labels {
        let of = if metrics.len() > 3 { "several".to_owned() } else { format!("`{}`", metrics.join("`, `")) };
        writeln!(document, "| `{name}` | {of} | {values} |").unwrap();
    }
    document.push_str("\n## Buckets\n\n| histogram | upper bounds in seconds |\n|---|---|\n");
    for metric in METRICS {
        if let Kind::Histogram(buckets) = metric.kind {
            let buckets: Vec<String> = buckets.iter().map(f64::to_string).collect();
            writeln!(document, "| `{}` | {} |", metric.name, buckets.join(", ")).unwrap();
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join("docs/metrics.md"), &document).unwrap();
    }
    let written = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap_or_default();
    assert!(written == document, "docs/metrics.md is out of date; run: UPDATE_DOCS=1 cargo test --test all metrics");
}

const HEAD: &str = "# Metrics

For operators who monitor the receiver: every metric that `/metrics` on the admin port exports, in the text format of Prometheus.
[runbook.md](runbook.md) describes what to do when an alert fires.

This file is generated from the table in `src/telemetry/metrics/table.rs` (`UPDATE_DOCS=1 cargo test --test all metrics`), and a test
compares the table with a running process. Label values come from this list or from the configuration, never from a message. A
counter with at most one label, whose values are known in advance, starts at 0, so that the first dead letter is an increase.
";

/// The names of the alerts, with their `runbook_url`s.
fn alerts() -> BTreeMap<String, String> {
    let rules = text("charts/ipn-receiver/files/alerts.yaml");
    let found = rules.split("- alert: ").skip(1).map(|rule| {
        let url = rule.split("runbook_url: ").nth(1).expect("each has one").lines().next().unwrap();
        (rule.lines().next().unwrap().to_owned(), url.to_owned())
    });
    found.collect()
}

#[test]
fn every_alert_has_a_runbook_section_and_test_cases() {
    let (alerts, runbook) = (alerts(), text("docs/runbook.md"));
    assert!(alerts.len() >= 17, "{alerts:?}");
    let sections: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let names: BTreeSet<&str> = alerts.keys().map(String::as_str).collect();
    assert_eq!(sections, names);
    for section in runbook.split("\n## ").skip(1) {
        for part in ["**Means** (", "**Look at", "**Do"] {
            assert!(section.contains(part) || section.contains("| do |"), "{part}: {section}");
        }
        let severity = if section.contains("**Means** (critical)") { "critical" } else { "warning" };
        let name = section.lines().next().unwrap();
        let rules = text("charts/ipn-receiver/files/alerts.yaml");
        let rule = rules.split("- alert: ").find(|rule| rule.lines().next() == Some(name)).unwrap();
        assert!(rule.contains(&format!("severity: {severity}\n")), "{name} is {severity} in the runbook");
    }
    let cases = text("tests/alerts/alerts.test.yaml");
    for (name, url) in &alerts {
        assert_eq!(*url, format!("docs/runbook.md#{}", name.to_lowercase()));
        for (what, expected) in [(format!("'{name} fires: "), false), (format!("'{name} does not fire: "), true)] {
            let of_alert: Vec<_> = cases.split("- name: ").filter(|case| case.starts_with(&what)).collect();
            assert!(!of_alert.is_empty(), "no case {what}…");
            for case in of_alert {
                assert!(case.contains(&format!("alertname: {name}\n")), "{case}");
                assert_eq!(case.contains("exp_alerts: []"), expected, "{case}");
            }
        }
    }
}

#[test]
fn alerts_and_dashboard_query_existing_metrics() {
    let mut asked = BTreeSet::new();
    let expressions = expressions();
    assert!(expressions.len() > 60, "{}", expressions.len());
    for expression in expressions {
        let expression = without_variables(&expression);
        // Prometheus adds `job` and `instance`.
        let problems = promql::problems(&expression, &["job", "instance"]);
        assert!(problems.is_empty(), "{expression}: {problems:?}");
        asked.extend(
            promql::parse(&expression).selectors.iter().filter_map(|found| Some(promql::row_of(&found.name)?.0.name)),
        );
    }
    let unused: Vec<_> = METRICS.iter().map(|metric| metric.name).filter(|name| !asked.contains(name)).collect();
    assert!(unused.is_empty(), "neither the dashboard nor an alert uses these: {unused:?}");
}
