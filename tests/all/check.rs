//! `check` as a process: every check passes, and every check fails with its text and its remedy.

use std::process::Command;
use std::time::Instant;

use actix_web::{HttpResponse, web};
use ipn_receiver::kafka::topics;
use ipn_receiver::sandbox::environment::SandboxEnvironment;
use ipn_receiver::sandbox::pay_api::Fault;
use serde_json::Value;

use crate::harness::{alter_topic, http_server, kafka, run};

/// The result of a run: the exit code, the JSON lines, and the text on standard error.
pub(crate) struct Checked {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
    pub(crate) waited_for: String,
}

impl Checked {
    /// Runs `check` with this configuration and these environment variables.
    pub(crate) fn of(config: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("receiver.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
        // Hosts outside this machine must be unreachable, on every machine.
        command
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("NO_PROXY", "127.0.0.1,localhost,localhost.ipn-receiver.test");
        command.args(["check", "--json", "--config"]).arg(&file).args(arguments).envs(environment.iter().copied());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, waited_for) = (text(output.stdout), text(output.stderr));
        let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        Self { code: output.status.code().unwrap(), lines, waited_for }
    }

    /// `what` and `remedy` of the lines of this check with this verdict.
    pub(crate) fn said(&self, verdict: &str, check: &str) -> Vec<(String, String)> {
        let lines = self.lines.iter().filter(|line| line["verdict"] == verdict && line["check"] == check);
        let word = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
        lines.map(|line| (word(line, "what"), word(line, "remedy"))).collect()
    }

    /// Asserts a line of this check with this verdict, whose texts contain `what` and `remedy`, and the exit code.
    fn has(&self, verdict: &str, check: &str, what: &str, remedy: &str) {
        self.has_line(verdict, check, what, remedy);
        assert_eq!(self.code, i32::from(verdict == "fail"), "{:#?}", self.lines);
    }

    fn has_line(&self, verdict: &str, check: &str, what: &str, remedy: &str) {
        let said = self.said(verdict, check);
        let is_it = |(said, how): &(String, String)| said.contains(what) && how.contains(remedy);
        assert!(said.iter().any(is_it), "no {verdict} {check} {what:?} {remedy:?} in {:#?}", self.lines);
    }
}

/// The simulators on loopback, and the configuration of a receiver that uses them.
async fn environment() -> (SandboxEnvironment, String) {
    let mut environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
    // Without an AWS region, certificates come only from the simulator.
    "topic_regions = []".clone_into(&mut environment.merchant_settings);
    let config = environment.config_for_another_process(&kafka()).unwrap();
    (environment, config)
}

#[test]
fn correct_setup_passes_every_check() {
    run(async {
        let (environment, config) = environment().await;
        topics::create(&environment.config_with(&kafka(), "").unwrap().kafka).await.unwrap();
        let checked = Checked::of(&config, &[], &[]);
        assert_eq!(checked.code, 0, "{:#?}", checked.lines);
        for check in ["configuration", "key", "kafka", "topics", "acls", "certificates", "credentials", "clock"] {
            assert!(!checked.said("pass", check).is_empty(), "{check}: {:#?}", checked.lines);
        }
        let end = checked.lines.last().unwrap();
        assert_eq!((&end["failed"], end["passed"].as_u64().unwrap() > 15), (&Value::from(0), true), "{end}");
        for said in ["connecting to Kafka at ", "probing ", "requesting the Amazon Pay API as "] {
            assert!(checked.waited_for.contains(said), "{}", checked.waited_for);
        }
        // The probes left no record behind.
        let kafka = environment.config_with(&kafka(), "").unwrap().kafka;
        let names = kafka.topics();
        for topic in [&names.inbox, &names.events, &names.dead_letters] {
            assert_eq!(crate::harness::records(&kafka, topic, "read_uncommitted").len(), 0, "{topic}");
        }
        assert_eq!(crate::harness::records(&kafka, &names.state, "read_uncommitted").len(), 1, "the partition count");
        environment.stop().await;
    });
}

