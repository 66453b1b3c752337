//! The README names tests that are there.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_test_that_the_readme_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeSet::new();
    for folder in ["src", "tests"] {
        collect(&root.join(folder), &mut tests);
    }
    assert!(tests.len() > 300, "the tests were found: {}", tests.len());
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let named: BTreeSet<&str> = readme.split('`').filter_map(test_name).collect();
    assert!(named.len() > 60, "the names were found: {named:?}");
    let missing: Vec<&&str> = named.iter().filter(|name| !tests.iter().any(|test| is_named(test, name))).collect();
    assert!(missing.is_empty(), "the README names tests that are not there: {missing:#?}");
}

/// `module::beginning_of_a_test…`
fn test_name(quoted: &str) -> Option<&str> {
    let name = quoted.strip_suffix('…')?;
    let is_path =
        name.contains("::") && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_:".contains(&b));
    is_path.then_some(name)
}

/// Whether a test's path has this part of it, from the beginning of a segment on.
fn is_named(test: &str, name: &str) -> bool {
    test.match_indices(name).any(|(at, _)| at == 0 || test[..at].ends_with("::"))
}

/// The path of every test below a folder, as far as its file tells it.
fn collect(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let file = path.with_extension("").display().to_string().replace("/mod", "").replace('/', "::");
            // A file beside its module: `queue_properties.rs` holds `queue::properties`.
            let beside = file.rsplit_once('_').map(|(module, tests)| format!("{module}::{tests}"));
            let mut lines = text.lines().map(str::trim);
            while let Some(line) = lines.next() {
                if line != "#[test]" && !line.starts_with("proptest!") {
                    continue;
                }
                let Some(name) = lines.by_ref().find_map(|line| line.strip_prefix("fn ")) else { break };
                let name = name.split('(').next().unwrap_or_default();
                let paths = [Some(file.clone()), Some(format!("{file}::tests")), beside.clone()];
                tests.extend(paths.into_iter().flatten().map(|module| format!("{module}::{name}")));
            }
        }
    }
}
