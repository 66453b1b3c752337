//! A receiver on librdkafka's mock broker, for tests that need no real broker or one that fails on demand.

use std::time::{Duration, Instant};

use ipn_receiver::amazon::Clients;
use ipn_receiver::app::App;
use ipn_receiver::config::Config;
use ipn_receiver::kafka::Broker;
use ipn_receiver::sandbox::environment::{Hint, SandboxEnvironment};
use ipn_receiver::sandbox::pay_api::ObjectKind;
use ipn_receiver::sandbox::sns::{Answer, SignatureVersion};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::harness::{post, until};

/// The simulated Amazon, the mock broker and the receiver.
pub(crate) struct MockStage {
    pub(crate) environment: SandboxEnvironment,
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
    pub(crate) app: App,
    settings: String,
}

impl MockStage {
    pub(crate) async fn new(settings: &str) -> Self {
        Self::with_clients(settings, |_, _| ()).await
    }

    /// Like [`Self::new`], with more TOML lines in the table of the merchant.
    pub(crate) async fn with_merchant_settings(settings: &str) -> Self {
        let mut environment = SandboxEnvironment::start_fast(1).await.unwrap();
        settings.clone_into(&mut environment.merchant_settings);
        Self::in_environment(environment, "", |_, _| ()).await
    }

    /// Like [`Self::new`]; `change` can replace clients before the receiver starts.
    pub(crate) async fn with_clients(settings: &str, change: impl FnOnce(&SandboxEnvironment, &mut Clients)) -> Self {
        Self::in_environment(SandboxEnvironment::start_fast(1).await.unwrap(), settings, change).await
    }

    pub(crate) async fn in_environment(
        environment: SandboxEnvironment,
        settings: &str,
        change: impl FnOnce(&SandboxEnvironment, &mut Clients),
    ) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let config = environment.config_with(&cluster.bootstrap_servers(), settings).unwrap();
        let topics = config.kafka.topics();
        for topic in [&topics.inbox, &topics.events, &topics.state, &topics.dead_letters] {
            cluster.create_topic(topic, 3, 1).unwrap();
        }
        let mut clients = environment.clients().unwrap();
        change(&environment, &mut clients);
        let app = App::start(config, clients, Broker::Mock).await.unwrap();
        until("ready", || app.is_ready()).await;
        Self { environment, cluster, app, settings: settings.to_owned() }
    }

    pub(crate) fn config(&self) -> Config {
        self.environment.config_with(&self.cluster.bootstrap_servers(), &self.settings).unwrap()
    }

    /// Posts a new IPN.
    pub(crate) async fn post(&self) -> Answer {
        self.post_body(&envelope(&self.environment)).await
    }

    pub(crate) async fn post_body(&self, body: &str) -> Answer {
        let asked = Instant::now();
        let answer = post(&self.environment, &self.app, body).await;
        assert!(asked.elapsed() < SNS_GIVES_UP_AFTER, "answered after {:?}", asked.elapsed());
        answer
    }

    pub(crate) async fn expect_refused(&self) {
        let answer = self.post().await;
        assert_eq!((answer.status, answer.retry_after()), (503, Some("20")), "{}", answer.body);
    }

    pub(crate) async fn expect_accepted_again(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.post().await.status != 200 {
            assert!(Instant::now() < deadline, "IPNs were not accepted again within 30 s");
        }
    }

    pub(crate) async fn stop(self) {
        self.app.stop().await;
    }
}

/// A genuine IPN of the first merchant.
pub(crate) fn envelope(environment: &SandboxEnvironment) -> String {
    let id = "S02-5454037-1929856-C000001";
    let hint =
        Hint { merchant: &environment.merchants[0], kind: ObjectKind::Charge, id, notification_type: "STATE_CHANGE" };
    environment.envelope(&hint, SignatureVersion::V2)
}

pub(crate) const SNS_GIVES_UP_AFTER: Duration = Duration::from_secs(15);
