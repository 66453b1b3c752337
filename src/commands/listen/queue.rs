//! Which event is sent next: the pure core of forwarding.
//!
//! - Events of one charge permission are sent one after another, in the order of the topic: an event waits until the one before
//!   it was delivered. Other permissions go on meanwhile.
//! - A failed event is sent again, after 0.2 s at first and [`PAUSE_MAX`] at most, without end: an event that is skipped is lost.
//! - While the target cannot be reached, one event at a time is sent to find out when it is back.
//! - The queue is full at a number of events and of bytes; the caller then stops reading.
//!
//! Does no input or output, and takes the time as an argument.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

/// An event that waits to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting<T> {
    pub(super) event: T,
    bytes: usize,
    /// How often it was sent.
    pub(super) attempts: u32,
}

/// What came of sending an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The target accepted it.
    Delivered,
    /// The target answered, but not with success, or did not answer in time.
    Failed,
    /// There was no connection.
    Unreachable,
}

/// What follows from an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Next {
    /// After which time the event is sent again; none if it was delivered.
    pub(super) again_after: Option<Duration>,
    /// The target could be reached before, and cannot any more.
    pub(super) is_outage: bool,
    /// For how long the target could not be reached, if this is the first sign of life.
    pub(super) back_after: Option<Duration>,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) events_max: usize,
    pub(super) bytes_max: usize,
    pub(super) requests_at_once: usize,
}

/// The events that wait, by charge permission.
#[derive(Debug)]
pub(super) struct Queue<T> {
    limits: Limits,
    lanes: HashMap<String, VecDeque<Waiting<T>>>,
    /// The lanes whose first event is not in flight, by the time at which it is due and the order of arrival there.
    due: BTreeMap<(Instant, u64), String>,
    turns: u64,
    n_waiting: usize,
    bytes: usize,
    n_in_flight: usize,
    outage: Option<Outage>,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    failures: u32,
    probe_at: Instant,
}

impl<T: Clone> Queue<T> {
    pub(super) fn new(limits: Limits) -> Self {
        let (lanes, due) = (HashMap::new(), BTreeMap::new());
        Self { limits, lanes, due, turns: 0, n_waiting: 0, bytes: 0, n_in_flight: 0, outage: None }
    }

    /// Whether another event may be added.
    pub(super) fn has_room(&self) -> bool {
        self.n_waiting < self.limits.events_max && self.bytes < self.limits.bytes_max
    }

    /// Adds an event behind those of its charge permission.
    pub(super) fn push(&mut self, permission: &str, event: T, bytes: usize, now: Instant) {
        let lane = self.lanes.entry(permission.to_owned()).or_default();
        lane.push_back(Waiting { event, bytes, attempts: 0 });
        let is_first = lane.len() == 1;
        (self.n_waiting, self.bytes) = (self.n_waiting + 1, self.bytes + bytes);
        if is_first {
            self.schedule(permission.to_owned(), now);
        }
    }

    /// The next event to send now, with its charge permission, for [`Self::finish`].
    pub(super) fn start(&mut self, now: Instant) -> Option<(String, Waiting<T>)> {
        if self.next_at()? > now {
            return None;
        }
        let (_, permission) = self.due.pop_first()?;
        let waiting = self.lanes.get_mut(&permission)?.front_mut()?;
        waiting.attempts += 1;
        let waiting = waiting.clone();
        self.n_in_flight += 1;
        Some((permission, waiting))
    }

    /// When [`Self::start`] has an event; none if an event must be added or finished first.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let ((due, _), _) = self.due.first_key_value()?;
        match &self.outage {
            Some(outage) => (self.n_in_flight == 0).then(|| outage.probe_at.max(*due)),
            None => (self.n_in_flight < self.limits.requests_at_once).then_some(*due),
        }
    }

    /// Notes what came of the event of this charge permission that is in flight.
    pub(super) fn finish(&mut self, permission: &str, outcome: Outcome, now: Instant) -> Next {
        self.n_in_flight -= 1;
        let (is_outage, back_after) = self.note_reachability(outcome, now);
        let lane = self.lanes.get_mut(permission).expect("an event of this permission is in flight");
        let first = lane.front().expect("it is the first of its permission");
        let again_after = match outcome {
            Outcome::Delivered => None,
            Outcome::Failed => Some(pause(first.attempts)),
            Outcome::Unreachable => self.outage.map(|outage| outage.probe_at.saturating_duration_since(now)),
        };
        if again_after.is_none() {
            (self.n_waiting, self.bytes) = (self.n_waiting - 1, self.bytes - first.bytes);
            lane.pop_front();
        }
        if lane.is_empty() {
            self.lanes.remove(permission);
        } else {
            // During an outage only the probe waits.
            let pause = again_after.filter(|_| outcome == Outcome::Failed).unwrap_or_default();
            self.schedule(permission.to_owned(), now + pause);
        }
        Next { again_after, is_outage, back_after }
    }

    /// How many events wait or are in flight.
    pub(super) fn len(&self) -> usize {
        self.n_waiting
    }

    pub(super) fn n_in_flight(&self) -> usize {
        self.n_in_flight
    }

    /// All events that wait or are in flight, in the order of their permission.
    pub(super) fn events(&self) -> impl Iterator<Item = &T> {
        self.lanes.values().flatten().map(|waiting| &waiting.event)
    }

    fn note_reachability(&mut self, outcome: Outcome, now: Instant) -> (bool, Option<Duration>) {
        if outcome != Outcome::Unreachable {
            return (false, self.outage.take().map(|outage| now.saturating_duration_since(outage.since)));
        }
        let is_new = self.outage.is_none();
        let outage = self.outage.get_or_insert(Outage { since: now, failures: 0, probe_at: now });
        // Several requests may fail at the start of an outage; they are one failure.
        if now >= outage.probe_at {
            outage.failures += 1;
            outage.probe_at = now + pause(outage.failures);
        }
        (is_new, None)
    }

    fn schedule(&mut self, permission: String, at: Instant) {
        self.turns += 1;
        self.due.insert((at, self.turns), permission);
    }
}

/// How long to wait after this many attempts.
fn pause(attempts: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempts.saturating_sub(1));
    PAUSE_MIN.saturating_mul(factor).min(PAUSE_MAX)
}

const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Short enough for a developer who has just started the target again.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
