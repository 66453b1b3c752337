//! Compares the Helm chart with the program: the rendered configuration is valid, and the schema has every setting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use ipn_receiver::config::reference::TABLES;
use serde_json::Value;

/// The rendered configuration of each values file. `scripts/check-chart` compares these files with Helm's output.
fn rendered() -> BTreeMap<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/ipn-receiver/ci");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

/// The quoted value of each `name = ` line.
fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
    lines.map(|rest| rest.trim_end_matches('"')).collect()
}

/// The exit code and the output of `check --offline` for the file in this folder, as in a pod of this role.
fn check_offline(folder: &Path, role: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
    command.args(["check", "--offline"]).env("IPN_RECEIVER_CONFIG", folder.join("receiver.toml"));
    let output = command.env("IPN_RECEIVER__ROLE", role).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap(), said)
}

#[test]
fn rendered_configuration_is_valid() {
    let rendered = rendered();
    assert!(rendered.len() >= 4, "rendered files are missing: {rendered:?}");
    for (file, text) in rendered {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        put("receiver.toml", &text);
        // Ingest pods and the topics Job have no key.
        let (code, said) = check_offline(folder.path(), "ingest");
        assert_eq!(code, 0, "{}: {said}", file.display());
        assert_eq!(
            said.matches("/live").count() + said.matches("/sandbox").count(),
            text.matches("[[merchants]]").count()
        );
        let (code, said) = check_offline(folder.path(), "worker");
        assert!(code == 78 && said.contains("FAIL  key"), "{}: {said}", file.display());
        for key in values(&text, "private_key_file") {
            put(key, include_str!("../fixtures/merchant-key-pkcs8.pem"));
        }
        for id in values(&text, "public_key_id_file") {
            put(id, "AEXAMPLE\n");
        }
        for role in ["all", "worker"] {
            let (code, said) = check_offline(folder.path(), role);
            assert_eq!(code, 0, "{}: {said}", file.display());
        }
    }
}

/// The names in the first column of every table of settings in `docs/configuration.md`.
fn documented_settings() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let document = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let first_cells = document.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let names = first_cells.flat_map(|cell| cell.split("`, `").map(|name| name.trim_end_matches('`').to_owned()));
    // Other tables of the document begin with something else than a setting's path.
    names.filter(|name| name == "role" || name.contains('.')).collect()
}

/// The settings that a part of the schema has, as the document names them; `quota.live` is one.
fn settings_of(schema: &Value, above: &str, found: &mut BTreeSet<String>) {
    for (name, part) in schema["properties"].as_object().unwrap() {
        let path = format!("{above}{name}");
        if part["properties"].is_object() {
            settings_of(part, &format!("{path}."), found);
        } else {
            found.insert(path);
        }
    }
}

#[test]
fn chart_schema_has_exactly_the_documented_settings() {
    let schema: Value = serde_json::from_str(include_str!("../../charts/ipn-receiver/values.schema.json")).unwrap();
    let mut in_chart = BTreeSet::new();
    settings_of(&schema["properties"]["config"], "", &mut in_chart);
    settings_of(&schema["properties"]["merchants"]["items"], "merchants[].", &mut in_chart);
    in_chart.retain(|name| !name.starts_with("development.") && !name.starts_with("merchants[].keySecret."));
    // The chart sets these itself, from its mode and from where it mounts the Secrets.
    let written = ["role", "merchants[].private_key_file", "merchants[].public_key_id_file"];
    let mut documented = documented_settings();
    documented.retain(|name| !name.starts_with("development.") && !written.contains(&name.as_str()));
    assert!(documented.len() > 60, "the table was found: {documented:?}");
    let missing: Vec<_> = documented.difference(&in_chart).collect();
    assert!(missing.is_empty(), "add to config (or merchants) in charts/ipn-receiver/values.schema.json: {missing:?}");
    let stale: Vec<_> = in_chart.difference(&documented).collect();
    assert!(
        stale.is_empty(),
        "charts/ipn-receiver/values.schema.json has settings that docs/configuration.md lacks: {stale:?}"
    );
}

#[test]
fn chart_schema_has_the_ranges_of_the_program() {
    let schema: Value = serde_json::from_str(include_str!("../../charts/ipn-receiver/values.schema.json")).unwrap();
    for table in TABLES.iter().filter(|table| !table.name.is_empty()) {
        for setting in table.settings {
            let Some((least, most)) = setting.range else { continue };
            let of_setting = &schema["properties"]["config"]["properties"][table.name]["properties"][setting.name];
            let of_number = of_setting.get("items").unwrap_or(of_setting);
            let range = (of_number["minimum"].as_f64(), of_number["maximum"].as_f64());
            assert_eq!(range, (Some(least), Some(most)), "{} in values.schema.json", table.path(setting));
        }
    }
}
