//! The `[development]` table: what it adds, and that the pin stays what it is.

mod localstack;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ipn_receiver::amazon::Clients;
use ipn_receiver::app::App;
use ipn_receiver::config::Config;
use ipn_receiver::kafka::Broker;
use ipn_receiver::sandbox::sns::CertificateAnswer;
use rdkafka::mocking::MockCluster;
use serde_json::Value;

use self::localstack::LocalStack;
use crate::harness::{admin_page, committed_records, kafka, metric, run, until};
use crate::mock_stage::envelope;

/// A settings file's text for a receiver that meets LocalStack, with this `[development]` table.
fn config(servers: &str, table: &str) -> Config {
    let text = format!(
        "ingress.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\nshutdown.notice_ms = 0\nsns.certificate_failure_ms = 1\n\
         [kafka]\nbootstrap_servers = \"{servers}\"\npartitions = 3\nreplication_factor = 1\n{table}\n\
         [[merchants]]\nid = \"A1O8CIV1A24A6X\"\nregion = \"eu\"\nenvironment = \"sandbox\"\npublic_key_id = \"SANDBOX-X\"\n\
         private_key_file = \"tests/fixtures/merchant-key-pkcs8.pem\"\n"
    );
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    Config::from_toml(&text, [], root).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
}

async fn post(app: &App, body: String) -> (u16, String) {
    let url = format!("http://{}/ipn", app.ingress_address());
    let answer = reqwest::Client::new().post(url).body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[test]
fn localstack_is_trusted_only_where_configured() {
    run(async {
        let localstack = LocalStack::start();
        let cluster = MockCluster::new(1).unwrap();
        for topic in ["ipn.inbox.v1", "events.v1", "state.v1", "ipn.dlq.v1"] {
            cluster.create_topic(&format!("amazonpay.{topic}"), 3, 1).unwrap();
        }
        let table = format!(
            "[development]\ncertificate_origins = [\"{}\"]\ntopic_arns = [\"{}\"]\nsns_endpoint = \"{}\"",
            localstack.certificate_origin(),
            localstack::TOPIC,
            localstack.endpoint(),
        );
        for (table, notification, confirmation) in [(table.as_str(), 200, 200), ("", 403, 403)] {
            let config = config(&cluster.bootstrap_servers(), table);
            let clients = Clients::internet(&config).unwrap();
            let app = App::start(config, clients, Broker::Mock).await.unwrap();
            until("ready", || app.is_ready()).await;
            let (status, body) = post(&app, localstack.notification(localstack::TOPIC)).await;
            assert_eq!(status, notification, "{body}");
            let (status, body) = post(&app, localstack.subscription_confirmation()).await;
            assert_eq!(status, confirmation, "{body}");
            if !table.is_empty() {
                assert_eq!(localstack.confirmed(), 1);
                // Signed by the origin the table names, of a topic it does not name.
                let other_topic = localstack.notification("arn:aws:sns:us-east-1:000000000000:other");
                assert_eq!(post(&app, other_topic).await.0, 503);
                let altered = localstack.notification(localstack::TOPIC).replace("a message", "another message");
                assert_eq!(post(&app, altered).await.0, 403, "the signature counts");
                assert!(admin_page(&app, "/readyz").await.contains("a [development] table is in force"));
                assert!(metric(&app, "ipn_receiver_development_settings").await > 0.0);
            }
            app.stop().await;
        }
    });
}

#[test]
fn development_settings_do_not_loosen_amazons_hosts() {
    run(async {
        let stage = crate::mock_stage::MockStage::new(
            "sns.certificate_failure_ms = 1\ndevelopment.certificate_origins = [\"http://localhost:4566/_aws/sns/\"]",
        )
        .await;
        let localstack = LocalStack::start();
        let own = stage.environment.sns.signing_cert_url();
        let body = envelope(&stage.environment);
        stage
            .environment
            .sns
            .set_certificate_answer(CertificateAnswer::Body(localstack.certificate_pem().into_bytes()));
        let answer = stage.post_body(&body).await;
        assert!(answer.status == 503 && answer.body.contains("certificate-unusable"), "{}", answer.body);
        for url in [own.replace("https://", "http://"), own.replace(".com/", ".com:4566/")] {
            let answer = stage.post_body(&body.replace(&own, &url)).await;
            assert_eq!(answer.status, 403, "{url}: {}", answer.body);
        }
        stage.stop().await;
    });
}

/// A process that is stopped with the test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
    command.args(["--log-format", "json"]).env_remove("RUST_LOG").env_remove("IPN_RECEIVER_CONFIG");
    command
}

/// The lines up to the first that contains `word`. The rest is read and dropped, so that the process never blocks.
pub(crate) fn lines_until(stream: impl std::io::Read + Send + 'static, word: &str) -> Vec<String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut seen: Vec<String> = Vec::new();
    while !seen.last().is_some_and(|line| line.contains(word)) {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = receiver.recv_timeout(left);
        seen.push(line.unwrap_or_else(|_| panic!("no line contains {word:?}:\n{}", seen.join("\n"))));
    }
    seen
}

#[test]
fn simulators_print_a_working_configuration() {
    run(async {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut simulators = program()
            .args(["sandbox", "--simulators-only", "--kafka", &kafka(), "--post-to"])
            .arg(format!("http://127.0.0.1:{port}/ipn"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let config = lines_until(simulators.stdout.take().unwrap(), "private_key_file").join("\n");
        let output = lines_until(simulators.stderr.take().unwrap(), "Stop with Ctrl-C").join("\n");
        let _simulators = Process(simulators);
        let control = output.split_once("curl -X POST 'http://").unwrap().1.split_once('/').unwrap().0.to_owned();

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("receiver.toml");
        std::fs::write(&file, &config).unwrap();
        assert!(program().args(["topics", "--config"]).arg(&file).stdout(Stdio::null()).status().unwrap().success());
        let mut receiver = program()
            .args(["serve", "--config"])
            .arg(&file)
            .env("IPN_RECEIVER__INGRESS__LISTEN", format!("127.0.0.1:{port}"))
            .env("IPN_RECEIVER__ADMIN__LISTEN", "127.0.0.1:0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = lines_until(receiver.stderr.take().unwrap(), "ipn-receiver started").join("\n");
        let _receiver = Process(receiver);
        assert!(log.contains("DEVELOPMENT SETTINGS ARE ACTIVE") && log.contains("\"ERROR\""), "{log}");

        let client = reqwest::Client::new();
        let ask = async |path: &str| -> Value {
            let answer = client.post(format!("http://{control}/{path}")).send().await.unwrap();
            serde_json::from_str(&answer.text().await.unwrap()).unwrap()
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while ask("subscription").await["receiverAnswered"] != 200 {
            assert!(Instant::now() < deadline, "the subscription is confirmed");
        }
        let declined = "charges/S01-1234567-1234567-C000001/Declined?reason=HardDeclined";
        assert_eq!(ask(declined).await["receiverAnswered"], 200);
        assert!(ask("charges/nonsense/Declined").await["error"].is_string());
        let text = config.replace("trust_anchor_files", "\ntrust_anchor_files");
        let kafka = Config::from_toml(&text, [], folder.path()).unwrap().kafka;
        until("the event is published", || {
            let events = committed_records(&kafka, &kafka.topics().events);
            events.iter().any(|event| String::from_utf8_lossy(&event.value).contains("amazonpay.ChargeDeclined.v1"))
        })
        .await;
    });
}
