//! The tables of next actions, computed with the code that decides them.

use std::fmt::Write as _;

use ipn_receiver::config::UpdateUrls;
use ipn_receiver::domain::events::{
    CATALOG, EventType, Evidence, NextAction, PermissionSeen, PermissionType, Situation, Trigger, next_action,
    updated_type,
};
use ipn_receiver::domain::pay::{ObjectId, Reason, State};
use ipn_receiver::domain::timestamp::Timestamp;

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
    let permission_id = ObjectId::parse("B02-1234567-7654321").unwrap();
    let update_url = UpdateUrls::default().na;
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
        is_older_than_decline: case.is_older_than_decline,
        evidence: case.evidence,
        update_url: &update_url,
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
    is_older_than_decline: bool,
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
            Case {
                is_chargeable_again: true,
                ..Case::new(
                    "a decline waits for it, or it was NonChargeable for another reason than `ChargeInProgress`",
                    None,
                )
            },
            Case::new("in every other case: first sight, or after `ChargeInProgress`", None),
        ],
        "PaymentMethodUpdated" => vec![
            method("evidence has `became_chargeable`", "Chargeable", &[Evidence::BecameChargeable]),
            method("other evidence, the permission is Chargeable", "Chargeable", &[Evidence::DescriptorChanged]),
            Case {
                retry_was_advised: true,
                ..method(
                    "the same, and this act was answered (see below)",
                    "Chargeable",
                    &[Evidence::DescriptorChanged],
                )
            },
            Case {
                is_older_than_decline: true,
                ..method(
                    "`attribute_change` alone, and its IPN is older than the last declined charge",
                    "Chargeable",
                    &[Evidence::AttributeChange],
                )
            },
            method("other evidence, the permission is NonChargeable", "NonChargeable", &[Evidence::DescriptorChanged]),
            method("the permission is Closed", "Closed", &[Evidence::DescriptorChanged]),
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
    if let Some(at) = cases.iter().position(|case| case.reason == Some("ExpiredUnused")) {
        let closed = Case::new("`ExpiredUnused`; the permission is Closed", Some("ExpiredUnused"));
        cases.insert(at, Case { permission: Some("Closed"), ..closed });
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
    cases.push(Case::new(if row.reasons.is_empty() { "always" } else { "no reason" }, None));
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
                format!(
                    "{retryable}; the permission became Chargeable, or got another payment method, after the decline"
                ),
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

/// The codes of this event type in each case, and the text of each code.
pub(super) fn next_actions(row: &EventType) -> String {
    let cases = cases(row);
    let all: Vec<[NextAction; 4]> = cases
        .iter()
        .map(|case| PermissionType::ALL.map(|permission_type| advice(row, permission_type, case)))
        .collect();
    let sentences = sentences(&all);
    if let [sentence] = &sentences[..] {
        return format!("Next action: {sentence}\n{}", below_table(row));
    }
    let list: Vec<String> = sentences.iter().map(|sentence| format!("- {sentence}")).collect();
    let mut text = String::from("Next action, by type of the charge permission");
    text += if row.reasons.len() > 1 {
        ". If there are several reasons, the first row that matches one of them applies:\n\n"
    } else {
        ":\n\n"
    };
    let all_equal = all.iter().all(|row| row.iter().all(|action| *action == row[0]));
    let columns = if all_equal { &["all types"][..] } else { &TYPES };
    writeln!(text, "| | {} |\n|---|{}", columns.join(" | "), "---|".repeat(columns.len())).unwrap();
    let rows: Vec<_> = cases.iter().zip(&all).collect();
    for equal in rows.chunk_by(|(_, before), (_, after)| before == after) {
        let names: Vec<&str> = equal.iter().map(|(case, _)| case.name.as_str()).collect();
        let cells = equal[0].1.each_ref().map(|action| format!("`{}`", action.code.as_str()));
        writeln!(text, "| {} | {} |", names.join(", "), cells[..columns.len()].join(" | ")).unwrap();
    }
    text + "\n" + &list.join("\n") + "\n" + below_table(row)
}

/// What a table cannot say.
fn below_table(row: &EventType) -> &'static str {
    match row.name {
        "PaymentMethodUpdated" => ANSWERED,
        "PermissionUpdated" => {
            "\nIf `firstSight` is true, the next action is that of [PermissionChargeable](#permissionchargeable) or \
             [PermissionNonChargeable](#permissionnonchargeable), by `state`.\n"
        }
        "ChargeUpdated" => {
            "\nIf `firstSight` is true, the next action is that of the event of the same `state`, for example of \
             [ChargeCanceled](#chargecanceled).\n"
        }
        _ => "",
    }
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

const TYPES: [&str; 4] = ["OneTime", "Recurring", "PaymentMethodOnFile", "type not known"];

const ANSWERED: &str = r"
An act of the buyer was answered

- if the same read publishes `PermissionChargeable` with `RETRY_CHARGE`;
- if there was a *first answer*, and no charge of the permission was declined after it. A first answer is a read whose
  `PermissionChargeable`, or `PaymentMethodUpdated` with the evidence `attribute_change` alone, had the code `RETRY_CHARGE`. With
  `attribute_change` alone, Amazon sent this IPN within 10 minutes before or after the first answer or the permission's last
  `lastUpdatedTimestamp`. With `descriptor_changed` or `billing_address_changed`, this read began within 10 minutes after the first answer.

Two visible changes of the payment method or billing address are two acts, even within 10 minutes.
";

/// What the page says below the table of an `…Updated` event.
#[test]
fn first_sight_advice_is_that_of_the_state() {
    for row in CATALOG.iter().filter(|row| matches!(row.trigger, Trigger::StateReached { updated_when_late: true, .. }))
    {
        let Trigger::StateReached { state, .. } = row.trigger else { unreachable!() };
        for case in row.reasons.iter().map(|reason| Some(*reason)).chain([None]) {
            let case = Case { state, is_first_sight: true, ..Case::new("", case) };
            let updated = updated_type(row.kind).unwrap();
            for permission_type in PermissionType::ALL {
                assert_eq!(advice(updated, permission_type, &case), advice(row, permission_type, &case), "{state}");
            }
        }
    }
}
