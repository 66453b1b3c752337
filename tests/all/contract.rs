//! The contract of the events: the files in `schemas/` match the code, every event is valid, and no released schema breaks.
//! After a change: `UPDATE_DOCS=1 cargo test --test all contract`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use ipn_receiver::domain::events::{
    BUNDLE_FILE, CATALOG, EventType, Mode, Names, TYPE_PREFIX, asyncapi, bundle, file_name, link, schema,
};
use ipn_receiver::sandbox::pay_api::{ObjectKind, charge_permission};
use ipn_receiver::sandbox::sample;
use jsonschema::Validator;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::events_doc::{sample_event, sample_in};
use crate::harness::{Stage, committed_records, events, run};

/// Panics if the event is not valid under the schema of its type.
pub(crate) fn check_event(event: &Value) {
    static VALIDATORS: Mutex<BTreeMap<String, Arc<Validator>>> = Mutex::new(BTreeMap::new());
    let wire = event["type"].as_str().unwrap_or_default();
    let name = wire.rsplit('.').nth(1).unwrap_or_default();
    let row = CATALOG.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no such event: {event:#}"));
    let type_prefix = wire.strip_suffix(&format!(".{name}.v1")).unwrap_or(TYPE_PREFIX).to_owned();
    let made = || Arc::new(validator(&schema(row, &Names { type_prefix, ..Names::default() })));
    let validator = VALIDATORS.lock().entry(wire.to_owned()).or_insert_with(made).clone();
    let errors: Vec<String> = validator.iter_errors(event).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {event:#}");
}

/// The standalone schema of a type, with the names of the default configuration.
fn published(row: &EventType) -> Value {
    schema(row, &Names::default())
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name)
}

fn golden(name: &str, document: &Value) {
    let text = format!("{document:#}\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(file("")).unwrap();
        std::fs::write(file(name), &text).unwrap();
    }
    let written = std::fs::read_to_string(file(name)).unwrap_or_default();
    assert!(written == text, "schemas/{name} is out of date; run: UPDATE_DOCS=1 cargo test --test all contract");
}

#[test]
fn schema_files_are_up_to_date() {
    let mut names: BTreeSet<String> = [BUNDLE_FILE, "asyncapi.json", "released.json"].map(str::to_owned).into();
    golden(BUNDLE_FILE, &bundle(&Names::default()));
    golden("asyncapi.json", &asyncapi(&Names::default(), &sample::all()));
    for row in CATALOG {
        golden(&file_name(row), &link(row));
        names.insert(file_name(row));
    }
    let found: BTreeSet<String> =
        file("").read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, names);
}

#[test]
fn samples_are_valid_only_with_all_required_fields() {
    let mut optional = BTreeSet::new();
    for row in CATALOG {
        let (event, validator) = (sample_event(row), validator(&published(row)));
        check_event(&event);
        for pointer in fields(&event) {
            let mut without = event.clone();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            without.pointer_mut(parent).unwrap().as_object_mut().unwrap().shift_remove(name);
            if validator.is_valid(&without) {
                optional.insert(pointer);
            }
        }
    }
    let expected = [
        "/data/amazonPayRequestId",
        "/data/causes/0/messageId",
        "/data/causes/0/notificationType",
        "/data/nextAction/deadline",
        "/data/nextAction/url",
        "/data/permissionReadAt",
        "/data/permissionState",
        "/data/reasons/0/reasonDescription",
        "/dataschema",
        "/time",
        "/traceparent",
    ];
    assert_eq!(optional.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// JSON pointers of all fields except those inside `snapshot`.
fn fields(event: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let pointer = format!("{at}/{name}");
                    if name != "snapshot" {
                        walk(value, &pointer, found);
                    }
                    found.push(pointer);
                }
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, value)| walk(value, &format!("{at}/{n}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(event, "", &mut found);
    found
}

#[test]
fn schema_rejects_events_of_other_types() {
    let events: Vec<Value> = CATALOG.iter().map(sample_event).collect();
    for row in CATALOG {
        let validator = validator(&published(row));
        for (other, event) in CATALOG.iter().zip(&events).filter(|(other, _)| other.name != row.name) {
            assert!(!validator.is_valid(event), "{} as {}", other.name, row.name);
        }
    }
}

#[test]
fn bundle_and_links_accept_exactly_known_events() {
    let bundle = bundle(&Names::default());
    let id = bundle["$id"].as_str().unwrap().to_owned();
    let registry = jsonschema::Registry::new().add(&id, &bundle).unwrap().prepare().unwrap();
    let any = validator(&bundle);
    for row in CATALOG {
        let event = sample_event(row);
        assert!(any.is_valid(&event), "{}", row.name);
        let linked = jsonschema::options().with_registry(&registry).build(&link(row)).unwrap();
        assert!(linked.is_valid(&event), "{}", row.name);
        let mut unknown = event.clone();
        unknown["type"] = "amazonpay.ChargeTeleported.v1".into();
        assert!(!any.is_valid(&unknown) && !linked.is_valid(&unknown));
        // `dataschema` leads to the definition of `data` alone, which is what binary mode has in the record.
        let data = jsonschema::options().with_registry(&registry).build(&json!({"$ref": event["dataschema"]})).unwrap();
        assert!(data.is_valid(&event["data"]), "{}", row.name);
        assert!(!data.is_valid(&event), "{}", row.name);
    }
}

/// Fields whose pattern is checked by a test instead, as generators of code cannot use it: `schema::tests::codes_are_words`.
const UNPATTERNED: [&str; 1] = ["/nextAction/code"];

/// The schema with what it refers to in place of the references.
fn inlined(schema: &Value, root: &Value) -> Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference}"));
        return inlined(root.pointer(pointer).unwrap_or_else(|| panic!("{reference}")), root);
    }
    match schema {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "$defs")
            .map(|(name, of)| (name.clone(), inlined(of, root)))
            .collect(),
        Value::Array(items) => items.iter().map(|item| inlined(item, root)).collect(),
        other => other.clone(),
    }
}

