//! `docs/events.md` is made from the catalogue and from the code that makes events, so it cannot tell otherwise.
//! After a change: `UPDATE_DOCS=1 cargo test --test all events_doc`.

use std::fmt::Write as _;
use std::path::Path;

use ipn_receiver::domain::events::{
    CATALOG, Derivation, Encoded, Event, EventType, Evidence, Mode, NextAction, Permission, PermissionType, Reading,
    Situation, Told, Wire, derive, next_action,
};
use ipn_receiver::domain::ipn::NotificationType;
use ipn_receiver::domain::pay::{
    Account, DigestKey, Edge, Environment, Fetched, MerchantId, ObjectId, ObjectKind, ObjectRef, Reason, State,
};
use ipn_receiver::domain::state::Observed;
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::domain::work::{Cause, InboxPosition, Origin};
use serde_json::{Value, json};

const PERMISSION: &str = "B02-1234567-7654321";
const CHANGED_AT: i64 = 1_767_323_045;
const UPDATE_URL: &str = "https://payments.amazon.com/jr/your-account/ba/{ChargePermissionId}";

fn id(kind: ObjectKind) -> ObjectId {
    let id = match kind {
        ObjectKind::ChargePermission => PERMISSION,
        ObjectKind::Charge => "P02-2345678-8765432-C012345",
        ObjectKind::Refund => "P02-2345678-8765432-R012345",
        ObjectKind::Dispute => "P02-2345678-8765432-B012345",
    };
    ObjectId::parse(id).unwrap()
}

/// A realistic object of this kind; the field that changes is `amount`.
fn fetched(kind: ObjectKind, state: &str, reason: Option<&str>, at: i64, amount: &str) -> Fetched {
    let reasons = reason.map(|code| json!([{"reasonCode": code, "reasonDescription": "Amazon's own sentence."}]));
    let money = json!({"amount": amount, "currencyCode": "EUR"});
    let body = json!({
        kind.id_field(): id(kind), "chargePermissionId": PERMISSION, "releaseEnvironment": "Live",
        "chargePermissionType": (kind == ObjectKind::ChargePermission).then_some("Recurring"),
        "statusDetails": {"state": state, "reasons": reasons, "lastUpdatedTimestamp": at},
        "limits": {"amountBalance": &money}, "chargeAmount": {"amount": "9.99", "currencyCode": "EUR"}, "refundedAmount": (state == "Captured").then_some(&money),
        "merchantResponseDeadline": (kind == ObjectKind::Dispute).then_some("20260112T000000Z"),
        "refundAmount": &money, "disputeAmount": &money, "chargeId": "P02-2345678-8765432-C012345", "merchantMetadata": {"merchantReferenceId": "order-4711"},
    });
    let edge = Edge::strict(DigestKey::derive(b"nobody's"));
    let read = Fetched::decode((kind, &id(kind)), Environment::Live, &edge, body.to_string().as_bytes()).unwrap();
    Fetched { request_id: Some("5ee0d5f4-7cf5-4d9a-9f5f-4bcd1ff7a2a6".into()), ..read }
}

/// Reads the objects in turn; the last event is the sample.
fn last_event(reads: &[Fetched], wanted: &EventType) -> Event {
    let account = Account { merchant_id: MerchantId::parse("A1O8CIV1A24A6X").unwrap(), environment: Environment::Live };
    let permission = id(ObjectKind::ChargePermission);
    let mut known: Option<Observed> = None;
    let mut sample = None;
    for fetched in reads {
        let object = ObjectRef { account: account.clone(), kind: fetched.kind, id: fetched.id.clone() };
        let origin = Origin::Ipn {
            message_id: uuid::uuid!("72fd219f-d2d6-5fea-afff-70487e01d695"),
            notification_type: NotificationType::StateChange,
            position: InboxPosition { partition: 3, offset: 4711 },
            traceparent: None,
        };
        let causes = [Cause { origin, timestamp: Timestamp::from_unix_ms(CHANGED_AT * 1000 + 1204) }];
        let reading = Reading {
            object: &object,
            fetched,
            permission: Permission {
                id: &permission,
                permission_type: Some("Recurring"),
                seen: (fetched.kind != ObjectKind::ChargePermission)
                    .then_some((&State::Chargeable, Timestamp::from_unix_ms(CHANGED_AT * 1000 - 86_400_000))),
            },
            captured: None,
            update_url: UPDATE_URL,
            is_confirming: false,
            causes: &causes,
            read_started_at: Timestamp::from_unix_ms(CHANGED_AT * 1000 + 1700),
            observed_at: Timestamp::from_unix_ms(CHANGED_AT * 1000 + 1901),
            believe_older: false,
        };
        let Derivation::Told { events, observed, .. } = derive(known.as_ref(), &reading) else {
            panic!("read in order")
        };
        known = Some(*observed);
        sample = events.into_iter().find(|event| event.event_type == wanted).or(sample);
    }
    sample.unwrap_or_else(|| panic!("no {} was told", wanted.name))
}

