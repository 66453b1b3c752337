//! What the worker is started with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::amazon::pay_api::PayApi;
use crate::clock::Clock;
use crate::config::{self, Config, Kafka};
use crate::domain::events::Wire;
use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::Account;
use crate::domain::state::NoticeRules;
use crate::domain::work::Rules;
use crate::kafka::Broker;
use crate::telemetry::spans::Spans;

/// The inbox offset to continue from, by partition.
pub(super) type Positions = BTreeMap<i32, i64>;
/// Where buyers update their payment method, by account.
pub(super) type UpdateUrls = Arc<HashMap<Account, String>>;

/// What the worker uses of the configuration and of the process.
pub struct WorkerContext {
    pub(super) kafka: Kafka,
    pub(super) ledger: LedgerConfig,
    pub(super) wire: Wire,
    pub(super) pay_api: PayApi,
    pub(super) clock: Clock,
    pub(super) broker: Broker,
    pub(super) events_partitions: Option<i32>,
    pub(super) spans: Spans,
}

/// What the ledger uses of the configuration.
#[derive(Clone)]
pub(super) struct LedgerConfig {
    pub(super) settings: config::Worker,
    pub(super) reconciliation: config::Reconciliation,
    pub(super) notices: NoticeRules,
    pub(super) rules: Rules,
    pub(super) merchants: Arc<Merchants>,
    pub(super) update_urls: UpdateUrls,
    /// The partition count of inbox and state.
    pub(super) partitions: i32,
}

/// The parts of the process that the worker uses.
pub struct Dependencies {
    /// The configured merchants.
    pub merchants: Arc<Merchants>,
    /// Where buyers update their payment method, by account.
    pub update_urls: HashMap<Account, String>,
    /// The client of the Amazon Pay API.
    pub pay_api: PayApi,
    /// The clock of the process.
    pub clock: Clock,
    /// The kind of Kafka broker.
    pub broker: Broker,
    /// How many partitions of the events topic hold events, if it is known.
    pub events_partitions: Option<i32>,
    /// Where spans go.
    pub spans: Spans,
}

impl WorkerContext {
    /// Takes what the worker needs from the configuration.
    pub fn new(config: &Config, dependencies: Dependencies) -> Self {
        let Dependencies { merchants, update_urls, pay_api, clock, broker, events_partitions, spans } = dependencies;
        let ledger = LedgerConfig {
            settings: config.worker.clone(),
            reconciliation: config.reconciliation.clone(),
            notices: config.events.notices(),
            rules: config.quota.rules(&config.worker),
            merchants,
            update_urls: update_urls.into(),
            partitions: config.kafka.partitions,
        };
        let (kafka, wire) = (config.kafka.clone(), config.events.wire());
        Self { kafka, ledger, wire, pay_api, clock, broker, events_partitions, spans }
    }
}
