//! What the receiver must do about records of another producer. The other rules do not see these records.

use std::collections::{BTreeMap, BTreeSet};

use super::at;
use crate::observations::{FOREIGN, Foreign, Observed, Record, Topic};

/// Checks the foreign records, and returns the others.
pub(super) fn set_aside(observed: &Observed, findings: &mut Vec<String>) -> Observed {
    damaged_state_is_repaired(observed, findings);
    foreign_inbox_records_are_dead_letters(observed, findings);
    let mut rest = observed.clone();
    for (topic, records) in [
        (Topic::Events, &mut rest.events),
        (Topic::State, &mut rest.state),
        (Topic::DeadLetters, &mut rest.dead_letters),
    ] {
        records.retain(|record| {
            let Some(id) = record.header(FOREIGN) else { return true };
            if !may_be_in(topic, observed.foreign.get(id)) {
                let at = at(record);
                findings.push(format!("foreign: {topic:?} {at} has the mark {id}, and was not appended there"));
            }
            false
        });
    }
    rest
}

/// A foreign record stays where it was appended; one of the inbox also becomes a dead letter.
fn may_be_in(topic: Topic, foreign: Option<&Foreign>) -> bool {
    foreign
        .is_some_and(|foreign| foreign.topic == topic || (foreign.topic, topic) == (Topic::Inbox, Topic::DeadLetters))
}

/// A worker that takes a partition over replaces each damaged record that it finds there.
fn damaged_state_is_repaired(observed: &Observed, findings: &mut Vec<String>) {
    struct Damaged<'a> {
        record: &'a Record,
        is_taken_over: bool,
    }
    let mut damaged: BTreeMap<(i32, &str), Damaged<'_>> = BTreeMap::new();
    for record in &observed.state {
        let key = (record.partition, record.key.as_str());
        match record.header(FOREIGN).map(|id| observed.foreign.get(id)) {
            Some(Some(Foreign { damages_state: true, .. })) => {
                damaged.insert(key, Damaged { record, is_taken_over: false });
            }
            Some(_) => {}
            None if record.key == "__barrier" => {
                let here = damaged.iter_mut().filter(|((partition, _), _)| *partition == record.partition);
                here.for_each(|(_, damaged)| damaged.is_taken_over = true);
            }
            None => _ = damaged.remove(&key),
        }
    }
    for ((_, key), Damaged { record, .. }) in damaged.iter().filter(|(_, damaged)| damaged.is_taken_over) {
        findings.push(format!("unrepaired: the state of {key} is garbage since {}", at(record)));
    }
}

fn foreign_inbox_records_are_dead_letters(observed: &Observed, findings: &mut Vec<String>) {
    let dead: BTreeSet<&str> = observed.dead_letters.iter().filter_map(|record| record.header(FOREIGN)).collect();
    for (id, foreign) in &observed.foreign {
        if foreign.topic == Topic::Inbox && foreign.is_acknowledged && !dead.contains(id.as_str()) {
            findings.push(format!("dead: the foreign record {id} of the inbox is not a dead letter"));
        }
    }
}
