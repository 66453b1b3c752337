//! The certificates that the generator of the seeds signed with keys that were not kept. What they are for is in their
//! files' names: `root-…`, `issuer-…` (stands between), `good-…` (a leaf that must pass) and `bad-…` (one that must not).

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The good ones, DER.
pub struct Signed {
    pub roots: Vec<Vec<u8>>,
    pub issuers: Vec<Vec<u8>>,
    pub leaves: Vec<Vec<u8>>,
}

impl Signed {
    /// Reads the seeds.
    pub fn read() -> Self {
        let [roots, issuers, leaves] =
            ["root-", "issuer-", "good-"].map(|prefix| certificates(&seeds("certificate"), prefix));
        assert!(!roots.is_empty() && !issuers.is_empty() && !leaves.is_empty(), "run the generator of the seeds");
        Self { roots, issuers, leaves }
    }
}

/// The folder of a target's seeds.
pub fn seeds(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target)
}

/// A PEM file with this in it, a certificate or not.
pub fn pem(der: &[u8], line_end: &str) -> String {
    let base64 = STANDARD.encode(der);
    let lines = base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + line_end);
    format!("-----BEGIN CERTIFICATE-----{line_end}{}-----END CERTIFICATE-----{line_end}", lines.collect::<String>())
}

fn certificates(folder: &Path, prefix: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(prefix) && name.ends_with(".der")
    };
    files.filter(is_meant).map(|path| fs::read(path).unwrap()).collect()
}
