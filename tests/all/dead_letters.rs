//! What can never be published is kept as a dead letter with its reason; nothing else becomes one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use ipn_receiver::app::App;
use ipn_receiver::config::Kafka;
use ipn_receiver::sandbox::environment::{Hint, message};
use ipn_receiver::sandbox::pay_api::{Fault, ObjectKind, charge, charge_permission};
use ipn_receiver::sandbox::sns::{Draft, SignatureVersion};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use time::OffsetDateTime;

use crate::harness::{Record, Stage, committed_records, events, inbox_records_left, metric, names, run, until};

fn dead_letters(stage: &Stage) -> Vec<Record> {
    committed_records(&stage.kafka(), &stage.kafka().topics().dead_letters)
}

#[test]
fn each_dead_letter_has_its_reason_and_original() {
    run(async {
        let stage = Stage::new(1, "worker.unknown_object_retries_ms = [10, 10, 10, 10]").await;
        let app = stage.receiver().await;
        let merchant = stage.environment.merchants[0].clone();
        let hint = |merchant: &str, id: &str| {
            message(&Hint { merchant, kind: ObjectKind::Charge, id, notification_type: "STATE_CHANGE" })
        };
        let cases = BTreeMap::from([
            ("not_understood", "no IPN".to_owned()),
            ("unknown_merchant", hint("ASTRANGER", "S02-0000000-0000000-C000000")),
            ("misrouted", hint(&merchant, "P02-0000000-0000000-C000000")),
            ("unknown_object", hint(&merchant, "S02-9999999-9999999-C999999")),
        ]);
        let mut originals = BTreeMap::new();
        for (reason, text) in &cases {
            let draft = Draft::new(&stage.environment.topic_arn(&merchant), text, OffsetDateTime::now_utc());
            let body = stage.environment.sns.notification(&draft);
            assert_eq!(stage.post(&app, &body).await.status, 200);
            originals.insert(*reason, body);
        }
        until("all four are dead letters", || dead_letters(&stage).len() >= 4).await;
        let letters = dead_letters(&stage);
        assert_eq!(letters.len(), 4);
        for letter in letters {
            let original = &originals[letter.headers["ipn-dlq-reason"].as_str()];
            let [stored, sent] = [letter.value.as_slice(), original.as_bytes()]
                .map(|json| serde_json::from_slice::<Value>(json).unwrap());
            assert!(["MessageId", "Message", "Signature"].iter().all(|key| stored[key] == sent[key]), "{stored}");
            assert!(
                letter.headers.contains_key("ipn-sns-message-id"),
                "the original's headers are kept: {:?}",
                letter.headers
            );
            assert!(letter.headers["ipn-dlq-source"].contains(".ipn.inbox.v1/"));
        }
        let reads = stage.environment.pay_api.reads();
        assert_eq!(reads.len(), 5, "five tries for the unknown object and none for the others");
        app.stop().await;
    });
}

#[test]
fn dead_letter_says_when_its_original_expired() {
    run(async {
        let stage = Stage::new(1, "worker.unknown_object_retries_ms = [2000]").await;
        let app = stage.receiver().await;
        stage.post_ipn(&app, ObjectKind::Charge, "S02-9999999-9999999-C999999").await;
        until("its record was passed", || inbox_records_left(&stage.kafka()) == 0).await;
        delete_all_records(&stage.kafka()).await;
        until("there is a dead letter", || !dead_letters(&stage).is_empty()).await;
        let letter = &dead_letters(&stage)[0];
        assert_eq!((letter.headers["ipn-dlq-reason"].as_str(), letter.value.len()), ("unknown_object", 0));
        assert!(letter.headers["ipn-dlq-detail"].contains("the inbox no longer holds the original"), "{letter:?}");
        app.stop().await;
    });
}

