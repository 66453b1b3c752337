//! The layering: a module of `src/` imports modules of lower layers only, and `domain/` is pure.
//!
//! A failure names the file and the line that break the rule. Add a new module of `src/` to a layer here.

use std::path::{Path, PathBuf};

/// The modules of `src/`, layer by layer from the top. A module may import modules of lower layers only.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["sandbox"],
    &["commands"],
    &["app"],
    &["ingress", "worker"],
    &["kafka", "amazon"],
    &["telemetry"],
    &["http", "config", "clock"],
    &["domain", "failpoints"],
];

/// The same for the folders and files of `domain/`.
const DOMAIN_LAYERS: &[&[&str]] = &[
    &["dead_letter"],
    &["events"],
    &["state"],
    &["work"],
    &["ipn"],
    &["sns", "pay"],
    &["timestamp", "trace", "record_headers", "schema_version"],
    &["decimal"],
];

/// What makes code impure: runtimes, clients, logs, clocks, randomness, the environment and globals.
const IMPURE: &[&str] = &[
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
    "parking_lot",
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
fn modules_import_only_lower_layers() {
    assert_imports_lower_layers(&source(), "crate", LAYERS);
}

#[test]
fn domain_modules_import_only_lower_layers() {
    assert_imports_lower_layers(&source().join("domain"), "crate::domain", DOMAIN_LAYERS);
}

#[test]
fn import_of_a_higher_layer_is_found() {
    let layers: &[&[&str]] = &[&["app"], &["kafka", "amazon"], &["domain"]];
    for (module, line, is_broken) in [
        ("app", "use crate::kafka::Broker;", false),
        ("kafka", "use crate::app::App;", true),
        ("kafka", "let clients = crate::amazon::Clients::new();", true),
        ("kafka", "use crate::kafka::inbox::Inbox;", false),
        ("domain", "pub use crate::kafka;", true),
        ("domain", "// crate::kafka uses this", false),
        ("app", "use crate::{domain, kafka};", true),
        ("app", "use crate::unknown::Thing;", true),
    ] {
        assert_eq!(forbidden_import(module, line, "crate", layers).is_some(), is_broken, "{module}: {line}");
    }
}

#[test]
fn the_domain_is_pure() {
    let files = rust_files(&source().join("domain"));
    assert!(files.len() >= 20, "the domain was found: {files:?}");
    let broken = lines_of(&files).filter_map(|(file, at, line)| {
        let word = IMPURE.iter().find(|word| code(&line).contains(**word))?;
        Some(format!("{}:{at}: {word}", file.display()))
    });
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "the domain must not use these:\n{}", broken.join("\n"));
}

fn assert_imports_lower_layers(folder: &Path, root: &str, layers: &[&[&str]]) {
    let files = rust_files(folder);
    assert!(files.len() >= 20, "the sources were found: {files:?}");
    let broken = lines_of(&files).filter_map(|(file, at, line)| {
        let module = module_of(file.strip_prefix(folder).unwrap())?;
        let why = forbidden_import(&module, &line, root, layers)?;
        Some(format!("{}:{at}: {why}", file.display()))
    });
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "a module may import lower layers only:\n{}", broken.join("\n"));
    let modules = files.iter().filter_map(|file| module_of(file.strip_prefix(folder).unwrap()));
    let unknown: Vec<String> = modules.filter(|module| layer(module, layers).is_none()).collect();
    assert!(unknown.is_empty(), "modules without a layer: {unknown:?}");
}

/// Why this line of this module breaks the rule, if it does.
fn forbidden_import(module: &str, line: &str, root: &str, layers: &[&[&str]]) -> Option<String> {
    let own_layer = layer(module, layers)?;
    let code = code(line);
    let prefix = format!("{root}::");
    code.match_indices(&prefix).find_map(|(at, _)| {
        let name: String =
            code[at + prefix.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.is_empty() && code[at + prefix.len()..].starts_with('{') {
            return Some(format!("name one module per line, not `{prefix}{{…}}`"));
        }
        // A name with a capital is an item of the root itself.
        let is_module =
            name.starts_with(|c: char| c.is_ascii_lowercase()) && name != "deserialize_text" && name != "printable";
        let fits = !is_module || name == module || layer(&name, layers).is_some_and(|layer| layer > own_layer);
        (!fits).then(|| format!("{module} must not import {name}"))
    })
}

fn layer(module: &str, layers: &[&[&str]]) -> Option<usize> {
    layers.iter().position(|modules| modules.contains(&module))
}

/// The module of a file; none for the root itself, which names all modules.
fn module_of(path: &Path) -> Option<String> {
    let first = path.components().next()?.as_os_str().to_string_lossy();
    let module = first.strip_suffix(".rs").unwrap_or(&first);
    (!["lib", "mod"].contains(&module)).then(|| module.to_owned())
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn lines_of(files: &[PathBuf]) -> impl Iterator<Item = (&Path, usize, String)> {
    files.iter().flat_map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.into_iter().enumerate().map(move |(at, line)| (file.as_path(), at + 1, line))
    })
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
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
