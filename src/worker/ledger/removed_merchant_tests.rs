//! Pending work of a merchant that is no longer configured: it is kept, and not read.

use std::collections::BTreeMap;

use super::tests::{account, at, config, fetched, ledger, object, position, published, read, record, unlimited};
use super::*;
use crate::amazon::pay_api::{Blame, Disposition};

/// The state topic, as written by the former owner of the partition.
type StateTopic = BTreeMap<String, StateRecord>;

fn write(topic: &mut StateTopic, ledger: &mut Ledger) {
    topic.extend(ledger.take_batch(vec![]).records.into_iter().map(|record| (record.key.clone(), record)));
}

/// The next owner of the partition, with these accounts in its configuration.
fn started(topic: &StateTopic, accounts: &[Account], now: Timestamp) -> Ledger {
    let mut restored = Restored::default();
    for StateRecord { key, partition, value } in topic.values() {
        let value = value.as_ref().map(|state| serde_json::to_vec(state).unwrap());
        restored.store.apply(*partition, key.as_bytes(), value.as_deref()).unwrap();
    }
    let settings = Settings::default();
    let rules = unlimited(&settings);
    Ledger::new(config(settings, rules, accounts), restored, &BTreeMap::from([(0, 1)]), now)
}

fn another_account() -> Account {
    Account { merchant_id: MerchantId::parse("M2").unwrap(), ..account() }
}

/// A charge with an event, and an IPN about it that could not be answered before its merchant was removed.
fn pending_charge(state: &str) -> StateTopic {
    let (mut topic, mut ledger) = (StateTopic::new(), ledger(Settings::default()));
    ledger.take_in(record(0, 100), at(100));
    assert!(read(&mut ledger, 101, fetched(state, 0)));
    write(&mut topic, &mut ledger);
    ledger.take_in(record(1, 200), at(200));
    assert!(read(&mut ledger, 201, Disposition::Systemic(Blame::Credentials, "403".into())));
    ledger.release_overdue(at(400));
    assert_eq!(position(&ledger), 2, "its inbox record is answered by pending work");
    write(&mut topic, &mut ledger);
    topic
}

#[test]
fn pending_work_of_removed_merchant_is_kept_and_not_read() {
    for (state, events) in [("Authorized", vec!["ChargeCaptured"]), ("Captured", vec![])] {
        let mut topic = pending_charge(state);
        let mut removed = started(&topic, &[another_account()], at(500));
        // Its objects are kept for 90 and 400 days.
        for hour in 0..24 * 500 {
            let now = at(500 + hour * 3600);
            assert!(removed.take_due(now).is_empty(), "{state}, hour {hour}");
            (0..3).for_each(|round| removed.maintain(now.plus(Duration::from_millis(1000 * round))));
            write(&mut topic, &mut removed);
        }
        let now = at(500 + 500 * 86_400);
        let mut back = started(&topic, &[account()], now);
        let (due, _) = back.take_due(now.plus(Duration::from_secs(1))).remove(0);
        let newest = back.queue.records_of(&object()).0.last().map(|position| position.offset);
        assert_eq!((due, newest), (object(), Some(1)), "{state}");
        back.apply_read(&object(), fetched("Captured", 300), now.into(), now);
        assert_eq!(published(&mut back), events, "{state}");
    }
}
