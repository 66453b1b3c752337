//! Which reads follow a read, because Amazon's API may lag behind its IPNs.

use std::time::Duration;

use super::{Reading, hints};
use crate::domain::pay::ObjectKind;
use crate::domain::state::Observed;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::Cause;

/// Which further reads the causes of a read need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmingReads {
    /// The read answered every cause.
    None,
    /// One, some time after the IPN.
    Once,
    /// Several, at growing distances from the IPN, as long as the object is older than the IPN.
    UntilSettled,
}

/// The confirming reads that the causes of a read still need, after the read led to `observed`.
///
/// Amazon's API may lag behind its IPNs, so an object that is older than its newest IPN by more than `slack` is read again.
/// An unreadable time proves neither, so one more read must do. An ATTRIBUTE_CHANGE IPN moves no time of the object.
pub fn confirming_reads(reading: &Reading<'_>, observed: &Observed, slack: Duration) -> ConfirmingReads {
    let ipns = || reading.causes.iter().filter(|cause| cause.is_ipn());
    let is_permission = reading.fetched.kind == ObjectKind::ChargePermission;
    let has_newer = |at: Timestamp| ipns().any(|cause| !cause.is_evidence() && cause.timestamp > at.plus(slack));
    match reading.fetched.last_updated {
        Some(at) if has_newer(at) => ConfirmingReads::UntilSettled,
        _ if hints::are_open(observed, reading) => ConfirmingReads::Once,
        None if ipns().next().is_some() => ConfirmingReads::Once,
        _ if !is_permission && ipns().any(Cause::is_attribute_change) => ConfirmingReads::Once,
        _ => ConfirmingReads::None,
    }
}
