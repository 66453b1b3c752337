//! Generates `docs/events.md` from the catalogue and from the code that derives events, and fails if the file is out of date.
//! After a change: `UPDATE_DOCS=1 cargo test --test all events_doc`.

use std::fmt::Write as _;
use std::path::Path;

use ipn_receiver::domain::events::{CATALOG, Encoded, EventType, Mode, Notice, Trigger, Wire, updated_type};
use ipn_receiver::sandbox::recipes::Variant;
use ipn_receiver::sandbox::sample;
use serde_json::Value;

use self::next_actions::next_actions;
use self::text::{HOW_TO, INTRODUCTION, never_means};
use self::timing::TIMING;

mod next_actions;
mod text;
mod timing;

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
                "a {} reaches `{state}`. If the receiver does not know the object yet and the state is old (see `firstSight`), it \
                 publishes `{updated}` instead",
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
            "attributes of a {} change while its state stays the same, or the receiver first reads an object whose state is old \
             (see `firstSight`)",
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

/// A sample event of this type, as it is published.
pub(crate) fn sample_event(row: &EventType) -> Value {
    serde_json::from_slice(&sample_in(row, Mode::Structured).value).unwrap()
}

/// The same sample, encoded in this content mode.
pub(crate) fn sample_in(row: &EventType, mode: Mode) -> Encoded {
    let reason = (row.name == "ChargeDeclined").then_some("HardDeclined");
    let (event, sequence) = sample::event(Variant::find(row.name, reason, None).unwrap());
    Wire { type_prefix: "amazonpay".to_owned(), mode }.encode(&event, sequence)
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