/// Guarantees of `old` that `new` no longer gives to consumers. Both are without references.
fn breaking_changes(old: &Value, new: &Value, at: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let list = |schema: &Value, field: &str| -> BTreeSet<String> {
        let items = schema.get(field).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let (old_required, new_required) = (list(old, "required"), list(new, "required"));
    broken.extend(old_required.difference(&new_required).map(|name| format!("{at}/{name} is no longer required")));
    broken.extend(new_required.difference(&old_required).map(|name| format!("{at}/{name} is now required")));
    // The same constant with its type, or a constant that every consumer of the pattern accepts, says more than before.
    let is_constant = new.get("const").is_some_and(|word| validator(old).is_valid(word));
    for rule in ["type", "const", "pattern", "format", "minItems", "uniqueItems"] {
        let is_dropped = rule == "pattern" && UNPATTERNED.iter().any(|dropped| at.ends_with(dropped));
        if old.get(rule) != new.get(rule) && !is_constant && !is_dropped {
            broken.push(format!("{at}: {rule} was {:?} and is {:?}", old.get(rule), new.get(rule)));
        }
    }
    let (old_words, new_words) = (list(old, "enum"), list(new, "enum"));
    // The words of this version: beside a reference to them any text is valid, so they may become more.
    let may_grow = at.starts_with("Known");
    if !new_words.is_superset(&old_words) || (!may_grow && new_words != old_words) {
        broken.push(format!("{at}: the words were {old_words:?} and are {new_words:?}"));
    }
    for (name, old) in old.get("properties").and_then(Value::as_object).into_iter().flatten() {
        match new.get("properties").and_then(|properties| properties.get(name)) {
            Some(new) => broken.extend(breaking_changes(old, new, &format!("{at}/{name}"))),
            None => broken.push(format!("{at}/{name} was removed")),
        }
    }
    if let Some(old) = old.get("items") {
        broken.extend(breaking_changes(old, &new["items"], &format!("{at}[]")));
    }
    broken
}

#[test]
fn released_schemas_do_not_break() {
    // A copy of events.schema.json, made only when a version is released.
    let released = std::fs::read_to_string(file("released.json")).unwrap();
    let released: Value = serde_json::from_str(&released).unwrap();
    let definitions = released["$defs"].as_object().unwrap();
    assert!(definitions.len() >= 27, "{}", definitions.len());
    let bundle = bundle(&Names::default());
    for (name, old) in definitions {
        let new = bundle["$defs"].get(name);
        let new = new.unwrap_or_else(|| panic!("{name} was released and is missing; removing it needs a new topic v2"));
        let broken = breaking_changes(&inlined(old, &released), &inlined(new, &bundle), name);
        assert!(broken.is_empty(), "breaking change within v1; it needs a new topic v2: {broken:#?}");
    }
}

#[test]
fn breaking_changes_are_detected() {
    let row = CATALOG.iter().find(|row| row.name == "ChargeDeclined").unwrap();
    let old = inlined(&published(row), &published(row));
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut new = old.clone();
        change(&mut new);
        breaking_changes(&old, &new, "").len()
    };
    let data = "/properties/data/properties";
    let remove = |name: &'static str| {
        move |new: &mut Value| {
            new.pointer_mut(data).unwrap().as_object_mut().unwrap().shift_remove(name).unwrap();
        }
    };
    assert_eq!(changed(&|_| ()), 0);
    assert_eq!(changed(&|new| new.pointer_mut(data).unwrap()["novel"] = json!({"type": "string"})), 0);
    assert_eq!(changed(&remove("evidence")), 1);
    assert_eq!(changed(&|new| new.pointer_mut(data).unwrap()["chargePermissionType"]["type"] = json!("string")), 1);
    assert_eq!(
        changed(&|new| new["properties"]["data"]["required"].as_array_mut().unwrap().push(json!("evidence"))),
        1
    );
    assert_eq!(changed(&|new| new["properties"]["data"]["required"] = json!([])), 12);
    assert_eq!(changed(&|new| new["properties"]["type"]["const"] = json!("amazonpay.ChargeFailed.v1")), 1);
    assert_eq!(changed(&|new| new.pointer_mut(data).unwrap()["objectType"] = json!({"type": "string"})), 1);
    assert_eq!(changed(&|new| new["properties"]["source"]["pattern"] = json!("^.*$")), 1);
    let words = |words: &[&str]| json!({"type": "string", "enum": words});
    for (at, new, n_broken) in [("KnownX", &["a", "b"][..], 0), ("KnownX", &["b"], 1), ("X", &["a", "b"], 1)] {
        assert_eq!(breaking_changes(&words(&["a"]), &words(new), at).len(), n_broken, "{at} {new:?}");
    }
}

