//! The in-charge request: an inbox record by which an operator sets since when a merchant has been in our charge. The worker
//! that owns the merchant applies it, since only that worker writes the merchant's state.

use serde::{Deserialize, Serialize};

use crate::domain::pay::{Account, Environment, MerchantId};
use crate::domain::schema_version::NewerVersion;
use crate::domain::timestamp::Timestamp;

/// A request to set the time of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetInChargeSince {
    /// The account.
    pub account: Account,
    /// Since when its merchant has been in our charge; not after `requested_at`.
    pub since: Timestamp,
    /// When the operator asked for it.
    pub requested_at: Timestamp,
}

/// The [`RECORD_KIND`](crate::domain::record_headers::RECORD_KIND) of these records.
pub const KIND: &str = "in-charge-since";

/// The record's value.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    version: u32,
    merchant_id: MerchantId,
    environment: Environment,
    since: Timestamp,
    requested_at: Timestamp,
}

const VERSION: u32 = 1;

impl SetInChargeSince {
    /// The record's value, in JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let Self { account: Account { merchant_id, environment }, since, requested_at } = self.clone();
        let written = Written { version: VERSION, merchant_id, environment, since, requested_at };
        serde_json::to_vec(&written).expect("ids, words and times are plain data")
    }

    /// Parses a record's value. The error says what is wrong.
    pub fn parse(value: &[u8]) -> Result<Self, String> {
        NewerVersion::check_json(value, VERSION).map_err(|newer| format!("an in-charge-since record: {newer}"))?;
        let written: Written =
            serde_json::from_slice(value).map_err(|error| format!("not an in-charge-since record: {error}"))?;
        let Written { version: _, merchant_id, environment, since, requested_at } = written;
        if since > requested_at {
            return Err(format!("an in-charge-since record whose time {since} was in the future"));
        }
        Ok(Self { account: Account { merchant_id, environment }, since, requested_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn request_round_trips_and_bad_fields_are_explained() {
        let written = json!({"version": 1, "merchantId": "M1", "environment": "live",
            "since": "2026-01-02T03:04:05.678Z", "requestedAt": "2026-01-02T03:04:05.678Z"});
        let request = SetInChargeSince::parse(written.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&request.to_json()).unwrap(), written);
        for (field, value, found) in [
            ("version", json!(2), "version 2 is newer than 1"),
            ("merchantId", json!("a/b"), "not a merchant id, which is letters and digits"),
            ("since", json!("soon"), "not a time like"),
            ("since", json!("2026-01-02T03:04:05.679Z"), "was in the future"),
        ] {
            let mut record = written.clone();
            record[field] = value;
            let what = SetInChargeSince::parse(record.to_string().as_bytes()).unwrap_err();
            assert!(what.contains(found), "{field}: {what}");
        }
    }
}
