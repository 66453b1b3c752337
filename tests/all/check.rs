//! `check` from outside: what passes, and each thing that can fail with what it says then.

use std::process::Command;
use std::time::Instant;

use actix_web::{HttpResponse, web};
use ipn_receiver::kafka::topics;
use ipn_receiver::sandbox::environment::SandboxEnvironment;
use ipn_receiver::sandbox::pay_api::Fault;
use serde_json::Value;

use crate::harness::{alter_topic, http_server, kafka, run};

/// What a run said: the lines, the counts of the last one, and the exit code.
pub(crate) struct Checked {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
    pub(crate) waited_for: String,
}

impl Checked {
    /// Runs it on this configuration, with environment variables.
    pub(crate) fn of(config: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("receiver.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
        // What is not on this machine is out of reach, whether or not the machine has a way there.
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

    /// `what` and `remedy` of the lines about `check` with this verdict.
    pub(crate) fn said(&self, verdict: &str, check: &str) -> Vec<(String, String)> {
        let lines = self.lines.iter().filter(|line| line["verdict"] == verdict && line["check"] == check);
        let word = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
        lines.map(|line| (word(line, "what"), word(line, "remedy"))).collect()
    }

    /// The one line about `check` has this verdict, says this and has this in its remedy.
    fn has(&self, verdict: &str, check: &str, what: &str, remedy: &str) {
        let said = self.said(verdict, check);
        let is_it = |(said, how): &(String, String)| said.contains(what) && how.contains(remedy);
        assert!(said.iter().any(is_it), "no {verdict} {check} {what:?} {remedy:?} in {:#?}", self.lines);
        assert_eq!(self.code, i32::from(verdict == "fail"), "{:#?}", self.lines);
    }
}

/// Amazon's side on loopback, and the settings of a receiver that reaches it.
async fn environment() -> (SandboxEnvironment, String) {
    let mut environment = SandboxEnvironment::start_fast(1).await.unwrap().reachable_by_address();
    // Without a region of AWS's, certificates come from the simulator alone.
    "topic_regions = []".clone_into(&mut environment.merchant_settings);
    let config = environment.config_for_another_process(&kafka()).unwrap();
    (environment, config)
}

#[test]
fn where_all_is_well_each_line_passes_and_the_exit_code_is_0() {
    run(async {
        let (environment, config) = environment().await;
        topics::create(&environment.config_with(&kafka(), "").unwrap().kafka).await.unwrap();
        let checked = Checked::of(&config, &[], &[]);
        assert_eq!(checked.code, 0, "{:#?}", checked.lines);
        for check in ["configuration", "key", "kafka", "topics", "rights", "certificates", "credentials", "clock"] {
            assert!(!checked.said("pass", check).is_empty(), "{check}: {:#?}", checked.lines);
        }
        let end = checked.lines.last().unwrap();
        assert_eq!((&end["failed"], end["passed"].as_u64().unwrap() > 15), (&Value::from(0), true), "{end}");
        for said in ["connecting to Kafka at ", "proving ", "asking Amazon Pay as "] {
            assert!(checked.waited_for.contains(said), "{}", checked.waited_for);
        }
        // What it did to find out is not to be seen: no record, no offset, no member, no topic.
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
fn in_the_terminal_it_is_one_line_each_with_the_remedy_below() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receiver.toml");
    std::fs::write(&file, "role = \"worker\"\n[kafka]\npartitions = 0\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
    let output = command.args(["check", "--offline", "--config"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("FAIL  configuration  kafka.partitions: must be between 1 and 1000\n      remedy: mend "),
        "{said}"
    );
    assert!(said.ends_with("0 passed, 0 to be warned of, 3 failed\n"), "{said}");
}

#[test]
fn offline_it_looks_at_the_configuration_and_its_keys_alone() {
    run(async {
        let (environment, config) = environment().await;
        let nowhere = config.replace(&kafka(), "127.0.0.1:1");
        let checked = Checked::of(&nowhere, &["--offline"], &[]);
        assert_eq!(checked.code, 0, "{:#?}", checked.lines);
        assert_eq!(checked.lines.len(), 4, "configuration, its warning, key and counts: {:#?}", checked.lines);
        for (right, wrong, check, what) in [
            ("partitions = 3", "partitions = 0", "configuration", "kafka.partitions: must be between"),
            ("merchant.pem", "absent.pem", "key", "merchants[0].private_key_file"),
        ] {
            Checked::of(&nowhere.replace(right, wrong), &["--offline"], &[]).has("fail", check, what, "mend ");
        }
        // What takes notifications alone has no key.
        let ingest =
            Checked::of(&nowhere.replace("merchant.pem", "absent.pem"), &["--offline", "--role", "ingest"], &[]);
        assert_eq!((ingest.code, ingest.said("pass", "key").len()), (0, 0), "{:#?}", ingest.lines);
        environment.stop().await;
    });
}

#[test]
fn topics_that_are_missing_or_unfit_fail_with_the_command_that_helps() {
    run(async {
        let (environment, config) = environment().await;
        let settings = environment.config_with(&kafka(), "").unwrap().kafka;
        let inbox = settings.topics().inbox;
        let missing = Checked::of(&config, &[], &[]);
        missing.has("fail", "topics", &format!("{inbox} is missing"), "ipn-receiver topics --config FILE");
        assert_eq!(missing.said("fail", "topics").len(), 4, "{:#?}", missing.lines);
        topics::create(&settings).await.unwrap();
        alter_topic(&settings, &inbox, &[("cleanup.policy", "compact")]).await;
        let unfit = Checked::of(&config, &[], &[]);
        unfit.has(
            "fail",
            "topics",
            &format!("{inbox}: cleanup.policy is compact"),
            "--add-config cleanup.policy=delete",
        );
        assert_eq!(unfit.said("fail", "topics").len(), 1, "{:#?}", unfit.lines);
        environment.stop().await;
    });
}

#[test]
fn what_is_wrong_with_credentials_clock_or_network_is_told_apart() {
    run(async {
        let (environment, config) = environment().await;
        topics::create(&environment.config_with(&kafka(), "").unwrap().kafka).await.unwrap();
        let check = || Checked::of(&config, &["--role", "worker"], &[]);
        for (fault, verdict, what, remedy) in [
            (Fault::Status(403), "fail", "answered 403", "whether the account is active"),
            (Fault::ClockSkew, "fail", "answered 401", "must be one pair"),
            (Fault::Status(503), "warn", "answered 503", "Amazon is in trouble"),
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
        // An Amazon whose clock is another.
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
fn hosts_that_are_out_of_reach_are_named_within_seconds() {
    run(async {
        let (environment, config) = environment().await;
        let began = Instant::now();
        let checked = Checked::of(&config.replace(&kafka(), "127.0.0.1:1"), &[], &[]);
        checked.has("fail", "kafka", "Connection refused", "nothing listens there");
        checked.said("warn", "rights").first().expect("it says what it left out");
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
        let elsewhere = config.replace("topic_regions = []", "topic_regions = [\"eu-west-1\"]");
        let checked = Checked::of(&elsewhere.replace(&kafka(), "127.0.0.1:1"), &["--role", "ingest"], &[]);
        checked.has("fail", "certificates", "https://sns.eu-west-1.amazonaws.com/ cannot be reached", "DNS, firewall");
        assert!(!checked.said("warn", "clock").is_empty(), "{:#?}", checked.lines);
        environment.stop().await;
    });
}