/// The object's usual way to the state of this row: where it was, and why it is there.
fn usual_way(name: &str) -> (Option<&'static str>, Option<&'static str>) {
    match name {
        "PermissionNonChargeable" => (Some("Chargeable"), Some("PaymentMethodInvalid")),
        "PermissionClosed" => (Some("Chargeable"), Some("BuyerClosed")),
        "ChargeAuthorized" => (Some("AuthorizationInitiated"), None),
        "ChargeCaptureInitiated" => (Some("Authorized"), None),
        "ChargeCaptured" => (Some("CaptureInitiated"), None),
        "ChargeDeclined" => (Some("AuthorizationInitiated"), Some("HardDeclined")),
        "ChargeCanceled" => (Some("Authorized"), Some("MerchantCanceled")),
        "RefundCompleted" => (Some("RefundInitiated"), None),
        "RefundDeclined" => (Some("RefundInitiated"), Some("ProcessingFailure")),
        "DisputeActionRequired" => (Some("UnderReview"), Some("MerchantResponseRequired")),
        "DisputeResolved" => (Some("UnderReview"), Some("InvestigatorResolved")),
        "DisputeClosed" => (Some("ActionRequired"), Some("MerchantAcceptedDispute")),
        _ => (None, None),
    }
}

fn sample(row: &EventType) -> Event {
    let (kind, now) = (row.kind, CHANGED_AT);
    let reads = match row.told {
        Told::Reached { state, .. } => {
            let (before, reason) = usual_way(row.name);
            let before = before.map(|before| fetched(kind, before, None, now - 60, "9.99"));
            before.into_iter().chain([fetched(kind, state, reason, now, "9.99")]).collect()
        }
        Told::ReachedUnknown => vec![fetched(kind, "AWordOfTomorrow", None, now, "9.99")],
        Told::Updated => {
            let state = if kind == ObjectKind::ChargePermission { "Chargeable" } else { "Captured" };
            ["20.00", "9.99", "9.99"].map(|amount| fetched(kind, state, None, now, amount)).to_vec()
        }
        Told::PaymentMethod => vec![
            fetched(kind, "NonChargeable", Some("PaymentMethodInvalid"), now - 60, "9.99"),
            fetched(kind, "Chargeable", None, now, "9.99"),
        ],
    };
    last_event(&reads, row)
}

const INTRODUCTION: &str = "# Events

Made from the code (`tests/all/events_doc.rs`); do not edit.

Every event is a CloudEvents 1.0 JSON document in the value of a record of `amazonpay.events.v1`, keyed by the charge
permission's id. `type` is `amazonpay.<name>.v1`, with the names below. The README tells what delivery, order and `id` promise.

## What to do with an event

`data.nextAction` says what Amazon's guides tell the merchant to do: `code` for machines, `text` for people. It is decided by the
kind of permission first and the reasons second; each event's table has all that are known. Act on it once for each `id`.

- A declined charge and the permission that turned NonChargeable with it are two facts with an advice each. What the permission's
  says about the buyer's payment method goes first, and one mail is enough; the charge's says what becomes of the charge.
- `RETRY_CHARGE` is said by one event alone: `PermissionChargeable`, or `PaymentMethodUpdated` where the permission was Chargeable
  all the time.
- `url` comes with `ASK_BUYER_TO_UPDATE_PAYMENT_METHOD` only, `deadline` with `RESPOND_TO_DISPUTE` only, as Amazon writes it
  (`20260112T000000Z`, UTC). Amazon's hosted pages have no address of their own; your checkout script opens them.

## Fields of `data`

