//! One sandbox environment: merchants, a simulated SNS and Amazon Pay API, and a configuration for the receiver.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use parking_lot::Mutex;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Error;
use super::authority::{Authority, LOOPBACK_NAME, MerchantKey, merchant_key};
use super::broker::Broker;
use super::pay_api::{Environment, ObjectKind, PayApi, RegisteredKey, Throttling, with_state};
use super::sns::{Answer, Draft, SignatureVersion, Sns, post};
use crate::amazon::Clients;
use crate::amazon::signing_certs::CertAuthorities;
use crate::amazon::subscriptions::SnsApi;
use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::sns::TrustAnchors;

/// The simulators of Amazon for merchants of region `na` in Amazon Pay's sandbox environment.
pub struct SandboxEnvironment {
    /// The certificate authority that every client of this environment trusts.
    pub authority: Authority,
    /// Signs messages and serves its signing certificate.
    pub sns: Sns,
    /// Verifies requests and holds the objects.
    pub pay_api: PayApi,
    /// The merchant ids.
    pub merchants: Vec<String>,
    /// TOML lines to add to the table of each merchant.
    pub merchant_settings: String,
    /// TOML lines with the receiver's quota; empty: the defaults.
    pub quota_settings: &'static str,
    /// The prefix of the receiver's topics, which is unique to this environment.
    pub(super) topic_prefix: String,
    keys: tempfile::TempDir,
    poster: reqwest::Client,
    last_changes: Mutex<HashMap<String, i64>>,
}

/// What an IPN says: a hint that an object changed.
#[derive(Clone, Debug)]
pub struct Hint<'a> {
    /// The merchant id.
    pub merchant: &'a str,
    /// The kind of object.
    pub kind: ObjectKind,
    /// The object id.
    pub id: &'a str,
    /// `STATE_CHANGE` or `ATTRIBUTE_CHANGE`.
    pub notification_type: &'a str,
}

impl SandboxEnvironment {
    /// Starts both simulators for `n_merchants` merchants.
    pub async fn start(n_merchants: usize) -> Result<Self, Error> {
        let authority = Authority::new()?;
        let keys = tempfile::tempdir()?;
        let merchants: Vec<String> = (0..n_merchants).map(|n| format!("A{n}SANDBOXMERCHANT")).collect();
        // All merchants share one key pair, because RSA key generation is slow.
        let key = merchant_key()?;
        write_key(&keys.path().join(KEY_FILE), &key.private_pem_pkcs8())?;
        let registered: Vec<RegisteredKey> = merchants.iter().map(|merchant| registered(merchant, &key)).collect();
        Ok(Self {
            sns: Sns::start(&authority, AWS_REGION).await?,
            pay_api: PayApi::start(&authority, "na", &registered).await?,
            authority,
            merchants,
            merchant_settings: String::new(),
            quota_settings: "",
            topic_prefix: format!("sandbox-{}", uuid::Uuid::new_v4().simple()),
            keys,
            poster: reqwest::Client::builder().build()?,
            last_changes: Mutex::default(),
        })
    }

    /// Like [`Self::start`], with a quota of 100 reads per second, so that tests run fast.
    pub async fn start_fast(n_merchants: usize) -> Result<Self, Error> {
        let environment = Self::start(n_merchants).await?;
        environment.pay_api.set_throttling(Some(Throttling {
            burst: 100,
            per_second: 100,
            used_by_shop_per_second: 0,
        }));
        Ok(Self {
            quota_settings: "quota.share = 1.0\nquota.sandbox = { burst = 50, per_second = 50 }\n",
            ..environment
        })
    }

    /// A receiver configuration, parsed and checked like any other. Its topic prefix is unique to this environment.
    pub fn config(&self, broker: &Broker) -> Result<Config, Error> {
        self.config_with(&broker.bootstrap_servers(), "")
    }

    /// Like [`Self::config`], for these bootstrap servers and with additional TOML lines.
    pub fn config_with(&self, bootstrap_servers: &str, more: &str) -> Result<Config, Error> {
        let prefix = &self.topic_prefix;
        let text = format!(
            "ingress.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\nadmin.probe_interval_ms = 500\nshutdown.notice_ms = 0\n\
             {}kafka.bootstrap_servers = \"{bootstrap_servers}\"\nkafka.topic_prefix = \"{prefix}\"\nkafka.partitions = 3\nkafka.replication_factor = 1\n{more}\n{}",
            self.quota_settings,
            self.merchant_tables(KEY_FILE)?,
        );
        Config::from_toml(&text, [], self.keys.path())
            .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ").into())
    }

