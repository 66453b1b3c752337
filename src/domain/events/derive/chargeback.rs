//! The event for a CHARGEBACK IPN that names a charge. The charge itself does not show the chargeback, so the IPN is the
//! evidence: one event for each IPN.

use uuid::Uuid;

use super::{Derivation, Reading, event};
use crate::domain::events::catalog::chargeback_type;
use crate::domain::events::event::chargeback_event_id;
use crate::domain::events::{Event, Evidence};
use crate::domain::pay::ObjectKind;
use crate::domain::state::Observed;
use crate::domain::timestamp::Timestamp;
use crate::domain::work::Cause;

/// Adds an event for each chargeback among the causes that no event has reported yet. An IPN that is not newer than the newest
/// reported one is a repeat of SNS's or of the inbox.
pub(super) fn with_chargebacks(derivation: Derivation, known: Option<&Observed>, reading: &Reading<'_>) -> Derivation {
    let settled = known.and_then(|known| known.hint_settled);
    let chargebacks = chargebacks_since(settled, reading);
    match derivation {
        Derivation::Current { mut events, mut observed, attributes }
            if reading.object.kind == ObjectKind::Charge && !chargebacks.is_empty() =>
        {
            for (notified_at, message_id) in chargebacks {
                let previous = events.last().map(|_| &*observed).or(known);
                let reported = chargeback_event(previous, reading, (notified_at, message_id));
                observed.hint_settled = observed.hint_settled.max(Some(notified_at));
                observed.last_event_id = Some(reported.id);
                events.push(reported);
            }
            Derivation::Current { events, observed, attributes }
        }
        other => other,
    }
}

/// Oldest first, each message once.
fn chargebacks_since(settled: Option<Timestamp>, reading: &Reading<'_>) -> Vec<(Timestamp, Uuid)> {
    let new = reading.causes.iter().filter(|cause| cause.is_chargeback() && Some(cause.timestamp) > settled);
    let mut found: Vec<_> = new.filter_map(|cause| Some((cause.timestamp, Cause::message_id(cause)?))).collect();
    found.sort_unstable();
    found.dedup_by_key(|(_, message_id)| *message_id);
    found
}

fn chargeback_event(previous: Option<&Observed>, reading: &Reading<'_>, notice: (Timestamp, Uuid)) -> Event {
    let id = chargeback_event_id(reading.object, notice);
    event(id, chargeback_type(), &[Evidence::ChargebackIpn], previous, reading)
}
