//! What an operator asks the worker to read: a record of the inbox beside those of Amazon's notifications.

use serde::{Deserialize, Serialize};

use crate::domain::pay::{Account, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef};
use crate::domain::state::schema_version::Newer;
use crate::domain::timestamp::Timestamp;

/// One object that an operator wants read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recheck {
    /// Which.
    pub object: ObjectRef,
    /// If nothing is known of it yet, what is read is taken down and not told.
    pub seed: bool,
    /// When it was asked for.
    pub requested_at: Timestamp,
}

/// The [`RECORD_KIND`](crate::domain::record_headers::RECORD_KIND) of these records.
pub const KIND: &str = "recheck";

/// The record's value.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    version: u32,
    merchant_id: MerchantId,
    environment: Environment,
    object_id: ObjectId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object_type: Option<ObjectKind>,
    #[serde(default)]
    seed: bool,
    requested_at: Timestamp,
}

const VERSION: u32 = 1;

impl Recheck {
    /// The record's value, in JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let ObjectRef { account: Account { merchant_id, environment }, kind, id } = self.object.clone();
        let written = Written {
            version: VERSION,
            merchant_id,
            environment,
            object_id: id,
            object_type: Some(kind),
            seed: self.seed,
            requested_at: self.requested_at,
        };
        serde_json::to_vec(&written).expect("ids, words and times are plain data")
    }

    /// Reads a record's value. The error says what is wrong with it.
    pub fn parse(value: &[u8]) -> Result<Self, String> {
        Newer::check_json(value, VERSION).map_err(|newer| format!("a recheck record: {newer}"))?;
        let written: Written =
            serde_json::from_slice(value).map_err(|error| format!("not a recheck record: {error}"))?;
        let Written { merchant_id, environment, object_id: id, object_type, seed, requested_at, .. } = written;
        let kind = object_type.or_else(|| id.kind_hint()).ok_or("a recheck record whose objectType is missing")?;
        let object = ObjectRef { account: Account { merchant_id, environment }, kind, id };
        Ok(Self { object, seed, requested_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn written() -> Value {
        json!({"version": 1, "merchantId": "M1", "environment": "live", "objectId": "P01-1111111-2222222-C000001",
            "objectType": "Charge", "seed": true, "requestedAt": "2026-01-02T03:04:05.678Z"})
    }

    #[test]
    fn what_is_written_is_read_and_looks_as_documented() {
        let recheck = Recheck::parse(written().to_string().as_bytes()).unwrap();
        assert_eq!(recheck.object.kind, ObjectKind::Charge);
        assert!(recheck.seed);
        assert_eq!(serde_json::from_slice::<Value>(&recheck.to_json()).unwrap(), written());
    }

    #[test]
    fn a_type_that_is_not_given_is_told_by_the_id_and_what_cannot_be_read_says_why() {
        for (field, value, found) in [
            ("objectType", Value::Null, Ok(ObjectKind::Charge)),
            ("version", json!(2), Err("version 2 is newer than 1")),
            ("merchantId", json!("a/b"), Err("not a merchant id, which is letters and digits")),
            ("environment", json!("moon"), Err("unknown variant `moon`")),
            ("requestedAt", json!("now"), Err("not a time like")),
        ] {
            let mut record = written();
            record[field] = value;
            match (Recheck::parse(record.to_string().as_bytes()), found) {
                (Ok(recheck), Ok(kind)) => assert_eq!(recheck.object.kind, kind),
                (Err(what), Err(part)) => assert!(what.contains(part), "{what}"),
                (read, _) => panic!("{field}: {read:?}"),
            }
        }
        let mut record = written();
        record["objectType"] = Value::Null;
        record["objectId"] = json!("strange");
        assert!(Recheck::parse(record.to_string().as_bytes()).unwrap_err().contains("objectType is missing"));
    }
}
