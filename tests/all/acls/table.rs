//! The table of ACLs in `docs/kafka.md` is the one in the code. After a change: `UPDATE_DOCS=1 cargo test --test all acls::table`.

use std::fmt::Write as _;
use std::path::Path;

use ipn_receiver::config::Kafka;
use ipn_receiver::kafka::acls::{AclEntry, PrincipalRole, required_acls};

/// The table, from the code.
fn table() -> String {
    let kafka = Kafka::default();
    let mut rows: Vec<(AclEntry, Vec<PrincipalRole>)> = Vec::new();
    for role in PrincipalRole::ALL {
        for acl in required_acls(&kafka, role) {
            let same =
                |(other, _): &&mut (AclEntry, _)| (other.operation, &other.resource) == (acl.operation, &acl.resource);
            match rows.iter_mut().find(same) {
                Some((_, roles)) => roles.push(role),
                None => rows.push((acl, vec![role])),
            }
        }
    }
    rows.sort_by_key(|(acl, _)| acl.resource.to_string());
    let mut table = String::from("| ACL | needed by | because |\n|---|---|---|\n");
    for (acl, roles) in rows {
        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        let (operation, resource) = (acl.operation.as_str(), acl.resource.to_string());
        let (kind, name) = resource.rsplit_once(' ').unwrap();
        writeln!(table, "| {operation} on {kind} `{name}` | {} | {} |", roles.join(", "), acl.why).unwrap();
    }
    table
}

#[test]
fn acl_table_matches_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kafka.md");
    let (document, table) = (std::fs::read_to_string(&file).unwrap(), table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let (before, rest) = document.split_once("| ACL | needed by |").unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        std::fs::write(&file, format!("{before}{table}\n{after}")).unwrap();
    }
    let document = std::fs::read_to_string(&file).unwrap();
    assert!(
        document.contains(&table),
        "docs/kafka.md is out of date; run: UPDATE_DOCS=1 cargo test --test all acls::table"
    );
}
