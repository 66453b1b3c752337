//! Versions of the records that are private to the receiver: inbox records, state records, partition counts and
//! completeness markers.
//!
//! During a rollout, workers of two releases run side by side and hand partitions to each other. So a release reads every
//! format that was ever written, and writes a new format only if the previous release reads it too. A record with a newer
//! version is refused: reading it by guess could lose or duplicate events.

use serde::Deserialize;

/// A record whose format only a later release knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "version {found} is newer than {known}, the newest that this release reads; run the release that wrote it, or a later one"
)]
pub struct NewerVersion {
    /// Version of the record.
    pub found: u32,
    /// Newest version that this release reads.
    pub known: u32,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl NewerVersion {
    /// Fails if `found` is newer than `known`.
    pub fn check(found: u32, known: u32) -> Result<(), Self> {
        if found > known { Err(Self { found, known }) } else { Ok(()) }
    }

    /// The same for a JSON record that could not be decoded, which its newer version may explain. A record without a version
    /// is not newer.
    pub fn check_json(json: &[u8], known: u32) -> Result<(), Self> {
        serde_json::from_slice::<Versioned>(json).map_or(Ok(()), |record| Self::check(record.version, known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_record_is_recognized_by_version_alone() {
        let newer = NewerVersion { found: 3, known: 2 };
        for (json, found) in [
            (r#"{"version":3,"objects":[{}]}"#, Err(newer)),
            (r#"{"version":2,"objects":[{}]}"#, Ok(())),
            (r#"{"objects":[{}]}"#, Ok(())),
            ("nonsense", Ok(())),
        ] {
            assert_eq!(NewerVersion::check_json(json.as_bytes(), 2), found, "{json}");
        }
        assert!(newer.to_string().starts_with("version 3 is newer than 2"), "{newer}");
    }
}
