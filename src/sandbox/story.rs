//! Stories as files: what happens at Amazon Pay, step by step, and which events must come of it. The built-in scenarios are such
//! files; a team keeps its own in its own repository and plays them with `trigger FILE.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::Error;
use super::pay_api::{self, Fault};
use super::performer::new_ids;
use super::recipes::{Ids, ObjectTemplate, Override, PERMISSION_TYPES};
use super::runner::{ExpectedEvent, Ipn, Runner};
use super::sns::SignatureVersion;
use super::trigger::duration;
use crate::domain::events::EventType;
use crate::domain::pay::ObjectKind;

/// A story that can be played.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Story {
    steps: Vec<StoryStep>,
    /// By their names in this story.
    objects: BTreeMap<String, StoryObject>,
    /// How long to wait for each event; by default 20 s.
    #[serde(default)]
    timeout: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum StoryObject {
    Permission(Permission),
    Charge(Child),
    Refund(Child),
    Dispute(Child),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Permission {
    r#type: String,
}

/// An object below another one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Child {
    /// The name of its charge permission or, of a refund or dispute, of its charge.
    of: String,
    #[serde(default = "usual_amount")]
    amount: String,
    #[serde(default = "usual_currency")]
    currency: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum StoryStep {
    /// A title.
    Chapter(String),
    /// An object changes at Amazon Pay. No IPN is posted.
    Change(StateChange),
    /// The IPN about an object is posted.
    Ipn(IpnStep),
    /// An IPN that was posted or held before is posted (again).
    Again(Again),
    /// A message that Amazon did not send is posted.
    Forge(Forge),
    /// Reads of the Amazon Pay API fail from now on, or no longer: `none`.
    Fault(String),
    /// Nothing happens for this time.
    Wait(String),
    /// This event must come next.
    Expect(Expect),
    /// No event may come for this time.
    Quiet(String),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateChange {
    object: String,
    /// Without it, only attributes change.
    state: Option<String>,
    #[serde(default)]
    reasons: Vec<String>,
    /// `path=value`
    #[serde(default)]
    set: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IpnStep {
    object: String,
    #[serde(default = "state_change")]
    r#type: String,
    /// A chargeback of the old form, which names the charge.
    #[serde(default)]
    is_chargeback: bool,
    #[serde(default = "newest_version")]
    signature_version: u8,
    /// The name by which `again` posts it.
    name: Option<String>,
    /// It is made now, and posted by `again`.
    #[serde(default)]
    is_held: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    ipn: String,
    #[serde(default = "again_note")]
    note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Forge {
    object: String,
    how: How,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    /// A genuine message is altered.
    Altered,
    /// Its certificate is not of AWS.
    Certificate,
    /// The body is no SNS message.
    Body,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    event: String,
    object: String,
    /// The code of `nextAction`; any without it.
    action: Option<String>,
}

/// An IPN that a later step can post.
struct NamedIpn {
    body: String,
    is_posted: bool,
}

/// An object of a story with its id.
struct Item {
    kind: ObjectKind,
    ids: Ids,
    permission_type: String,
    amount: String,
    currency: String,
}

impl Story {
    /// Reads a story. The error names the place.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let story: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        story.items()?;
        story.timeout()?;
        let mut ipns = Vec::new();
        for (n, step) in (1..).zip(&story.steps) {
            story.check(step, &mut ipns).map_err(|what| format!("step {n}: {what}"))?;
        }
        Ok(story)
    }

    /// How long to wait for each event.
    pub(super) fn timeout(&self) -> Result<Duration, String> {
        self.timeout.as_deref().map_or(Ok(EVENT_TIMEOUT), duration)
    }

    fn check<'a>(&'a self, step: &'a StoryStep, ipns: &mut Vec<&'a str>) -> Result<(), String> {
        let known = |name: &str| {
            let names = || self.objects.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            if self.objects.contains_key(name) {
                Ok(())
            } else {
                Err(format!("no object {name}; the objects are: {}", names()))
            }
        };
        match step {
            StoryStep::Chapter(_) => Ok(()),
            StoryStep::Change(StateChange { object, set, .. }) => {
                known(object)?;
                set.iter().try_for_each(|text| Override::parse(text).map(drop))
            }
            StoryStep::Ipn(IpnStep { object, r#type, signature_version, name, .. }) => {
                ipns.extend(name.as_deref());
                known(object)?;
                if !["STATE_CHANGE", "ATTRIBUTE_CHANGE"].contains(&r#type.as_str()) {
                    return Err(format!("type {type} is neither STATE_CHANGE nor ATTRIBUTE_CHANGE"));
                }
                version(*signature_version).map(drop)
            }
            StoryStep::Again(Again { ipn, .. }) if ipns.contains(&ipn.as_str()) => Ok(()),
            StoryStep::Again(Again { ipn, .. }) => Err(format!("no ipn before has the name {ipn}")),
            StoryStep::Forge(Forge { object, .. }) => known(object),
            StoryStep::Fault(fault) => self::fault(fault).map(drop),
            StoryStep::Wait(time) | StoryStep::Quiet(time) => duration(time).map(drop),
            StoryStep::Expect(Expect { event, object, .. }) => known(object).and(EventType::named(event).map(drop)),
        }
    }

    /// Every object with new ids.
    fn items(&self) -> Result<BTreeMap<&str, Item>, String> {
        let mut items: BTreeMap<&str, Item> = BTreeMap::new();
        let mut n_children = 0;
        // Permissions first, then what is below them.
        for level in [LEVEL_OF_PERMISSIONS, LEVEL_OF_CHARGES, LEVEL_OF_OTHERS] {
            for (name, object) in self.objects.iter().filter(|(_, object)| object.level() == level) {
                let item = match object {
                    StoryObject::Permission(Permission { r#type }) => Item::permission(r#type)?,
                    StoryObject::Charge(child) | StoryObject::Refund(child) | StoryObject::Dispute(child) => {
                        n_children += 1;
                        let parent = items.get(child.of.as_str()).filter(|parent| parent.level() < level);
                        let parent =
                            parent.ok_or_else(|| format!("object {name}: {} is not an object above it", child.of))?;
                        parent.child(object.kind(), n_children, child)
                    }
                };
                items.insert(name, item);
            }
        }
        Ok(items)
    }
}

/// Plays a story. Returns whether exactly its events came.
pub(super) async fn play(story: &Story, mut runner: Runner<'_>) -> Result<bool, Error> {
    let items = story.items()?;
    runner.follow(items.values().map(|item| item.id().to_owned()).collect());
    let mut named: BTreeMap<&str, NamedIpn> = BTreeMap::new();
    for step in &story.steps {
        match step {
            StoryStep::Chapter(title) => runner.chapter(title),
            StoryStep::Change(change) => items[change.object.as_str()].change(&mut runner, change).await?,
            StoryStep::Ipn(ipn) => {
                let item = &items[ipn.object.as_str()];
                let body = item.ipn(&runner, ipn)?;
                if !ipn.is_held {
                    runner.post_body(&body, &item.note(ipn)).await?;
                }
                let is_posted = !ipn.is_held;
                named.extend(ipn.name.as_deref().map(|name| (name, NamedIpn { body, is_posted })));
            }
            StoryStep::Again(Again { ipn, note }) => {
                let ipn = named.get_mut(ipn.as_str()).expect("a story names IPNs before it posts them again");
                if std::mem::replace(&mut ipn.is_posted, true) {
                    runner.post_again(&ipn.body, note).await?;
                } else {
                    runner.post_body(&ipn.body, note).await?;
                }
            }
            StoryStep::Forge(Forge { object, how }) => forge(&mut runner, &items[object.as_str()], *how).await?,
            StoryStep::Fault(fault) => runner.set_fault(self::fault(fault)?),
            StoryStep::Wait(time) => tokio::time::sleep(duration(time)?).await,
            StoryStep::Expect(Expect { event, object, action }) => {
                let (name, subject) = (EventType::named(event)?.name, items[object.as_str()].id());
                runner.expect(&[ExpectedEvent { name, subject, next_action: action.as_deref() }]).await;
            }
            StoryStep::Quiet(time) => runner.reject_events(duration(time)?).await,
        }
    }
    Ok(runner.end().await)
}

async fn forge(runner: &mut Runner<'_>, item: &Item, how: How) -> Result<(), Error> {
    let genuine = runner.ipn(&Ipn {
        kind: item.kind.into(),
        id: item.id(),
        notification_type: "STATE_CHANGE",
        version: SignatureVersion::V2,
    });
    let elsewhere = "https://sns.us-east-1.amazonaws.com.evil.example/";
    let (body, what, status) = match how {
        How::Altered => (genuine.replace("STATE_CHANGE", "STATE_CHANGE_"), "message altered after signing", 403),
        How::Certificate => (
            genuine.replace("https://sns.us-east-1.amazonaws.com/", elsewhere),
            "message with a certificate URL outside AWS",
            403,
        ),
        How::Body => ("{\"hello\": 1}".to_owned(), "body that is not an SNS message", 400),
    };
    runner.post_expecting(&body, what, status).await
}

impl StoryObject {
    fn kind(&self) -> ObjectKind {
        match self {
            Self::Permission(_) => ObjectKind::ChargePermission,
            Self::Charge(_) => ObjectKind::Charge,
            Self::Refund(_) => ObjectKind::Refund,
            Self::Dispute(_) => ObjectKind::Dispute,
        }
    }

    fn level(&self) -> u8 {
        level(self.kind())
    }
}

impl Item {
    fn permission(permission_type: &str) -> Result<Self, String> {
        let known =
            PERMISSION_TYPES.iter().find(|known| known.eq_ignore_ascii_case(permission_type)).ok_or_else(|| {
                format!("there is no permission type {permission_type}; the types are: {}", PERMISSION_TYPES.join(", "))
            })?;
        Ok(Self {
            kind: ObjectKind::ChargePermission,
            ids: new_ids(known),
            permission_type: (*known).to_owned(),
            amount: usual_amount(),
            currency: usual_currency(),
        })
    }

    fn child(&self, kind: ObjectKind, n: usize, child: &Child) -> Self {
        Self {
            kind,
            ids: self.ids.numbered(kind, n),
            permission_type: self.permission_type.clone(),
            amount: child.amount.clone(),
            currency: child.currency.clone(),
        }
    }

    fn id(&self) -> &str {
        self.ids.of(self.kind)
    }

    fn level(&self) -> u8 {
        level(self.kind)
    }

    async fn change(&self, runner: &mut Runner<'_>, change: &StateChange) -> Result<(), Error> {
        let StateChange { state, reasons, set, .. } = change;
        let kind = pay_api::ObjectKind::from(self.kind);
        let existing = runner.existing(kind, self.id()).await;
        let mut object = existing.unwrap_or_else(|| self.created());
        for text in set {
            Override::parse(text)?.apply(&mut object)?;
        }
        let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
        runner.amazon_puts(kind, object, state.as_deref(), &reasons);
        Ok(())
    }

    fn created(&self) -> Value {
        let at_s = OffsetDateTime::now_utc().unix_timestamp();
        let Self { ids, permission_type, amount, currency, .. } = self;
        ObjectTemplate { ids, permission_type, amount, currency, at_s }.object(self.kind)
    }

    fn ipn(&self, runner: &Runner<'_>, ipn: &IpnStep) -> Result<String, Error> {
        let kind = if ipn.is_chargeback { ObjectKind::Dispute } else { self.kind };
        let version = version(ipn.signature_version)?;
        Ok(runner.ipn(&Ipn { kind: kind.into(), id: self.id(), notification_type: &ipn.r#type, version }))
    }

    fn note(&self, ipn: &IpnStep) -> String {
        let kind = if ipn.is_chargeback { ObjectKind::Dispute } else { self.kind };
        let version = if ipn.signature_version == newest_version() { "" } else { " (SignatureVersion 1)" };
        format!("{} {} changed{version}", pay_api::ObjectKind::from(kind).name(), self.id())
    }
}

fn level(kind: ObjectKind) -> u8 {
    match kind {
        ObjectKind::ChargePermission => LEVEL_OF_PERMISSIONS,
        ObjectKind::Charge => LEVEL_OF_CHARGES,
        ObjectKind::Refund | ObjectKind::Dispute => LEVEL_OF_OTHERS,
    }
}

fn version(number: u8) -> Result<SignatureVersion, String> {
    match number {
        1 => Ok(SignatureVersion::V1),
        2 => Ok(SignatureVersion::V2),
        _ => Err(format!("there is no signature_version {number}; use 1 or 2")),
    }
}

fn fault(name: &str) -> Result<Option<Fault>, String> {
    if name == "none" {
        return Ok(None);
    }
    Fault::parse(name).map(Some).ok_or_else(|| format!("unknown fault {name}; known faults: none, {}", Fault::USAGE))
}

fn usual_amount() -> String {
    "9.99".to_owned()
}

fn usual_currency() -> String {
    "USD".to_owned()
}

fn state_change() -> String {
    "STATE_CHANGE".to_owned()
}

fn newest_version() -> u8 {
    2
}

fn again_note() -> String {
    "an IPN that was made before".to_owned()
}

const LEVEL_OF_PERMISSIONS: u8 = 0;
const LEVEL_OF_CHARGES: u8 = 1;
const LEVEL_OF_OTHERS: u8 = 2;
const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests;