/// Twenty IPNs of one object: more than the causes that its queue entry keeps.
#[test]
fn each_ipn_of_an_unknown_object_is_a_dead_letter() {
    run(async {
        let stage = Stage::new(1, "worker.unknown_object_retries_ms = [2000]").await;
        let app = stage.receiver().await;
        for _ in 0..20 {
            stage.post_ipn(&app, ObjectKind::Charge, "S02-9999999-9999999-C999999").await;
        }
        until("each IPN is a dead letter", || dead_letters(&stage).len() >= 20).await;
        let sources: BTreeSet<_> = dead_letters(&stage).iter().map(|letter| offset_of(letter).1).collect();
        assert_eq!(sources, (0..20).collect(), "one for each inbox record");
        assert!(dead_letters(&stage).iter().all(|letter| letter.headers["ipn-dlq-cause-count"] == "20"));
        app.stop().await;
    });
}

/// The partition and offset of the inbox record that became a dead letter.
fn offset_of(letter: &Record) -> (i32, i64) {
    let mut parts = letter.headers["ipn-dlq-source"].rsplit('/');
    let offset = parts.next().unwrap().parse().unwrap();
    (parts.next().unwrap().parse().unwrap(), offset)
}

/// A quota of the receiver that does not hold back a burst of `n` reads.
async fn unlimited(settings: &str) -> Stage {
    let mut stage = Stage::new(3, settings).await;
    stage.environment.quota_settings = "quota.share = 1.0\nquota.sandbox = { burst = 2000, per_second = 2000 }\n";
    stage.environment.pay_api.set_throttling(None);
    stage
}

/// Posts an IPN of each charge, 20 at once, of the merchants in turn.
async fn post_charges(stage: &Stage, app: &App, ids: &[String]) {
    for (n, chunk) in ids.chunks(20).enumerate() {
        let merchant = &stage.environment.merchants[n % stage.environment.merchants.len()];
        let body = |id: &String| {
            let hint = Hint { merchant, kind: ObjectKind::Charge, id, notification_type: "STATE_CHANGE" };
            stage.environment.envelope(&hint, SignatureVersion::V2)
        };
        let bodies: Vec<_> = chunk.iter().map(body).collect();
        for answer in join_all(bodies.iter().map(|body| stage.post(app, body))).await {
            assert_eq!(answer.status, 200);
        }
    }
}

/// Posts a burst of IPNs of these charges, and meanwhile IPNs of others one by one. Returns how long the events of the others
/// took, the shortest time first.
async fn news_delays(stage: &Stage, app: &App, burst: &[String], news: &[String]) -> Vec<Duration> {
    let mut reader = stage.reader();
    while reader.next(Duration::from_secs(2)).await.is_some() {} // until it has read the events of the last burst
    let read_news = async {
        let mut delays = Vec::new();
        for id in news {
            let posted = Instant::now();
            post_charges(stage, app, std::slice::from_ref(id)).await;
            while events(&mut reader, 1).await[0]["subject"] != id.as_str() {}
            delays.push(posted.elapsed());
        }
        delays.sort();
        delays
    };
    join(post_charges(stage, app, burst), read_news).await.1
}

