//! From an inbox record to the object that must be read and the cause of that read, or to a dead letter.

use crate::domain::dead_letter::DeadLetterReason;
use crate::domain::ipn::in_charge_request::{self, SetInChargeSince};
use crate::domain::ipn::recheck_request::{self, Recheck};
use crate::domain::ipn::routing::{Merchants, Unroutable};
use crate::domain::ipn::{Ipn, Message};
use crate::domain::pay::{Account, ObjectId, ObjectRef};
use crate::domain::record_headers;
use crate::domain::sns::Envelope;
use crate::domain::state::partitioner::owning_partition;
use crate::domain::trace::TraceParent;
use crate::domain::work::{Cause, ClaimedPermission, Origin};
use crate::kafka::inbox::InboxRecord;

/// An inbox record that leads to a read.
#[derive(Debug)]
pub struct Intake {
    /// The object to read.
    pub object: ObjectRef,
    /// Why it is read.
    pub cause: Cause,
    /// The charge permission that the IPN names, if it names one.
    pub claimed_permission: Option<ObjectId>,
}

/// Why an inbox record becomes a dead letter.
#[derive(Debug)]
pub struct IntakeError {
    /// The reason.
    pub reason: DeadLetterReason,
    /// One sentence that explains it.
    pub detail: String,
}

impl IntakeError {
    fn new(reason: DeadLetterReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    fn not_understood(detail: impl Into<String>) -> Self {
        Self::new(DeadLetterReason::NotUnderstood, detail)
    }
}

/// Parses a record and routes it to its merchant.
pub fn parse(merchants: &Merchants, record: &InboxRecord) -> Result<Intake, IntakeError> {
    record.check_schema().map_err(IntakeError::not_understood)?;
    if record.header(record_headers::RECORD_KIND) == Some(recheck_request::KIND) {
        return parse_recheck(merchants, record);
    }
    // The signature was verified before the append, and only ipn-receiver appends to the inbox.
    let envelope = Envelope::parse(&record.value).map_err(|error| IntakeError::not_understood(error.to_string()))?;
    let ipn = match Message::parse(&envelope.message) {
        Message::Ipn(ipn) => ipn,
        Message::LegacyV1 { notification_type } => {
            let detail = format!("a V1 (MWS) notification of type {notification_type}");
            return Err(IntakeError::not_understood(detail));
        }
        Message::NotUnderstood(why) => return Err(IntakeError::not_understood(why)),
    };
    let object = route(merchants, &envelope, &ipn, record)?;
    let message_id = envelope.message_id.parse().expect("an envelope's MessageId is a UUID");
    let given = record.header(record_headers::TRACEPARENT).and_then(TraceParent::parse);
    let origin = Origin::Ipn {
        message_id,
        notification_type: ipn.notification_type,
        position: record.position,
        traceparent: given.filter(|given| *given != TraceParent::of_message(message_id)).map(Box::new),
        chargeback: ipn.is_chargeback_of_charge,
        permission: ClaimedPermission::new(ipn.charge_permission_id.clone(), &object),
    };
    let cause = Cause { origin, timestamp: envelope.timestamp };
    tracing::debug!(
        object_id = %object.id, merchant = %object.account.merchant_id, environment = %object.account.environment,
        sns_message_id = %message_id, trace_id = cause.trace_id(), "IPN consumed from inbox"
    );
    Ok(Intake { object, cause, claimed_permission: ipn.charge_permission_id })
}

fn route(
    merchants: &Merchants,
    envelope: &Envelope,
    ipn: &Ipn,
    record: &InboxRecord,
) -> Result<ObjectRef, IntakeError> {
    let topic = envelope.topic_arn.as_str();
    let routed = merchants.route(&envelope.topic_arn, ipn).map_err(|unroutable| match unroutable {
        Unroutable::UnknownMerchant => unknown_merchant(&ipn.merchant_id),
        Unroutable::Misrouted => IntakeError::new(
            DeadLetterReason::Misrouted,
            format!("merchant {} is not configured for topic {topic} and object {}", ipn.merchant_id, ipn.object_id),
        ),
    });
    let object = routed?;
    if record.key != object.account.merchant_id.as_str().as_bytes() {
        // The ingress keys a record of an unknown merchant differently, so it may lie in a partition that another
        // worker owns. Only one worker may read a merchant's objects.
        return Err(IntakeError::new(
            DeadLetterReason::UnknownMerchant,
            format!("merchant {} was configured after this IPN was received; redrive it", ipn.merchant_id),
        ));
    }
    Ok(object)
}

/// A record that `ipn-receiver recheck` appended. It must meet the same conditions as an IPN.
fn parse_recheck(merchants: &Merchants, record: &InboxRecord) -> Result<Intake, IntakeError> {
    let Recheck { object, seed, requested_at } = Recheck::parse(&record.value).map_err(IntakeError::not_understood)?;
    check_account(merchants, &object.account, record)?;
    let origin = Origin::Recheck { position: record.position, seed };
    Ok(Intake { object, cause: Cause { origin, timestamp: requested_at }, claimed_permission: None })
}

/// A record that `ipn-receiver in-charge-since` appended. None for any other record.
pub fn parse_in_charge_since(
    merchants: &Merchants,
    record: &InboxRecord,
) -> Option<Result<SetInChargeSince, IntakeError>> {
    let is_it = record.header(record_headers::RECORD_KIND) == Some(in_charge_request::KIND);
    let parse = || {
        record.check_schema().and_then(|()| SetInChargeSince::parse(&record.value)).map_err(IntakeError::not_understood)
    };
    let check = |request: SetInChargeSince| check_account(merchants, &request.account, record).map(|()| request);
    is_it.then(|| parse().and_then(check))
}

/// Checks that an operator's request is about a configured account, and that the account's owner has consumed it.
fn check_account(merchants: &Merchants, account: &Account, record: &InboxRecord) -> Result<(), IntakeError> {
    if record.key != account.merchant_id.as_str().as_bytes() {
        let kind = record.header(record_headers::RECORD_KIND).unwrap_or_default();
        return Err(IntakeError::not_understood(format!("a record of kind {kind} whose key is not its merchant")));
    }
    if !merchants.knows(&account.merchant_id) {
        return Err(unknown_merchant(&account.merchant_id));
    }
    if !merchants.has(account) {
        let detail = format!("merchant {} is not configured for {}", account.merchant_id, account.environment);
        return Err(IntakeError::new(DeadLetterReason::Misrouted, detail));
    }
    Ok(())
}

/// Checks that a record is in the partition of its merchant. Another worker may own that one, and only one worker may read a
/// merchant's objects.
pub(in crate::worker) fn check_partition(
    account: &Account,
    record: &InboxRecord,
    partitions: i32,
) -> Result<(), IntakeError> {
    let (found, owning) = (record.position.partition, owning_partition(&account.merchant_id, partitions));
    if found == owning {
        return Ok(());
    }
    let detail = format!("a record of merchant {} in partition {found} instead of {owning}", account.merchant_id);
    Err(IntakeError::not_understood(detail))
}

fn unknown_merchant(merchant: &impl std::fmt::Display) -> IntakeError {
    IntakeError::new(DeadLetterReason::UnknownMerchant, format!("no merchants[] entry has id {merchant}"))
}
