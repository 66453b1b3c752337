//! Which fields of an answer are published, and in which form. A field that Amazon adds is not published until it is listed here,
//! since it may hold buyer data.

use serde_json::{Map, Value};

use super::Answer;
use crate::domain::pay::ids::ObjectKind;
use crate::domain::pay::private_details::FreeText;
use crate::domain::pay::values::{Field, Form, Shape, Unreadable, field, publish};

/// All attributes that are safe to publish, in their strict forms.
pub(super) fn snapshot(kind: ObjectKind, answer: &mut Answer<'_>, free_text: FreeText) -> Map<String, Value> {
    let Answer { object, details, unreadable } = answer;
    let mut snapshot = publish(own_fields(kind), object, unreadable);
    snapshot.extend(publish(RESOLUTION, details, unreadable));
    // The merchant's own order number; the free text beside it may name a buyer.
    let metadata_fields = match free_text {
        FreeText::Dropped => &MERCHANT_METADATA[..1],
        FreeText::Published => MERCHANT_METADATA,
    };
    match field(object, METADATA) {
        Some(Value::Object(metadata)) => snapshot.extend(publish(metadata_fields, metadata, unreadable)),
        None | Some(Value::Null) => {}
        other => unreadable.push(Unreadable { field: METADATA, shape: Shape::of(other) }),
    }
    snapshot
}

/// Every field that the snapshot of an object of this kind may have.
pub fn published_fields(kind: ObjectKind) -> Vec<Field> {
    [own_fields(kind), RESOLUTION, MERCHANT_METADATA].concat()
}

/// In the object itself.
fn own_fields(kind: ObjectKind) -> &'static [Field] {
    match kind {
        ObjectKind::ChargePermission => PERMISSION,
        ObjectKind::Charge => CHARGE,
        ObjectKind::Refund => REFUND,
        ObjectKind::Dispute => DISPUTE,
    }
}

const PERMISSION: &[Field] = &[
    Field::new("chargePermissionReferenceId", Form::Text),
    Field::new("recurringMetadata", Form::Group(RECURRING)),
    Field::new("paymentMethodOnFileMetadata", Form::Group(ON_FILE)),
    Field::new("limits", Form::Group(LIMITS)),
    Field::new("presentmentCurrency", Form::Currency),
    Field::new("platformId", Form::Text),
    CREATED,
    EXPIRES,
];
const RECURRING: &[Field] = &[
    Field::within("recurringMetadata.frequency", "frequency", Form::Group(FREQUENCY)),
    Field::within("recurringMetadata.amount", "amount", Form::Price),
];
const FREQUENCY: &[Field] = &[
    Field::within("recurringMetadata.frequency.unit", "unit", Form::Word),
    Field::within("recurringMetadata.frequency.value", "value", Form::Text),
];
const ON_FILE: &[Field] = &[Field::within("paymentMethodOnFileMetadata.setupOnly", "setupOnly", Form::Flag)];
const LIMITS: &[Field] = &[
    Field::within("limits.amountLimit", "amountLimit", Form::Price),
    Field::within("limits.amountBalance", "amountBalance", Form::Price),
];
const CHARGE: &[Field] = &[
    Field::new("chargeAmount", Form::Price),
    Field::new("captureAmount", Form::Price),
    Field::new("refundedAmount", Form::Price),
    Field::new("convertedAmount", Form::Price),
    Field::new("conversionRate", Form::Decimal),
    SOFT_DESCRIPTOR,
    Field::new("captureNow", Form::Flag),
    Field::new("canHandlePendingAuthorization", Form::Flag),
    Field::new("chargeInitiator", Form::Word),
    Field::new("channel", Form::Word),
    Field::new("platformId", Form::Text),
    CREATED,
    EXPIRES,
];
const REFUND: &[Field] = &[CHARGE_ID, Field::new("refundAmount", Form::Price), SOFT_DESCRIPTOR, CREATED];
const DISPUTE: &[Field] = &[
    CHARGE_ID,
    Field::new("disputeType", Form::Word),
    Field::new("disputeAmount", Form::Price),
    Field::new("filingReason", Form::Word),
    Field::new("merchantResponseDeadline", Form::Time),
    Field::new("resolutionAuthority", Form::Word),
    CREATED,
];
const CHARGE_ID: Field = Field::new("chargeId", Form::Id);
const SOFT_DESCRIPTOR: Field = Field::new("softDescriptor", Form::Text);
const CREATED: Field = Field::new("creationTimestamp", Form::Time);
const EXPIRES: Field = Field::new("expirationTimestamp", Form::Time);
/// In `statusDetails`.
const RESOLUTION: &[Field] = &[Field::new("resolution", Form::Word)];
const METADATA: &str = "merchantMetadata";
const MERCHANT_METADATA: &[Field] = &[
    Field::new("merchantReferenceId", Form::Text),
    Field::new("noteToBuyer", Form::Text),
    Field::new("customInformation", Form::Text),
];

/// Every name in [`Unreadable::field`].
pub const FIELD_NAMES: &[&str] = &[
    "canHandlePendingAuthorization",
    "captureAmount",
    "captureNow",
    "channel",
    "chargeAmount",
    "chargeId",
    "chargeInitiator",
    "chargePermissionId",
    "chargePermissionReferenceId",
    "chargePermissionType",
    "conversionRate",
    "convertedAmount",
    "creationTimestamp",
    "currencyCode",
    "customInformation",
    "disputeAmount",
    "disputeType",
    "expirationTimestamp",
    "filingReason",
    "lastUpdatedTimestamp",
    "limits",
    "limits.amountBalance",
    "limits.amountLimit",
    "merchantMetadata",
    "merchantReferenceId",
    "merchantResponseDeadline",
    "noteToBuyer",
    "paymentMethodOnFileMetadata",
    "paymentMethodOnFileMetadata.setupOnly",
    "platformId",
    "presentmentCurrency",
    "reasons",
    "recurringMetadata",
    "recurringMetadata.amount",
    "recurringMetadata.frequency",
    "recurringMetadata.frequency.unit",
    "recurringMetadata.frequency.value",
    "refundAmount",
    "refundedAmount",
    "releaseEnvironment",
    "resolution",
    "resolutionAuthority",
    "softDescriptor",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pay::values::CURRENCY_CODE;

    fn paths(fields: &[Field], all: &mut Vec<&'static str>) {
        for field in fields {
            all.push(field.path);
            if let Form::Group(within) = field.form {
                paths(within, all);
            }
        }
    }

    #[test]
    fn field_names_are_those_of_the_tables() {
        let mut all =
            vec!["lastUpdatedTimestamp", "reasons", "releaseEnvironment", "chargePermissionId", "chargePermissionType"];
        all.push(METADATA);
        for fields in [PERMISSION, CHARGE, REFUND, DISPUTE, RESOLUTION, MERCHANT_METADATA, &[CURRENCY_CODE]] {
            paths(fields, &mut all);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, FIELD_NAMES);
    }
}
