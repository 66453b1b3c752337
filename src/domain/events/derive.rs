//! What really changed: the last known state of an object against what was just read of it.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::catalog::{EventType, PAYMENT_METHOD_REASONS, Told, event_type, payment_method_type, updated_type};
use super::event::{AttributeChange, Event, attribute_event_id, state_event_id};
use super::evidence::Evidence;
use super::next_action::{PermissionType, Situation, next_action};
use crate::domain::pay::{
    Amount, Fetched, ObjectId, ObjectKind, ObjectRef, PrivateChanges, PrivateDigests, Reason, State,
};
use crate::domain::state::Observed;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::Cause;

/// One read and all that goes with it.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Which object.
    pub object: &'a ObjectRef,
    /// What Amazon answered.
    pub fetched: &'a Fetched,
    /// The permission it belongs to.
    pub permission: Permission<'a>,
    /// On a permission that closes: what its charges captured, as far as they are known.
    pub captured: Option<Amount>,
    /// Where the buyer updates the payment method, with `{ChargePermissionId}` in it.
    pub update_url: &'a str,
    /// What made us look.
    pub causes: &'a [Cause],
    /// This is the second look that settles them.
    pub is_confirming: bool,
    /// When the read began.
    pub read_started_at: Timestamp,
    /// When it ended.
    pub observed_at: Timestamp,
    /// An answer older than what is known was given so often that it is to be believed.
    pub believe_older: bool,
}

/// What is known of a permission when an object of it was read.
#[derive(Clone, Copy, Debug)]
pub struct Permission<'a> {
    /// Which.
    pub id: &'a ObjectId,
    /// Its type, where known.
    pub permission_type: Option<&'a str>,
    /// Its state and when that was read, where it was; not on permissions themselves.
    pub seen: Option<(&'a State, Timestamp)>,
}

/// What a read means.
#[derive(Clone, Debug, PartialEq)]
pub enum Derivation {
    /// Older than what is known: ask again.
    Older,
    /// These events, perhaps none, and from now on this is known.
    Told {
        /// In the order they are to be published.
        events: Vec<Event>,
        /// What is known now.
        observed: Box<Observed>,
        /// Facts differ at an equal time of Amazon's: a second read must agree before that is told.
        ask_again: bool,
    },
}

/// Compares what is known with what was read.
pub fn derive(known: Option<&Observed>, reading: &Reading<'_>) -> Derivation {
    let untold = known.filter(|known| is_told_of_what_was_seeded(known, reading));
    let Some(known) = known.filter(|_| untold.is_none()) else { return first_sight(reading) };
    let fetched = reading.fetched;
    if fetched.last_updated < known.last_updated && !reading.believe_older {
        return Derivation::Older;
    }
    // A stub has no reasons to compare, and no digests: its next look is where comparing begins anew.
    let same_codes = known.is_stub()
        || known.reasons.iter().map(|r| &r.reason_code).eq(fetched.reasons.iter().map(|r| &r.reason_code));
    if fetched.state == known.state && same_codes && fetched.last_updated >= known.last_updated {
        same_state(known, reading)
    } else {
        new_state(known, reading)
    }
}

/// Whether one read is not enough: Amazon's API may lag behind its notifications, so an object that looks older
/// than the newest notification (by more than `slack`) is read once more. A notification about attributes always
/// is, since no time on the object moves with them.
pub fn needs_confirming_read(causes: &[Cause], last_updated: Timestamp, slack: Duration) -> bool {
    causes
        .iter()
        .filter(|cause| cause.is_ipn())
        .any(|cause| cause.is_attribute_change() || cause.timestamp > last_updated.plus(slack))
}

fn first_sight(reading: &Reading<'_>) -> Derivation {
    let fetched = reading.fetched;
    let reached = event_type(fetched.kind, &fetched.state);
    let newest_cause = reading.causes.iter().map(|cause| cause.timestamp).max();
    let is_late = newest_cause.is_some_and(|newest| newest.since(fetched.last_updated) > LATE_AFTER);
    let told_as = match reached.told {
        Told::Reached { updated_when_late: true, .. } if is_late => updated_type(fetched.kind).unwrap_or(reached),
        _ => reached,
    };
    let payment_method_reason = payment_method_reason(None, &fetched.state, &fetched.reasons);
    let observed = Observed { payment_method_reason, ..observed(reading, None) };
    if Cause::are_seeds(reading.causes) {
        return told(vec![], observed);
    }
    told(vec![state_event(told_as, None, reading)], observed)
}

/// Amazon tells us of the very state that was taken down as a baseline and told to nobody: it changed while the baseline
/// was made, and would otherwise be missing. A notification of old, sent again, is not that.
fn is_told_of_what_was_seeded(known: &Observed, reading: &Reading<'_>) -> bool {
    let is_of_it = |cause: &Cause| {
        cause.timestamp >= known.last_updated && cause.timestamp.since(known.last_updated) < NOTIFIED_WITHIN
    };
    let is_as_it_was = reading.fetched.state == known.state && reading.fetched.last_updated == known.last_updated;
    let mut hints = reading.causes.iter().filter(|cause| cause.is_ipn() && !cause.is_attribute_change());
    known.last_event_id.is_none() && is_as_it_was && hints.any(is_of_it)
}

