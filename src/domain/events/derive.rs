//! Compares the known state of an object with a fresh read, and derives the events to publish.
//!
//! A pure function: the same known state and the same read always give the same events with the same ids.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::catalog::{EventType, PAYMENT_METHOD_REASONS, Trigger, event_type, payment_method_type, updated_type};
use super::event::{AttributeChange, Event, StateFacts, attribute_event_id, codes, state_event_id};
use super::evidence::Evidence;
use super::next_action::{PermissionType, Situation, next_action};
use crate::domain::pay::{
    Amount, Fetched, ObjectId, ObjectKind, ObjectRef, PrivateChanges, PrivateDigests, Reason, State,
};
use crate::domain::state::Observed;
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
    /// Why the object was read.
    pub causes: &'a [Cause],
    /// This is the confirming read of these causes.
    pub is_confirming: bool,
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
    /// Its state and when it was read, if it was. None for reads of the permission itself.
    pub seen: Option<(&'a State, Timestamp)>,
}

/// The result of comparing a read with known state.
#[derive(Clone, Debug, PartialEq)]
pub enum Derivation {
    /// The answer is older than known state; read again.
    Stale,
    /// The answer is current.
    Current {
        /// The events to publish, in order; may be empty.
        events: Vec<Event>,
        /// The new known state.
        observed: Box<Observed>,
        /// Attributes differ although Amazon's time is the same. A second read must agree before an event is published.
        is_unconfirmed: bool,
    },
}

/// Compares known state with a read.
pub fn derive(known: Option<&Observed>, reading: &Reading<'_>) -> Derivation {
    let Some(known) = known.filter(|known| !is_notified_of_baseline(known, reading)) else {
        return first_sight(reading);
    };
    let fetched = reading.fetched;
    let is_older = is_before(fetched.last_updated, known.last_updated.or(known.newest_update));
    if is_older && !reading.accept_stale {
        return Derivation::Stale;
    }
    // A stub has no reasons and no digests to compare. The next read becomes the new basis of comparison.
    let same_codes = known.is_stub() || codes(&known.reasons) == codes(&fetched.reasons);
    if fetched.state == known.state && same_codes && !is_older {
        same_state(known, reading)
    } else {
        new_state(known, reading)
    }
}

/// Whether a confirming read is needed. Amazon's API may lag behind its IPNs, so an object that is older than the newest
/// IPN by more than `slack` is read once more. An ATTRIBUTE_CHANGE IPN always needs a confirming read, since no time on
/// the object moves with attributes.
pub fn needs_confirming_read(causes: &[Cause], last_updated: Option<Timestamp>, slack: Duration) -> bool {
    causes
        .iter()
        .filter(|cause| cause.is_ipn())
        .any(|cause| cause.is_attribute_change() || last_updated.is_none_or(|at| cause.timestamp > at.plus(slack)))
}

fn first_sight(reading: &Reading<'_>) -> Derivation {
    let fetched = reading.fetched;
    let reached = event_type(fetched.kind, &fetched.state);
    let may_be_old = matches!(reached.trigger, Trigger::StateReached { updated_when_late: true, .. });
    let published_as = updated_type(fetched.kind).filter(|_| may_be_old && is_history(reading)).unwrap_or(reached);
    let payment_method_reason = payment_method_reason(None, &fetched.state, &fetched.reasons);
    let observed = Observed { payment_method_reason, ..observed(reading, None) };
    if Cause::are_seeds(reading.causes) {
        return current(vec![], observed);
    }
    current(vec![state_event(published_as, None, reading)], observed)
}

/// Whether the state was reached before the merchant was in our charge, and no cause came within a day of it.
fn is_history(reading: &Reading<'_>) -> bool {
    let Some(reached_at) = reading.fetched.last_updated else { return false };
    let is_prompt = |cause: &Cause| cause.timestamp.since(reached_at) <= LATE_AFTER;
    let is_before = reading.in_charge_since.is_none_or(|since| reached_at < since);
    is_before && !reading.causes.is_empty() && !reading.causes.iter().any(is_prompt)
}

