//! The layering: arrows between the rooms of `src/` point down only, and `domain/` is pure.
//!
//! A failure names the file and the line that break the rule. A new room of `src/` needs a floor here.

use std::path::{Path, PathBuf};

/// The rooms of `src/`, floor by floor from the top. A room may name rooms of lower floors, and no other.
const FLOORS: &[&[&str]] = &[
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
const DOMAIN_FLOORS: &[&[&str]] = &[
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
fn arrows_between_rooms_point_down() {
    assert_arrows_point_down(&source(), "crate", FLOORS);
}

#[test]
fn arrows_within_the_domain_point_down() {
    assert_arrows_point_down(&source().join("domain"), "crate::domain", DOMAIN_FLOORS);
}

#[test]
fn an_arrow_up_is_found() {
    let floors: &[&[&str]] = &[&["app"], &["kafka", "amazon"], &["domain"]];
    for (room, line, is_broken) in [
        ("app", "use crate::kafka::Broker;", false),
        ("kafka", "use crate::app::App;", true),
        ("kafka", "let clients = crate::amazon::Clients::new();", true),
        ("kafka", "use crate::kafka::inbox::Inbox;", false),
        ("domain", "pub use crate::kafka;", true),
        ("domain", "// crate::kafka uses this", false),
        ("app", "use crate::{domain, kafka};", true),
        ("app", "use crate::unknown::Thing;", true),
    ] {
        assert_eq!(broken_arrow(room, line, "crate", floors).is_some(), is_broken, "{room}: {line}");
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
    assert!(broken.is_empty(), "the domain must not name these:\n{}", broken.join("\n"));
}

fn assert_arrows_point_down(folder: &Path, root: &str, floors: &[&[&str]]) {
    let files = rust_files(folder);
    assert!(files.len() >= 20, "the sources were found: {files:?}");
    let broken = lines_of(&files).filter_map(|(file, at, line)| {
        let room = room_of(file.strip_prefix(folder).unwrap())?;
        let why = broken_arrow(&room, &line, root, floors)?;
        Some(format!("{}:{at}: {why}", file.display()))
    });
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "arrows must point down:\n{}", broken.join("\n"));
    let rooms = files.iter().filter_map(|file| room_of(file.strip_prefix(folder).unwrap()));
    let unknown: Vec<String> = rooms.filter(|room| floor(room, floors).is_none()).collect();
    assert!(unknown.is_empty(), "rooms without a floor: {unknown:?}");
}

/// What is wrong with this line of this room.
fn broken_arrow(room: &str, line: &str, root: &str, floors: &[&[&str]]) -> Option<String> {
    let own_floor = floor(room, floors)?;
    let code = code(line);
    let prefix = format!("{root}::");
    code.match_indices(&prefix).find_map(|(at, _)| {
        let name: String =
            code[at + prefix.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.is_empty() && code[at + prefix.len()..].starts_with('{') {
            return Some(format!("name one room a line, not `{prefix}{{…}}`"));
        }
        // A name with a capital is an item of the root itself.
        let is_room =
            name.starts_with(|c: char| c.is_ascii_lowercase()) && name != "deserialize_text" && name != "printable";
        let fits = !is_room || name == room || floor(&name, floors).is_some_and(|floor| floor > own_floor);
        (!fits).then(|| format!("{room} must not name {name}"))
    })
}

fn floor(room: &str, floors: &[&[&str]]) -> Option<usize> {
    floors.iter().position(|rooms| rooms.contains(&room))
}

/// The room that a file stands in; none for the root itself, which names all rooms.
fn room_of(path: &Path) -> Option<String> {
    let first = path.components().next()?.as_os_str().to_string_lossy();
    let room = first.strip_suffix(".rs").unwrap_or(&first);
    (!["lib", "mod"].contains(&room)).then(|| room.to_owned())
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
