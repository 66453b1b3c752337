//! The documents are right where a program can check it: tests exist, links lead somewhere, samples are real.
//!
//! `UPDATE_DOCS=1 cargo test --test all documents` writes anew what can be derived: the file behind each test's name in
//! `docs/guarantees.md`, and the sample event of the README.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ipn_receiver::domain::events::CATALOG;
use serde_json::Value;

use crate::events_doc::sample_event;
use crate::layering::rust_files;

const GUARANTEES: &str = "docs/guarantees.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// Every Markdown document that people read, as a path below the root.
fn documents() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs/", "examples/", "charts/ipn-receiver/"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.extension().is_some_and(|extension| extension == "md") && name != "README.template.md" {
                found.push(format!("{folder}{name}"));
            }
        }
    }
    found.sort();
    assert!(found.len() >= 15, "the documents were found: {found:?}");
    found
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Text and target of every link in a line: `[text](target)`.
fn links(line: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("](") {
        let target = line[at + 2..].split(')').next().unwrap();
        let text = line[..at].rsplit('[').next().unwrap();
        found.push((text, target));
    }
    found
}

/// The anchors that GitHub gives the headings of a document.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::new();
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim(), &mut seen)).collect()
}

fn anchor(heading: &str, seen: &mut BTreeMap<String, usize>) -> String {
    // A link in a heading counts with its text alone.
    let mut text = heading.to_owned();
    for (label, target) in links(heading) {
        text = text.replace(&format!("[{label}]({target})"), label);
    }
    let kept = text.to_lowercase().chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c)).collect::<String>();
    let slug = kept.replace(' ', "-");
    let count = seen.entry(slug.clone()).or_insert(0);
    *count += 1;
    if *count == 1 { slug } else { format!("{slug}-{}", *count - 1) }
}

/// What is wrong with a relative link of this document, if anything is.
fn broken(document: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let here = root().join(document);
    let path = if file.is_empty() { here } else { here.parent().unwrap().join(file) };
    if !path.exists() {
        return Some(format!("{document}: {target} leads to no file"));
    }
    let anchor = anchor?;
    let text = std::fs::read_to_string(path).unwrap_or_default();
    (!anchors(&text).contains(anchor)).then(|| format!("{document}: {target} leads to no heading"))
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    for document in documents() {
        let text = read(&document);
        for line in prose(&text) {
            wrong.extend(links(line).into_iter().filter_map(|(_, target)| broken(&document, target)));
        }
    }
    assert!(wrong.is_empty(), "broken links:\n{}", wrong.join("\n"));
}

#[test]
fn anchors_are_those_of_github() {
    let text = "# A title\n## What's new, 2 `x_y`\n```sh\n# no heading\n```\n## A title\n### The [topics](kafka.md)\n";
    let expected = ["a-title", "whats-new-2-x_y", "a-title-1", "the-topics"].map(str::to_owned);
    assert_eq!(anchors(text), BTreeSet::from(expected));
}

#[test]
fn every_document_begins_with_a_paragraph() {
    for document in documents() {
        let text = read(&document);
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let title = lines.next().unwrap_or_default();
        assert!(title.starts_with("# "), "{document} begins with a title, not with: {title}");
        let first = lines.next().unwrap_or_default();
        let is_paragraph = !["#", "|", "```", "- ", "![", "<"].iter().any(|start| first.starts_with(start));
        assert!(is_paragraph && !first.is_empty(), "{document} says first for whom it is, not: {first}");
    }
}

#[test]
fn the_readme_has_at_most_150_lines() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "README.md has {lines} lines: move details to a document");
}

/// The full name of every test, as `cargo test -- --list` prints it, and the file it stands in.
fn tests() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for base in ["src", "tests/all", "tests/faults"] {
        for path in rust_files(&root().join(base)) {
            let file = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let module = module_of(path.strip_prefix(root().join(base)).unwrap());
            let text = std::fs::read_to_string(&path).unwrap();
            found.extend(tests_in(&text, &module).into_iter().map(|name| (name, file.clone())));
        }
    }
    found
}

/// `worker/ledger/mod.rs` is `worker::ledger`.
fn module_of(file: &Path) -> String {
    let path = PathBuf::from(file).with_extension("").display().to_string();
    let path = path.strip_suffix("/mod").unwrap_or(&path).replace('/', "::");
    if ["lib", "main"].contains(&path.as_str()) { String::new() } else { path }
}

