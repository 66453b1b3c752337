//! Makes the running receiver publish one event: changes objects at the simulated Amazon Pay, posts signed IPNs, and waits for
//! the events on their topic. Nothing is shortened: an event comes by the way of every other.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::environment::{Hint, SandboxEnvironment};
use super::events::EventReader;
use super::pay_api::{self, Environment};
use super::recipes::{Ids, Inputs, Noticed, Override, Recipe, Step, Variant, recipe};
use crate::domain::events::{Notice, Trigger, name_of_type};
use crate::domain::pay::{self, ObjectId, ObjectKind};
use crate::domain::state::NoticeRules;

/// Everything that a recipe needs.
pub(super) struct Performer<'a> {
    pub(super) environment: &'a SandboxEnvironment,
    /// The URL of the receiver.
    pub(super) post_to: &'a str,
    /// What the receiver publishes.
    pub(super) events: &'a broadcast::Sender<Arc<Value>>,
    pub(super) notices: NoticeRules,
}

/// The event that is wanted: the body of `POST /trigger`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Request {
    /// The event type.
    pub(super) event: String,
    /// Amazon's reason code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// The type of the charge permission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) permission_type: Option<String>,
    /// The id of the object of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// `path=value`, for fields of that object.
    pub(super) set: Vec<String>,
    /// How long to wait for the event.
    pub(super) timeout_ms: u64,
}

/// What came of a request: the answer to `POST /trigger`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    /// The event; null if it was not published in time.
    pub(super) event: Option<Value>,
    /// What was waited for last, for people.
    pub(super) awaited: String,
    /// The IPNs, in order.
    pub(super) posted: Vec<Posted>,
    /// The reads of these objects, in order of their first read.
    pub(super) read: Vec<Read>,
    /// The events of the charge permission, in order, the wanted one included.
    pub(super) published: Vec<Published>,
}

/// An IPN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Posted {
    /// What it says.
    pub(super) ipn: String,
    /// The status of the receiver's answer; none without an answer.
    pub(super) status: Option<u16>,
    /// The body of that answer, or why there is none.
    pub(super) answer: String,
}

/// Reads of one object with one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Read {
    /// Method and path.
    pub(super) request: String,
    /// The status of the answer; none without an answer.
    pub(super) status: Option<u16>,
    /// How many.
    pub(super) times: usize,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Published {
    /// The CloudEvents `type`.
    pub(super) r#type: String,
    /// The id of its object.
    pub(super) subject: String,
}

impl Performer<'_> {
    /// Causes the event and waits for it. The error is about the request.
    pub(super) async fn perform(&self, request: &Request) -> Result<Outcome, String> {
        let deadline = Instant::now() + Duration::from_millis(request.timeout_ms);
        let began = std::time::Instant::now();
        let planned = self.plan(request)?;
        let mut followed = Followed::new(self.events, planned.ids.of(ObjectKind::ChargePermission));
        let mut posted = Vec::new();
        let mut event = None;
        let mut awaited = String::new();
        for step in &planned.recipe.steps {
            posted.extend(self.take(step).await);
            for published in &step.publishes {
                awaited = format!("{} of {}", published.name, step.id);
                event = followed.wait_for(published.name, &step.id, deadline).await;
            }
            if event.is_none() {
                break;
            }
        }
        Ok(Outcome { event, awaited, posted, read: self.reads(&planned.ids, began), published: followed.published() })
    }

    /// Changes the object of a step, and posts its IPN.
    async fn take(&self, step: &Step) -> Option<Posted> {
        let (environment, kind) = (self.environment, pay_api::ObjectKind::from(step.kind));
        let mut at_s = step.at_s;
        if let Some(change) = &step.change {
            if change.state.is_some() {
                at_s = environment.time_of_change(&step.id, at_s);
            }
            let existing = environment.pay_api.get(Environment::Sandbox, kind, &step.id);
            environment.pay_api.put(Environment::Sandbox, kind, change.apply(existing, at_s));
        }
        let Noticed::ByIpn { kind: named, notification_type } = step.noticed else { return None };
        let hint = Hint { merchant: &environment.merchants[0], kind: named.into(), id: &step.id, notification_type };
        let sent_at = OffsetDateTime::from_unix_timestamp(at_s).expect("about now") + SENT_AFTER;
        let body = environment.sns.notification(&environment.draft(&hint, sent_at));
        let (status, answer) = match environment.post_to(self.post_to, &body).await {
            Ok(answer) => (Some(answer.status), answer.body),
            Err(error) => (None, error.to_string()),
        };
        Some(Posted { ipn: format!("{notification_type} of {} {}", hint.kind.name(), step.id), status, answer })
    }

    fn reads(&self, ids: &Ids, since: std::time::Instant) -> Vec<Read> {
        let is_of_recipe =
            |path: &str| ObjectKind::ALL.iter().any(|kind| path.ends_with(&format!("/{}", ids.of(*kind))));
        let mut found: Vec<Read> = Vec::new();
        for read in self.environment.pay_api.reads() {
            if read.at < since || !is_of_recipe(&read.path) {
                continue;
            }
            let request = format!("{} {}", read.method, read.path);
            match found.iter_mut().find(|known| known.request == request && known.status == read.status) {
                Some(known) => known.times += 1,
                None => found.push(Read { request, status: read.status, times: 1 }),
            }
        }
        found
    }

    fn plan(&self, request: &Request) -> Result<Planned, String> {
        let Request { event, reason, permission_type, id, set, .. } = request;
        let mut variant = Variant::find(event, reason.as_deref(), permission_type.as_deref())?;
        let overrides = set.iter().map(|text| Override::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let existing = match id {
            Some(id) => self.existing(variant.event.kind, id)?,
            None => None,
        };
        if let Some(existing) = &existing {
            variant = Variant::find(event, reason.as_deref(), Some(&existing.permission_type))?;
            existing.check(&variant, permission_type.as_deref())?;
        }
        let ids = ids(&variant, id.as_deref(), existing.as_ref());
        let inputs = |at_s| Inputs { ids: &ids, overrides: &overrides, at_s, notices: self.notices };
        let now_s = OffsetDateTime::now_utc().unix_timestamp();
        let lead = recipe(variant, &inputs(now_s))?.lead();
        let mut recipe = recipe(variant, &inputs(now_s + lead.as_secs() as i64))?;
        let last = recipe.steps.pop();
        recipe.steps.retain(|step| self.object(step.kind, &step.id).is_none());
        recipe.steps.extend(last);
        Ok(Planned { recipe, ids })
    }

    /// The object with this id, if Amazon Pay has it already. The error says that no object of this kind has such an id.
    fn existing(&self, kind: ObjectKind, id: &str) -> Result<Option<Existing>, String> {
        let is_of_kind = ObjectId::parse(id)
            .is_some_and(|id| id.kind_hint() == Some(kind) && id.environment_hint() == Some(pay::Environment::Sandbox));
        if !is_of_kind {
            let example = Ids::new(pay::Environment::Sandbox, "OneTime", EXAMPLE);
            return Err(format!(
                "--id {id} is not an id of a {} in Amazon's sandbox; an example is {}",
                pay_api::ObjectKind::from(kind).name(),
                example.of(kind)
            ));
        }
        let Some(object) = self.object(kind, id) else { return Ok(None) };
        let text = |object: &Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
        let charge = text(&object, "chargeId");
        let permission = match kind {
            ObjectKind::ChargePermission => id.to_owned(),
            ObjectKind::Charge => text(&object, "chargePermissionId"),
            ObjectKind::Refund | ObjectKind::Dispute => {
                text(&self.object(ObjectKind::Charge, &charge).unwrap_or_default(), "chargePermissionId")
            }
        };
        let of_permission = self.object(ObjectKind::ChargePermission, &permission).unwrap_or_default();
        Ok(Some(Existing { permission_type: text(&of_permission, "chargePermissionType"), permission, charge }))
    }

    fn object(&self, kind: ObjectKind, id: &str) -> Option<Value> {
        self.environment.pay_api.get(Environment::Sandbox, kind.into(), id)
    }
}

