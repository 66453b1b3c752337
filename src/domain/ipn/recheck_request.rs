//! The recheck request: an inbox record by which an operator asks the worker to read an object.

use serde::{Deserialize, Serialize};

use crate::domain::pay::{Account, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef};
use crate::domain::schema_version::NewerVersion;
use crate::domain::timestamp::Timestamp;

/// A request to read one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recheck {
    /// The object to read.
    pub object: ObjectRef,
    /// If the object has no known state, the read only records a baseline and publishes nothing.
    pub seed: bool,
    /// When the operator asked for it.
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

    /// Parses a record's value. The error says what is wrong.
    pub fn parse(value: &[u8]) -> Result<Self, String> {
        NewerVersion::check_json(value, VERSION).map_err(|newer| format!("a recheck record: {newer}"))?;
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
    fn recheck_request_round_trips_in_the_documented_form() {
        let recheck = Recheck::parse(written().to_string().as_bytes()).unwrap();
        assert_eq!(recheck.object.kind, ObjectKind::Charge);
        assert!(recheck.seed);
        assert_eq!(serde_json::from_slice::<Value>(&recheck.to_json()).unwrap(), written());
    }

    #[test]
    fn missing_type_is_inferred_and_bad_fields_are_explained() {
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
