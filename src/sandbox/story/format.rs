//! The form of a story's file, and what is checked before it is played.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::items;
use crate::domain::events::EventType;
use crate::domain::pay::ObjectKind;
use crate::sandbox::pay_api::Fault;
use crate::sandbox::recipes::Override;
use crate::sandbox::sns::SignatureVersion;
use crate::sandbox::trigger::duration;

/// A story that can be played.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sandbox) struct Story {
    pub(super) steps: Vec<StoryStep>,
    /// By their names in this story.
    pub(super) objects: BTreeMap<String, StoryObject>,
    /// How long to wait for each event; by default 20 s.
    #[serde(default)]
    pub(super) timeout: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum StoryObject {
    Permission(Permission),
    Charge(Child),
    Refund(Child),
    Dispute(Child),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Permission {
    pub(super) r#type: String,
}

/// An object below another one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Child {
    /// The name of its charge permission or, of a refund or dispute, of its charge.
    pub(super) of: String,
    #[serde(default = "usual_amount")]
    pub(super) amount: String,
    #[serde(default = "usual_currency")]
    pub(super) currency: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum StoryStep {
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
pub(super) struct StateChange {
    pub(super) object: String,
    /// Without it, only attributes change.
    pub(super) state: Option<String>,
    #[serde(default)]
    pub(super) reasons: Vec<String>,
    /// `path=value`
    #[serde(default)]
    pub(super) set: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IpnStep {
    pub(super) object: String,
    #[serde(default = "state_change")]
    pub(super) r#type: String,
    /// A chargeback of the old form, which names the charge.
    #[serde(default)]
    pub(super) is_chargeback: bool,
    #[serde(default = "newest_version")]
    pub(super) signature_version: u8,
    /// The name by which `again` posts it.
    pub(super) name: Option<String>,
    /// It is made now, and posted by `again`.
    #[serde(default)]
    pub(super) is_held: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    pub(super) ipn: String,
    #[serde(default = "again_note")]
    pub(super) note: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forge {
    pub(super) object: String,
    pub(super) how: How,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    /// A genuine message is altered.
    Altered,
    /// Its certificate is not of AWS.
    Certificate,
    /// The body is no SNS message.
    Body,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) event: String,
    pub(super) object: String,
    /// The code of `nextAction`; any without it.
    pub(super) action: Option<String>,
}

impl Story {
    /// Reads a story. The error names the place.
    pub(in crate::sandbox) fn parse(text: &str) -> Result<Self, String> {
        let story: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        items(&story)?;
        story.timeout()?;
        let mut ipns = Vec::new();
        for (n, step) in (1..).zip(&story.steps) {
            story.check(step, &mut ipns).map_err(|what| format!("step {n}: {what}"))?;
        }
        Ok(story)
    }

    /// How long to wait for each event.
    pub(in crate::sandbox) fn timeout(&self) -> Result<Duration, String> {
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
}

impl StoryObject {
    pub(super) fn kind(&self) -> ObjectKind {
        match self {
            Self::Permission(_) => ObjectKind::ChargePermission,
            Self::Charge(_) => ObjectKind::Charge,
            Self::Refund(_) => ObjectKind::Refund,
            Self::Dispute(_) => ObjectKind::Dispute,
        }
    }
}

pub(super) fn version(number: u8) -> Result<SignatureVersion, String> {
    match number {
        1 => Ok(SignatureVersion::V1),
        2 => Ok(SignatureVersion::V2),
        _ => Err(format!("there is no signature_version {number}; use 1 or 2")),
    }
}

pub(super) fn fault(name: &str) -> Result<Option<Fault>, String> {
    if name == "none" {
        return Ok(None);
    }
    Fault::parse(name).map(Some).ok_or_else(|| format!("unknown fault {name}; known faults: none, {}", Fault::USAGE))
}

pub(super) fn usual_amount() -> String {
    "9.99".to_owned()
}

pub(super) fn usual_currency() -> String {
    "USD".to_owned()
}

pub(super) fn state_change() -> String {
    "STATE_CHANGE".to_owned()
}

pub(super) fn newest_version() -> u8 {
    2
}

pub(super) fn again_note() -> String {
    "an IPN that was made before".to_owned()
}

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);
