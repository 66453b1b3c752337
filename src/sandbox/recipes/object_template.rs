//! New objects, as Amazon Pay returns them, with dates around a given time.

use serde_json::{Value, json};

use super::Ids;
use crate::domain::pay::ObjectKind;
use crate::domain::timestamp::Timestamp;
use crate::sandbox::pay_api::{charge, charge_permission, dispute, refund};

/// What a new object holds.
#[derive(Clone, Copy, Debug)]
pub struct ObjectTemplate<'a> {
    /// Its own id, and those of the objects above it.
    pub ids: &'a Ids,
    /// The type of the charge permission.
    pub permission_type: &'a str,
    /// The amount of a charge, refund or dispute.
    pub amount: &'a str,
    /// Its currency.
    pub currency: &'a str,
    /// About now, Unix in seconds.
    pub at_s: i64,
}

impl ObjectTemplate<'_> {
    /// The object of this kind.
    pub fn object(&self, kind: ObjectKind) -> Value {
        let &Self { ids, permission_type, amount, currency, at_s } = self;
        let (permission_id, charge_id) = (ids.of(ObjectKind::ChargePermission), ids.of(ObjectKind::Charge));
        let mut object = match kind {
            ObjectKind::ChargePermission => charge_permission(permission_id, permission_type),
            ObjectKind::Charge => charge(charge_id, permission_id, amount, currency),
            ObjectKind::Refund => refund(ids.of(kind), charge_id, amount, currency),
            ObjectKind::Dispute => dispute(ids.of(kind), charge_id, amount, currency),
        };
        let (created, expires) = match kind {
            ObjectKind::ChargePermission => (-30, 150),
            ObjectKind::Charge | ObjectKind::Refund | ObjectKind::Dispute => (-1, 29),
        };
        let day = |n: i64| json!(amazon_time(at_s + n * DAY_S));
        for (field, date) in [
            ("creationTimestamp", day(created)),
            ("expirationTimestamp", day(expires)),
            ("merchantResponseDeadline", day(10)),
        ] {
            if let Some(value) = object.get_mut(field) {
                *value = date;
            }
        }
        object
    }
}

/// A time in Amazon's form: `20260102T030405Z`.
pub(super) fn amazon_time(unix_s: i64) -> String {
    Timestamp::from_unix_ms(unix_s * 1000).basic()
}

const DAY_S: i64 = 86_400;
