//! Messages that AWS really signed, hostile cases with their verdicts, and requests that Amazon's own SDK signed. They are
//! read where `IPN_VECTORS_DIR` says (default `../shared/vectors`) and are no part of this project.

mod genuine;
mod negative;
mod shapes;
mod signing;

pub(crate) use negative::cases;

use std::path::{Path, PathBuf};

use ipn_receiver::domain::sns::{Policy, TopicArn, TopicPolicy, TopicRule};
use serde_json::Value;

/// A folder of vectors; where it is absent, a line says so and the test has nothing to judge.
fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("IPN_VECTORS_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not there; set IPN_VECTORS_DIR to the folder of vectors", folder.display());
    None
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The captured messages, by file name.
pub(crate) fn real_messages() -> Option<Vec<(String, Value)>> {
    let mut messages: Vec<(String, Value)> = std::fs::read_dir(folder("sns/real")?)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), json(&path)))
        .collect();
    messages.sort_by(|(left, _), (right, _)| left.cmp(right));
    Some(messages)
}

/// Lets one topic in, at any age.
fn policy_for(topic: &str) -> Policy {
    Policy::of(TopicPolicy::new(vec![TopicRule::Arn(TopicArn::parse(topic).expect("a real topic"))]))
}
