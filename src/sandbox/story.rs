//! Stories as files: what happens at Amazon Pay, step by step, and which events must come of it. The built-in scenarios are such
//! files; a team keeps its own in its own repository and plays them with `trigger FILE.toml`.

mod format;

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

pub(super) use self::format::Story;
use self::format::{
    Again, Child, Expect, Forge, How, IpnStep, Permission, StateChange, StoryObject, StoryStep, newest_version,
    usual_amount, usual_currency, version,
};
use super::Error;
use super::pay_api;
use super::performer::new_ids;
use super::recipes::{Ids, ObjectTemplate, Override, PERMISSION_TYPES};
use super::runner::{ExpectedEvent, Ipn, Runner};
use super::sns::SignatureVersion;
use super::trigger::duration;
use crate::domain::events::EventType;
use crate::domain::pay::ObjectKind;

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

/// Plays a story. Returns whether exactly its events came.
pub(super) async fn play(story: &Story, mut runner: Runner<'_>) -> Result<bool, Error> {
    let items = items(story)?;
    runner.follow(items.values().map(|item| item.id().to_owned()).collect());
    let mut is_failing = false;
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
            StoryStep::Fault(fault) => {
                let fault = format::fault(fault)?;
                is_failing = fault.is_some();
                runner.set_fault(fault);
            }
            StoryStep::Wait(time) => tokio::time::sleep(duration(time)?).await,
            StoryStep::Expect(Expect { event, object, action }) => {
                let (name, subject) = (EventType::named(event)?.name, items[object.as_str()].id());
                runner.expect(&[ExpectedEvent { name, subject, next_action: action.as_deref() }]).await;
            }
            StoryStep::Quiet(time) => runner.reject_events(duration(time)?).await,
        }
    }
    if is_failing {
        runner.set_fault(None); // other stories follow
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

/// Every object with new ids.
fn items(story: &Story) -> Result<BTreeMap<&str, Item>, String> {
    let mut items: BTreeMap<&str, Item> = BTreeMap::new();
    let mut n_children = 0;
    // Permissions first, then what is below them.
    for level in [LEVEL_OF_PERMISSIONS, LEVEL_OF_CHARGES, LEVEL_OF_OTHERS] {
        for (name, object) in story.objects.iter().filter(|(_, object)| self::level(object.kind()) == level) {
            let item = match object {
                StoryObject::Permission(Permission { r#type }) => Item::permission(r#type)?,
                StoryObject::Charge(child) | StoryObject::Refund(child) | StoryObject::Dispute(child) => {
                    n_children += 1;
                    let parent = items.get(child.of.as_str()).filter(|parent| parent.level() + 1 == level);
                    let parent = parent.ok_or_else(|| {
                        format!("object {name}: {} is not the kind of object that it belongs to", child.of)
                    })?;
                    parent.child(object.kind(), n_children, child)
                }
            };
            items.insert(name, item);
        }
    }
    Ok(items)
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

const LEVEL_OF_PERMISSIONS: u8 = 0;
const LEVEL_OF_CHARGES: u8 = 1;
const LEVEL_OF_OTHERS: u8 = 2;

#[cfg(test)]
mod tests;
