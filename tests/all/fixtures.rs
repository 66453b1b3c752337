//! `fixtures/`: one event of each type, reason and permission type, as `sample` prints it.
//! After a change: `UPDATE_DOCS=1 cargo test --test all fixtures`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use ipn_receiver::sandbox::recipes::variants;
use ipn_receiver::sandbox::sample;
use serde_json::Value;

use crate::contract::check_event;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn files_in(folder: &Path) -> BTreeMap<String, String> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

fn sample_command(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ipn-receiver")).arg("sample").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn fixtures_are_valid_and_what_the_command_writes() {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        for name in files_in(&folder()).keys() {
            std::fs::remove_file(folder().join(name)).unwrap();
        }
        assert_eq!(sample_command(&["--all", "--out", folder().to_str().unwrap()]).0, Some(0));
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let (code, _, said) = sample_command(&["--all", "--out", elsewhere.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let (expected, written) = (files_in(elsewhere.path()), files_in(&folder()));
    assert_eq!(expected.len(), variants().len());
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&written), names(&expected), "run: UPDATE_DOCS=1 cargo test --test all fixtures");
    let mut ids = BTreeSet::new();
    for (name, text) in &written {
        assert!(expected[name] == *text, "{name} is out of date; run: UPDATE_DOCS=1 cargo test --test all fixtures");
        let event: Value = serde_json::from_str(text).unwrap();
        check_event(&event);
        assert!(!text.contains("BUYER-DATA-MARKER"), "{name}");
        assert!(ids.insert(event["id"].to_string()), "{name} reports a change of its own");
    }
}

#[test]
fn sample_prints_one_event_or_all() {
    let (code, printed, _) =
        sample_command(&["chargeDeclined", "--reason", "HardDeclined", "--permission-type", "OneTime"]);
    assert_eq!(code, Some(0));
    let declined = sample::files().find(|(name, _)| name == "ChargeDeclined.HardDeclined.OneTime.json");
    assert_eq!(Some(printed), declined.map(|(_, text)| text));
    let (code, printed, _) = sample_command(&["--all"]);
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (Some(0), variants().len()));
    assert_eq!(lines.iter().map(|event| format!("{event:#}\n")).next(), sample::files().next().map(|(_, text)| text));
}

#[test]
fn wrong_arguments_of_sample_list_the_valid_names() {
    for (arguments, expected) in [
        (&["Nothing"][..], "there is no event type Nothing; the event types are: PermissionChargeable, "),
        (&["ChargeDeclined", "--reason", "Nothing"], "its reasons are: SoftDeclined, "),
        (&["ChargeDeclined", "--permission-type", "Nothing"], "its permission types are: Recurring, "),
        (&[], "<EVENT>"),
        (&["--out", "x"], "--all"),
    ] {
        let (code, printed, said) = sample_command(arguments);
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let (code, _, said) = sample_command(&["--all", "--out", "/dev/null/x"]);
    assert_eq!(code, Some(3));
    assert!(said.contains("cannot create /dev/null/x (--out): "), "{said}");
}