#[test]
fn cloudevents_sdk_reads_every_event_in_both_modes() {
    let Ok(python) = std::env::var("IPN_RECEIVER_PYTHON") else {
        println!(
            "skipped: IPN_RECEIVER_PYTHON is not set to a Python with the CloudEvents SDK (scripts/check installs one)"
        );
        return;
    };
    let mut lines = Vec::new();
    for row in CATALOG {
        let expected = sample_event(row);
        for mode in [Mode::Structured, Mode::Binary] {
            let encoded = sample_in(row, mode);
            let value = String::from_utf8(encoded.value).unwrap();
            // In structured mode the SDK replaces datacontenttype with the content type of the record.
            let mut expected = expected.clone();
            if mode == Mode::Structured {
                expected.as_object_mut().unwrap().shift_remove("datacontenttype");
            }
            let line = json!({"headers": encoded.headers, "value": value, "expected": expected});
            lines.push(line.to_string());
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cloudevents_sdk.py");
    let mut reader = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The script stops reading at the first invalid event and prints the error.
    let _ = reader.stdin.take().unwrap().write_all(lines.join("\n").as_bytes());
    let output = reader.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let n_read: usize = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert_eq!(n_read, CATALOG.len() * 2);
    println!("{n_read} events read by the CloudEvents SDK");
}

#[test]
fn binary_mode_puts_attributes_into_headers() {
    run(async {
        let stage = Stage::new(1, "events.mode = \"binary\"").await;
        let mut reader = stage.reader();
        let app = stage.receiver().await;
        let id = "C02-0000001-1111111";
        stage.environment.put(
            ObjectKind::ChargePermission,
            charge_permission(id, "Recurring"),
            "Closed",
            &["BuyerClosed"],
        );
        stage.post_ipn(&app, ObjectKind::ChargePermission, id).await;
        let event = &events(&mut reader, 1).await[0];
        assert_eq!(event["data"]["nextAction"]["code"], "REACH_OUT_BEFORE_NEXT_CYCLE");
        let topics = stage.kafka().topics();
        let record = &committed_records(&stage.kafka(), &topics.events)[0];
        assert_eq!((record.key.as_str(), record.headers["ce_subject"].as_str()), (id, id));
        assert_eq!(record.headers["content-type"], "application/json");
        assert_eq!(serde_json::from_slice::<Value>(&record.value).unwrap(), event["data"]);
        app.stop().await;
    });
}

#[test]
fn schema_command_prints_one_type_or_all() {
    let schema_of = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_ipn-receiver")).arg("schema").args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let document_of = |arguments: &[&str]| {
        let (code, printed, said) = schema_of(arguments);
        assert_eq!(code, Some(0), "{said}");
        serde_json::from_str::<Value>(&printed).unwrap()
    };
    let row = CATALOG.iter().find(|row| row.name == "ChargeDeclined").unwrap();
    for name in ["ChargeDeclined", "chargedeclined", "amazonpay.ChargeDeclined.v1"] {
        assert_eq!(document_of(&[name]), published(row), "{name}");
    }
    assert_eq!(document_of(&[]), asyncapi(&Names::default(), &sample::all()));
    assert_eq!(document_of(&["--bundle"]), bundle(&Names::default()));
    let (code, printed, said) = schema_of(&["Nothing"]);
    assert_eq!((code, printed.as_str()), (Some(2), ""));
    assert!(said.contains("there is no event type Nothing; the event types are: PermissionChargeable, "), "{said}");
}
