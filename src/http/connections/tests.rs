//! The bookkeeping of connections, without a network.

use super::*;

fn counts(connections: &Connections) -> (usize, usize, usize) {
    let Counts { open, waiting, ended_at_limit, .. } = connections.counts();
    (open, waiting, ended_at_limit)
}

#[test]
fn longest_waiting_connection_ends_at_the_limit() {
    let connections = Connections::new(3);
    let [first, second, third] = [(); 3].map(|()| connections.open());
    // The first one has been answered a request since, so the second one has waited for longer.
    drop(first.work());
    let fourth = connections.open();
    assert_eq!([&first, &second, &third, &fourth].map(|one| one.has_to_end()), [false, true, false, false]);
    assert_eq!(counts(&connections), (3, 3, 1));
    second.has_ended();
    assert_eq!(counts(&connections), (3, 3, 1), "it was counted out before");
}

#[test]
fn connection_with_a_complete_request_does_not_end() {
    let connections = Connections::new(2);
    let [first, second] = [(); 2].map(|()| connections.open());
    let (working, _other) = (first.work(), second.work());
    let third = connections.open();
    assert_eq!([&first, &second, &third].map(|one| one.has_to_end()), [false, false, true], "all others work");
    assert_eq!(counts(&connections), (2, 0, 1));
    drop(working);
    let fourth = connections.open();
    assert_eq!([&first, &second, &fourth].map(|one| one.has_to_end()), [true, false, false]);
}

#[test]
fn connection_that_ends_in_any_state_is_counted_out_once() {
    let connections = Connections::new(10);
    let [waiting, working, other] = [(); 3].map(|()| connections.open());
    let work = working.work();
    let small = Connections::new(1);
    let ended = small.open();
    drop(small.open());
    for connection in [&waiting, &working, &other, &ended] {
        connection.has_ended();
        connection.has_ended();
    }
    drop(work);
    assert_eq!((counts(&connections), small.counts().open), ((0, 0, 0), 1));
}

#[test]
fn pipelined_requests_work_one_after_the_other() {
    let connections = Connections::new(1);
    let connection = connections.open();
    let first = connection.work();
    let second = connection.work();
    drop(first);
    drop(second);
    assert_eq!(counts(&connections), (1, 1, 0));
}

#[test]
fn only_idle_connections_end_with_the_process() {
    let connections = Connections::new(10);
    let [idle, begun, working, in_body] = [(); 4].map(|()| connections.open());
    begun.head_bytes.store(10, Ordering::Relaxed);
    in_body.head_is_complete();
    let _work = working.work();
    connections.end_idle();
    assert_eq!([&idle, &begun, &working, &in_body].map(|one| one.has_to_end()), [true, false, false, false]);
    assert_eq!(counts(&connections), (3, 2, 0));
}
