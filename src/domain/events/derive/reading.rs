//! What a derivation starts from: one read, and what is known of the permission.

use crate::domain::events::next_action::PermissionSeen;
use crate::domain::pay::{Amount, Fetched, ObjectId, ObjectRef};
use crate::domain::state::{NoticeRules, RetryAwaited};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::Cause;

/// One read of an object, with everything that the derivation depends on.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The object that was read.
    pub object: &'a ObjectRef,
    /// Amazon's answer.
    pub fetched: &'a Fetched,
    /// The permission that the object belongs to.
    pub permission: Permission<'a>,
    /// On a permission that closes: the sum that its known charges captured.
    pub captured: Option<Amount>,
    /// Page where the buyer updates the payment method; contains `{ChargePermissionId}`.
    pub update_url: &'a str,
    /// When merchants are warned of dates and limits.
    pub notices: NoticeRules,
    /// Why the object was read.
    pub causes: &'a [Cause],
    /// The read began long enough after the oldest ATTRIBUTE_CHANGE IPN among the causes: an attribute that explains the IPN
    /// would be visible.
    pub hint_is_ripe: bool,
    /// When the read began.
    pub read_started_at: Timestamp,
    /// When the answer was compared.
    pub observed_at: Timestamp,
    /// Accept an answer that is older than known state, since Amazon gave it repeatedly.
    pub accept_stale: bool,
    /// At first sight, what happened from then on is published under its own type however late it is found. None is never.
    pub in_charge_since: Option<Timestamp>,
}

/// What is known of a permission when one of its objects was read.
#[derive(Clone, Copy, Debug)]
pub struct Permission<'a> {
    /// Its id, which is the key of the event record.
    pub id: &'a ObjectId,
    /// Its type, if known.
    pub permission_type: Option<&'a str>,
    /// What was last read of it, if it was. None for reads of the permission itself.
    pub seen: Option<PermissionSeen<'a>>,
    /// A published event of the permission or of one of its charges advises to wait until it can be charged again.
    pub retry_awaited: Option<RetryAwaited>,
}

impl<'a> Reading<'a> {
    /// An answer of this time; nothing else is known, and no cause asked for it.
    pub fn of(object: &'a ObjectRef, fetched: &'a Fetched, permission: Permission<'a>, at: Timestamp) -> Self {
        Self {
            object,
            fetched,
            permission,
            captured: None,
            update_url: "",
            notices: NoticeRules::default(),
            causes: &[],
            hint_is_ripe: false,
            read_started_at: at,
            observed_at: at,
            accept_stale: false,
            in_charge_since: None,
        }
    }
}

impl<'a> Permission<'a> {
    /// A permission that was never read.
    pub fn unread(id: &'a ObjectId, permission_type: Option<&'a str>) -> Self {
        Self { id, permission_type, seen: None, retry_awaited: None }
    }
}
