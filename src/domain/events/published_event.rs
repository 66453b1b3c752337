//! Rebuilds known state from published events, for objects whose state record is lost.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::awaited::{self, Advice};
use super::catalog::{Notice, notice_type};
use super::derive::payment_method_reason;
use super::next_action::{AWAITING_RETRY, ActionCode};
use crate::domain::ipn::NotificationType;
use crate::domain::pay::{Account, ObjectId, ObjectKind, ObjectRef, Reason, State, captured, digest};
use crate::domain::state::PermissionIdSource;
use crate::domain::state::in_charge::InCharge;
use crate::domain::state::{COUNT_MAX, KnownState, Observed, RetryAwaited, known_date};
use crate::domain::timestamp::Timestamp;

/// The parts of a published event that known state is rebuilt from.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedEvent {
    /// The object that the event is about.
    pub object: ObjectRef,
    id: Uuid,
    time: Option<Timestamp>,
    sequence: u64,
    /// What the event warns of, if it is a notice.
    notice: Option<Notice>,
    data: Data,
}

/// The published events of many objects, reduced to the latest state of each.
#[derive(Debug, Default)]
pub struct History {
    objects: HashMap<ObjectRef, (u64, Observed)>,
    /// By permission.
    permissions: HashMap<ObjectRef, PermissionHistory>,
    /// When the earliest event of each account was published.
    earliest: HashMap<Account, Timestamp>,
}

/// What all events of a permission and of its objects leave behind.
#[derive(Debug, Default)]
struct PermissionHistory {
    sequence: u64,
    retry_awaited: Option<RetryAwaited>,
}

#[derive(Deserialize)]
struct Structured {
    #[serde(flatten)]
    attributes: Attributes,
    data: Data,
}

