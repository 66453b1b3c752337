//! The reference against the tables that are parsed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{DefaultValue, SettingsTable, TABLES};
use crate::config::file;

/// Tables that need other settings to be parsed.
const WITHOUT_WHOLE_DEFAULT: &[&str] = &["development", "merchants[]"];
const MERCHANT: &str =
    "[[merchants]]\nid = \"A1\"\nregion = \"eu\"\nenvironment = \"live\"\nprivate_key_file = \"key.pem\"\n";

fn parsed(toml: &str) -> String {
    format!("{:?}", file::parse(toml, []).unwrap_or_else(|mistake| panic!("{mistake}:\n{toml}")))
}

/// The fields that serde expects where this text has the unknown field `none`.
fn expected_fields(toml: &str) -> BTreeSet<String> {
    let mistake = file::parse(toml, []).expect_err("an unknown field").what;
    let (_, expected) = mistake.split_once("expected").expect(&mistake);
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn as_toml(table: &SettingsTable) -> String {
    let mut toml = String::new();
    for setting in table.settings {
        if let DefaultValue::Toml(value) = setting.default {
            writeln!(toml, "{} = {value}", setting.name).expect("a string takes everything");
        }
    }
    toml
}

#[test]
fn each_documented_default_is_the_real_one() {
    let nothing = parsed("");
    for table in TABLES.iter().filter(|table| !WITHOUT_WHOLE_DEFAULT.contains(&table.name)) {
        let header = if table.name.is_empty() { String::new() } else { format!("[{}]\n", table.name) };
        assert_eq!(parsed(&format!("{header}{}", as_toml(table))), nothing, "[{}]", table.name);
    }
    let of = |name| TABLES.iter().find(|table| table.name == name).expect(name);
    assert_eq!(parsed(&format!("{MERCHANT}{}", as_toml(of("merchants[]")))), parsed(MERCHANT));
    assert_eq!(parsed(&format!("[development]\n{}", as_toml(of("development")))), parsed("[development]\n"));
}

#[test]
fn every_setting_is_in_the_reference() {
    let tables: BTreeSet<&str> = TABLES.iter().map(|table| table.name.trim_end_matches("[]")).collect();
    for table in TABLES {
        let toml = match table.name {
            "" => "none = 1".to_owned(),
            "merchants[]" => "[[merchants]]\nnone = 1".to_owned(),
            name => format!("[{name}]\nnone = 1"),
        };
        let mut expected = expected_fields(&toml);
        let prefix = if table.name.is_empty() { String::new() } else { format!("{}.", table.name) };
        expected.retain(|field| !tables.contains(format!("{prefix}{field}").as_str()));
        let documented: BTreeSet<String> = table.settings.iter().map(|setting| setting.name.to_owned()).collect();
        assert_eq!(documented, expected, "[{}]", table.name);
    }
}
