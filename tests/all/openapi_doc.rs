//! `openapi.yaml` describes exactly the problems that the code answers.

use std::collections::BTreeSet;

/// The problem names that follow `before` in the text.
fn names<'a>(text: &'a str, before: &str) -> BTreeSet<&'a str> {
    let ends = |c: char| !(c.is_ascii_lowercase() || c == '-');
    text.split(before).skip(1).filter_map(|rest| rest.split(ends).next()).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_problem_is_described_in_openapi() {
    let answered: BTreeSet<&str> = names(include_str!("../../src/ingress/rejection.rs"), ", \"")
        .into_iter()
        .filter(|name| name.contains('-'))
        .collect();
    assert!(answered.len() >= 17, "{answered:?}");
    let description = include_str!("../../openapi.yaml");
    for (where_, found) in [
        ("status table", names(description, "\n        | `")),
        ("types", names(description, "- urn:ipn-receiver:problem:")),
        ("examples", names(description, "type: 'urn:ipn-receiver:problem:")),
    ] {
        let missing: Vec<_> = answered.difference(&found).collect();
        assert!(missing.is_empty(), "{where_}: {missing:?} missing");
        let of_routing = ["not-found", "method-not-allowed", "type"];
        let stale: Vec<_> = found.difference(&answered).filter(|name| !of_routing.contains(*name)).collect();
        assert!(stale.is_empty(), "{where_}: the code never answers {stale:?}");
    }
}