/// Whether an IPN arrived for the very state that was recorded as a baseline without an event. The object changed while the
/// baseline was recorded, so without this event the change would be missing. An old IPN that Amazon sends again is ignored.
fn is_notified_of_baseline(known: &Observed, reading: &Reading<'_>) -> bool {
    let Some(updated) = known.last_updated else { return false };
    let is_recent = |cause: &Cause| cause.timestamp >= updated && cause.timestamp.since(updated) < NOTIFIED_WITHIN;
    let is_unchanged = reading.fetched.state == known.state && reading.fetched.last_updated == known.last_updated;
    let mut ipns = reading.causes.iter().filter(|cause| cause.is_ipn() && !cause.is_attribute_change());
    known.last_event_id.is_none() && is_unchanged && ipns.any(is_recent)
}

fn new_state(known: &Observed, reading: &Reading<'_>) -> Derivation {
    let fetched = reading.fetched;
    let changes = Changes::between(known, reading);
    let went_back = is_before(fetched.last_updated, known.last_updated.or(known.newest_update));
    let reached = event_type(fetched.kind, &fetched.state);
    let event = Event {
        unexpected_transition: went_back || !reached.may_follow(&known.state),
        ..state_event(reached, Some(known), reading)
    };
    let mut next = observed(reading, Some(known));
    next.repeats = known.repeats.max(repeat(Some(known), fetched));
    next.attribute_revision += u64::from(changes.any());
    next.payment_method_reason =
        payment_method_reason(known.payment_method_reason.as_deref(), &fetched.state, &fetched.reasons);
    let became_chargeable = fetched.state == State::Chargeable && known.payment_method_reason.is_some();
    let mut evidence = changes.evidence();
    if became_chargeable {
        evidence.insert(0, Evidence::BecameChargeable);
    }
    let mut events = vec![event];
    if !evidence.is_empty() {
        events.push(attribute_event(payment_method_type(), &evidence, known, &next, reading));
    }
    if changes.private.shipping_address {
        events.extend(updated_event(known, &next, reading));
    }
    current(events, next)
}

/// The state is unchanged; attributes or Amazon's time may have changed.
fn same_state(known: &Observed, reading: &Reading<'_>) -> Derivation {
    let changes = Changes::between(known, reading);
    let is_newer = is_before(known.newest_update(), reading.fetched.last_updated);
    if changes.any() && !is_newer {
        let unconfirmed = fingerprint(&reading.fetched.snapshot_digest, reading.fetched.private.as_ref());
        if known.unconfirmed_digest.as_ref() != Some(&unconfirmed) {
            let read_started_at = reading.read_started_at;
            let observed = Observed { unconfirmed_digest: Some(unconfirmed), read_started_at, ..known.clone() };
            return Derivation::Current { events: vec![], observed: Box::new(observed), is_unconfirmed: true };
        }
    }
    let mut next = observed(reading, Some(known));
    next.payment_method_reason.clone_from(&known.payment_method_reason);
    let evidence = if changes.any() { changes.evidence() } else { unexplained_hint(known, reading) };
    next.attribute_revision += u64::from(changes.any() || !evidence.is_empty());
    let mut events = Vec::new();
    if !evidence.is_empty() {
        events.push(attribute_event(payment_method_type(), &evidence, known, &next, reading));
    }
    if changes.snapshot || changes.private.shipping_address {
        events.extend(updated_event(known, &next, reading));
    }
    if !(reading.is_confirming || changes.any() || known.is_stub()) {
        // The confirming read decides whether an attribute explains the IPN. The former attributes of a stub are unknown.
        next.hint_settled = known.hint_settled;
    }
    current(events, next)
}

/// Which attributes changed.
struct Changes {
    snapshot: bool,
    private: PrivateChanges,
}

impl Changes {
    fn between(known: &Observed, reading: &Reading<'_>) -> Self {
        let private = match (&reading.fetched.private, &known.private) {
            (Some(now), Some(then)) => now.changes_since(then),
            _ => PrivateChanges::default(),
        };
        let snapshot = !known.is_stub() && reading.fetched.snapshot_digest != known.attributes_digest;
        Self { snapshot, private }
    }

    fn any(&self) -> bool {
        self.snapshot || self.private != PrivateChanges::default()
    }

