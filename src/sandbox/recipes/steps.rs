//! What happens at Amazon Pay until an event is published.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Change, Ids, ObjectTemplate, Override, Variant, amazon_time};
use crate::domain::events::{EventType, Notice, Trigger, event_type, updated_type};
use crate::domain::pay::{ObjectKind, State};
use crate::domain::state::NoticeRules;

/// The steps to one event. The objects that it needs come first; the last step publishes the event.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The event.
    pub variant: Variant,
    /// In order. Each step waits for the events of the one before.
    pub steps: Vec<Step>,
}

/// One step at Amazon Pay, which the receiver notices.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The object.
    pub kind: ObjectKind,
    /// Its id.
    pub id: String,
    /// When the step happens, Unix in seconds. The last one happens at the time of the recipe.
    pub at_s: i64,
    /// How the object changes; none if it stays as it is.
    pub change: Option<Change>,
    /// How the receiver notices it.
    pub noticed: Noticed,
    /// The types of the events about the object that are published then, in order. The last one is the event of the recipe.
    pub publishes: Vec<&'static EventType>,
}

/// How the receiver notices a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// Amazon posts an IPN.
    ByIpn {
        /// The kind that the IPN names. A chargeback of the old form names a dispute and the id of a charge.
        kind: ObjectKind,
        /// `STATE_CHANGE` or `ATTRIBUTE_CHANGE`.
        notification_type: &'static str,
    },
    /// The receiver reads the object at a date that an earlier read showed.
    AtKnownDate,
}

/// What a recipe depends on beside its variant.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The ids of the objects.
    pub ids: &'a Ids,
    /// Fields of the object of the event.
    pub overrides: &'a [Override],
    /// When the last step happens, Unix in seconds.
    pub at_s: i64,
    /// When the receiver warns of dates.
    pub notices: NoticeRules,
}

/// The steps to this event.
pub fn recipe(variant: Variant, inputs: &Inputs<'_>) -> Result<Recipe, String> {
    let kitchen = Kitchen { variant, inputs };
    let mut steps = kitchen.parents();
    steps.extend(kitchen.object());
    let n_steps = steps.len() as i64;
    for (n, step) in (1..).zip(&mut steps) {
        step.at_s = inputs.at_s - (n_steps - n) * STEP_EVERY_S;
    }
    with_overrides(&mut steps, variant.event.kind, inputs.overrides)?;
    Ok(Recipe { variant, steps })
}

impl Recipe {
    /// How long after its start the recipe happens: a date must not be near before the receiver has seen it.
    pub fn lead(&self) -> Duration {
        let waits = self.steps.iter().any(|step| step.noticed == Noticed::AtKnownDate);
        if waits { KNOWN_DATE_LEAD } else { Duration::ZERO }
    }

    /// The step that publishes the event.
    pub fn last(&self) -> &Step {
        self.steps.last().expect("a recipe has steps")
    }
}

/// The object of the event shows the overrides from its creation on, except fields that change later. In the end it shows all.
fn with_overrides(steps: &mut [Step], kind: ObjectKind, overrides: &[Override]) -> Result<(), String> {
    let changed: Vec<Override> =
        steps.iter().filter_map(|step| step.change.as_ref()).flat_map(|change| change.set.clone()).collect();
    let mut of_object = steps.iter_mut().filter(|step| step.kind == kind).filter_map(|step| step.change.as_mut());
    let Some(first) = of_object.next() else { return Ok(()) };
    for one in overrides {
        one.apply(&mut first.created.clone())?;
    }
    let from_creation = overrides.iter().filter(|one| changed.iter().all(|later| !one.overlaps(later)));
    first.set.extend(from_creation.cloned());
    if let Some(last) = of_object.next_back() {
        last.set.extend_from_slice(overrides);
    } else {
        first.set = [first.set.clone(), overrides.to_vec()].concat();
    }
    Ok(())
}

struct Kitchen<'a> {
    variant: Variant,
    inputs: &'a Inputs<'a>,
}

