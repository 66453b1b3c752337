//! What really changed: the last known state of an object against what was just read of it.

use std::time::Duration;

use super::catalog::{EventType, Told, event_type, payment_method_type, updated_type};
use super::event::{AttributeChange, Event, Evidence, attribute_event_id, state_event_id};
use crate::domain::pay::{Fetched, ObjectId, ObjectRef, State, digest};
use crate::domain::state::Observed;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::Cause;

/// One read and all that goes with it.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Which object.
    pub object: &'a ObjectRef,
    /// What Amazon answered.
    pub fetched: &'a Fetched,
    /// The permission it belongs to.
    pub charge_permission_id: &'a ObjectId,
    /// That permission's type, where known.
    pub charge_permission_type: Option<&'a str>,
    /// What made us look.
    pub causes: &'a [Cause],
    /// When the read began.
    pub read_started_at: Timestamp,
    /// When it ended.
    pub observed_at: Timestamp,
    /// An answer older than what is known was given so often that it is to be believed.
    pub believe_older: bool,
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
    let Some(known) = known else { return first_sight(reading) };
    let fetched = reading.fetched;
    if fetched.last_updated < known.last_updated && !reading.believe_older {
        return Derivation::Older;
    }
    let same_codes = known.reasons.iter().map(|r| &r.reason_code).eq(fetched.reasons.iter().map(|r| &r.reason_code));
    if fetched.state == known.state && same_codes && fetched.last_updated == known.last_updated {
        attributes(known, reading)
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
    let event = state_event(told_as, None, reading);
    let payment_method_reason = payment_method_reason(None, reading.fetched);
    let observed = Observed { payment_method_reason, last_event_id: Some(event.id), ..observed(reading, 0) };
    Derivation::Told { events: vec![event], observed: Box::new(observed), ask_again: false }
}

fn new_state(known: &Observed, reading: &Reading<'_>) -> Derivation {
    let fetched = reading.fetched;
    let went_back = fetched.last_updated < known.last_updated;
    let left_final = event_type(fetched.kind, &known.state).is_terminal() && fetched.state != known.state;
    let event = Event {
        unexpected_transition: went_back || left_final,
        ..state_event(event_type(fetched.kind, &fetched.state), Some(known), reading)
    };
    let mut next = observed(reading, known.attribute_revision);
    next.attribute_revision += u64::from(next.attributes_digest != known.attributes_digest);
    next.payment_method_reason = payment_method_reason(known.payment_method_reason.as_deref(), fetched);
    let mut events = vec![event];
    if fetched.state == State::Chargeable && known.payment_method_reason.is_some() {
        events.push(payment_method_updated(known, &next, reading));
    }
    next.last_event_id = events.last().map(|event| event.id);
    Derivation::Told { events, observed: Box::new(next), ask_again: false }
}

fn attributes(known: &Observed, reading: &Reading<'_>) -> Derivation {
    let now = observed(reading, known.attribute_revision);
    let mut next = Observed {
        read_started_at: now.read_started_at,
        charge_permission_type: now.charge_permission_type.clone().or_else(|| known.charge_permission_type.clone()),
        unconfirmed_digest: None,
        ..known.clone()
    };
    let told = |events, next, ask_again| Derivation::Told { events, observed: Box::new(next), ask_again };
    if now.attributes_digest == known.attributes_digest {
        return told(vec![], next, false);
    }
    if known.unconfirmed_digest.as_ref() != Some(&now.attributes_digest) {
        next.unconfirmed_digest = Some(now.attributes_digest);
        return told(vec![], next, true);
    }
    next.attribute_revision += 1;
    next.attributes_digest = now.attributes_digest;
    let events: Vec<Event> = updated_type(reading.fetched.kind)
        .map(|updated| attribute_event(updated, None, known, &next, reading))
        .into_iter()
        .collect();
    next.last_event_id = events.last().map(|event| event.id).or(known.last_event_id);
    told(events, next, false)
}

fn payment_method_updated(known: &Observed, next: &Observed, reading: &Reading<'_>) -> Event {
    attribute_event(payment_method_type(), Some(Evidence::BecameChargeable), known, next, reading)
}

fn state_event(event_type: &'static EventType, known: Option<&Observed>, reading: &Reading<'_>) -> Event {
    let fetched = reading.fetched;
    Event {
        id: state_event_id(reading.object, event_type, &fetched.state, &fetched.reasons, fetched.last_updated),
        event_type,
        object: reading.object.clone(),
        charge_permission_id: reading.charge_permission_id.clone(),
        charge_permission_type: reading.charge_permission_type.map(str::to_owned),
        state: fetched.state.clone(),
        previous_state: known.map(|known| known.state.clone()),
        reasons: fetched.reasons.clone(),
        evidence: None,
        snapshot: fetched.snapshot.clone(),
        causes: reading.causes.to_vec(),
        last_updated: fetched.last_updated,
        observed_at: reading.observed_at,
        request_id: fetched.request_id.clone(),
        unexpected_transition: false,
    }
}

fn attribute_event(
    event_type: &'static EventType,
    evidence: Option<Evidence>,
    known: &Observed,
    next: &Observed,
    reading: &Reading<'_>,
) -> Event {
    let fetched = reading.fetched;
    let (before, after) = (&known.attributes_digest, &next.attributes_digest);
    let change = AttributeChange { evidence, before, after, revision: next.attribute_revision };
    let facts = (&fetched.state, fetched.reasons.as_slice(), fetched.last_updated);
    Event {
        id: attribute_event_id(reading.object, event_type, facts, &change),
        evidence,
        ..state_event(event_type, Some(known), reading)
    }
}

fn observed(reading: &Reading<'_>, attribute_revision: u64) -> Observed {
    let fetched = reading.fetched;
    Observed {
        state: fetched.state.clone(),
        reasons: fetched.reasons.clone(),
        last_updated: fetched.last_updated,
        charge_permission_id: reading.charge_permission_id.clone(),
        charge_permission_type: fetched.charge_permission_type.clone(),
        attributes_digest: digest(&fetched.snapshot),
        attribute_revision,
        unconfirmed_digest: None,
        payment_method_reason: None,
        read_started_at: reading.read_started_at,
        last_event_id: None,
    }
}

/// Remembers that the payment method was the trouble, through a charge in progress and other reasons, until the
/// permission is Chargeable again or Closed.
fn payment_method_reason(remembered: Option<&str>, fetched: &Fetched) -> Option<String> {
    if matches!(fetched.state, State::Chargeable | State::Closed) {
        return None;
    }
    let named = fetched
        .reasons
        .iter()
        .map(|reason| reason.reason_code.as_str())
        .find(|code| PAYMENT_METHOD_REASONS.contains(code));
    named.or(remembered).map(str::to_owned)
}

const PAYMENT_METHOD_REASONS: [&str; 6] = [
    "PaymentMethodInvalid",
    "PaymentMethodDeleted",
    "BillingAddressDeleted",
    "PaymentMethodExpired",
    "PaymentMethodNotAllowed",
    "PaymentMethodNotSet",
];

const LATE_AFTER: Duration = Duration::from_hours(24);

#[cfg(test)]
#[path = "derive_tests.rs"]
mod tests;
