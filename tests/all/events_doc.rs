//! Generates `docs/events.md` from the catalogue and from the code that derives events, and fails if the file is out of date.
//! After a change: `UPDATE_DOCS=1 cargo test --test all events_doc`.

use std::fmt::Write as _;
use std::path::Path;

use ipn_receiver::config::Events;
use ipn_receiver::domain::events::{
    CATALOG, Derivation, Encoded, Event, EventType, Evidence, Mode, NextAction, Notice, Permission, PermissionSeen,
    PermissionType, Reading, Situation, Trigger, Wire, derive, next_action, updated_type,
};
use ipn_receiver::domain::ipn::NotificationType;
use ipn_receiver::domain::pay::{
    Account, DigestKey, Edge, Environment, Fetched, MerchantId, ObjectId, ObjectKind, ObjectRef, Reason, State,
};
use ipn_receiver::domain::state::Observed;
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::domain::work::{Cause, ClaimedPermission, InboxPosition, Origin};
use serde_json::{Value, json};

use self::text::{HOW_TO, INTRODUCTION, never_means};
use self::timing::TIMING;

mod text;
mod timing;

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

/// A realistic object of this kind. `amount` is the attribute that changes.
fn fetched(kind: ObjectKind, state: &str, reason: Option<&str>, at: i64, amount: &str) -> Fetched {
    decode(kind, &body(kind, state, reason, at, amount))
}

fn body(kind: ObjectKind, state: &str, reason: Option<&str>, at: i64, amount: &str) -> Value {
    let reasons = reason.map(|code| json!([{"reasonCode": code, "reasonDescription": "Amazon's own sentence."}]));
    let money = json!({"amount": amount, "currencyCode": "EUR"});
    json!({
        kind.id_field(): id(kind), "chargePermissionId": PERMISSION, "releaseEnvironment": "Live",
        "chargePermissionType": (kind == ObjectKind::ChargePermission).then_some("Recurring"),
        "statusDetails": {"state": state, "reasons": reasons, "lastUpdatedTimestamp": at},
        "limits": {"amountBalance": &money}, "chargeAmount": {"amount": "9.99", "currencyCode": "EUR"}, "refundedAmount": (state == "Captured").then_some(&money),
        "merchantResponseDeadline": (kind == ObjectKind::Dispute).then_some("20260112T000000Z"),
        "refundAmount": &money, "disputeAmount": &money, "chargeId": "P02-2345678-8765432-C012345", "merchantMetadata": {"merchantReferenceId": "order-4711"},
    })
}

/// An object of which the merchant is warned.
fn fetched_near(kind: ObjectKind) -> Fetched {
    let (state, reason) = match kind {
        ObjectKind::Dispute => ("ActionRequired", Some("MerchantResponseRequired")),
        _ => ("Chargeable", None),
    };
    let mut body = body(kind, state, reason, CHANGED_AT, "9.99");
    body["merchantResponseDeadline"] = "20260105T000000Z".into();
    body["expirationTimestamp"] = "20260112T000000Z".into();
    body["limits"]["amountLimit"] = json!({"amount": "500.00", "currencyCode": "EUR"});
    decode(kind, &body)
}

fn decode(kind: ObjectKind, body: &Value) -> Fetched {
    let edge = Edge::strict(DigestKey::derive(b"docs"));
    let read = Fetched::decode((kind, &id(kind)), Environment::Live, &edge, body.to_string().as_bytes()).unwrap();
    Fetched { request_id: Some("5ee0d5f4-7cf5-4d9a-9f5f-4bcd1ff7a2a6".into()), ..read }
}

/// Reads the objects in turn and returns the last event of type `wanted`.
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
            chargeback: wanted.trigger == Trigger::ChargebackReported,
            permission: ClaimedPermission::None,
        };
        let causes = [Cause { origin, timestamp: Timestamp::from_unix_ms(CHANGED_AT * 1000 + 1204) }];
        let of_permission = Permission {
            seen: (fetched.kind != ObjectKind::ChargePermission).then_some(PermissionSeen {
                state: &State::Chargeable,
                reasons: &[],
                last_updated: None,
                has_moved: false,
                usable_since: None,
                read_at: Timestamp::from_unix_ms(CHANGED_AT * 1000 - 86_400_000),
            }),
            ..Permission::unread(&permission, Some("Recurring"))
        };
        let read_started_at = Timestamp::from_unix_ms(CHANGED_AT * 1000 + 1700);
        let reading = Reading {
            update_url: UPDATE_URL,
            notices: Events::default().notices(),
            causes: &causes,
            observed_at: Timestamp::from_unix_ms(CHANGED_AT * 1000 + 1901),
            ..Reading::of(&object, fetched, of_permission, read_started_at)
        };
        let Derivation::Current { events, observed, .. } = derive(known.as_ref(), &reading) else {
            panic!("read in order")
        };
        known = Some(*observed);
        sample = events.into_iter().find(|event| event.event_type == wanted).or(sample);
    }
    sample.unwrap_or_else(|| panic!("no {} was published", wanted.name))
}

