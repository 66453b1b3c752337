//! One operation of one account: what waits for its time, and what is due, ranked by what matters first.

use std::collections::BTreeSet;
use std::time::Duration;

use super::quota::TokenBucket;
use crate::domain::pay::ObjectRef;
use crate::domain::timestamp::Timestamp;

/// How much a read matters, most first. Within a class the longest due goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Something new that Amazon told us.
    Fresh,
    /// The second look that settles it.
    Confirming,
    /// What failed before.
    Retry,
}

/// The reads of one lane, and the tokens for them.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) bucket: TokenBucket,
    waiting: BTreeSet<(Timestamp, Class, ObjectRef)>,
    due: [BTreeSet<(Timestamp, ObjectRef)>; 3],
    /// Whether the next place belongs to what has been due for too long.
    is_turn_of_aged: bool,
}

impl Lane {
    /// An empty one.
    pub(super) fn new(bucket: TokenBucket) -> Self {
        Self { bucket, waiting: BTreeSet::new(), due: Default::default(), is_turn_of_aged: true }
    }

    /// To be read from `due` on.
    pub(super) fn add(&mut self, due: Timestamp, class: Class, object: ObjectRef) {
        self.waiting.insert((due, class, object));
    }

    /// Not to be read after all, or at another time.
    pub(super) fn remove(&mut self, due: Timestamp, class: Class, object: &ObjectRef) {
        if !self.waiting.remove(&(due, class, object.clone())) {
            self.due[class as usize].remove(&(due, object.clone()));
        }
    }

    /// Whether anything is due.
    pub(super) fn has_due(&self, now: Timestamp) -> bool {
        self.due.iter().any(|class| !class.is_empty()) || self.waiting.first().is_some_and(|(due, ..)| *due <= now)
    }

    /// What is to be read next. What has been due for `aged_after`, of whatever class, has every second place, so that
    /// neither a flood of news nor a heap of old work keeps the other from being read.
    pub(super) fn pop(&mut self, now: Timestamp, aged_after: Duration) -> Option<ObjectRef> {
        while self.waiting.first().is_some_and(|(due, ..)| *due <= now) {
            let (due, class, object) = self.waiting.pop_first().expect("a first one was just seen");
            self.due[class as usize].insert((due, object));
        }
        let aged = self
            .due
            .iter_mut()
            .filter(|class| class.first().is_some_and(|(due, _)| due.plus(aged_after) <= now))
            .min_by_key(|class| class.first().map(|(due, _)| *due));
        let class = match aged {
            Some(aged) if self.is_turn_of_aged => {
                self.is_turn_of_aged = false;
                Some(aged)
            }
            _ => {
                self.is_turn_of_aged = true;
                self.due.iter_mut().find(|class| !class.is_empty())
            }
        };
        class.and_then(BTreeSet::pop_first).map(|(_, object)| object)
    }
}

#[cfg(test)]
mod tests {
    use super::super::quota::Quota;
    use super::*;
    use crate::domain::pay::{Account, Environment, MerchantId, ObjectId, ObjectKind};

    const AGED: Duration = Duration::from_mins(5);

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }

    fn lane() -> Lane {
        Lane::new(TokenBucket::empty(Quota { burst: 1.0, per_second: 1.0 }, at(0)))
    }

    fn object(id: &str) -> ObjectRef {
        let account = Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live };
        ObjectRef { account, kind: ObjectKind::Charge, id: ObjectId::parse(id).unwrap() }
    }

    fn order(lane: &mut Lane, now: Timestamp) -> Vec<String> {
        std::iter::from_fn(|| lane.pop(now, AGED)).map(|object| object.id.to_string()).collect()
    }

    #[test]
    fn news_goes_before_second_looks_and_those_before_what_failed() {
        let mut lane = lane();
        for (s, class, id) in
            [(1, Class::Retry, "R1"), (2, Class::Confirming, "C1"), (3, Class::Fresh, "F2"), (2, Class::Fresh, "F1")]
        {
            lane.add(at(s), class, object(id));
        }
        lane.add(at(100), Class::Fresh, object("LATER"));
        assert!(lane.has_due(at(50)));
        assert_eq!(order(&mut lane, at(50)), ["F1", "F2", "C1", "R1"]);
        assert!(!lane.has_due(at(50)));
        assert_eq!(order(&mut lane, at(100)), ["LATER"]);
    }

    #[test]
    fn what_is_due_for_long_and_what_is_new_take_turns() {
        let mut lane = lane();
        for n in 0..3 {
            lane.add(at(n), Class::Retry, object(&format!("OLD{n}")));
            lane.add(at(1000 + n), Class::Fresh, object(&format!("NEW{n}")));
        }
        assert_eq!(order(&mut lane, at(1010)), ["OLD0", "NEW0", "OLD1", "NEW1", "OLD2", "NEW2"]);
    }

    #[test]
    fn what_is_removed_is_gone_due_or_not() {
        let mut lane = lane();
        lane.add(at(1), Class::Retry, object("A"));
        lane.add(at(2), Class::Retry, object("B"));
        lane.remove(at(1), Class::Retry, &object("A"));
        assert_eq!(lane.pop(at(5), AGED), Some(object("B")));
        lane.add(at(6), Class::Fresh, object("C"));
        lane.add(at(6), Class::Fresh, object("D"));
        assert_eq!(lane.pop(at(7), AGED), Some(object("C")));
        lane.remove(at(6), Class::Fresh, &object("D"));
        assert!(!lane.has_due(at(100)));
    }
}
