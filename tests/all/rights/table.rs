//! The table of rights in `docs/kafka.md` is the one in the code.

use std::fmt::Write as _;
use std::path::Path;

use ipn_receiver::config::Kafka;
use ipn_receiver::kafka::acls::{AclEntry, PrincipalRole, rights};

/// The rows of the documentation, from the code.
fn table() -> String {
    let kafka = Kafka::default();
    let mut rows: Vec<(AclEntry, Vec<PrincipalRole>)> = Vec::new();
    // In the order of the code: the user with most rights first would not be enough.
    for user in PrincipalRole::ALL {
        for right in rights(&kafka, user) {
            let same = |(other, _): &&mut (AclEntry, _)| {
                (other.operation, &other.resource) == (right.operation, &right.resource)
            };
            match rows.iter_mut().find(same) {
                Some((_, users)) => users.push(user),
                None => rows.push((right, vec![user])),
            }
        }
    }
    rows.sort_by_key(|(right, _)| right.resource.to_string());
    let mut table = String::from("| right | needed by | because |\n|---|---|---|\n");
    for (right, users) in rows {
        let users: Vec<&str> = users.iter().map(|user| user.as_str()).collect();
        let (operation, resource) = (right.operation.as_str(), right.resource.to_string());
        let (kind, name) = resource.rsplit_once(' ').unwrap();
        writeln!(table, "| {operation} on {kind} `{name}` | {} | {} |", users.join(", "), right.why).unwrap();
    }
    table
}

#[test]
fn the_table_of_rights_is_the_one_in_the_code() {
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kafka.md")).unwrap();
    let table = table();
    assert!(document.contains(&table), "docs/kafka.md has another table than this:\n{table}");
}