/// Each dead letter is a copy of an inbox record that is read again. The events of other objects do not wait for that longer
/// than they wait for a burst of events.
#[test]
fn burst_of_dead_letters_holds_up_no_event() {
    let n_letters: usize = std::env::var("DEAD_LETTERS").map_or(500, |n| n.parse().unwrap());
    run(async {
        let stage = unlimited("worker.unknown_object_retries_ms = []").await;
        let app = stage.receiver().await;
        let permission = "C02-0000001-1111111";
        let of_permission = charge_permission(permission, "Recurring");
        stage.environment.put(ObjectKind::ChargePermission, of_permission, "Chargeable", &[]);
        let n_news = (n_letters / 25).max(20);
        let known: Vec<_> = (0..500 + 2 * n_news).map(|n| format!("S02-0000001-{n:07}-C000001")).collect();
        for id in &known {
            stage.environment.put(ObjectKind::Charge, charge(id, permission, "1.00", "EUR"), "Captured", &[]);
        }
        let (burst, news) = known.split_at(500);
        let with_events = news_delays(&stage, &app, burst, &news[..n_news]).await;
        let unknown: Vec<_> = (0..n_letters).map(|n| format!("S02-9999999-{n:07}-C999999")).collect();
        let began = Instant::now();
        let with_letters = news_delays(&stage, &app, &unknown, &news[n_news..]).await;
        until("each is a dead letter", || dead_letters(&stage).len() >= n_letters).await;
        let of = |delays: &[Duration]| (delays[delays.len() / 2], delays[delays.len() - 1]);
        let (of_letters, of_events) = (of(&with_letters), of(&with_events));
        eprintln!(
            "median and longest delay of {n_news} events: {of_letters:?} during {n_letters} dead letters, all written after {:?}; \
             {of_events:?} during 500 events",
            began.elapsed(),
        );
        let letters = dead_letters(&stage);
        let sources: BTreeSet<_> = letters.iter().map(offset_of).collect();
        assert_eq!((letters.len(), sources.len()), (n_letters, n_letters), "each IPN once");
        assert!(letters.iter().all(|letter| {
            let object = letter.headers["ipn-dlq-object"].rsplit('/').next().unwrap();
            String::from_utf8_lossy(&letter.value).contains(object)
        }));
        assert!(of_letters.1 < 5 * of_events.1, "{of_letters:?} during dead letters, {of_events:?} during events");
        assert!(metric(&app, "ipn_receiver_worker_resets_total").await < 1.0, "no reset");
        until("the inbox is done", || inbox_records_left(&stage.kafka()) == 0).await;
        app.stop().await;
    });
}

async fn delete_all_records(kafka: &Kafka) {
    let mut ends = TopicPartitionList::new();
    for partition in 0..kafka.partitions {
        ends.add_partition_offset(&kafka.topics().inbox, partition, Offset::End).unwrap();
    }
    let admin: AdminClient<DefaultClientContext> = kafka.client().create().unwrap();
    admin.delete_records(&ends, &AdminOptions::new()).await.unwrap();
}

#[test]
fn object_that_appears_late_is_published() {
    run(async {
        let stage = Stage::new(1, "worker.unknown_object_retries_ms = [300, 300, 300, 300]").await;
        let app = stage.receiver().await;
        let mut reader = stage.reader();
        let id = "S02-0000001-2222222-C000001";
        stage.post_ipn(&app, ObjectKind::Charge, id).await;
        until("it was asked for in vain", || !stage.environment.pay_api.reads().is_empty()).await;
        stage.environment.put(ObjectKind::Charge, charge(id, "C02-0000001-1111111", "1.00", "EUR"), "Captured", &[]);
        assert_eq!(names(&events(&mut reader, 1).await), ["ChargeCaptured"]);
        assert!(dead_letters(&stage).is_empty());
        app.stop().await;
    });
}

#[test]
fn systemic_errors_never_cause_dead_letters() {
    run(async {
        let stage = Stage::new(1, "worker.systemic_retry_ms = 100\nworker.unknown_object_retries_ms = []").await;
        let app = stage.receiver().await;
        let mut reader = stage.reader();
        let id = "S02-0000001-2222222-C000001";
        stage.environment.put(ObjectKind::Charge, charge(id, "C02-0000001-1111111", "1.00", "EUR"), "Captured", &[]);
        stage.environment.pay_api.set_fault(Some(Fault::Status(500)));
        stage.post_ipn(&app, ObjectKind::Charge, id).await;
        for fault in [Fault::Status(500), Fault::Status(429), Fault::Status(401), Fault::Status(403), Fault::Drop] {
            let n_reads = stage.environment.pay_api.reads().len();
            stage.environment.pay_api.set_fault(Some(fault));
            until("it was asked twice more", || stage.environment.pay_api.reads().len() >= n_reads + 2).await;
        }
        stage.environment.pay_api.set_fault(None);
        assert_eq!(names(&events(&mut reader, 1).await), ["ChargeCaptured"]);
        assert!(dead_letters(&stage).is_empty());
        app.stop().await;
    });
}
