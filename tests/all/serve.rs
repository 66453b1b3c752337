//! `serve`, `topics` and `healthcheck` as processes: rejected setups, output, exit codes and shutdown.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{kafka, run};

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
    command.args(["--log-format", "json"]).env_remove("RUST_LOG");
    command
}

fn write_config(folder: &Path, servers: &str) -> std::path::PathBuf {
    std::fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/merchant-key-pkcs1.pem"),
        folder.join("key.pem"),
    )
    .unwrap();
    let file = folder.join("receiver.toml");
    let prefix = uuid::Uuid::new_v4();
    std::fs::write(&file, format!(
        "ingress.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\nshutdown.notice_ms = 100\n\
         kafka.bootstrap_servers = \"{servers}\"\nkafka.topic_prefix = \"t{prefix}\"\nkafka.partitions = 3\nkafka.replication_factor = 1\n\
         [[merchants]]\nid = \"A1O8CIV1A24A6X\"\nregion = \"eu\"\nenvironment = \"live\"\npublic_key_id = \"LIVE-X\"\nprivate_key_file = \"key.pem\"\n",
    )).unwrap();
    file
}

/// A running `serve`, with the addresses that it logged.
struct Serve {
    child: Child,
    ingress: String,
    admin: String,
}

fn serve(file: &Path) -> Serve {
    let mut child = command().args(["serve", "--config"]).arg(file).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines
        .by_ref()
        .map(Result::unwrap)
        .find(|line| line.contains("ipn-receiver started"))
        .expect("a log line says that the receiver started");
    std::thread::spawn(move || lines.for_each(drop));
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = |name: &str| line[name].as_str().unwrap().to_owned();
    Serve { child, ingress: address("ingress"), admin: address("admin") }
}

#[test]
fn wrong_configuration_exits_with_78_and_names_each_setting() {
    let folder = tempfile::tempdir().unwrap();
    let file = write_config(folder.path(), "127.0.0.1:1");
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace("key.pem", "absent.pem")
        .replace("partitions = 3", "partitions = 0");
    std::fs::write(&file, text).unwrap();
    let output = command().args(["serve", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78));
    for part in [
        "receiver.toml: kafka.partitions: must be between 1 and 1000",
        "receiver.toml: merchants[0].private_key_file",
        "absent.pem cannot be read",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn missing_kafka_or_topics_exit_with_3_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["serve", "topics"] {
        let output =
            command().args([name, "--config"]).arg(write_config(folder.path(), "127.0.0.1:1")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        let remedy = "nothing listens at this address: check host and port in kafka.bootstrap_servers";
        assert!(said.contains("Kafka at 127.0.0.1:1 cannot be reached") && said.contains(remedy), "{said}");
        if name == "serve" {
            let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).expect("a log line");
            assert_eq!(last["level"], "ERROR", "{said}");
        }
    }
    let output = command().args(["serve", "--config"]).arg(write_config(folder.path(), &kafka())).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("missing topics:") && said.contains("ipn-receiver topics --config FILE"), "{said}");
}

