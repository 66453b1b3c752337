//! Tests of the catalogue: each documented state has its row, and transitions are the documented ones.

use super::*;

#[test]
fn documented_state_has_own_event() {
    for (kind, states) in [
        (ObjectKind::ChargePermission, vec!["Chargeable", "NonChargeable", "Closed"]),
        (
            ObjectKind::Charge,
            vec!["AuthorizationInitiated", "Authorized", "CaptureInitiated", "Captured", "Canceled", "Declined"],
        ),
        (ObjectKind::Refund, vec!["RefundInitiated", "Refunded", "Declined"]),
        (ObjectKind::Dispute, vec!["UnderReview", "ActionRequired", "Resolved", "Closed"]),
    ] {
        for state in states {
            assert_ne!(event_type(kind, &State::parse(state)).trigger, Trigger::UnknownState, "{kind} {state}");
        }
        assert_eq!(event_type(kind, &State::parse("Tomorrow")).trigger, Trigger::UnknownState, "{kind}");
    }
}

#[test]
fn each_notice_has_an_event() {
    for (notice, kind, name) in [
        (Notice::Expiring, ObjectKind::ChargePermission, "PermissionExpiring"),
        (Notice::LimitNear, ObjectKind::ChargePermission, "PermissionLimitNear"),
        (Notice::DeadlineNear, ObjectKind::Dispute, "DisputeDeadlineNear"),
    ] {
        let row = notice_type(notice);
        assert_eq!((row.kind, row.name, row.is_notice()), (kind, name, true));
    }
}

#[test]
fn event_names_are_unique() {
    for (at, row) in CATALOG.iter().enumerate() {
        assert!(CATALOG[at + 1..].iter().all(|other| other.name != row.name), "{}", row.name);
    }
}

#[test]
fn only_documented_transitions_are_expected() {
    let follows =
        |kind, before: &str, after: &str| event_type(kind, &State::parse(after)).may_follow(&State::parse(before));
    assert!(follows(ObjectKind::Charge, "AuthorizationInitiated", "Captured"), "skips two states");
    assert!(follows(ObjectKind::ChargePermission, "NonChargeable", "NonChargeable"), "same state, another reason");
    assert!(
        follows(ObjectKind::Charge, "Captured", "Tomorrow") && follows(ObjectKind::Charge, "Tomorrow", "Authorized")
    );
    for (kind, before, after) in [
        (ObjectKind::Charge, "Captured", "Authorized"),
        (ObjectKind::Charge, "Declined", "Captured"),
        (ObjectKind::ChargePermission, "Closed", "Chargeable"),
        (ObjectKind::Refund, "Refunded", "RefundInitiated"),
        (ObjectKind::Dispute, "Closed", "Resolved"),
    ] {
        assert!(!follows(kind, before, after), "{kind} {before} → {after}");
    }
    for row in CATALOG {
        if let Trigger::StateReached { state, .. } = row.trigger
            && State::parse(state).is_final(row.kind)
        {
            let next = CATALOG.iter().filter(|other| other.kind == row.kind && other.name != "DisputeClosed");
            let next = next
                .filter(|other| matches!(other.trigger, Trigger::StateReached { from, .. } if from.contains(&state)));
            assert_eq!(next.count(), 0, "nothing follows {state}");
        }
    }
}