    fn evidence(&self) -> Vec<Evidence> {
        let descriptor = self.private.payment_descriptor.then_some(Evidence::DescriptorChanged);
        let billing_address = self.private.billing_address.then_some(Evidence::BillingAddressChanged);
        descriptor.into_iter().chain(billing_address).collect()
    }
}

/// Evidence for an ATTRIBUTE_CHANGE IPN that no visible attribute explains even after the confirming read. Amazon usually
/// hides the payment method, so most likely the payment method changed. Each such IPN causes one event.
fn unexplained_hint(known: &Observed, reading: &Reading<'_>) -> Vec<Evidence> {
    let is_new = newest_hint(reading).is_some_and(|hint| known.hint_settled.is_none_or(|published| hint > published));
    let is_published = reading.object.kind == ObjectKind::ChargePermission && reading.is_confirming && is_new;
    if is_published { vec![Evidence::AttributeChange] } else { vec![] }
}

fn newest_hint(reading: &Reading<'_>) -> Option<Timestamp> {
    reading.causes.iter().filter(|cause| cause.is_attribute_change()).map(|cause| cause.timestamp).max()
}

fn current(events: Vec<Event>, observed: Observed) -> Derivation {
    let last_event_id = events.last().map(|event| event.id).or(observed.last_event_id);
    Derivation::Current { events, observed: Box::new(Observed { last_event_id, ..observed }), is_unconfirmed: false }
}

fn state_event(event_type: &'static EventType, known: Option<&Observed>, reading: &Reading<'_>) -> Event {
    let id = state_event_id(&StateFacts { repeat: repeat(known, reading.fetched), ..state_facts(event_type, reading) });
    let is_late = reading.fetched.last_updated.is_some_and(|at| reading.observed_at.since(at) > LATE_AFTER);
    Event { is_late, ..event(id, event_type, &[], known, reading) }
}

fn event(
    id: Uuid,
    event_type: &'static EventType,
    evidence: &[Evidence],
    known: Option<&Observed>,
    reading: &Reading<'_>,
) -> Event {
    let fetched = reading.fetched;
    Event {
        id,
        event_type,
        object: reading.object.clone(),
        charge_permission_id: reading.permission.id.clone(),
        charge_permission_type: reading.permission.permission_type.map(str::to_owned),
        state: fetched.state.clone(),
        previous_state: known.map(|known| known.state.clone()),
        reasons: fetched.reasons.clone(),
        evidence: evidence.to_vec(),
        permission_seen: reading.permission.seen.map(|(state, at)| (state.clone(), at)),
        next_action: next_action(event_type, &situation(evidence, known, reading)),
        snapshot: fetched.snapshot.clone(),
        causes: reading.causes.to_vec(),
        last_updated: fetched.last_updated,
        observed_at: reading.observed_at,
        request_id: fetched.request_id.clone(),
        is_late: false,
        unexpected_transition: false,
        published_by: None,
    }
}

/// The event for changed attributes. Refunds have none; a dispute publishes the event of its state again.
fn updated_event(known: &Observed, next: &Observed, reading: &Reading<'_>) -> Option<Event> {
    let kind = reading.object.kind;
    let of_state = || (kind == ObjectKind::Dispute).then(|| event_type(kind, &reading.fetched.state));
    let published_as = updated_type(kind).or_else(of_state)?;
    Some(attribute_event(published_as, &[], known, next, reading))
}

fn attribute_event(
    event_type: &'static EventType,
    evidence: &[Evidence],
    known: &Observed,
    next: &Observed,
    reading: &Reading<'_>,
) -> Event {
    let before = fingerprint(&known.attributes_digest, known.private.as_ref());
    let after = fingerprint(&next.attributes_digest, next.private.as_ref());
    let change = AttributeChange { evidence, before: &before, after: &after, revision: next.attribute_revision };
    let id = attribute_event_id(&state_facts(event_type, reading), &change);
    event(id, event_type, evidence, Some(known), reading)
}

fn state_facts<'a>(event_type: &'a EventType, reading: &Reading<'a>) -> StateFacts<'a> {
    let Fetched { state, reasons, last_updated, .. } = reading.fetched;
    StateFacts { object: reading.object, event_type, state, reasons, last_updated: *last_updated, repeat: 0 }
}

