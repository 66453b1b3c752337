//! Plays a recipe through the derivation alone, with the rules by which the worker reads: what is known of each object and
//! what the permission's events advised are kept between the steps, and an attribute that changed alone is read twice.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::{Noticed, Recipe, Step};
use crate::config::{Events, UpdateUrls};
use crate::domain::events::{
    Attributes, Derivation, Event, Permission, PermissionSeen, Reading, derive, retry_awaited,
};
use crate::domain::ipn::NotificationType;
use crate::domain::pay::{Account, DigestKey, Edge, Fetched, ObjectId, ObjectKind, ObjectRef};
use crate::domain::state::{KnownState, Observed};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::{Cause, ClaimedPermission, InboxPosition, Origin};

/// An event and its sequence number, as a step publishes it.
pub type Played = (Event, u64);

/// The events of each step. Equal recipes give equal events.
///
/// # Panics
/// If an object of the recipe is not one that the receiver can decode.
pub fn play(recipe: &Recipe, account: &Account) -> Vec<Vec<Played>> {
    let permission = recipe.steps[0].id.clone();
    let mut player = Player {
        name: recipe.variant.name(),
        account,
        permission_type: recipe.variant.permission_type,
        objects: HashMap::new(),
        observed: HashMap::new(),
        permission: KnownState::blank(object(account, ObjectKind::ChargePermission, &permission)),
    };
    recipe.steps.iter().map(|step| player.play(step)).collect()
}

struct Player<'a> {
    name: String,
    account: &'a Account,
    permission_type: &'static str,
    /// As Amazon Pay would return them.
    objects: HashMap<String, Value>,
    observed: HashMap<String, Observed>,
    /// The sequence and the advice of the permission; its `observed` stays empty here.
    permission: KnownState,
}

impl Player<'_> {
    fn play(&mut self, step: &Step) -> Vec<Played> {
        if let Some(change) = &step.change {
            let changed = change.apply(self.objects.remove(&step.id), step.at_s);
            self.objects.insert(step.id.clone(), changed);
        }
        let noticed_at = Timestamp::from_unix_ms(step.at_s * 1000 + 204);
        let (mut events, attributes) = self.read(step, noticed_at, noticed_at.plus(READ_AFTER));
        if attributes == Attributes::Unconfirmed {
            (events, _) = self.read(step, noticed_at, noticed_at.plus(CONFIRMED_AFTER));
        }
        events.into_iter().map(|event| self.publish(event)).collect()
    }

    fn read(&mut self, step: &Step, noticed_at: Timestamp, at: Timestamp) -> (Vec<Event>, Attributes) {
        let (object, fetched) = (object(self.account, step.kind, &step.id), self.fetched(step));
        let causes = [self.cause(step, noticed_at)];
        let id = self.permission.object.id.clone();
        let of_permission = self.observed.get(id.as_str());
        let permission = Permission {
            seen: of_permission.filter(|_| step.kind != ObjectKind::ChargePermission).map(PermissionSeen::from),
            retry_awaited: self.permission.retry_awaited,
            ..Permission::unread(&id, Some(self.permission_type))
        };
        let update_url = UpdateUrls::default().na;
        let reading = Reading {
            update_url: &update_url,
            notices: Events::default().notices(),
            causes: &causes,
            hint_is_ripe: true,
            observed_at: at.plus(READ_TAKES),
            ..Reading::of(&object, &fetched, permission, at)
        };
        let Derivation::Current { events, observed, attributes } = derive(self.observed.get(&step.id), &reading) else {
            unreachable!("the versions of an object are read in order")
        };
        self.observed.insert(step.id.clone(), *observed);
        (events, attributes)
    }

    fn fetched(&self, step: &Step) -> Fetched {
        let id = ObjectId::parse(&step.id).expect("ids of recipes are in Amazon's form");
        let body = self.objects[&step.id].to_string();
        let edge = Edge::strict(DigestKey::derive(b"sample"));
        let fetched = Fetched::decode((step.kind, &id), self.account.environment, &edge, body.as_bytes());
        let request_id = self.id("request", step).to_string().into_boxed_str();
        Fetched { request_id: Some(request_id), ..fetched.expect("recipes make objects of Amazon's form") }
    }

    fn cause(&self, step: &Step, timestamp: Timestamp) -> Cause {
        let origin = match step.noticed {
            Noticed::AtKnownDate => Origin::Reconciliation,
            Noticed::ByIpn { kind, notification_type } => Origin::Ipn {
                message_id: self.id("message", step),
                notification_type: match notification_type {
                    "ATTRIBUTE_CHANGE" => NotificationType::AttributeChange,
                    _ => NotificationType::StateChange,
                },
                position: InboxPosition { partition: 0, offset: 0 },
                traceparent: None,
                chargeback: kind != step.kind,
                permission: ClaimedPermission::None,
            },
        };
        Cause { origin, timestamp }
    }

    fn publish(&mut self, event: Event) -> Played {
        let of_permission = self.observed.get(self.permission.object.id.as_str());
        let updated = of_permission.and_then(|observed| observed.last_updated);
        self.permission.retry_awaited = retry_awaited(self.permission.retry_awaited, &event, updated);
        let sequence = self.permission.next_sequence(event.observed_at);
        (event, sequence)
    }

    /// An id that depends on the recipe alone.
    fn id(&self, of: &str, step: &Step) -> Uuid {
        let text = format!("{of} {} {} {}", self.name, step.id, step.at_s);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
    }
}

fn object(account: &Account, kind: ObjectKind, id: &str) -> ObjectRef {
    let id = ObjectId::parse(id).expect("ids of recipes are in Amazon's form");
    ObjectRef { account: account.clone(), kind, id }
}

const READ_AFTER: Duration = Duration::from_millis(496);
const READ_TAKES: Duration = Duration::from_millis(202);
/// By default the confirming read comes half a minute after the IPN.
const CONFIRMED_AFTER: Duration = Duration::from_millis(30_496);