/// A typical previous state of the object, and a typical reason of this state.
fn typical_transition(name: &str) -> (Option<&'static str>, Option<&'static str>) {
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
    let reads = match row.trigger {
        Trigger::StateReached { state, .. } => {
            let (before, reason) = typical_transition(row.name);
            let before = before.map(|before| fetched(kind, before, None, now - 60, "9.99"));
            before.into_iter().chain([fetched(kind, state, reason, now, "9.99")]).collect()
        }
        Trigger::ChargebackReported => vec![fetched(kind, "Captured", None, now, "9.99")],
        Trigger::UnknownState => vec![fetched(kind, "AWordOfTomorrow", None, now, "9.99")],
        Trigger::AttributesChanged => {
            let state = if kind == ObjectKind::ChargePermission { "Chargeable" } else { "Captured" };
            ["20.00", "9.99", "9.99"].map(|amount| fetched(kind, state, None, now, amount)).to_vec()
        }
        Trigger::PaymentMethodChanged => vec![
            fetched(kind, "NonChargeable", Some("PaymentMethodInvalid"), now - 60, "9.99"),
            fetched(kind, "Chargeable", None, now, "9.99"),
        ],
        Trigger::Notice(_) => vec![fetched_near(kind)],
    };
    last_event(&reads, row)
}

fn document() -> String {
    let mut text = String::from(INTRODUCTION);
    text += "| event | meaning |\n|---|---|\n";
    for row in CATALOG {
        writeln!(text, "| [`{0}`](#{1}) | {2} |", row.name, row.name.to_lowercase(), row.meaning).unwrap();
    }
    let declined = CATALOG.iter().find(|row| row.name == "ChargeDeclined").unwrap();
    write!(text, "\n## A complete event\n\n```json\n{:#}\n```\n", sample_event(declined)).unwrap();
    text += HOW_TO;
    text += TIMING;
    for row in CATALOG {
        write!(
            text,
            "\n## {}\n\n- **Published when** {}.\n- **Means:** {}\n- **Does not mean:** {}\n\n{}",
            row.name,
            when(row),
            row.meaning,
            never_means(row),
            next_actions(row)
        )
        .unwrap();
    }
    text
}

fn when(row: &EventType) -> String {
    match row.trigger {
        Trigger::StateReached { state, updated_when_late: true, .. } => {
            let updated = updated_type(row.kind).map_or("", |updated| updated.name);
            format!(
                "a {} reaches `{state}`. If the receiver does not know the object yet, and the state is older than the time since when the receiver \
                 has been in charge of the merchant (see `firstSight`), it publishes `{updated}` instead",
                row.kind
            )
        }
        Trigger::StateReached { state, .. } => format!("a {} reaches `{state}`", row.kind),
        Trigger::ChargebackReported => {
            "Amazon sends a CHARGEBACK IPN that names the charge instead of the dispute (evidence `chargeback_ipn`), once for \
             each IPN"
                .to_owned()
        }
        Trigger::UnknownState => format!("a {} reaches a state that is not on this page", row.kind),
        Trigger::AttributesChanged => format!(
            "attributes of a {} change while its state stays the same, or the receiver first reads an object whose \
             state is from before it was in charge of the merchant (see `firstSight`)",
            row.kind
        ),
        Trigger::PaymentMethodChanged => {
            "the permission is `Chargeable` again after a payment-method reason (evidence \
             `became_chargeable`), the payment method or the billing address differs (`descriptor_changed`, \
             `billing_address_changed`), or Amazon sends an ATTRIBUTE_CHANGE IPN that no visible attribute explains \
             (`attribute_change`)"
                .to_owned()
        }
        Trigger::Notice(notice) => when_noticed(notice),
    }
}

