//! What the work queue costs with a million objects in it: memory for each, and time for a push and a pop, beside what
//! the same objects cost in a `BTreeMap`.
//!
//! `cargo bench --bench queue`. Ends with 1 if the queue needs more time than the map, or a tenth more memory; the map has no deadlines, no
//! priorities and no quota.

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use ipn_receiver::domain::ipn::NotificationType;
use ipn_receiver::domain::pay::{Account, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::domain::work::{
    BreakerRule, Cause, ClaimedPermission, InboxPosition, Origin, Quota, Rules, WorkQueue,
};
use uuid::Uuid;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == PEER) {
        peer();
        return ExitCode::SUCCESS;
    }
    println!("{OBJECTS} objects of 10 merchants, one IPN each, in an order that has nothing to do with their ids");
    // In a process of its own, since memory that was freed once would be used again and not be seen.
    let itself = std::env::current_exe().expect("a program knows where it lies");
    let peer = Command::new(itself).arg(PEER).output().expect("the system starts a process");
    let numbers = String::from_utf8(peer.stdout).expect("numbers");
    let numbers: Vec<f64> = numbers.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let peer = Cost { bytes: numbers[0], put_us: numbers[1], taken_us: numbers[2] };
    println!("BTreeMap<ObjectRef, Cause>: {peer}");
    let queue = queue();
    let (memory, time) = (queue.bytes / peer.bytes, queue.together_us() / peer.together_us());
    println!(
        "WorkQueue: {queue}; {memory:.2} of the map's memory and {time:.2} of its time (at most {MEMORY_MAX} and 1)"
    );
    if memory <= MEMORY_MAX && time <= 1.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What each object costs.
struct Cost {
    bytes: f64,
    put_us: f64,
    taken_us: f64,
}

impl Cost {
    fn together_us(&self) -> f64 {
        self.put_us + self.taken_us
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, put_us, taken_us } = self;
        write!(f, "{bytes:.0} bytes each, put {put_us:.2} µs, taken {taken_us:.2} µs")
    }
}

fn peer() {
    let ids: Vec<String> = (0..OBJECTS).map(id).collect();
    let (before, began) = (resident_bytes(), Instant::now());
    let mut peer = BTreeMap::new();
    for (n, id) in (0..).zip(&ids) {
        peer.insert(object(n, id), cause(n));
    }
    let (bytes, put) = (each(resident_bytes() - before), began.elapsed());
    let began = Instant::now();
    while peer.pop_first().is_some() {}
    println!("{bytes} {} {}", each_us(put), each_us(began.elapsed()));
}

fn queue() -> Cost {
    let ids: Vec<String> = (0..OBJECTS).map(id).collect();
    let mut queue = WorkQueue::new(RULES, at(0));
    let (before, began) = (resident_bytes(), Instant::now());
    for (n, id) in (0..).zip(&ids) {
        queue.push(&object(n, id), cause(n), at(n));
    }
    let (bytes, put) = (each(resident_bytes() - before), began.elapsed());
    assert_eq!(queue.len() as i64, OBJECTS);

    let began = Instant::now();
    let mut taken = 0;
    while taken < OBJECTS {
        for object in queue.take_due(at(OBJECTS)) {
            taken += 1;
            queue.complete(&object, at(OBJECTS));
        }
    }
    let taken = began.elapsed();
    assert!(queue.is_empty());
    Cost { bytes, put_us: each_us(put), taken_us: each_us(taken) }
}

const PEER: &str = "peer";
const MEMORY_MAX: f64 = 1.1;
const OBJECTS: i64 = 1_000_000;
const WIDE: Quota = Quota { burst: 1e9, per_second: 1e9 };
const RULES: Rules = Rules {
    live: WIDE,
    sandbox: WIDE,
    reconciliation_share: 0.1,
    breaker: BreakerRule { failures: 5, probe_every: Duration::from_secs(10) },
    aged_after: Duration::from_mins(5),
    reads_in_flight_max: 16,
    records_open_max: 10_000,
};

fn object(n: i64, id: &str) -> ObjectRef {
    let merchant_id = MerchantId::parse(&format!("A1O8CIV1A24A{}", n % 10)).expect("a merchant's id");
    let account = Account { merchant_id, environment: Environment::Live };
    ObjectRef { account, kind: ObjectKind::Charge, id: ObjectId::parse(id).expect("an object's id") }
}

fn id(n: i64) -> String {
    let shuffled = n * 7_654_321 % 9_999_991;
    format!("P01-{shuffled:07}-{:07}-C{:06}", n % 9_999_973, n % 1_000_000)
}

fn cause(n: i64) -> Cause {
    let origin = Origin::Ipn {
        message_id: Uuid::from_u64_pair(n as u64, 1),
        notification_type: NotificationType::StateChange,
        position: InboxPosition { partition: (n % 12) as i32, offset: n },
        traceparent: None,
        chargeback: false,
        permission: ClaimedPermission::None,
    };
    Cause { origin, timestamp: at(n) }
}

/// A thousand IPNs a second.
fn at(n: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_767_000_000_000 + n)
}

fn each(bytes: f64) -> f64 {
    bytes / OBJECTS as f64
}

fn each_us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / OBJECTS as f64
}

/// What the system has really given this process.
fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux provides /proc/self/statm");
    let pages: f64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("resident pages stand second");
    pages * 4096.0
}