| field | | |
|---|---|---|
| `objectType`, `objectId` | always | what it is about: `ChargePermission`, `Charge`, `Refund` or `Dispute`, and its id |
| `chargePermissionId` | always | the permission it belongs to |
| `chargePermissionType` | always, may be null | `OneTime` (an order), `Recurring` (a subscription), `PaymentMethodOnFile` (a saved wallet); null where the permission could not be read, and then the column \"not known\" holds |
| `permissionState`, `permissionReadAt` | charges, refunds, disputes; where known | the permission's state when it was last read, and when that was |
| `state`, `reasons` | always | Amazon's words; `reasons` may be empty or several |
| `previousState` | always, may be null | what was told before; null where nothing was |
| `firstSight` | always | nothing was known of this object before. If its state is more than 24 h older than the notification, it is told as `…Updated`, with the advice for the state it is still in |
| `evidence` | `PaymentMethodUpdated` | how it is known: `became_chargeable`, `descriptor_changed`, `billing_address_changed`, `attribute_change` |
| `nextAction` | always | see above |
| `snapshot` | always | every other fact of the object that is not about the buyer, under Amazon's names; amounts are text |
| `causes` | always, may be empty | what made us look: `IPN` with SNS's `messageId`, `HELPER_READ` for another object, `RECHECK` by an operator, or `RECONCILIATION` where nobody told us and it was its turn to be looked at |
| `observedAt` | always | when it was read; the event's `time` is Amazon's `lastUpdatedTimestamp` |
| `amazonPayRequestId` | where Amazon gave one | the `x-amz-pay-request-id` of that read, for Amazon's support |
| `unexpectedTransition` | where true | the state does not follow the one before in Amazon's documents |

Fields, types and words may be added within `v1`: ignore what you do not know.

## Types

| type | told when | meaning |
|---|---|---|
";

fn document() -> String {
    let mut text = String::from(INTRODUCTION);
    for row in CATALOG {
        writeln!(text, "| [`{0}`](#{1}) | {2} | {3} |", row.name, row.name.to_lowercase(), when(row), row.meaning)
            .unwrap();
    }
    for row in CATALOG {
        write!(text, "\n## {}\n\n{}\n\n{}{}", row.name, row.meaning, what_to_do(row), sample_block(row)).unwrap();
    }
    text
}

fn when(row: &EventType) -> String {
    match row.told {
        Told::Reached { state, updated_when_late: true, .. } => {
            format!("{} reached `{state}` (where the object is first seen more than 24 h later: told as `…Updated`)", row.kind)
        }
        Told::Reached { state, .. } => format!("{} reached `{state}`", row.kind),
        Told::ReachedUnknown => format!("{} reached a state not listed here", row.kind),
        Told::Updated => {
            format!("facts of a {} changed beside its state, and two reads agree; or an old state is first seen", row.kind)
        }
        Told::PaymentMethod => {
            "the permission is `Chargeable` again after a payment-method reason (evidence `became_chargeable`), the payment \
             method or the billing address differs (`descriptor_changed`, `billing_address_changed`), or Amazon told of a \
             change of attributes that nothing else explains (`attribute_change`)"
                .to_owned()
        }
    }
}

/// What an event of this row says for one reason and permission type.
fn advice(row: &EventType, reason: Option<&str>, permission_type: PermissionType, more: &More<'_>) -> NextAction {
    let state = match row.told {
        Told::Reached { state, .. } => State::parse(state),
        Told::ReachedUnknown => State::parse("AWordOfTomorrow"),
        Told::Updated | Told::PaymentMethod => State::parse(more.state),
    };
    let reasons: Vec<Reason> =
        reason.map(|code| Reason { reason_code: code.to_owned(), reason_description: None }).into_iter().collect();
    let situation = Situation {
        kind: row.kind,
        state: &state,
        reasons: &reasons,
        permission_type,
        is_first_sight: more.is_first_sight,
        is_chargeable_again: more.is_chargeable_again,
        is_used_up: more.is_used_up,
        evidence: more.evidence,
        deadline: None,
        charge_permission_id: &id(ObjectKind::ChargePermission),
        update_url: UPDATE_URL,
    };
    next_action(row, &situation)
}

/// What decides besides.
#[derive(Default)]
struct More<'a> {
    is_first_sight: bool,
    is_chargeable_again: bool,
    is_used_up: bool,
    state: &'a str,
    evidence: &'a [Evidence],
}

