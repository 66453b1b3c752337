//! Inbox records that an operator made.

use crate::domain::dead_letter::DeadLetterReason;
use crate::domain::ipn::recheck_request::Recheck;
use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::ObjectRef;
use crate::domain::work::{Cause, Origin};
use crate::kafka::inbox::InboxRecord;

/// The object that such a record asks for, under the same terms as a notification's.
pub(in crate::worker) fn read(
    merchants: &Merchants,
    record: &InboxRecord,
) -> Result<(ObjectRef, Cause), (DeadLetterReason, String)> {
    let Recheck { object, seed, requested_at } =
        Recheck::parse(&record.value).map_err(|what| (DeadLetterReason::NotUnderstood, what))?;
    let account = &object.account;
    if record.key != account.merchant_id.as_str().as_bytes() {
        return Err((DeadLetterReason::NotUnderstood, "a recheck record whose key is not its merchant".to_owned()));
    }
    if !merchants.knows(&account.merchant_id) {
        let detail = format!("no merchants[] entry has id {}", account.merchant_id);
        return Err((DeadLetterReason::UnknownMerchant, detail));
    }
    if !merchants.has(account) {
        let detail = format!("merchant {} is not configured for {}", account.merchant_id, account.environment);
        return Err((DeadLetterReason::Misrouted, detail));
    }
    let origin = Origin::Recheck { position: record.position, seed };
    Ok((object, Cause { origin, timestamp: requested_at }))
}
