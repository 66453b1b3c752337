//! `openapi.yaml` names every problem the code answers with, and no other.

use std::collections::BTreeSet;

/// What stands in the text between `before` and the next character that ends a problem's name.
fn names<'a>(text: &'a str, before: &str) -> BTreeSet<&'a str> {
    let ends = |c: char| !(c.is_ascii_lowercase() || c == '-');
    text.split(before).skip(1).filter_map(|rest| rest.split(ends).next()).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_problem_is_in_the_status_table_among_the_types_and_in_an_example() {
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
        assert!(stale.is_empty(), "{where_}: {stale:?} are never answered");
    }
}