#[test]
fn text_output_has_one_line_per_check_and_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receiver.toml");
    std::fs::write(&file, "role = \"worker\"\n[kafka]\npartitions = 0\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
    let output = command.args(["check", "--offline", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    let line = "FAIL  configuration  kafka.partitions: must be between 1 and 1000. ";
    assert!(said.starts_with("      check          result\n") && said.contains(line), "{said}");
    assert!(said.ends_with("0 passed, 0 warned, 3 failed\n"), "{said}");
}

#[test]
fn offline_check_reads_only_the_configuration_and_its_keys() {
    run(async {
        let (environment, config) = environment().await;
        let nowhere = config.replace(&kafka(), "127.0.0.1:1");
        let checked = Checked::of(&nowhere, &["--offline"], &[]);
        assert_eq!(checked.code, 0, "{:#?}", checked.lines);
        assert_eq!(checked.lines.len(), 4, "configuration, its warning, key and counts: {:#?}", checked.lines);
        for (right, wrong, check, what) in [
            ("partitions = 3", "partitions = 0", "configuration", "kafka.partitions: must be between"),
            ("merchant.pem", "absent.pem", "key", "merchants[0].private_key_file"),
            (
                "topic_regions = []",
                "topic_arns = [\"arn:aws-cn:sns:cn-north-1:123456789012:ipn\"]",
                "configuration",
                "merchants[0].topic_arns: cn-north-1 is in the AWS partition aws-cn",
            ),
        ] {
            let checked = Checked::of(&nowhere.replace(right, wrong), &["--offline"], &[]);
            checked.has_line("fail", check, what, "correct ");
            assert_eq!(checked.code, 78, "{:#?}", checked.lines);
        }
        // A process that only receives IPNs needs no key.
        let ingest =
            Checked::of(&nowhere.replace("merchant.pem", "absent.pem"), &["--offline", "--role", "ingest"], &[]);
        assert_eq!((ingest.code, ingest.said("pass", "key").len()), (0, 0), "{:#?}", ingest.lines);
        environment.stop().await;
    });
}

#[test]
fn missing_or_wrong_topics_fail_with_a_command_as_remedy() {
    run(async {
        let (environment, config) = environment().await;
        let settings = environment.config_with(&kafka(), "").unwrap().kafka;
        let inbox = settings.topics().inbox;
        let missing = Checked::of(&config, &[], &[]);
        missing.has("fail", "topics", &format!("{inbox} is missing"), "ipn-receiver topics --config FILE");
        assert_eq!(missing.said("fail", "topics").len(), 4, "{:#?}", missing.lines);
        topics::create(&settings).await.unwrap();
        alter_topic(&settings, &inbox, &[("cleanup.policy", "compact")]).await;
        let wrong = Checked::of(&config, &[], &[]);
        wrong.has(
            "fail",
            "topics",
            &format!("{inbox}: cleanup.policy is compact"),
            "--add-config cleanup.policy=delete",
        );
        assert_eq!(wrong.said("fail", "topics").len(), 1, "{:#?}", wrong.lines);
        environment.stop().await;
    });
}

#[test]
fn credentials_clock_and_network_failures_are_distinguished() {
    run(async {
        let (environment, config) = environment().await;
        topics::create(&environment.config_with(&kafka(), "").unwrap().kafka).await.unwrap();
        let check = || Checked::of(&config, &["--role", "worker"], &[]);
        for (fault, verdict, what, remedy) in [
            (Fault::Status(403), "fail", "answered 403", "that the account is active"),
            (Fault::ClockSkew, "fail", "answered 401", "must be one pair"),
            (Fault::Status(503), "warn", "answered 503", "the Amazon Pay API has a problem"),
            (Fault::Throttled { retry_after_s: None }, "warn", "throttles this merchant", "fewer requests"),
            (Fault::Drop, "fail", "A0SANDBOXMERCHANT/sandbox: ", "let this machine reach the Amazon Pay API"),
        ] {
            environment.pay_api.set_fault(Some(fault));
            check().has(verdict, "credentials", what, remedy);
        }
        environment.pay_api.set_fault(None);
        // The key in the file is no longer the registered one.
        let _ = environment.rotate_key().unwrap();
        check().has("fail", "credentials", "answered 401", "Seller Central > Integration Central");
        // A server with another clock.
        let address = http_server(|service: &mut web::ServiceConfig| {
            let answer =
                async || HttpResponse::NotFound().insert_header(("date", "Fri, 02 Jan 2026 03:04:05 GMT")).body("{}");
            service.default_service(web::to(answer));
        });
        let endpoint = [("IPN_RECEIVER__DEVELOPMENT__PAY_API_ENDPOINT", format!("http://{address}"))];
        let endpoint: Vec<(&str, &str)> = endpoint.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let checked = Checked::of(&config, &["--role", "worker"], &endpoint);
        checked.has("fail", "clock", "ahead of Amazon's 2026-01-02T03:04:05", "NTP");
        environment.stop().await;
    });
}

#[test]
fn unreachable_hosts_are_named_within_seconds() {
    run(async {
        let (environment, config) = environment().await;
        let began = Instant::now();
        let checked = Checked::of(&config.replace(&kafka(), "127.0.0.1:1"), &[], &[]);
        checked.has("fail", "kafka", "Connection refused", "nothing listens at this address");
        checked.said("warn", "acls").first().expect("a line names the checks that were left out");
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
        let elsewhere = config.replace("topic_regions = []", "topic_regions = [\"eu-west-1\"]");
        let checked = Checked::of(&elsewhere.replace(&kafka(), "127.0.0.1:1"), &["--role", "ingest"], &[]);
        checked.has("fail", "certificates", "https://sns.eu-west-1.amazonaws.com/ cannot be reached", "DNS, firewall");
        assert!(!checked.said("warn", "clock").is_empty(), "{:#?}", checked.lines);
        environment.stop().await;
    });
}