    /// Registers a new key for every merchant and rejects the old one. The returned function writes the new key file.
    pub fn rotate_key(&self) -> Result<impl FnOnce() -> std::io::Result<()>, Error> {
        let key = merchant_key()?;
        let registered: Vec<RegisteredKey> = self.merchants.iter().map(|merchant| registered(merchant, &key)).collect();
        self.pay_api.register_only(&registered)?;
        let (file, pem) = (self.keys.path().join(KEY_FILE), key.private_pem_pkcs8());
        Ok(move || write_key(&file, &pem))
    }

    /// Lets other processes reach both simulators: messages signed after this call carry URLs with the loopback address.
    #[must_use]
    pub fn reachable_by_address(mut self) -> Self {
        self.sns.reach_by_address();
        self
    }

    /// The TOML text of a configuration for a receiver in another process, which does not resolve Amazon's names to
    /// loopback. The files that it names exist as long as this environment does.
    pub fn config_for_another_process(&self, bootstrap_servers: &str) -> Result<String, Error> {
        let root = self.keys.path().join("sandbox-root.pem");
        std::fs::write(&root, self.authority.certificate_pem())?;
        let (sns, pay_api_port) = (self.sns.endpoint(), self.pay_api.address().port());
        Ok(format!(
            "# Valid while the simulators run.\n\
             [kafka]\nbootstrap_servers = \"{bootstrap_servers}\"\ntopic_prefix = \"{}\"\npartitions = 3\nreplication_factor = 1\n\n\
             [development]\ncertificate_origins = [\"{sns}/\"]\ntrust_anchor_files = [\"{}\"]\n\
             pay_api_endpoint = \"https://{LOOPBACK_NAME}:{pay_api_port}\"\nsns_endpoint = \"{sns}\"\n\n{}",
            self.topic_prefix,
            root.display(),
            self.merchant_tables(&self.keys.path().join(KEY_FILE).display().to_string())?,
        ))
    }

