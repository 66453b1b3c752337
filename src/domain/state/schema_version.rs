//! The versions of the records that this program writes for itself: inbox, state, and what partitions say about themselves.
//!
//! Workers of two releases run side by side for as long as a rollout takes, and partitions go back and forth between them.
//! So a release reads every format that was ever written, and writes a new one only if the release before it reads that
//! one, too. What is newer all the same is refused: a guess about it could lose or double something.

use serde::Deserialize;

/// A record of a format that only a later release knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "version {found} is newer than {known}, the newest that this release reads; run the release that wrote it, or a later one"
)]
pub struct Newer {
    /// The record's.
    pub found: u32,
    /// The newest that is read here.
    pub known: u32,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Newer {
    /// Whether a record of version `found` is beyond what is read here.
    pub fn check(found: u32, known: u32) -> Result<(), Self> {
        if found > known { Err(Self { found, known }) } else { Ok(()) }
    }

    /// The same of a record in JSON that could not be read otherwise: what it lacks or has in another form may be just
    /// that. One without a version is not newer.
    pub fn check_json(json: &[u8], known: u32) -> Result<(), Self> {
        serde_json::from_slice::<Versioned>(json).map_or(Ok(()), |record| Self::check(record.version, known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_record_is_known_for_one_whatever_else_it_holds() {
        let newer = Newer { found: 3, known: 2 };
        for (json, found) in [
            (r#"{"version":3,"objects":[{}]}"#, Err(newer)),
            (r#"{"version":2,"objects":[{}]}"#, Ok(())),
            (r#"{"objects":[{}]}"#, Ok(())),
            ("nonsense", Ok(())),
        ] {
            assert_eq!(Newer::check_json(json.as_bytes(), 2), found, "{json}");
        }
        assert!(newer.to_string().starts_with("version 3 is newer than 2"), "{newer}");
    }
}