#[test]
fn topics_are_created_once_and_their_partition_count_is_fixed() {
    let folder = tempfile::tempdir().unwrap();
    let file = write_config(folder.path(), &kafka());
    let topics =
        || String::from_utf8(command().args(["topics", "--config"]).arg(&file).output().unwrap().stdout).unwrap();
    let first = topics();
    assert_eq!(first.lines().filter(|line| line.starts_with("created ")).count(), 4, "{first}");
    let again = topics();
    assert_eq!(again.matches("reason: the loss of one broker can lose acknowledged records").count(), 1, "{again}");
    assert!(again.ends_with("1 warning. serve starts.\n"), "{again}");
    let text = std::fs::read_to_string(&file).unwrap().replace("partitions = 3", "partitions = 4");
    std::fs::write(&file, text).unwrap();
    let output = command().args(["serve", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("recorded as 3, but kafka.partitions is 4") && said.contains("set kafka.partitions = 3"),
        "{said}"
    );
}

#[test]
fn too_short_inbox_retention_is_rejected_with_a_remedy() {
    run(async {
        let stage = crate::harness::Stage::new(1, "worker.pending_age_max_h = 24").await;
        let (kafka, start) = (stage.kafka(), || {
            ipn_receiver::app::App::start(
                stage.config(),
                stage.environment.clients().unwrap(),
                ipn_receiver::kafka::Broker::Real,
            )
        });
        let inbox = kafka.topics().inbox;
        let three_days = "259200000";
        crate::harness::alter_topic(&kafka, &inbox, &[("retention.ms", three_days)]).await;
        let Err(error) = start().await else { panic!("serve must not start") };
        let said = error.to_string();
        assert!(
            said.contains("retention.ms is 259200000, should be more than 259200000")
                && said.contains("pending_age_max_h"),
            "{said}"
        );
        crate::harness::alter_topic(&kafka, &inbox, &[("retention.ms", "259200001")]).await;
        start().await.unwrap().stop().await;
    });
}

#[test]
fn serve_becomes_ready_rejects_other_posts_and_stops_on_sigterm() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let file = write_config(folder.path(), &kafka());
        assert!(command().args(["topics", "--config"]).arg(&file).status().unwrap().success());
        let Serve { mut child, ingress, admin } = serve(&file);
        let client = reqwest::Client::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = client.get(format!("http://{admin}/readyz")).send().await.unwrap();
            let body = answer.text().await.unwrap();
            if body.contains("\"ready\":true") && body.contains("owns its partitions") {
                break;
            }
            assert!(Instant::now() < deadline, "ready within 30 s: {body}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let answer = client.post(format!("http://{ingress}/ipn")).body("hello").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 400);
        let metrics = client.get(format!("http://{admin}/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("ipn_receiver_requests_total{outcome=\"not-an-envelope\"} 1"), "{metrics}");

        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        let stopped_at = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(stopped_at.elapsed() < Duration::from_secs(30), "serve stops within the grace period");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(status.success(), "{status}");
    });
}

#[test]
fn healthcheck_shows_what_the_receiver_answers() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let file = write_config(folder.path(), &kafka());
        assert!(command().args(["topics", "--config"]).arg(&file).status().unwrap().success());
        let Serve { mut child, ingress, admin } = serve(&file);
        let ask = |arguments: &[&str]| {
            let output = command().arg("healthcheck").args(arguments).output().unwrap();
            let text = [output.stdout, output.stderr].concat();
            (output.status.code(), String::from_utf8(text).unwrap())
        };
        let (ready, alive, ipn) =
            (format!("http://{admin}/readyz"), format!("http://{admin}/healthz"), format!("http://{ingress}/ipn"));
        let (code, said) = ask(&["--url", &ready, "--within-s", "30"]);
        assert!(code == Some(0) && said.contains("Kafka accepts records"), "{said}");
        assert_eq!(ask(&["--url", &alive]).0, Some(0));
        assert_eq!(ask(&["--url", &ipn, "--expect", "405"]).0, Some(0));
        let (code, said) = ask(&["--url", &ipn]);
        assert!(code == Some(1) && said.contains("answers 405 instead of 200"), "{said}");
        child.kill().unwrap();
        child.wait().unwrap();
        let (code, said) = ask(&["--url", &alive]);
        assert!(code == Some(1) && said.contains("does not answer") && said.contains("refused"), "{said}");
    });
}

#[test]
fn help_names_every_command_and_exit_code() {
    let mut said = String::new();
    let mut child = command().arg("--help").stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    let commands = [
        "serve",
        "check",
        "topics",
        "schema",
        "inspect",
        "recheck",
        "in-charge-since",
        "redrive",
        "verify",
        "healthcheck",
        "sandbox",
    ];
    for command in commands {
        assert!(said.contains(&format!("\n  {command} ")), "{command} is missing in {said}");
        let output = self::command().args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        for part in
            [&format!("Example:\n  ipn-receiver {command}"), "  0   success", "  78  the configuration is wrong"]
        {
            assert!(help.contains(part), "{part} is missing in {help}");
        }
    }
    assert!(said.contains("--log-format") && said.contains("Exit codes:"), "{said}");
}