    fn merchant_tables(&self, key_file: &str) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        for merchant in &self.merchants {
            write!(
                text,
                "[[merchants]]\nid = \"{merchant}\"\nregion = \"na\"\nenvironment = \"sandbox\"\npublic_key_id = \"{}\"\nprivate_key_file = \"{key_file}\"\n{}\n",
                key_id(merchant),
                self.merchant_settings,
            )?;
        }
        Ok(text)
    }

    /// HTTP clients that resolve Amazon's names to this environment and trust only its root.
    pub fn clients(&self) -> Result<Clients, Error> {
        Ok(Clients {
            cert_authorities: self.cert_authorities()?,
            pay_api: self.authority.client(&[(self.pay_api.host(), self.pay_api.address())])?,
            sns_api: self.sns_api(self.sns.address().port())?,
            clock: Clock::system(),
        })
    }

    /// The clients that fetch certificates, and this environment's root in place of the Amazon roots.
    pub fn cert_authorities(&self) -> Result<CertAuthorities, Error> {
        let client = self.authority.client(&[(self.sns.host(), self.sns.address())])?;
        Ok(CertAuthorities {
            signing_certs: client.clone(),
            issuers: client.clone(),
            development: client,
            anchors: TrustAnchors::from_der(&self.authority.certificate_der())?,
        })
    }

    /// A client of the SNS API at a loopback port; it trusts this environment's root.
    pub fn sns_api(&self, port: u16) -> Result<SnsApi, Error> {
        let roots = TrustStore::empty().with_pem_certificate(self.authority.certificate_pem());
        let tls = TlsContext::builder().with_trust_store(roots).build()?;
        Ok(SnsApi::at(format!("https://{LOOPBACK_NAME}:{port}"), tls))
    }

    /// The ARN of the topic to which Amazon Pay publishes the IPNs of a merchant.
    pub fn topic_arn(&self, merchant: &str) -> String {
        format!("arn:aws:sns:{AWS_REGION}:291180941288:A1G8446IYHA4MR{merchant}")
    }

    /// Puts an object into a state, as of now. Amazon's times have whole seconds, so a change is at least one
    /// second after the one before it, as it is in a shop.
    pub fn put(&self, kind: ObjectKind, object: Value, state: &str, reasons: &[&str]) {
        let id = object[kind.id_field()].as_str().unwrap_or_default();
        let changed_at = self.time_of_change(id, OffsetDateTime::now_utc().unix_timestamp());
        self.pay_api.put(Environment::Sandbox, kind, with_state(object, state, reasons, changed_at));
    }

    /// Amazon's time of a change that happens at this time (Unix, in seconds).
    pub(super) fn time_of_change(&self, id: &str, at_s: i64) -> i64 {
        let mut last = self.last_changes.lock();
        let changed_at = last.get(id).map_or(at_s, |last| at_s.max(last + 1));
        last.insert(id.to_owned(), changed_at);
        changed_at
    }

    /// Changes the state of an object that exists.
    pub fn change(&self, kind: ObjectKind, id: &str, state: &str, reasons: &[&str]) {
        let object = self.pay_api.get(Environment::Sandbox, kind, id).expect("the object exists");
        self.put(kind, object, state, reasons);
    }

    /// The signed SNS message with an IPN.
    pub fn envelope(&self, hint: &Hint<'_>, version: SignatureVersion) -> String {
        let draft = self.draft(hint, OffsetDateTime::now_utc());
        self.sns.notification(&Draft { version, ..draft })
    }

    /// The SNS message with an IPN that is sent at this time.
    pub(super) fn draft(&self, hint: &Hint<'_>, sent_at: OffsetDateTime) -> Draft {
        let message = message_of(hint, &self.permission_of(hint.kind, hint.id));
        Draft::new(&self.topic_arn(hint.merchant), &message, sent_at)
    }

    /// The charge permission of an object; of an unknown object, derived from its id.
    fn permission_of(&self, kind: ObjectKind, id: &str) -> String {
        let object = |kind| self.pay_api.get(Environment::Sandbox, kind, id);
        // A chargeback of the old form names a charge.
        let object = object(kind).or_else(|| object(ObjectKind::Charge)).unwrap_or_default();
        match (object["chargePermissionId"].as_str(), object["chargeId"].as_str()) {
            (Some(permission), _) => permission.to_owned(),
            (None, Some(charge)) if kind != ObjectKind::Charge => self.permission_of(ObjectKind::Charge, charge),
            (None, _) => permission_from_id(id),
        }
    }

    /// Posts a body to the receiver as SNS does.
    pub async fn post(&self, app: &app::App, body: &str) -> Result<Answer, Error> {
        self.post_to(&format!("http://{}/ipn", app.ingress_address()), body).await
    }

    /// Posts a body to any URL as SNS does.
    pub async fn post_to(&self, url: &str, body: &str) -> Result<Answer, Error> {
        Ok(post(&self.poster, url, body).await?)
    }

    /// Stops both simulators.
    pub async fn stop(&self) {
        let stopping = async {
            self.sns.stop().await;
            self.pay_api.stop().await;
        };
        // Idle client connections can delay the stop, so it is bounded.
        let _ = tokio::time::timeout(Duration::from_secs(2), stopping).await;
    }
}

/// The `Message` of an IPN, which holds ids only. The charge permission id is derived from the object id.
pub fn message(hint: &Hint<'_>) -> String {
    message_of(hint, &permission_from_id(hint.id))
}

/// The id of a charge, refund or dispute starts with the id of its one-time charge permission.
pub(super) fn permission_from_id(id: &str) -> String {
    id.splitn(4, '-').take(3).collect::<Vec<_>>().join("-")
}

fn message_of(hint: &Hint<'_>, permission_id: &str) -> String {
    let object_type = match hint.kind {
        ObjectKind::ChargePermission => "CHARGE_PERMISSION",
        ObjectKind::Charge => "CHARGE",
        ObjectKind::Refund => "REFUND",
        ObjectKind::Dispute => "CHARGEBACK",
    };
    json!({
        "MerchantID": hint.merchant, "ObjectType": object_type, "ObjectId": hint.id, "ChargePermissionId": permission_id,
        "NotificationType": hint.notification_type, "NotificationId": uuid::Uuid::new_v4(), "NotificationVersion": "V2",
    })
    .to_string()
}

fn registered(merchant: &str, key: &MerchantKey) -> RegisteredKey {
    RegisteredKey { public_key_id: key_id(merchant), public_pem: key.public_pem(), environment: Environment::Sandbox }
}

fn key_id(merchant: &str) -> String {
    format!("SANDBOX-{merchant}")
}

/// Only the owner may read it, as `check` demands.
fn write_key(file: &Path, pem: &str) -> std::io::Result<()> {
    std::fs::write(file, pem)?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
}

const AWS_REGION: &str = "us-east-1";
const KEY_FILE: &str = "merchant.pem";