/// Zero for an event whose time is newer than all earlier ones of the object, else a number that no other of its events has.
/// Amazon's time may repeat, go back or be unreadable, so it cannot distinguish two changes.
fn repeat(known: Option<&Observed>, fetched: &Fetched) -> u64 {
    let Some(known) = known else { return 0 };
    let is_newer = fetched.last_updated.is_some() && fetched.last_updated > known.newest_update();
    if is_newer { 0 } else { known.repeats + 1 }
}

/// Whether both times are known and the first is before the second.
fn is_before(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one < other)
}

/// All attributes beside the state, as one text.
fn fingerprint(snapshot_digest: &str, private: Option<&PrivateDigests>) -> String {
    let digests =
        private.map(|private| [&private.payment_descriptor, &private.billing_address, &private.shipping_address]);
    let parts = digests.into_iter().flatten().map(|digest| digest.as_deref().unwrap_or("-"));
    parts.fold(snapshot_digest.to_owned(), |all, part| all + "/" + part)
}

fn situation<'a>(evidence: &'a [Evidence], known: Option<&Observed>, reading: &Reading<'a>) -> Situation<'a> {
    let fetched = reading.fetched;
    let was_unusable = known.is_some_and(|known| {
        known.state == State::NonChargeable
            && (known.payment_method_reason.is_some()
                || known.reasons.iter().any(|reason| reason.reason_code != "ChargeInProgress"))
    });
    Situation {
        kind: fetched.kind,
        state: &fetched.state,
        reasons: &fetched.reasons,
        permission_type: PermissionType::of(reading.permission.permission_type),
        is_first_sight: known.is_none(),
        is_chargeable_again: was_unusable,
        is_used_up: fetched.is_used_up(reading.captured),
        evidence,
        deadline: fetched.snapshot.get("merchantResponseDeadline").and_then(Value::as_str),
        charge_permission_id: reading.permission.id,
        update_url: reading.update_url,
    }
}

fn observed(reading: &Reading<'_>, known: Option<&Observed>) -> Observed {
    let fetched = reading.fetched;
    let private = match (&fetched.private, known.and_then(|known| known.private.as_ref())) {
        (Some(now), Some(then)) => Some(now.over(then)),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    };
    Observed {
        state: fetched.state.clone(),
        reasons: fetched.reasons.clone(),
        last_updated: fetched.last_updated,
        newest_update: known.and_then(Observed::newest_update).filter(|newest| Some(*newest) > fetched.last_updated),
        repeats: known.map_or(0, |known| known.repeats),
        charge_permission_id: reading.permission.id.clone(),
        charge_permission_type: fetched
            .charge_permission_type
            .clone()
            .or_else(|| known.and_then(|known| known.charge_permission_type.clone())),
        attributes_digest: fetched.snapshot_digest.clone(),
        attribute_revision: known.map_or(0, |known| known.attribute_revision),
        unconfirmed_digest: None,
        payment_method_reason: None,
        captured: (fetched.kind == ObjectKind::Charge).then(|| fetched.captured()).flatten(),
        private,
        hint_explained_at: known.and_then(|known| known.hint_explained_at),
        hint_settled: newest_hint(reading).max(known.and_then(|known| known.hint_settled)),
        read_started_at: reading.read_started_at,
        last_event_id: known.and_then(|known| known.last_event_id),
    }
}

/// The payment-method reason of a permission that cannot be charged. It is remembered while other reasons, such as a charge
/// in progress, replace it, until the permission is Chargeable or Closed.
pub(super) fn payment_method_reason(remembered: Option<&str>, state: &State, reasons: &[Reason]) -> Option<String> {
    if matches!(state, State::Chargeable | State::Closed) {
        return None;
    }
    let named =
        reasons.iter().map(|reason| reason.reason_code.as_str()).find(|code| PAYMENT_METHOD_REASONS.contains(code));
    named.or(remembered).map(str::to_owned)
}

/// Amazon's IPNs follow a change within seconds; one hour leaves room for delays.
const NOTIFIED_WITHIN: Duration = Duration::from_hours(1);
const LATE_AFTER: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests;

#[cfg(test)]
mod evidence_tests;

#[cfg(test)]
mod properties;
