//! What the worker needs of the settings.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::amazon::pay_api::PayApi;
use crate::clock::Clock;
use crate::config::{self, Config, Kafka};
use crate::domain::events::Wire;
use crate::domain::ipn::routing::Merchants;
use crate::domain::pay::Account;
use crate::domain::work::Rules;
use crate::kafka::Broker;
use crate::telemetry::spans::Spans;

/// Where the group stands in the inbox, by partition.
pub(super) type Positions = BTreeMap<i32, i64>;
/// Where buyers update their payment method, by account.
pub(super) type UpdateUrls = Arc<HashMap<Account, String>>;

/// What the worker needs of the settings.
pub struct WorkerContext {
    pub(super) kafka: Kafka,
    pub(super) settings: config::Worker,
    pub(super) reconciliation: config::Reconciliation,
    pub(super) rules: Rules,
    pub(super) update_urls: UpdateUrls,
    pub(super) wire: Wire,
    pub(super) merchants: Arc<Merchants>,
    pub(super) pay_api: PayApi,
    pub(super) clock: Clock,
    pub(super) broker: Broker,
    pub(super) spans: Spans,
}

impl WorkerContext {
    /// From the settings.
    pub fn new(
        config: &Config,
        merchants: Arc<Merchants>,
        update_urls: HashMap<Account, String>,
        pay_api: PayApi,
        clock: Clock,
        broker: Broker,
        spans: Spans,
    ) -> Self {
        Self {
            kafka: config.kafka.clone(),
            settings: config.worker.clone(),
            reconciliation: config.reconciliation.clone(),
            rules: config.quota.rules(&config.worker),
            wire: config.events.wire(),
            merchants,
            update_urls: update_urls.into(),
            pay_api,
            clock,
            broker,
            spans,
        }
    }
}