fn when_noticed(notice: Notice) -> String {
    let in_time =
        "The receiver reads the object at that time, so the event comes minutes later (if reconciliation is on)";
    match notice {
        Notice::Expiring => format!(
            "the `expirationTimestamp` of a permission that is not Closed is less than `events.expiring_before_d` (14) days away; \
             of a OneTime permission only while it is Chargeable and a part of its amount is left. {in_time}. Once for each date: if \
             Amazon moves the date, again when the new date is near"
        ),
        Notice::LimitNear => {
            "a read shows that `limits.amountBalance` of a Recurring or PaymentMethodOnFile permission is at most \
             `events.limit_near_percent` (10) percent of `limits.amountLimit`. Once until the balance rises above that again. A charge \
             that lowers the balance sends an IPN about the charge, not always one about the permission: then the event comes with \
             the next read of the permission, up to 8 days later"
                .to_owned()
        }
        Notice::DeadlineNear => format!(
            "a dispute is `ActionRequired` and its `merchantResponseDeadline` is less than `events.dispute_deadline_before_h` (72) \
             hours away. {in_time}. Once for each deadline"
        ),
    }
}

/// The next action of this event type in one case.
fn advice(row: &EventType, permission_type: PermissionType, case: &Case) -> NextAction {
    let state = match row.trigger {
        Trigger::StateReached { state, .. } => State::parse(state),
        Trigger::UnknownState => State::parse("AWordOfTomorrow"),
        Trigger::ChargebackReported => State::Captured,
        Trigger::AttributesChanged | Trigger::PaymentMethodChanged | Trigger::Notice(_) => State::parse(case.state),
    };
    let reasons: Vec<Reason> =
        case.reason.map(|code| Reason { reason_code: code.to_owned(), reason_description: None }).into_iter().collect();
    let permission_id = id(ObjectKind::ChargePermission);
    let permission_state = case.permission.map(State::parse);
    let at = Timestamp::from_unix_ms;
    let permission = permission_state.as_ref().map(|state| PermissionSeen {
        state,
        reasons: &case.permission_reasons,
        last_updated: Some(at(2)),
        has_moved: true,
        usable_since: None,
        read_at: at(3),
    });
    let situation = Situation {
        last_updated: Some(at(1)),
        permission,
        permission_type,
        is_first_sight: case.is_first_sight,
        is_chargeable_again: case.is_chargeable_again,
        is_used_up: case.is_used_up,
        retry_was_advised: case.retry_was_advised,
        evidence: case.evidence,
        update_url: UPDATE_URL,
        ..Situation::of(row.kind, &state, &reasons, &permission_id)
    };
    next_action(row, &situation)
}

/// One row of an event's table: its name, a reason, and the other facts that decide.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts")]
struct Case {
    name: String,
    reason: Option<&'static str>,
    is_first_sight: bool,
    is_chargeable_again: bool,
    is_used_up: bool,
    retry_was_advised: bool,
    /// On charges: the permission's state, which is newer than the charge's.
    permission: Option<&'static str>,
    permission_reasons: Vec<Reason>,
    state: &'static str,
    evidence: &'static [Evidence],
}

impl Case {
    fn new(name: impl Into<String>, reason: Option<&'static str>) -> Self {
        Self { name: name.into(), reason, ..Self::default() }
    }
}

fn cases(row: &EventType) -> Vec<Case> {
    let method = |name, state, evidence| Case { state, evidence, ..Case::new(name, None) };
    match row.name {
        "PermissionChargeable" => vec![
            Case::new("first sight, or after `ChargeInProgress`", None),
            Case {
                is_chargeable_again: true,
                ..Case::new("after NonChargeable for another reason, or after a decline that waits for it", None)
            },
        ],
        "PaymentMethodUpdated" => vec![
            method("evidence has `became_chargeable`", "Chargeable", &[Evidence::BecameChargeable]),
            method("other evidence, permission is Chargeable", "Chargeable", &[Evidence::DescriptorChanged]),
            Case {
                retry_was_advised: true,
                ..method(
                    "the same, minutes after an event with RETRY_CHARGE",
                    "Chargeable",
                    &[Evidence::DescriptorChanged],
                )
            },
            method("other evidence, permission is not Chargeable", "NonChargeable", &[Evidence::DescriptorChanged]),
        ],
        "PermissionUpdated" => vec![
            Case::new("attributes changed", None),
            Case {
                is_first_sight: true,
                state: "NonChargeable",
                ..Case::new("first sight, NonChargeable for more than 24 h", Some("PaymentMethodInvalid"))
            },
        ],
        _ => cases_by_reason(row),
    }
}