/// The lines of a row's table: what is the case, a reason, and what else decides.
fn cases(row: &EventType) -> Vec<(String, Option<&str>, More<'static>)> {
    let plain = |what: &str, reason| (what.to_owned(), reason, More::default());
    match row.name {
        "PermissionChargeable" => vec![
            plain("first seen, or after a charge in progress", None),
            (
                "again, after NonChargeable for another reason".to_owned(),
                None,
                More { is_chargeable_again: true, ..More::default() },
            ),
        ],
        "PaymentMethodUpdated" => vec![
            (
                "`became_chargeable` is among the evidence".to_owned(),
                None,
                More { state: "Chargeable", evidence: &[Evidence::BecameChargeable], ..More::default() },
            ),
            (
                "other evidence, and the permission is Chargeable".to_owned(),
                None,
                More { state: "Chargeable", evidence: &[Evidence::DescriptorChanged], ..More::default() },
            ),
            (
                "other evidence, and it is not".to_owned(),
                None,
                More { state: "NonChargeable", evidence: &[Evidence::DescriptorChanged], ..More::default() },
            ),
        ],
        "PermissionUpdated" => vec![
            plain("other facts changed", None),
            (
                "first seen, NonChargeable for long".to_owned(),
                Some("PaymentMethodInvalid"),
                More { is_first_sight: true, state: "NonChargeable", ..More::default() },
            ),
        ],
        _ => {
            let mut cases: Vec<_> =
                row.reasons.iter().map(|reason| plain(&format!("`{reason}`"), Some(*reason))).collect();
            if let Some(at) = cases.iter().position(|(_, reason, _)| *reason == Some("AmazonClosed")) {
                cases.insert(
                    at,
                    (
                        "`AmazonClosed`, and nothing is left of the amount".to_owned(),
                        Some("AmazonClosed"),
                        More { is_used_up: true, ..More::default() },
                    ),
                );
            }
            if !row.reasons.is_empty() {
                cases.push(plain("another reason", Some("AWordOfTomorrow")));
            }
            if let Some(at) = cases.iter().position(|(_, reason, _)| *reason == Some("ChargeInProgress")) {
                let (_, reason, more) = cases.remove(at);
                cases.push(("`ChargeInProgress` and no other".to_owned(), reason, more));
            }
            cases.push(plain("no reason", None));
            cases
        }
    }
}

fn what_to_do(row: &EventType) -> String {
    let cases = cases(row);
    let all: Vec<[NextAction; 4]> = cases
        .iter()
        .map(|(_, reason, more)| PermissionType::ALL.map(|permission_type| advice(row, *reason, permission_type, more)))
        .collect();
    let mut sentences: Vec<String> = Vec::new();
    for action in all.iter().flatten() {
        let url = action.url.as_ref().map(|_| " The `url` is the page.").unwrap_or_default();
        let sentence = format!("- `{}`: {}{url}", action.code.as_str(), action.text);
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    let mut text = String::from(
        "What to do, by the permission's type; of several reasons the one that stands highest decides:\n\n",
    );
    if sentences.len() == 1 {
        text.clear();
    } else {
        text += "| | OneTime | Recurring | PaymentMethodOnFile | not known |\n|---|---|---|---|---|\n";
        for ((what, ..), actions) in cases.iter().zip(&all) {
            let mut cells: Vec<String> = actions.iter().map(|action| format!("`{}`", action.code.as_str())).collect();
            if cells.iter().all(|cell| *cell == cells[0]) {
                cells[1..].fill("same".to_owned());
            }
            writeln!(text, "| {what} | {} |", cells.join(" | ")).unwrap();
        }
        text += "\n";
    }
    text + &sentences.join("\n") + "\n\n"
}

/// An event of this type, as it goes out.
pub(crate) fn sample_event(row: &EventType) -> Value {
    serde_json::from_slice(&sample_in(row, Mode::Structured).value).unwrap()
}

/// The same in this content mode.
pub(crate) fn sample_in(row: &EventType, mode: Mode) -> Encoded {
    Wire { type_prefix: "amazonpay".to_owned(), mode }.encode(&sample(row), 1_767_323_046_902)
}

fn sample_block(row: &EventType) -> String {
    format!("```json\n{:#}\n```\n", sample_event(row))
}

#[test]
fn the_document_of_events_is_what_the_code_does() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
    let document = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &document).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == document, "docs/events.md is out of date; run: UPDATE_DOCS=1 cargo test --test all events_doc");
}

#[test]
fn every_setting_is_documented() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let document = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let settings = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tables.rs")).unwrap();
    let tables = settings
        .split("pub struct ")
        .filter(|part| part.contains("deny_unknown_fields") || part.contains("Deserialize"));
    assert!(tables.count() > 5);
    for line in settings.lines().filter_map(|line| line.trim().strip_prefix("pub ")) {
        let Some((name, kind)) = line.split_once(": ") else { continue };
        let is_setting = ["u64", "usize", "i32", "f64", "String", "SocketAddr", "QuotaSetting"]
            .iter()
            .any(|word| kind.starts_with(word))
            || kind.starts_with("Vec<")
            || kind.starts_with("BTreeMap");
        let is_topic_name = ["inbox", "events", "state", "dead_letters"].contains(&name);
        let is_not_a_setting = is_topic_name || ["setting", "what", "merchants", "burst", "per_second"].contains(&name);
        assert!(
            !is_setting
                || is_not_a_setting
                || document.contains(&format!("`{name}`"))
                || document.contains(&format!(".{name}`")),
            "docs/configuration.md does not name the setting {name}"
        );
    }
}
