//! Order, pauses, outages and limits of the queue; at the end against random targets.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { events_max: 100, bytes_max: 10_000, requests_at_once: 4 };

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A queue of (permission, number).
fn queue(events: &[(&'static str, u32)], now: Instant) -> Queue<(&'static str, u32)> {
    let mut queue = Queue::new(LIMITS);
    for event in events {
        queue.push(event.0, *event, 10, now);
    }
    queue
}

fn started(queue: &mut Queue<(&'static str, u32)>, now: Instant) -> Vec<(&'static str, u32)> {
    std::iter::from_fn(|| queue.start(now)).map(|(_, waiting)| waiting.event).collect()
}

#[test]
fn events_of_a_permission_wait_for_each_other() {
    let now = Instant::now();
    let mut queue = queue(&[("a", 1), ("a", 2), ("b", 1), ("a", 3)], now);
    assert_eq!(started(&mut queue, now), [("a", 1), ("b", 1)]);
    assert_eq!((queue.next_at(), queue.n_in_flight(), queue.len()), (None, 2, 4));
    assert_eq!(queue.finish("a", Outcome::Delivered, now).again_after, None);
    assert_eq!(started(&mut queue, now), [("a", 2)]);
    queue.finish("a", Outcome::Failed, now);
    assert_eq!(started(&mut queue, now + ms(199)), []);
    assert_eq!(started(&mut queue, now + ms(200)), [("a", 2)], "the third waits for the second");
}

#[test]
fn pauses_double_up_to_the_longest() {
    let mut now = Instant::now();
    let mut queue = queue(&[("a", 1)], now);
    let mut pauses = Vec::new();
    for attempt in 1..=8 {
        let (_, waiting) = queue.start(now).unwrap();
        assert_eq!(waiting.attempts, attempt);
        let pause = queue.finish("a", Outcome::Failed, now).again_after.unwrap();
        pauses.push(pause.as_millis());
        now += pause;
    }
    assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    assert_eq!(pause(u32::MAX), PAUSE_MAX);
}

#[test]
fn outage_is_noted_once_and_probed_with_one_event() {
    let now = Instant::now();
    let mut queue = queue(&[("a", 1), ("b", 1), ("c", 1)], now);
    assert_eq!(started(&mut queue, now).len(), 3);
    let noted: Vec<bool> = ["a", "b", "c"].map(|one| queue.finish(one, Outcome::Unreachable, now).is_outage).to_vec();
    assert_eq!(noted, [true, false, false]);
    assert_eq!(queue.next_at(), Some(now + ms(200)));
    let later = now + ms(250);
    assert_eq!(started(&mut queue, later).len(), 1, "one event asks whether the target is back");
    assert!(!queue.finish("a", Outcome::Unreachable, later).is_outage);
    assert_eq!(queue.next_at(), Some(later + ms(400)));
    let back = later + ms(400);
    let [(permission, _)] = [queue.start(back).unwrap()];
    let next = queue.finish(&permission, Outcome::Failed, back);
    assert_eq!(next.back_after, Some(back - now), "any answer is a sign of life");
    assert_eq!(started(&mut queue, back).len(), 2);
}

#[test]
fn full_queue_has_no_room_until_an_event_is_delivered() {
    let now = Instant::now();
    for limits in [Limits { events_max: 2, ..LIMITS }, Limits { bytes_max: 20, ..LIMITS }] {
        let mut queue = Queue::new(limits);
        assert!(queue.has_room());
        queue.push("a", 1, 10, now);
        assert!(queue.has_room());
        queue.push("a", 2, 10, now);
        assert!(!queue.has_room());
        queue.start(now).unwrap();
        queue.finish("a", Outcome::Failed, now);
        assert!(!queue.has_room());
        queue.start(now + PAUSE_MAX).unwrap();
        queue.finish("a", Outcome::Delivered, now + PAUSE_MAX);
        assert!(queue.has_room());
        assert_eq!(queue.events().copied().collect::<Vec<_>>(), [2]);
    }
}

proptest! {
    /// A target that answers in any order and fails as it likes: every event is delivered, once by the queue's count, in the
    /// order of its permission, and the limits hold.
    #[test]
    fn every_event_is_delivered_in_order(
        events in prop::collection::vec(0..5_usize, 1..60),
        choices in prop::collection::vec((0..3_usize, 0..4_usize, 0..3000_u64), 1..400),
    ) {
        const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
        let mut now = Instant::now();
        let mut queue = Queue::new(LIMITS);
        for (at, permission) in events.iter().enumerate() {
            queue.push(NAMES[*permission], (NAMES[*permission], at), 10, now);
        }
        let mut in_flight: Vec<(String, (&str, usize))> = Vec::new();
        let mut delivered: Vec<(&str, usize)> = Vec::new();
        let mut choices = choices.into_iter();
        while queue.len() > 0 {
            while let Some((permission, waiting)) = queue.start(now) {
                prop_assert!(in_flight.iter().all(|(other, _)| *other != permission));
                in_flight.push((permission, waiting.event));
            }
            prop_assert!(in_flight.len() <= LIMITS.requests_at_once && in_flight.len() == queue.n_in_flight());
            let (outcome, which, pause) = choices.next().unwrap_or((0, 0, 0));
            if in_flight.is_empty() {
                now = queue.next_at().expect("something is due, or the queue is empty").max(now);
                continue;
            }
            let (permission, event) = in_flight.swap_remove(which % in_flight.len());
            let outcome = [Outcome::Delivered, Outcome::Failed, Outcome::Unreachable][outcome];
            now += ms(pause);
            let next = queue.finish(&permission, outcome, now);
            prop_assert_eq!(next.again_after.is_none(), outcome == Outcome::Delivered);
            if outcome == Outcome::Delivered {
                delivered.push(event);
            }
        }
        prop_assert_eq!(delivered.len(), events.len());
        for name in NAMES {
            let of_it: Vec<usize> = delivered.iter().filter(|(of, _)| *of == name).map(|(_, at)| *at).collect();
            prop_assert!(of_it.is_sorted(), "{name}: {of_it:?}");
        }
    }
}
