//! Random steps in random order: every inbox record leaves the queue exactly once, and every read happens.

use std::collections::HashMap;

use proptest::prelude::*;

use super::tests::{RULES, at, charge, ipn, offsets};
use super::*;
use crate::domain::work::Origin;

/// One step of a random history of a queue.
#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    ReadFirst(u8),
    Reconcile(u8),
    Recheck(u8),
    Wait(u16),
    Complete(u8),
    Requeue(u8, Requeue, u16),
    Release,
    ReleaseOne(u8),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let object = 0..6_u8;
    let why = prop::sample::select(vec![
        Requeue::Confirm,
        Requeue::ObjectFailed,
        Requeue::Vanished,
        Requeue::Waiting,
        Requeue::Systemic,
    ]);
    prop::collection::vec(
        prop_oneof![
            6 => object.clone().prop_map(Step::Push),
            1 => object.clone().prop_map(Step::ReadFirst),
            1 => object.clone().prop_map(Step::Reconcile),
            2 => object.clone().prop_map(Step::Recheck),
            6 => (0..20_000_u16).prop_map(Step::Wait),
            4 => any::<u8>().prop_map(Step::Complete),
            4 => (any::<u8>(), why, any::<u16>()).prop_map(|(n, why, wait)| Step::Requeue(n, why, wait)),
            1 => Just(Step::Release),
            1 => object.prop_map(Step::ReleaseOne),
            1 => Just(Step::Restart),
        ],
        1..120,
    )
}

/// A queue, and a model of what must be true of it.
struct Checked {
    queue: WorkQueue,
    now_ms: i64,
    next_offset: i64,
    /// Open inbox records, with their objects.
    open: HashMap<i64, ObjectRef>,
    in_flight: Vec<ObjectRef>,
    /// The pending work in the state topic.
    pending: HashMap<ObjectRef, Pending>,
}

impl Checked {
    /// These records are answered: each of them was open, for this object.
    fn leave(&mut self, object: &ObjectRef, positions: &[InboxPosition]) {
        for offset in offsets(positions) {
            assert_eq!(
                self.open.remove(&offset).as_ref(),
                Some(object),
                "record {offset} was answered twice, or for another object"
            );
        }
    }

    fn write(&mut self, object: &ObjectRef) {
        match self.queue.pending_of(object) {
            Some(pending) => self.pending.insert(object.clone(), pending),
            None => self.pending.remove(object),
        };
    }

    fn complete(&mut self, object: &ObjectRef) {
        let completed = self.queue.complete(object, at(self.now_ms));
        self.leave(object, &completed.answered);
        assert_eq!(completed.was_pending, self.pending.contains_key(object), "{object:?}");
        self.write(object);
    }

    fn take(&mut self) {
        for object in self.queue.take_due(at(self.now_ms)) {
            assert!(!self.in_flight.contains(&object), "an object has one read at a time");
            self.in_flight.push(object);
        }
    }

    fn requeue(&mut self, object: &ObjectRef, why: Requeue, wait_ms: i64) {
        self.queue.requeue(object, why, at(self.now_ms + wait_ms), at(self.now_ms));
        let released = self.queue.release_one(object);
        self.leave(object, &released);
        self.write(object);
    }

    fn step(&mut self, step: &Step) {
        let object = |n: u8| {
            let kind = if n.is_multiple_of(2) { ObjectKind::Charge } else { ObjectKind::Refund };
            ObjectRef { kind, ..charge(&format!("C{n}")) }
        };
        let helper = Cause { origin: Origin::parent_read(charge("R9").id, &[]), timestamp: at(self.now_ms) };
        match *step {
            Step::Push(n) => {
                self.queue.push(&object(n), ipn(self.next_offset, self.now_ms), at(self.now_ms));
                self.open.insert(self.next_offset, object(n));
                self.next_offset += 1;
            }
            Step::Recheck(n) => {
                let position = InboxPosition { partition: 0, offset: self.next_offset };
                let origin = Origin::Recheck { position, seed: n.is_multiple_of(3) };
                self.queue.push(&object(n), Cause { origin, timestamp: at(self.now_ms) }, at(self.now_ms));
                self.open.insert(self.next_offset, object(n));
                self.next_offset += 1;
            }
            Step::ReadFirst(n) => self.queue.read_first(&object(n), helper, at(self.now_ms)),
            Step::Reconcile(n) => self.queue.reconcile(&object(n), at(self.now_ms)),
            Step::Wait(ms) => {
                self.now_ms += i64::from(ms);
                self.take();
            }
            Step::Complete(n) if !self.in_flight.is_empty() => {
                let object = self.in_flight.remove(usize::from(n) % self.in_flight.len());
                self.complete(&object);
            }
            Step::Requeue(n, why, wait_ms) if !self.in_flight.is_empty() => {
                let object = self.in_flight.remove(usize::from(n) % self.in_flight.len());
                self.requeue(&object, why, i64::from(wait_ms));
            }
            Step::Complete(_) | Step::Requeue(..) => {}
            Step::Release => {
                for (object, positions) in self.queue.release(at(self.now_ms), Duration::from_secs(10), 100) {
                    self.leave(&object, &positions);
                    self.write(&object);
                }
            }
            Step::ReleaseOne(n) => {
                let released = self.queue.release_one(&object(n));
                self.leave(&object(n), &released);
                self.write(&object(n));
            }
            Step::Restart => self.restart(),
        }
        assert_eq!(self.queue.in_flight(), self.in_flight.len());
    }

    /// The next owner starts with the state topic and the inbox alone.
    fn restart(&mut self) {
        self.queue = WorkQueue::new(RULES, at(self.now_ms));
        self.in_flight.clear();
        for (object, pending) in &self.pending {
            self.queue.restore(object, pending.clone());
        }
        let mut open: Vec<_> = self.open.iter().collect();
        open.sort_by_key(|(offset, _)| **offset);
        for (offset, object) in open {
            self.queue.push(object, ipn(*offset, self.now_ms), at(self.now_ms));
        }
    }
}

proptest! {
    #[test]
    fn every_record_completes_once_and_every_read_happens(steps in steps()) {
        let queue = WorkQueue::new(RULES, at(0));
        let (open, pending) = (HashMap::new(), HashMap::new());
        let mut checked = Checked { queue, now_ms: 1000, next_offset: 0, open, in_flight: vec![], pending };
        for step in &steps {
            checked.step(step);
        }
        for _ in 0..100 {
            checked.now_ms += 100_000;
            checked.take();
            for object in std::mem::take(&mut checked.in_flight) {
                checked.complete(&object);
            }
        }
        prop_assert!(checked.queue.is_empty() && checked.open.is_empty() && checked.pending.is_empty());
    }
}
