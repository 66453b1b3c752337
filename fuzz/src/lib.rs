//! What the fuzz targets and the generator of their seeds share. The targets are in `fuzz_targets/`; `scripts/fuzz`
//! runs them.
//!
//! Nothing here uses the code under test to judge that code.

pub mod signed_text;

pub mod authority;

pub mod parts;

pub mod record;
pub mod stage;

#[cfg(fuzzing)]
pub use libfuzzer_sys::Corpus;

/// Whether libFuzzer may keep an input for its corpus.
#[cfg(not(fuzzing))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corpus {
    /// It may.
    Keep,
    /// It is not worth it.
    Reject,
}

/// Makes a target of a function that takes an input and returns a [`Corpus`]. cargo-fuzz builds it for libFuzzer; every other
/// build is a program that runs the files and folders that it is given once each, also with stable Rust.
#[macro_export]
macro_rules! target {
    ($run:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|input: &[u8]| -> $crate::Corpus { $run(input) });

        #[cfg(not(fuzzing))]
        fn main() {
            $crate::replay($run);
        }
    };
}

/// Runs each file that the arguments name, and each file in the folders that they name.
#[cfg(not(fuzzing))]
pub fn replay(run: fn(&[u8]) -> Corpus) {
    let arguments: Vec<_> = std::env::args_os().skip(1).map(std::path::PathBuf::from).collect();
    assert!(!arguments.is_empty(), "name the files or folders to run, such as fuzz/seeds/TARGET");
    let mut files = Vec::new();
    for path in arguments {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("a readable folder").map(|file| file.expect("a file").path()));
        } else {
            files.push(path);
        }
    }
    files.sort();
    for file in &files {
        println!("{}", file.display());
        run(&std::fs::read(file).expect("a readable file"));
    }
    println!("{} inputs ran without a finding", files.len());
}