fn new_state(known: &Observed, reading: &Reading<'_>) -> Derivation {
    let fetched = reading.fetched;
    let changes = Changes::between(known, reading);
    let went_back = fetched.last_updated < known.last_updated;
    let reached = event_type(fetched.kind, &fetched.state);
    let event = Event {
        unexpected_transition: went_back || !reached.may_follow(&known.state),
        ..state_event(reached, Some(known), reading)
    };
    let mut next = observed(reading, Some(known));
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
    told(events, next)
}

/// The state is as it was: perhaps something else changed, perhaps only Amazon's time.
fn same_state(known: &Observed, reading: &Reading<'_>) -> Derivation {
    let changes = Changes::between(known, reading);
    let is_newer = reading.fetched.last_updated > known.last_updated;
    if changes.any() && !is_newer {
        let looks = fingerprint(&reading.fetched.snapshot_digest, reading.fetched.private.as_ref());
        if known.unconfirmed_digest.as_ref() != Some(&looks) {
            let read_started_at = reading.read_started_at;
            let observed = Observed { unconfirmed_digest: Some(looks), read_started_at, ..known.clone() };
            return Derivation::Told { events: vec![], observed: Box::new(observed), ask_again: true };
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
        // The second look decides whether anything explains it. What a stub looked like before nobody knows.
        next.attribute_hint_published = known.attribute_hint_published;
    }
    told(events, next)
}

/// What is different beside the state.
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

/// A notification about attributes that nothing visible explains even at the second look: Amazon usually hides the
/// payment method, so that is what has most likely changed. Each such notification is told once.
fn unexplained_hint(known: &Observed, reading: &Reading<'_>) -> Vec<Evidence> {
    let is_news =
        newest_hint(reading).is_some_and(|hint| known.attribute_hint_published.is_none_or(|told| hint > told));
    let is_told = reading.object.kind == ObjectKind::ChargePermission && reading.is_confirming && is_news;
    if is_told { vec![Evidence::AttributeChange] } else { vec![] }
}

fn newest_hint(reading: &Reading<'_>) -> Option<Timestamp> {
    reading.causes.iter().filter(|cause| cause.is_attribute_change()).map(|cause| cause.timestamp).max()
}

fn told(events: Vec<Event>, observed: Observed) -> Derivation {
    let last_event_id = events.last().map(|event| event.id).or(observed.last_event_id);
    Derivation::Told { events, observed: Box::new(Observed { last_event_id, ..observed }), ask_again: false }
}

fn state_event(event_type: &'static EventType, known: Option<&Observed>, reading: &Reading<'_>) -> Event {
    let fetched = reading.fetched;
    let id = state_event_id(reading.object, event_type, &fetched.state, &fetched.reasons, fetched.last_updated);
    event(id, event_type, &[], known, reading)
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
        unexpected_transition: false,
        published_by: None,
    }
}

/// The event that tells of other facts than the state. Refunds have none; a dispute's state is told again.
fn updated_event(known: &Observed, next: &Observed, reading: &Reading<'_>) -> Option<Event> {
    let kind = reading.object.kind;
    let of_state = || (kind == ObjectKind::Dispute).then(|| event_type(kind, &reading.fetched.state));
    let told_as = updated_type(kind).or_else(of_state)?;
    Some(attribute_event(told_as, &[], known, next, reading))
}

fn attribute_event(
    event_type: &'static EventType,
    evidence: &[Evidence],
    known: &Observed,
    next: &Observed,
    reading: &Reading<'_>,
) -> Event {
    let fetched = reading.fetched;
    let before = fingerprint(&known.attributes_digest, known.private.as_ref());
    let after = fingerprint(&next.attributes_digest, next.private.as_ref());
    let change = AttributeChange { evidence, before: &before, after: &after, revision: next.attribute_revision };
    let facts = (&fetched.state, fetched.reasons.as_slice(), fetched.last_updated);
    let id = attribute_event_id(reading.object, event_type, facts, &change);
    event(id, event_type, evidence, Some(known), reading)
}

/// Every fact beside the state, in one word.
fn fingerprint(snapshot_digest: &str, private: Option<&PrivateDigests>) -> String {
    let digests =
        private.map(|private| [&private.payment_descriptor, &private.billing_address, &private.shipping_address]);
    let words = digests.into_iter().flatten().map(|digest| digest.as_deref().unwrap_or("-"));
    words.fold(snapshot_digest.to_owned(), |all, word| all + "/" + word)
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
        attribute_hint_published: newest_hint(reading).max(known.and_then(|known| known.attribute_hint_published)),
        read_started_at: reading.read_started_at,
        last_event_id: known.and_then(|known| known.last_event_id),
    }
}

/// Remembers that the payment method was the trouble, through a charge in progress and other reasons, until the
/// permission is Chargeable again or Closed.
pub(super) fn payment_method_reason(remembered: Option<&str>, state: &State, reasons: &[Reason]) -> Option<String> {
    if matches!(state, State::Chargeable | State::Closed) {
        return None;
    }
    let named =
        reasons.iter().map(|reason| reason.reason_code.as_str()).find(|code| PAYMENT_METHOD_REASONS.contains(code));
    named.or(remembered).map(str::to_owned)
}

/// Amazon's notifications follow a change within seconds.
const NOTIFIED_WITHIN: Duration = Duration::from_hours(1);
const LATE_AFTER: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests;

#[cfg(test)]
mod evidence_tests;

#[cfg(test)]
mod properties;
