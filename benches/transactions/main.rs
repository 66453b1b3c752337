//! The cost of exactly-once: events with their state records and offsets in transactions, compared with the same records of a
//! plain idempotent producer in the same run; and the latency of a single event.
//!
//! `KAFKA_BOOTSTRAP_SERVERS=$(scripts/kafka up) cargo bench --bench transactions`, on one real node. The exit code is 1 if
//! transactions of 1,000 events reach less than 0.6 of the plain producer, or if the median of a single event is above 50 ms.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use ipn_receiver::config::{Config, Kafka};
use ipn_receiver::domain::events::{Derivation, Event, Mode, Permission, Reading, Wire, derive};
use ipn_receiver::domain::pay::{
    Account, DigestKey, Edge, Environment, Fetched, MerchantId, ObjectId, ObjectKind, ObjectRef,
};
use ipn_receiver::domain::state::{KnownState, Observed};
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::kafka::outbox::{Batch, Outbox, StateRecord};
use ipn_receiver::kafka::topics;
use ipn_receiver::sandbox::broker::Broker;
use ipn_receiver::sandbox::environment::SandboxEnvironment;
use ipn_receiver::sandbox::events::EventReader;
use rdkafka::config::FromClientConfig as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::json;

const RATIO_MIN: f64 = 0.6;
const ALONE_MAX: Duration = Duration::from_millis(50);
const EVENTS: usize = 20_000;
const SIZES: [usize; 4] = [1, 10, 100, 1000];
const ALONE: usize = 100;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    ipn_receiver::app::use_ring_for_tls();
    let kafka = runtime.block_on(topics_of_its_own());
    let bench = Bench::new(kafka);
    let peer = bench.plain();
    println!("a plain idempotent producer, event and state record: {peer:.0} events a second");
    let mut ratio = 0.0;
    for size in SIZES {
        let began = Instant::now();
        let count = (EVENTS * size / 1000).max(size.max(50));
        let (mut took, mut done) = (Vec::new(), 0);
        while done < count {
            let began = Instant::now();
            bench.commit(done, size);
            took.push(began.elapsed());
            done += size;
        }
        let rate = done as f64 / began.elapsed().as_secs_f64();
        ratio = rate / peer;
        println!(
            "transactions of {size}: {rate:.0} events a second, {ratio:.2} of the plain producer; {:.1} ms each (median)",
            median(&mut took).as_secs_f64() * 1e3
        );
    }
    let alone = runtime.block_on(bench.one_alone());
    println!(
        "a single event: {:.1} ms from its read to a read_committed consumer (median of {ALONE})",
        alone.as_secs_f64() * 1e3
    );
    let is_good = ratio >= RATIO_MIN && alone <= ALONE_MAX;
    println!(
        "at least {RATIO_MIN} of the plain producer at 1,000 events, at most {ALONE_MAX:?} alone: {}",
        if is_good { "yes" } else { "NO" }
    );
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// New topics on the cluster of `KAFKA_BOOTSTRAP_SERVERS`.
async fn topics_of_its_own() -> Kafka {
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").unwrap_or_else(|_| "127.0.0.1:19092".to_owned());
    let environment = SandboxEnvironment::start(1).await.expect("loopback servers");
    let config: Config = environment.config(&Broker::Real(servers)).expect("a good configuration");
    topics::create(&config.kafka).await.expect("a Kafka at KAFKA_BOOTSTRAP_SERVERS, such as `scripts/kafka up` starts");
    config.kafka
}

struct Bench {
    kafka: Kafka,
    outbox: Outbox,
    wire: Wire,
    group: ConsumerGroupMetadata,
    event: Event,
    state: KnownState,
}

impl Bench {
    fn new(kafka: Kafka) -> Self {
        let wire = Wire { type_prefix: "amazonpay".to_owned(), mode: Mode::Structured };
        let outbox = Outbox::open(&kafka, "bench", wire.clone()).expect("a transactional producer");
        let consumer: BaseConsumer =
            BaseConsumer::from_config(kafka.client().set("group.id", kafka.group())).expect("a consumer");
        let group = consumer.group_metadata().expect("a group");
        let (event, state) = an_event();
        Self { kafka, outbox, wire, group, event, state }
    }

    fn state_record(&self, n: usize) -> StateRecord {
        StateRecord {
            key: format!("{}-{n}", self.state.object.state_key()),
            partition: 0,
            value: Some(self.state.clone()),
        }
    }

