//! `domain/` is pure: it names no shell, no runtime, no client library, no clock and no log.

use std::path::{Path, PathBuf};

const FORBIDDEN: &[&str] = &[
    "tokio",
    "actix",
    "rdkafka",
    "reqwest",
    "tracing",
    "metrics::",
    "futures",
    "async ",
    ".await",
    "std::net",
    "std::fs",
    "std::env",
    "std::thread",
    "std::sync::Mutex",
    "std::time::Instant",
    "Instant::",
    "SystemTime",
    "now_utc",
    "now_local",
    "thread_rng",
    "SystemRandom",
    "println!",
    "eprintln!",
    "static mut",
    "OnceLock",
    "LazyLock",
];

#[test]
fn nothing_under_domain_names_a_shell_a_runtime_or_a_clock() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let shells: Vec<String> = std::fs::read_dir(&source)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !["domain", "lib", "main"].contains(&name.as_str()))
        .map(|name| format!("crate::{name}"))
        .collect();
    assert!(shells.len() >= 10, "the shells were found: {shells:?}");
    let mut found = Vec::new();
    let files = rust_files(&source.join("domain"));
    assert!(files.len() >= 20, "the domain was found: {files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let words = FORBIDDEN.iter().copied().chain(shells.iter().map(String::as_str));
            found.extend(
                words.filter(|word| code.contains(word)).map(|word| format!("{}:{}: {word}", file.display(), at + 1)),
            );
        }
    }
    assert!(found.is_empty(), "the domain must not name these:\n{}", found.join("\n"));
}

#[test]
fn only_the_command_line_and_tests_import_the_sandbox() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in rust_files(&source) {
        let path = file.strip_prefix(&source).unwrap().to_string_lossy().into_owned();
        let may = path.starts_with("sandbox/") || path == "cli.rs";
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(may || !text.contains("crate::sandbox"), "{path} imports the sandbox");
    }
}

pub(crate) fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