#[derive(Deserialize)]
struct Attributes {
    id: Uuid,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    time: Option<Timestamp>,
    sequence: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    object_type: ObjectKind,
    object_id: ObjectId,
    charge_permission_id: ObjectId,
    #[serde(default)]
    charge_permission_id_source: Option<PermissionIdSource>,
    charge_permission_type: Option<String>,
    state: State,
    reasons: Vec<Reason>,
    next_action: PublishedAction,
    snapshot: Map<String, Value>,
    causes: Vec<PublishedCause>,
    observed_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct PublishedAction {
    code: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublishedCause {
    notification_type: Option<NotificationType>,
    timestamp: Timestamp,
}

impl PublishedEvent {
    /// Reads a record in either content mode. `None` if it is not an event of the receiver.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a [u8]>, value: &[u8]) -> Option<Self> {
        let text = |name: &str| std::str::from_utf8(header(name)?).ok();
        let (attributes, data) = if text("ce_id").is_some() {
            let attributes = Attributes {
                id: text("ce_id")?.parse().ok()?,
                source: text("ce_source")?.to_owned(),
                event_type: text("ce_type")?.to_owned(),
                time: text("ce_time").and_then(Timestamp::parse_sns),
                sequence: text("ce_sequence")?.to_owned(),
            };
            (attributes, serde_json::from_slice(value).ok()?)
        } else {
            let Structured { attributes, data } = serde_json::from_slice(value).ok()?;
            (attributes, data)
        };
        let account = Account::parse(attributes.source.strip_prefix("/amazonpay/")?)?;
        Some(Self {
            object: ObjectRef { account, kind: data.object_type, id: data.object_id.clone() },
            id: attributes.id,
            time: attributes.time,
            // A greater number could not be increased.
            sequence: attributes.sequence.parse().ok().filter(|sequence| *sequence <= COUNT_MAX)?,
            notice: notice_of(&attributes.event_type),
            data,
        })
    }

    /// What merchants wait for after this event. The code says almost as well as the text whether they wait: at worst one more
    /// event says RETRY_CHARGE.
    fn retry_awaited(&self, before: Option<RetryAwaited>) -> Option<RetryAwaited> {
        let code = |code: ActionCode| self.data.next_action.code == code.as_str();
        let advice = Advice {
            object: (self.data.object_type, &self.data.state),
            may_charge: code(ActionCode::RetryCharge),
            may_check: code(ActionCode::RetryChargeAfterPermissionCheck),
            advises_to_wait: AWAITING_RETRY.iter().any(|awaiting| code(*awaiting)),
            last_updated: self.time,
        };
        // Events do not carry the time of the permission's state.
        awaited::after_advice(before, &advice, None)
    }

    fn observed(self, before: Option<&Observed>) -> Observed {
        let Data { charge_permission_id, charge_permission_type, state, reasons, snapshot, causes, .. } = self.data;
        let is_hint = |cause: &&PublishedCause| cause.notification_type == Some(NotificationType::AttributeChange);
        let hint = causes.iter().filter(is_hint).map(|cause| cause.timestamp).max();
        let remembered = before.and_then(|before| before.payment_method_reason.as_deref());
        let has_moved = before.is_some();
        let date = known_date(self.object.kind, &state, &snapshot);
        let mut upcoming = before.map(|before| before.upcoming.clone()).unwrap_or_default();
        upcoming.date = date;
        match (self.notice, date) {
            (Some(Notice::Expiring | Notice::DeadlineNear), Some(date)) => _ = upcoming.note(date),
            (Some(Notice::LimitNear), _) => {
                // As with the attribute revision below, no earlier number is as great.
                (upcoming.is_limit_near, upcoming.limit_crossings) = (true, self.sequence);
            }
            (_, _) => {}
        }
        Observed {
            payment_method_reason: payment_method_reason(remembered, &state, &reasons),
            state,
            reasons,
            last_updated: self.time,
            newest_update: before.and_then(Observed::newest_update).filter(|newest| Some(*newest) > self.time),
            // Events do not carry this number either. The sequence number is greater than any earlier one.
            repeats: self.sequence,
            charge_permission_id,
            charge_permission_id_source: self.data.charge_permission_id_source,
            charge_permission_type: charge_permission_type.filter(|_| self.object.kind == ObjectKind::ChargePermission),
            attributes_digest: digest(&snapshot),
            // Events do not carry the attribute revision. The sequence number is greater than any earlier revision, so the
            // ids of later attribute events differ from all earlier ones.
            attribute_revision: self.sequence,
            unconfirmed_digest: None,
            captured: captured(&snapshot).filter(|_| self.object.kind == ObjectKind::Charge),
            private: None,
            hint_settled: hint.max(before.and_then(|before| before.hint_settled)),
            hint_explained_at: None,
            retry_advised_at: None,
            usable_since: None,
            unconfirmed_reads: 0,
            has_moved,
            stub: false,
            upcoming,
            read_started_at: self.data.observed_at,
            // Events do not carry it, so every IPN that the inbox still holds is read again.
            read_after: None,
            last_event_id: Some(self.id),
        }
    }
}

impl History {
    /// Adds an event. The events of an object must come in the order of `sequence`; an older one changes nothing.
    pub fn add(&mut self, event: PublishedEvent) {
        let published_at = event.data.observed_at;
        let earliest = self.earliest.entry(event.object.account.clone()).or_insert(published_at);
        *earliest = published_at.min(*earliest);
        let permission = event.object.sibling(ObjectKind::ChargePermission, event.data.charge_permission_id.clone());
        let permission = self.permissions.entry(permission).or_default();
        if event.sequence > permission.sequence {
            permission.sequence = event.sequence;
            permission.retry_awaited = event.retry_awaited(permission.retry_awaited);
        }
        let before = self.objects.remove(&event.object);
        let known = match before {
            Some((sequence, observed)) if sequence >= event.sequence => (sequence, observed),
            before => (event.sequence, event.clone().observed(before.as_ref().map(|(_, observed)| observed))),
        };
        self.objects.insert(event.object, known);
    }

    /// Since when the merchant of each account has been in our charge, as far as the events show it. Amazon's time of the
    /// first event would be too early: the first sight of an old object is an event, too.
    pub fn in_charge(&self) -> Vec<InCharge> {
        self.earliest.iter().map(|(account, since)| InCharge::new(account.clone(), *since)).collect()
    }

    /// Known state of each object after its last event, and the last `sequence` of each permission.
    pub fn into_known(self) -> Vec<KnownState> {
        let mut known: HashMap<ObjectRef, KnownState> = HashMap::new();
        let blank = |object: ObjectRef| (object.clone(), KnownState::blank(object));
        for (object, (_, observed)) in self.objects {
            let (key, blank) = blank(object);
            known.entry(key).or_insert(blank).observed = Some(observed);
        }
        for (permission, PermissionHistory { sequence, retry_awaited }) in self.permissions {
            let (key, blank) = blank(permission);
            let state = known.entry(key).or_insert(blank);
            (state.sequence, state.retry_awaited) = (Some(sequence), retry_awaited);
        }
        known.into_values().collect()
    }
}

fn notice_of(event_type: &str) -> Option<Notice> {
    let is_type = |notice: &Notice| event_type.ends_with(&format!(".{}.v1", notice_type(*notice).name));
    [Notice::Expiring, Notice::LimitNear, Notice::DeadlineNear].into_iter().find(is_type)
}

#[cfg(test)]
mod tests;
