//! Reads a record of the state topic. What cannot be used says why, since what follows differs: a damaged record is rebuilt, a
//! record of a later release is left alone, and a foreign one is ignored.

use super::{KnownState, Observed};
use crate::domain::pay::ObjectRef;
use crate::domain::schema_version::NewerVersion;

/// Why a record of the state topic cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// A later release wrote it.
    #[error(transparent)]
    Newer(#[from] NewerVersion),
    /// It is under a key of the receiver, and its value cannot be read.
    #[error("{0}")]
    Damaged(String),
    /// The receiver writes no record with this key, or not in this partition.
    #[error("{0}")]
    Foreign(&'static str),
}

impl Unusable {
    /// A value that is not the JSON of a record. The text names no content.
    pub(super) fn not_read(error: &serde_json::Error) -> Self {
        Self::Damaged(format!("column {}", error.column()))
    }

    /// The value of the metrics label `what`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Newer(_) => "newer",
            Self::Damaged(_) => "damaged",
            Self::Foreign(_) => "foreign",
        }
    }
}

impl KnownState {
    /// Reads the value of the record of this object. `newest` is the newest version that this release reads.
    pub fn read(object: &ObjectRef, value: &[u8], newest: u32) -> Result<Self, Unusable> {
        if value.len() > RECORD_BYTES_MAX {
            return Err(Unusable::Damaged(format!("{} bytes, more than {RECORD_BYTES_MAX}", value.len())));
        }
        let decoded = serde_json::from_slice(value);
        let state: Self = match decoded {
            Ok(state) => state,
            Err(error) => {
                NewerVersion::check_json(value, newest)?;
                return Err(Unusable::not_read(&error));
            }
        };
        NewerVersion::check(state.version, newest)?;
        if state.object != *object {
            return Err(Unusable::Damaged("it is about another object than its key".to_owned()));
        }
        if state.counts().any(|count| count > COUNT_MAX) {
            return Err(Unusable::Damaged(format!("a count above {COUNT_MAX}")));
        }
        Ok(state)
    }

    /// Whether the record can be read back.
    pub fn is_writable(&self) -> bool {
        self.observed.as_ref().is_none_or(Observed::is_writable) && self.counts().all(|count| count <= COUNT_MAX)
    }

    /// Keeps each count at most [`COUNT_MAX`], so that what is written can be read back. Only a record that another program
    /// wrote has such counts.
    pub fn limit_counts(&mut self) {
        if let Some(Observed { repeats, attribute_revision, unconfirmed_reads, upcoming, .. }) = &mut self.observed {
            for count in [repeats, attribute_revision, unconfirmed_reads, &mut upcoming.limit_crossings] {
                *count = (*count).min(COUNT_MAX);
            }
        }
        self.sequence = self.sequence.map(|sequence| sequence.min(COUNT_MAX));
    }

    fn counts(&self) -> impl Iterator<Item = u64> {
        let counts = |observed: &Observed| {
            let Observed { repeats, attribute_revision, unconfirmed_reads, upcoming, .. } = observed;
            [*repeats, *attribute_revision, *unconfirmed_reads, upcoming.limit_crossings]
        };
        self.observed.iter().flat_map(counts).chain(self.sequence)
    }
}

impl Observed {
    /// Whether it is short enough for a record that can be read back.
    pub fn is_writable(&self) -> bool {
        self.json_bytes() <= OBSERVED_BYTES_MAX
    }

    /// The length of its JSON.
    pub fn json_bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }
}

/// No count of the receiver becomes so great. The greatest are milliseconds since 1970.
pub const COUNT_MAX: u64 = 1 << 53;
/// The longest JSON of [`Observed`] that is written.
pub const OBSERVED_BYTES_MAX: usize = 200_000;
/// With what is observed, a record holds at most 16 causes and a few ids.
const RECORD_BYTES_MAX: usize = OBSERVED_BYTES_MAX + 56_000;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::pay::{Account, Environment, MerchantId, ObjectId, ObjectKind};
    use crate::domain::state::VERSION;

    fn object() -> ObjectRef {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        ObjectRef { account, kind: ObjectKind::Charge, id: ObjectId::parse("P01-1-2-C3").unwrap() }
    }

    fn read(change: impl FnOnce(&mut Value)) -> Result<KnownState, Unusable> {
        let mut value = serde_json::to_value(KnownState::blank(object())).unwrap();
        change(&mut value);
        KnownState::read(&object(), value.to_string().as_bytes(), VERSION)
    }

    #[test]
    fn count_at_its_limit_stays_readable() {
        let mut state = read(|record| record["sequence"] = json!(COUNT_MAX)).unwrap();
        state.next_sequence(crate::domain::timestamp::Timestamp::from_unix_ms(0));
        state.limit_counts();
        let written = serde_json::to_vec(&state).unwrap();
        assert_eq!(KnownState::read(&object(), &written, VERSION), Ok(state));
    }

    #[test]
    fn record_that_cannot_be_used_says_why() {
        assert!(read(|_| ()).is_ok());
        for (change, what, text) in [
            ("version", json!(2), "newer 2"),
            ("version", json!(4_000_000_000_u32), "newer 4000000000"),
            ("version", json!(-1), "damaged column"),
            ("object", json!("P01"), "damaged column"),
            ("sequence", json!(u64::MAX), "damaged a count above"),
            ("filler", json!("x".repeat(300_000)), "damaged 300"),
            (
                "object",
                json!({"account": {"merchantId": "M2", "environment": "live"}, "kind": "Charge", "id": "P01-1-2-C3"}),
                "damaged it is about another",
            ),
        ]
        .map(|(name, value, says)| (move |record: &mut Value| record[name] = value, name, says))
        {
            let unusable = read(change).unwrap_err();
            let found = match &unusable {
                Unusable::Newer(newer) => format!("newer {}", newer.found),
                other => format!("{} {other}", other.as_str()),
            };
            assert!(found.starts_with(text), "{what}: {found}");
        }
    }
}
