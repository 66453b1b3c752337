//! `--forward-to`: every event arrives, in the order of its charge permission, whatever the endpoint does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::net::TcpListener;

use super::target::{Reaction, Target};
use super::{Events, Listen};
use crate::harness::{run, until};

const PERMISSIONS: usize = 50;
const EVENTS_EACH: usize = 20;

/// Every third request fails: by a status, without an answer, or too late.
fn a_third_fails(n: usize) -> Reaction {
    match n % 9 {
        1 => Reaction::Status(503),
        4 => Reaction::Drop,
        7 => Reaction::Slow(Duration::from_millis(1500)),
        _ => Reaction::Status(200),
    }
}

#[test]
fn failing_target_gets_every_event_in_order() {
    run(async {
        let events = Events::new().await;
        for number in 0..EVENTS_EACH {
            join_all((0..PERMISSIONS).map(async |one| events.publish(&permission(one), number).await)).await;
        }
        let target = Target::start(a_third_fails).await;
        let began = Instant::now();
        let mut listen =
            events.listen(&["--from", "beginning", "--forward-to", &target.url, "--forward-timeout-s", "1"]);
        let all = PERMISSIONS * EVENTS_EACH;
        listen.wait_for("every event was accepted", |_| target.n_accepted() >= all);
        let took = began.elapsed();
        let (code, said) = listen.end("INT");
        assert!(code == 0 && said.contains(&format!("{all} events forwarded to {}", target.url)), "{code}: {said}");

        let arrived = target.arrived();
        let mut accepted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for one in &arrived {
            let text = |name: &str| one.body[name].as_str().unwrap().to_owned();
            let (permission, sequence) = (text("partitionkey"), text("sequence"));
            let before = last.insert(permission.clone(), sequence.clone());
            assert!(before.is_none_or(|before| before <= sequence), "{permission}: {sequence} was sent too late");
            if one.reaction == Reaction::Status(200) {
                accepted.entry(permission).or_default().insert(sequence);
            }
        }
        assert_eq!(accepted.len(), PERMISSIONS);
        assert!(accepted.values().all(|sequences| sequences.len() == EVENTS_EACH), "{accepted:?}");
        let failed = arrived.len() - target.n_accepted();
        assert!(failed * 4 > arrived.len(), "{failed} of {} requests failed", arrived.len());
        assert_eq!(
            said.matches("  -> 503: why").count(),
            arrived.iter().filter(|one| one.reaction == Reaction::Status(503)).count()
        );
        println!("{all} events in {} requests, {failed} failed, {:.1} s", arrived.len(), took.as_secs_f64());
    });
}

fn permission(number: usize) -> String {
    format!("C01-{number:07}-0000001")
}

#[test]
fn target_that_is_down_is_reported_once_and_waited_for() {
    run(async {
        let events = Events::new().await;
        for number in 0..3 {
            events.publish(&permission(number), number).await;
        }
        let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = reserved.local_addr().unwrap();
        drop(reserved);
        let url = format!("http://{address}/hook");
        let mut listen = events.listen(&["--from", "beginning", "--forward-to", &url]);
        listen.wait_for("the outage is reported", |listen| listen.err().contains("cannot be reached"));
        // Some more attempts.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let target = Target::at(TcpListener::bind(address).await.unwrap(), |_| Reaction::Status(204));
        until("every event arrives", || target.arrived().len() == 3).await;
        listen.wait_for("the answers are printed", |listen| listen.err().matches("  -> 204").count() == 3);
        let (code, said) = listen.end("TERM");
        assert_eq!(code, 0, "{said}");
        assert_eq!(said.matches("cannot be reached").count(), 1, "{said}");
        assert_eq!(said.matches("answers again, after").count(), 1, "{said}");
        assert!(said.contains("Connection refused"), "{said}");
    });
}

#[test]
fn interrupt_names_what_was_not_forwarded() {
    run(async {
        let events = Events::new().await;
        let first = events.publish("C01-1", 1).await;
        let second = events.publish("C01-1", 2).await;
        let target = Target::start(|_| Reaction::Status(400)).await;
        let mut listen = events.listen(&["--from", "beginning", "--forward-to", &target.url]);
        listen.wait_for("two answers", |listen| listen.err().matches("  -> 400: why").count() >= 2);
        let (code, said) = listen.end("INT");
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("0 events forwarded to") && said.contains("2 events not. To forward them"), "{said}");
        for id in [first, second] {
            assert!(said.contains("not forwarded: Charge") && said.contains(&id), "{said}");
        }
        assert!(target.arrived().iter().all(|one| one.body["sequence"].as_str().unwrap().ends_with('1')));
    });
}

#[test]
fn binary_mode_sends_attributes_as_headers() {
    run(async {
        let events = Events::new().await;
        let event = events.publish_binary("C01-1", 1).await;
        let target = Target::start(|_| Reaction::Status(200)).await;
        for mode in ["binary", "structured"] {
            let mut listen =
                events.listen(&["--from", "beginning", "--forward-to", &target.url, "--forward-mode", mode]);
            listen.wait_for("the answer", |listen| listen.err().contains("  -> 200"));
            assert_eq!(listen.end("INT").0, 0);
        }
        let [binary, structured] = [0, 1].map(|n| target.arrived()[n].clone());
        assert_eq!(binary.body, event["data"]);
        for name in ["specversion", "id", "source", "type", "subject", "time", "partitionkey", "sequence"] {
            assert_eq!(binary.headers[&format!("ce-{name}")], event[name].as_str().unwrap(), "{name}");
        }
        assert_eq!(binary.headers["content-type"], "application/json");
        assert_eq!(structured.headers["content-type"], "application/cloudevents+json; charset=UTF-8");
        assert_eq!(structured.body, event);
    });
}

#[test]
fn resend_forwards_one_event_once() {
    run(async {
        let events = Events::new().await;
        events.publish("C01-1", 1).await;
        let id = events.publish("C01-1", 2).await;
        events.publish("C01-1", 3).await;
        let target = Target::start(|n| Reaction::Status(if n == 0 { 503 } else { 200 })).await;
        let (code, said) = events.listen(&["--forward-to", &target.url, "--resend", &id]).ended();
        assert_eq!(code, 0, "{said}");
        let arrived: Vec<_> = target.arrived().iter().map(|one| one.body["id"].clone()).collect();
        assert_eq!(arrived, [id.as_str(), id.as_str()], "until it is accepted");
        let unknown = uuid::Uuid::new_v4().to_string();
        let (code, said) = events.listen(&["--forward-to", &target.url, "--resend", &unknown]).ended();
        assert!(code == 1 && said.contains(&format!("there is no event {unknown}")), "{code}: {said}");
        assert_eq!(target.arrived().len(), 2);
    });
}

#[test]
fn url_that_cannot_be_called_is_refused() {
    let mut listen = Listen::start(&["--kafka", "127.0.0.1:1", "--forward-to", "localhost:3000"]);
    let (code, said) = listen.ended();
    assert!(code == 2 && said.contains("--forward-to") && said.contains("http://localhost:3000/hook"), "{said}");
}