struct Planned {
    recipe: Recipe,
    ids: Ids,
}

/// The objects around one that Amazon Pay has already.
struct Existing {
    permission: String,
    permission_type: String,
    charge: String,
}

impl Existing {
    fn check(&self, variant: &Variant, permission_type: Option<&str>) -> Result<(), String> {
        if let Some(wanted) = permission_type.filter(|wanted| !wanted.eq_ignore_ascii_case(&self.permission_type)) {
            let Self { permission, permission_type, .. } = self;
            return Err(format!(
                "--permission-type {wanted} does not fit the object of --id: its charge permission {permission} is {permission_type}"
            ));
        }
        match variant.event.trigger {
            Trigger::Notice(Notice::Expiring | Notice::DeadlineNear) => Err(format!(
                "{} needs a new object, whose date is near; leave out --id, or name one that does not exist yet",
                variant.event.name
            )),
            _ => Ok(()),
        }
    }
}

/// New ids, around that of the object if it is given.
fn ids(variant: &Variant, id: Option<&str>, existing: Option<&Existing>) -> Ids {
    let ids = new_ids(variant.permission_type);
    let ids = match id {
        Some(id) => ids.with(variant.event.kind, id, variant.permission_type),
        None => ids,
    };
    match existing {
        Some(Existing { permission, charge, .. }) if !charge.is_empty() => {
            ids.with_permission(permission).with_charge(charge)
        }
        Some(Existing { permission, .. }) => ids.with_permission(permission),
        None => ids,
    }
}

/// Ids that no other object has.
pub(super) fn new_ids(permission_type: &str) -> Ids {
    let number = (uuid::Uuid::new_v4().as_u128() % NUMBERS) as u64;
    Ids::new(pay::Environment::Sandbox, permission_type, number)
}

/// The events of one charge permission since the start of the recipe.
struct Followed {
    events: EventReader,
    permission: String,
    /// The events so far, and whether each was waited for.
    seen: Vec<(Value, bool)>,
}

impl Followed {
    fn new(events: &broadcast::Sender<Arc<Value>>, permission: &str) -> Self {
        Self { events: EventReader::subscribe(events), permission: permission.to_owned(), seen: Vec::new() }
    }

    /// The next event of this type about this object, whenever it came.
    async fn wait_for(&mut self, name: &str, subject: &str, deadline: Instant) -> Option<Value> {
        let is_wanted = |event: &Value| {
            event["subject"] == subject && event["type"].as_str().is_some_and(|of| name_of_type(of) == name)
        };
        loop {
            if let Some((event, is_taken)) = self.seen.iter_mut().find(|(event, taken)| !taken && is_wanted(event)) {
                *is_taken = true;
                return Some(event.clone());
            }
            let event = self.events.next(deadline.saturating_duration_since(Instant::now())).await?;
            if event["partitionkey"] == self.permission {
                self.seen.push((event, false));
            }
        }
    }

    fn published(&self) -> Vec<Published> {
        let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let published = self.seen.iter().map(|(event, _)| event);
        published.map(|event| Published { r#type: text(event, "type"), subject: text(event, "subject") }).collect()
    }
}

/// Amazon's IPNs follow a change at once.
const SENT_AFTER: Duration = Duration::from_millis(204);
/// The ids of Amazon have 14 digits.
const NUMBERS: u128 = 100_000_000_000_000;
const EXAMPLE: u64 = 12_345_671_234_567;