/// The tests of a file that rustfmt formatted: a module in it ends at a brace of its own indentation.
fn tests_in(text: &str, module: &str) -> Vec<String> {
    let mut modules: Vec<(usize, String)> = Vec::new();
    let (mut found, mut is_test, mut is_proptest) = (Vec::new(), false, false);
    for line in text.lines() {
        let code = line.trim_start();
        let indentation = line.len() - code.len();
        if code == "}" && modules.last().is_some_and(|(of, _)| *of == indentation) {
            modules.pop();
        }
        let inner = code.trim_start_matches("pub(crate) ").strip_prefix("mod ");
        if let Some(name) = inner.and_then(|rest| rest.strip_suffix(" {")) {
            modules.push((indentation, name.to_owned()));
        }
        is_proptest = (is_proptest && line != "}") || code.starts_with("proptest!");
        is_test |= code == "#[test]" || code.starts_with("#[tokio::test");
        let function = code.trim_start_matches("async ").strip_prefix("fn ").filter(|_| is_test);
        if let Some(name) = function.and_then(|rest| rest.split('(').next()) {
            let inner = modules.iter().map(|(_, name)| name.as_str());
            let path = std::iter::once(module).chain(inner).chain([name]).filter(|part| !part.is_empty());
            found.push(path.collect::<Vec<_>>().join("::"));
            is_test = false;
        }
    }
    found
}

/// The path of a test in backquotes: ``[`module::name`]``.
fn test_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix('`')?.strip_suffix('`')?;
    let is_path = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_:".contains(&b));
    (is_path && name.contains("::")).then_some(name)
}

#[test]
fn every_test_that_the_guarantees_name_is_in_its_file() {
    let tests = tests();
    assert!(tests.len() > 300, "the tests were found: {}", tests.len());
    let mut text = read(GUARANTEES);
    let mut named = BTreeSet::new();
    let mut wrong = Vec::new();
    for (label, target) in text.clone().lines().flat_map(links) {
        let Some(name) = test_name(label) else { continue };
        named.insert(name.to_owned());
        match tests.get(name) {
            None => wrong.push(format!("{name} does not exist")),
            Some(file) if target != format!("../{file}") && is_update() => {
                text = text.replace(&format!("[`{name}`]({target})"), &format!("[`{name}`](../{file})"));
            }
            Some(file) if target != format!("../{file}") => wrong.push(format!("{name} is in {file}, not in {target}")),
            Some(_) => {}
        }
    }
    if is_update() {
        std::fs::write(root().join(GUARANTEES), &text).unwrap();
    }
    assert!(named.len() > 150, "the names were found: {named:?}");
    assert!(wrong.is_empty(), "{GUARANTEES} names tests wrongly:\n{}", wrong.join("\n"));
    let shortened = text.split('`').find(|quoted| quoted.contains("::") && quoted.ends_with('…'));
    assert_eq!(shortened, None, "{GUARANTEES} names tests by their full names");
}

/// The first block of JSON in the README, without its fences.
fn readme_sample(readme: &str) -> &str {
    readme.split("```json\n").nth(1).and_then(|rest| rest.split("```\n").next()).unwrap_or_default()
}

/// JSON for people: short fields share a line of at most 120 characters, an object that is longer has lines of its own.
fn wrapped(value: &Value, indentation: usize) -> String {
    let line = serde_json::to_string(value).unwrap().replace("\":", "\": ").replace(",\"", ", \"");
    let fields = match value {
        Value::Object(fields) if indentation == 0 || line.len() + indentation > 120 => fields,
        _ => return line,
    };
    let mut lines: Vec<String> = Vec::new();
    for (name, field) in fields {
        let part = format!("\"{name}\": {}", wrapped(field, indentation + 2));
        let has_room = |last: &&mut String| last.len() + part.len() + indentation < 117;
        match lines.last_mut().filter(has_room).filter(|last| !last.contains('\n') && !part.contains('\n')) {
            Some(last) => *last = format!("{last}, {part}"),
            None => lines.push(part),
        }
    }
    let margin = " ".repeat(indentation);
    let lines: Vec<String> = lines.iter().map(|line| format!("{margin}  {line}")).collect();
    format!("{{\n{}\n{margin}}}", lines.join(",\n"))
}

#[test]
fn the_sample_of_the_readme_is_a_real_event() {
    let declined = sample_event(CATALOG.iter().find(|row| row.name == "ChargeDeclined").unwrap());
    let readme = read("README.md");
    let written = readme_sample(&readme).to_owned();
    if is_update() {
        let block = wrapped(&declined, 0) + "\n";
        let fenced = |block: &str| format!("```json\n{block}```\n");
        std::fs::write(root().join("README.md"), readme.replace(&fenced(&written), &fenced(&block))).unwrap();
        return;
    }
    let written: Value = serde_json::from_str(&written).expect("the README has a block of JSON");
    assert!(
        written == declined,
        "README.md's sample is out of date; run: UPDATE_DOCS=1 cargo test --test all documents"
    );
}
