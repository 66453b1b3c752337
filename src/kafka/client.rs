//! The settings of librdkafka that all clients of the cluster start from.

use rdkafka::ClientConfig;

use crate::config::Kafka;

impl Kafka {
    /// What every client starts from. Each client sets the properties that its guarantees need after these, so no entry of
    /// `kafka.properties` overrides them.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        let fetches_tokens = self.properties.get("sasl.oauthbearer.method").is_some_and(|method| method == "oidc");
        if fetches_tokens && !self.properties.contains_key("https.ca.pem") {
            // librdkafka's HTTP client finds the system's CA certificates only with this.
            client.set("https.ca.location", "probe");
        }
        for (name, value) in &self.properties {
            client.set(name, value);
        }
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", "ipn-receiver")
            // With librdkafka's default, a broker that comes back is noticed only after up to ten seconds.
            .set("reconnect.backoff.max.ms", "1000")
            .set("allow.auto.create.topics", "false");
        client
    }

    /// What a consumer starts from that joins no group. Its group id is `<group>-<purpose>`.
    pub fn reader(&self, purpose: &str) -> ClientConfig {
        let mut reader = self.client();
        reader
            .set("group.id", format!("{}-{purpose}", self.group()))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed");
        reader
    }
}
