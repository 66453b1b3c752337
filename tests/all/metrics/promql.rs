//! Parses enough of PromQL to find the metrics, labels and label values of an expression.

use std::collections::BTreeSet;

use ipn_receiver::telemetry::metrics::{Kind, METRICS, Metric};
use serde_json::Value;

/// The series that an expression selects.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) selectors: Vec<Selector>,
    /// Labels of `by`, `on` and the like.
    pub(super) groupings: BTreeSet<String>,
}

/// `name{label="value",…}`
#[derive(Debug)]
pub(super) struct Selector {
    pub(super) name: String,
    pub(super) matchers: Vec<Matcher>,
}

#[derive(Debug)]
pub(super) struct Matcher {
    pub(super) label: String,
    value: String,
}

/// The table row of a series name, and whether the series is a histogram bucket.
pub(super) fn row_of(name: &str) -> Option<(&'static Metric, bool)> {
    METRICS.iter().find_map(|row| match (row.kind, name.strip_prefix(row.name)?) {
        (Kind::Counter | Kind::Gauge, "") | (Kind::Histogram(_), "_sum" | "_count") => Some((row, false)),
        (Kind::Histogram(_), "_bucket") => Some((row, true)),
        _ => None,
    })
}

/// Everything in the expression that the table does not have, except `more_labels`.
pub(super) fn problems(expression: &str, more_labels: &[&str]) -> Vec<String> {
    let Asked { selectors, groupings } = parse(expression);
    let mut problems = Vec::new();
    let mut labels: BTreeSet<&str> = more_labels.iter().copied().collect();
    for Selector { name, matchers } in &selectors {
        let Some((row, is_bucket)) = row_of(name) else {
            problems.push(format!("no metric {name}"));
            continue;
        };
        labels.extend(row.labels.iter().map(|label| label.name).chain(is_bucket.then_some("le")));
        for Matcher { label, value } in matchers {
            let known = row.labels.iter().find(|known| known.name == label);
            if known.is_none() && !more_labels.contains(&label.as_str()) && !(is_bucket && label == "le") {
                problems.push(format!("{name} has no label {label}"));
            }
            let words = known.and_then(|known| known.values.known());
            let unknown = |word: &&str| words.as_ref().is_some_and(|words| !words.contains(word));
            problems.extend(value.split('|').filter(unknown).map(|word| format!("{name}: {label} is never {word}")));
        }
    }
    if selectors.is_empty() {
        problems.push("the expression selects no series".to_owned());
    }
    problems.extend(
        groupings.iter().filter(|label| !labels.contains(label.as_str())).map(|label| format!("grouped by {label}")),
    );
    problems
}

pub(super) fn parse(expression: &str) -> Asked {
    let mut asked = Asked::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '[' || first == '"' {
            let end = if first == '[' { ']' } else { '"' };
            rest = after(&rest[1..], end);
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else if is_word(first) {
            let (word, then) = split_word(rest);
            rest = take_word(word, then.trim_start(), &mut asked);
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    asked
}

/// The rest of the text after a word.
fn take_word<'a>(word: &str, then: &'a str, asked: &mut Asked) -> &'a str {
    const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    const OPERATORS: [&str; 5] = ["and", "or", "unless", "offset", "bool"];
    if LISTS.contains(&word) {
        let Some(list) = then.strip_prefix('(') else { return then };
        let (labels, then) = list.split_once(')').expect("a list of labels ends");
        asked
            .groupings
            .extend(labels.split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()));
        return then;
    }
    let is_aggregation = ["by", "without"].contains(&split_word(then).0);
    if then.starts_with('(') || is_aggregation || OPERATORS.contains(&word) {
        return then;
    }
    let mut selector = Selector { name: word.to_owned(), matchers: Vec::new() };
    let mut rest = then;
    if let Some(inside) = then.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, then) = split_word(rest);
            let (operator, then) = then.split_once('"').expect("a value is quoted");
            assert!(["=", "!=", "=~", "!~"].contains(&operator), "{operator}");
            let (value, then) = then.split_once('"').expect("a value ends");
            selector.matchers.push(Matcher { label: label.to_owned(), value: value.to_owned() });
            rest = then.trim_start_matches([',', ' ']);
        }
        rest = &rest[1..];
    }
    asked.selectors.push(selector);
    rest
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn split_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_word(c)).unwrap_or(text.len()))
}

fn after(text: &str, end: char) -> &str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// Every expression of the dashboard and of the alerts.
pub(super) fn expressions() -> Vec<String> {
    let mut found = of_alerts();
    found.extend(of_dashboard());
    found
}

pub(super) fn of_dashboard() -> Vec<String> {
    let mut found = Vec::new();
    collect(&serde_json::from_str(&super::text("charts/ipn-receiver/files/dashboard.json")).unwrap(), &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// `expr: …` in one line, or folded (`>-`) with more indentation below it.
fn of_alerts() -> Vec<String> {
    let rules = super::text("charts/ipn-receiver/files/alerts.yaml");
    let mut lines = rules.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let Some(expression) = line.trim().strip_prefix("expr: ") else { continue };
        let mut expression = expression.trim_start_matches(">-").to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with("          ")) {
            expression.push(' ');
            expression.push_str(more.trim());
        }
        found.push(expression);
    }
    found
}

/// The query that Grafana sends with every job and merchant selected.
pub(super) fn without_variables(expression: &str) -> String {
    // `.+` would not be a known value of a label with fixed values; these two labels have none.
    let text = expression.replace("$__rate_interval", "1m").replace("$__range", "5m");
    let text = text.replace("$job", ".+").replace("$merchant", ".+");
    assert!(!text.contains('$'), "an unknown variable: {text}");
    text
}

#[test]
fn unknown_metrics_labels_and_values_are_detected() {
    for (expression, problem) in [
        ("sum(rate(ipn_request_total[5m]))", "no metric ipn_request_total"),
        ("max by (region) (ipn_receiver_known_objects)", "grouped by region"),
        ("ipn_receiver_dead_letters_total{cause=\"x\"}", "ipn_receiver_dead_letters_total has no label cause"),
        (
            "ipn_receiver_dead_letters_total{reason=~\"misrouted|gone\"} offset 1d",
            "ipn_receiver_dead_letters_total: reason is never gone",
        ),
        ("rate(ipn_receiver_request_seconds[5m])", "no metric ipn_receiver_request_seconds"),
        ("1 + 2", "the expression selects no series"),
    ] {
        assert_eq!(problems(expression, &[]), [problem], "{expression}");
    }
    let whole = "histogram_quantile(0.9, sum by (le) (rate(ipn_receiver_request_seconds_bucket{job=~\".+\"}[5m]))) > 60 or vector(0)";
    assert_eq!(problems(whole, &["job"]), [""; 0]);
}