impl Kitchen<'_> {
    /// The objects above that of the event, which are published first.
    fn parents(&self) -> Vec<Step> {
        let permission = self.reaches(ObjectKind::ChargePermission, "Chargeable", None);
        let charge = self.reaches(ObjectKind::Charge, "Captured", None);
        match self.variant.event.kind {
            ObjectKind::ChargePermission => vec![],
            ObjectKind::Charge => vec![permission],
            ObjectKind::Refund | ObjectKind::Dispute => vec![permission, charge],
        }
    }

    /// The steps of the object of the event.
    fn object(&self) -> Vec<Step> {
        let Variant { event, reason, .. } = self.variant;
        let created = |state| self.reaches(event.kind, state, usual_reason(state));
        match event.trigger {
            Trigger::StateReached { state, .. } => {
                let reached = self.reaches(event.kind, state, reason).with(resolution(state, reason));
                usual_state_before(event).map(created).into_iter().chain([reached]).collect()
            }
            Trigger::UnknownState => {
                vec![created(usual_state(event.kind)), self.reaches(event.kind, STATE_OF_TOMORROW, None)]
            }
            Trigger::AttributesChanged => vec![created(usual_state(event.kind)), self.attributes_change()],
            Trigger::PaymentMethodChanged => {
                let other_card = set("paymentPreferences.0.paymentDescriptor", json!("Mastercard ****4444"));
                vec![created("Chargeable"), self.changes(other_card)]
            }
            Trigger::ChargebackReported => vec![created("Captured"), self.chargeback()],
            Trigger::Notice(Notice::LimitNear) => vec![created("Chargeable"), self.balance_falls()],
            Trigger::Notice(Notice::Expiring | Notice::DeadlineNear) => self.date_comes_near(),
        }
    }

    /// The object reaches a state, and Amazon posts the IPN.
    fn reaches(&self, kind: ObjectKind, state: &'static str, reason: Option<&'static str>) -> Step {
        let change = Change { created: self.created(kind), state: Some(state), reason, set: vec![] };
        let noticed = Noticed::ByIpn { kind, notification_type: "STATE_CHANGE" };
        self.step(kind, Some(change), noticed, vec![event_type(kind, &State::parse(state))])
    }

    /// Attributes of the object change, and Amazon posts the IPN. Its time stays.
    fn changes(&self, set: Vec<Override>) -> Step {
        let event = self.variant.event;
        let change = Change { created: self.created(event.kind), state: None, reason: None, set };
        let noticed = Noticed::ByIpn { kind: event.kind, notification_type: "ATTRIBUTE_CHANGE" };
        self.step(event.kind, Some(change), noticed, vec![event])
    }

    fn attributes_change(&self) -> Step {
        self.changes(match self.variant.event.kind {
            ObjectKind::ChargePermission => set("shippingAddress.addressLine1", json!("BUYER-DATA-MARKER-MOVED")),
            _ => set("refundedAmount", price("9.99")),
        })
    }

    /// An IPN of the old form about a chargeback: the charge itself does not change.
    fn chargeback(&self) -> Step {
        let noticed = Noticed::ByIpn { kind: ObjectKind::Dispute, notification_type: "STATE_CHANGE" };
        self.step(ObjectKind::Charge, None, noticed, vec![self.variant.event])
    }

    /// A charge uses up most of the limit. The permission was NonChargeable in between, so Amazon's time moves.
    fn balance_falls(&self) -> Step {
        let event = self.variant.event;
        let mut step = self.reaches(event.kind, "Chargeable", None).with(set("limits.amountBalance", price("5.00")));
        step.publishes = updated_type(event.kind).into_iter().chain([event]).collect();
        step
    }

    /// Nothing changes but the time: a date comes so near that the receiver warns of it.
    fn date_comes_near(&self) -> Vec<Step> {
        let Variant { event, reason, .. } = self.variant;
        let window = self.inputs.notices.window(event.kind).unwrap_or_default();
        let date = json!(amazon_time(self.inputs.at_s + window.as_secs() as i64));
        let (state, field) = match event.kind {
            ObjectKind::Dispute => ("ActionRequired", "merchantResponseDeadline"),
            _ => ("Chargeable", "expirationTimestamp"),
        };
        let mut first = self.reaches(event.kind, state, reason);
        if let Some(change) = &mut first.change {
            change.created[field] = date;
        }
        vec![first, self.step(event.kind, None, Noticed::AtKnownDate, vec![event])]
    }

    fn step(
        &self,
        kind: ObjectKind,
        change: Option<Change>,
        noticed: Noticed,
        publishes: Vec<&'static EventType>,
    ) -> Step {
        Step { kind, id: self.inputs.ids.of(kind).to_owned(), at_s: 0, change, noticed, publishes }
    }

    fn created(&self, kind: ObjectKind) -> Value {
        let template = ObjectTemplate {
            ids: self.inputs.ids,
            permission_type: self.variant.permission_type,
            amount: "9.99",
            currency: "USD",
            at_s: self.inputs.at_s,
        };
        template.object(kind)
    }
}

impl Step {
    /// The same step, where these fields change, too.
    fn with(mut self, set: Vec<Override>) -> Self {
        if let Some(change) = &mut self.change {
            change.set.extend(set);
        }
        self
    }
}

/// The state from which an object usually reaches that of the event; none if it is created in it.
fn usual_state_before(event: &EventType) -> Option<&'static str> {
    let Trigger::StateReached { state, from, .. } = event.trigger else { return None };
    match state {
        "CaptureInitiated" | "Captured" | "Canceled" => Some("Authorized"),
        _ => from.first().copied(),
    }
}

/// The state in which other things than the state usually happen to an object.
fn usual_state(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::ChargePermission => "Chargeable",
        ObjectKind::Charge => "Captured",
        ObjectKind::Refund => "RefundInitiated",
        ObjectKind::Dispute => "UnderReview",
    }
}

/// The reason of a state that an object only passes through. A payment method that is fixed would have an event of its own.
fn usual_reason(state: &str) -> Option<&'static str> {
    match state {
        "NonChargeable" => Some("MFAFailed"),
        "ActionRequired" => Some("MerchantResponseRequired"),
        _ => None,
    }
}

/// In whose favor a dispute was decided.
fn resolution(state: &str, reason: Option<&str>) -> Vec<Override> {
    match (state, reason) {
        ("Resolved", Some("MerchantAcceptedDispute" | "MerchantResponseDeadlineExpired")) => {
            set("statusDetails.resolution", json!("BuyerWon"))
        }
        ("Resolved", _) => set("statusDetails.resolution", json!("MerchantWon")),
        _ => vec![],
    }
}

fn set(path: &str, value: Value) -> Vec<Override> {
    vec![Override { path: path.to_owned(), value }]
}

fn price(amount: &str) -> Value {
    json!({"amount": amount, "currencyCode": "USD"})
}

/// A state that the catalogue does not have.
const STATE_OF_TOMORROW: &str = "OnHold";
const STEP_EVERY_S: i64 = 60;
/// Time for the receiver to read the object first.
const KNOWN_DATE_LEAD: Duration = Duration::from_secs(3);
