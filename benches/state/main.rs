//! The cost of a million known objects: memory for each, a walk over all, and how fast they are restored, from their bytes
//! alone and from a real Kafka.
//!
//! `cargo bench --bench state`; with `KAFKA_BOOTSTRAP_SERVERS` set also from Kafka, and a rolling update of three workers (in topics of
//! its own; those of the workers remain). The exit code is 1 if the process takes more than 500 MB, a walk takes more than a second, or fewer than 200,000
//! records a second are restored.

mod rollout;
mod topic;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use ipn_receiver::domain::pay::{
    Account, Amount, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef, PrivateDigests, Reason, State,
};
use ipn_receiver::domain::state::partitioner::owning_partition;
use ipn_receiver::domain::state::reconcile_schedule::{self, Schedule};
use ipn_receiver::domain::state::{InboxMark, KnownState, NoticeRules, Observed, Upcoming};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::kafka::state_store::StateStore;
use uuid::Uuid;

fn main() -> ExitCode {
    println!(
        "{OBJECTS} objects of {MERCHANTS} merchants: of each permission three charges, and a refund of every second one"
    );
    let mut keeps = memory();
    keeps &= bytes_alone();
    match std::env::var("KAFKA_BOOTSTRAP_SERVERS") {
        Ok(servers) => {
            keeps &= report("from Kafka", topic::restored_from(&servers));
            rollout::measure(&servers);
        }
        Err(_) => println!("from Kafka: not measured; set KAFKA_BOOTSTRAP_SERVERS to measure it"),
    }
    if keeps { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures the memory of the process with all objects.
fn memory() -> bool {
    let before = resident_bytes();
    let mut store = StateStore::default();
    for n in 0..OBJECTS {
        let record = Record::new(n);
        store.apply(record.partition, &record.key, Some(&record.value)).expect("a valid record");
    }
    let (all, each) = (resident_bytes(), (resident_bytes() - before) / OBJECTS as f64);
    assert_eq!(store.len() as u64, OBJECTS);
    let walked = walk(&store);
    println!("memory: {each:.0} bytes each, the process {:.0} MB (at most {:.0})", all / 1e6, RESIDENT_BYTES_MAX / 1e6);
    println!("a walk over all objects: {walked:.2?} (at most {WALK_MAX:?}, which a worker spreads over a minute)");
    all <= RESIDENT_BYTES_MAX && walked <= WALK_MAX
}

/// What the worker's reconcile walk does for each object.
fn walk(store: &StateStore) -> Duration {
    let began = Instant::now();
    let schedule = Schedule { period_factor: 1.0, notices: NoticeRules::default() };
    let due = (0..store.n_slots()).filter_map(|place| {
        let view = store.view_slot(place)?;
        reconcile_schedule::due(&view.last_read()?, &schedule)
    });
    assert!(due.count() > 0);
    began.elapsed()
}

/// Decodes and applies records without Kafka.
fn bytes_alone() -> bool {
    let records: Vec<Record> = (0..SAMPLE).map(Record::new).collect();
    let bytes: usize = records.iter().map(|record| record.value.len()).sum();
    println!("a record has {} bytes of JSON", bytes / records.len());
    let mut store = StateStore::default();
    let began = Instant::now();
    for record in &records {
        store.apply(record.partition, &record.key, Some(&record.value)).expect("a valid record");
    }
    report("from bytes alone", (SAMPLE, began.elapsed()))
}

fn report(what: &str, (records, time): (u64, Duration)) -> bool {
    let per_s = records as f64 / time.as_secs_f64();
    println!("{what}: {records} records in {time:.2?}, {per_s:.0} a second (at least {RESTORED_PER_S_MIN:.0})");
    per_s >= RESTORED_PER_S_MIN
}

const OBJECTS: u64 = 1_000_000;
const SAMPLE: u64 = 200_000;
const MERCHANTS: u64 = 10;
const PARTITIONS: i32 = 12;
const WALK_MAX: Duration = Duration::from_secs(1);
const RESIDENT_BYTES_MAX: f64 = 500e6;
const RESTORED_PER_S_MIN: f64 = 200_000.0;

/// A record of the state topic.
struct Record {
    partition: i32,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Record {
    fn new(n: u64) -> Self {
        let state = known(n);
        let partition = owning_partition(&state.object.account.merchant_id, PARTITIONS);
        let value = serde_json::to_vec(&state).expect("known state is plain data");
        Self { partition, key: state.object.state_key().into_bytes(), value }
    }
}

/// Nine objects in a row are two charge permissions, six charges and a refund.
fn known(n: u64) -> KnownState {
    let (family, member) = (n / 9, n % 9);
    let merchant_id = MerchantId::parse(&format!("A1O8CIV1A24A{}", family % MERCHANTS)).expect("a merchant's id");
    let account = Account { merchant_id, environment: Environment::Live };
    let permission = format!("B01-{:07}-{:07}", family * 7_654_321 % 9_999_991, member % 2);
    let (kind, suffix, state) = match member {
        0 => (ObjectKind::ChargePermission, "", State::Chargeable),
        1 => (ObjectKind::ChargePermission, "", State::Closed),
        2 => (ObjectKind::Charge, "-C000002", State::Authorized),
        3 => (ObjectKind::Charge, "-C000003", State::Declined),
        8 => (ObjectKind::Refund, "-R000008", State::Refunded),
        _ => (ObjectKind::Charge, &*format!("-C00000{member}"), State::Captured),
    };
    let is_permission = kind == ObjectKind::ChargePermission;
    let id = |text: &str| ObjectId::parse(text).expect("an object's id");
    let reason =
        |code: &str| Reason { reason_code: code.into(), reason_description: Some("A sentence of Amazon's.".into()) };
    let at = Timestamp::from_unix_ms(1_767_000_000_000 + n as i64 * 1000);
    let word = |salt: u64| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ salt));
    let private = is_permission.then(|| PrivateDigests {
        key_id: "0123abcd".into(),
        payment_descriptor: None,
        billing_address: Some(word(1)),
        shipping_address: Some(word(2)),
        metadata: None,
    });
    let observed = Observed {
        reasons: match state {
            State::Closed => vec![reason("MerchantClosed")],
            State::Declined => vec![reason("HardDeclined")],
            _ => vec![],
        },
        captured: (state == State::Captured).then(|| Amount::parse("29.99").expect("an amount")),
        upcoming: Upcoming {
            date: matches!(state, State::Chargeable | State::Authorized).then(|| at.plus(Duration::from_hours(720))),
            ..Upcoming::default()
        },
        state,
        last_updated: Some(at),
        newest_update: None,
        repeats: 0,
        charge_permission_id: id(&permission),
        charge_permission_id_source: None,
        charge_permission_type: is_permission.then(|| "Recurring".into()),
        attributes_digest: word(0),
        attribute_revision: n % 3,
        unconfirmed_digest: None,
        payment_method_reason: None,
        private,
        hint_settled: None,
        hint_explained_at: None,
        retry_advised_at: None,
        usable_since: None,
        unconfirmed_reads: 0,
        has_moved: false,
        stub: false,
        read_started_at: at.plus(Duration::from_millis(2345)),
        read_after: Some(InboxMark { offset: 41, appended_at: at }),
        last_event_id: Some(Uuid::from_u64_pair(n, 7)),
    };
    let object = ObjectRef { account, kind, id: id(&format!("{permission}{suffix}")) };
    let sequence = is_permission.then(|| 1_767_000_000_000 + n);
    KnownState { observed: Some(observed), sequence, ..KnownState::blank(object) }
}

/// The resident memory of this process.
fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is there on Linux");
    let pages: f64 =
        statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("resident pages are the second number");
    pages * 4096.0
}