    fn commit(&self, from: usize, size: usize) {
        let events = (0..size).map(|n| (self.event.clone(), (from + n) as u64)).collect();
        let records = (0..size).map(|n| self.state_record(from + n)).collect();
        let batch = Batch { events, records, ..Batch::default() };
        let positions = [(0, from as i64)].into();
        self.outbox.commit(&batch, &positions, &self.group, Timestamp::from_unix_ms(0)).expect("a commit");
    }

    /// Events a second without a transaction, but encoded and sent as the outbox does.
    fn plain(&self) -> f64 {
        let mut client = self.kafka.client();
        client.set("enable.idempotence", "true").set("acks", "all").set("compression.type", "lz4");
        client.set("partitioner", "murmur2_random");
        let producer: BaseProducer = BaseProducer::from_config(&client).expect("a producer");
        let topics = self.kafka.topics();
        let send = |n: usize| {
            let event = self.wire.encode(&self.event, n as u64);
            let key = self.event.charge_permission_id.as_str();
            producer
                .send(BaseRecord::to(&topics.events).key(key).payload(&event.value))
                .map_err(|(error, _)| error)
                .expect("room");
            let StateRecord { key, partition, value } = self.state_record(n);
            let value = serde_json::to_vec(&value).expect("plain data");
            let record = BaseRecord::to(&topics.state).key(&key).payload(&value).partition(partition);
            producer.send(record).map_err(|(error, _)| error).expect("room");
            // As rarely as the outbox polls in its largest transactions.
            if n.is_multiple_of(1000) {
                producer.poll(Duration::ZERO);
            }
        };
        send(0);
        producer.flush(Duration::from_secs(30)).expect("acknowledged");
        let began = Instant::now();
        (0..EVENTS).for_each(send);
        producer.flush(Duration::from_mins(1)).expect("acknowledged");
        EVENTS as f64 / began.elapsed().as_secs_f64()
    }

    async fn one_alone(&self) -> Duration {
        let mut reader = EventReader::start(&self.kafka).expect("a consumer");
        while reader.next(Duration::from_secs(3)).await.is_some() {}
        let mut took = Vec::new();
        for n in 0..ALONE {
            let began = Instant::now();
            self.commit(n, 1);
            reader.next(Duration::from_secs(10)).await.expect("the event");
            took.push(began.elapsed());
        }
        median(&mut took)
    }
}

fn median(took: &mut [Duration]) -> Duration {
    took.sort();
    took[took.len() / 2]
}

/// A captured charge, and its known state.
fn an_event() -> (Event, KnownState) {
    let id = |text| ObjectId::parse(text).expect("an id");
    let merchant_id = MerchantId::parse("A1O8CIV1A24A6X").expect("a merchant's id");
    let account = Account { merchant_id, environment: Environment::Live };
    let object = ObjectRef { account, kind: ObjectKind::Charge, id: id("P01-1234567-7654321-C000001") };
    let price = json!({"amount": "9.99", "currencyCode": "USD"});
    let body = json!({
        "chargeId": object.id, "chargePermissionId": "B01-1234567-7654321", "chargeAmount": price, "captureAmount": price,
        "statusDetails": {"state": "Captured", "reasonCode": null, "lastUpdatedTimestamp": "20260102T030405Z"},
        "creationTimestamp": "20260102T030405Z", "expirationTimestamp": "20260202T030405Z", "releaseEnvironment": "Live",
        "merchantMetadata": {"merchantReferenceId": "order-4711"},
    });
    let edge = Edge::strict(DigestKey::derive(b"bench"));
    let fetched = Fetched::decode((object.kind, &object.id), Environment::Live, &edge, body.to_string().as_bytes());
    let at = Timestamp::from_unix_ms(1_767_323_046_901);
    let (fetched, permission) = (fetched.expect("a charge"), id("B01-1234567-7654321"));
    let reading = Reading::of(&object, &fetched, Permission::unread(&permission, Some("Recurring")), at);
    let Derivation::Current { mut events, observed, .. } = derive(None, &reading) else {
        unreachable!("nothing is known")
    };
    let observed: Observed = *observed;
    let state = KnownState { observed: Some(observed), ..KnownState::blank(object.clone()) };
    (events.remove(0), state)
}