fn cases_by_reason(row: &EventType) -> Vec<Case> {
    let by_reason = |reason: &&'static str| Case::new(format!("`{reason}`"), Some(*reason));
    let mut cases: Vec<Case> = row.reasons.iter().map(by_reason).collect();
    if row.name == "ChargeDeclined" {
        cases.splice(0..0, cases_by_permission());
    }
    if cases.iter().any(|case| case.reason == Some("AmazonClosed")) {
        let used_up = Case::new("`AmazonClosed`, whole amount charged", Some("AmazonClosed"));
        cases.insert(1, Case { is_used_up: true, ..used_up });
    }
    if !row.reasons.is_empty() {
        cases.push(Case::new("another reason", Some("AWordOfTomorrow")));
    }
    if let Some(at) = cases.iter().position(|case| case.reason == Some("ChargeInProgress")) {
        let only = cases.remove(at);
        cases.push(Case { name: "`ChargeInProgress` and no other".to_owned(), ..only });
    }
    cases.push(Case::new("no reason", None));
    cases
}

/// What the permission's last known state changes in the advice for a declined charge.
fn cases_by_permission() -> [Case; 3] {
    let retryable = "`SoftDeclined`, `ProcessingFailure` or `HardDeclined`";
    let invalid = Reason { reason_code: "PaymentMethodInvalid".to_owned(), reason_description: None };
    [
        Case {
            permission: Some("Closed"),
            ..Case::new(format!("{retryable}; the permission is Closed"), Some("HardDeclined"))
        },
        Case {
            permission: Some("Chargeable"),
            ..Case::new(
                format!("{retryable}; the permission became Chargeable after the decline"),
                Some("HardDeclined"),
            )
        },
        Case {
            permission: Some("NonChargeable"),
            permission_reasons: vec![invalid],
            ..Case::new(
                "`SoftDeclined` or `ProcessingFailure`; the permission has no usable payment method",
                Some("SoftDeclined"),
            )
        },
    ]
}

fn next_actions(row: &EventType) -> String {
    let cases = cases(row);
    let all: Vec<[NextAction; 4]> = cases
        .iter()
        .map(|case| PermissionType::ALL.map(|permission_type| advice(row, permission_type, case)))
        .collect();
    let sentences = sentences(&all);
    if let [sentence] = &sentences[..] {
        return format!("Next action: {sentence}\n");
    }
    let list: Vec<String> = sentences.iter().map(|sentence| format!("- {sentence}")).collect();
    let mut text = String::from("Next action, by type of the charge permission");
    text += if row.reasons.len() > 1 {
        ". If there are several reasons, the first row that matches one of them applies:\n\n"
    } else {
        ":\n\n"
    };
    text += "| | OneTime | Recurring | PaymentMethodOnFile | type not known |\n|---|---|---|---|---|\n";
    let rows: Vec<_> = cases.iter().zip(&all).collect();
    for equal in rows.chunk_by(|(_, before), (_, after)| before == after) {
        let names: Vec<&str> = equal.iter().map(|(case, _)| case.name.as_str()).collect();
        let mut cells = equal[0].1.each_ref().map(|action| format!("`{}`", action.code.as_str()));
        if cells.iter().all(|cell| *cell == cells[0]) {
            cells[1..].fill("= OneTime".to_owned());
        }
        writeln!(text, "| {} | {} |", names.join(", "), cells.join(" | ")).unwrap();
    }
    text + "\n" + &list.join("\n") + "\n"
}

/// Each code with its text once, in the order of the table.
fn sentences(all: &[[NextAction; 4]]) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    for action in all.iter().flatten() {
        let url = action.url.as_ref().map(|_| " (`url` is the page)").unwrap_or_default();
        let sentence = format!("`{}`{url}: {}", action.code.as_str(), action.text);
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
}

/// A sample event of this type, as it is published.
pub(crate) fn sample_event(row: &EventType) -> Value {
    serde_json::from_slice(&sample_in(row, Mode::Structured).value).unwrap()
}

/// The same sample, encoded in this content mode.
pub(crate) fn sample_in(row: &EventType, mode: Mode) -> Encoded {
    Wire { type_prefix: "amazonpay".to_owned(), mode }.encode(&sample(row), 1_767_323_046_902)
}

#[test]
fn events_page_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
    let document = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &document).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == document, "docs/events.md is out of date; run: UPDATE_DOCS=1 cargo test --test all events_doc");
}

#[test]
fn readme_links_the_events_page() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    assert!(readme.contains("docs/events.md"), "README.md does not link docs/events.md");
}
