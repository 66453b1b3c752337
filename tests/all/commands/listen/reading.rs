//! Where `listen` starts, what it prints, and what it says when it cannot read.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::groups::GroupInfo;
use serde_json::Value;
use std::time::Duration;

use super::target::{Reaction, Target};
use super::{Events, Listen};
use crate::commands::Operator;
use crate::harness::{Stage, run};
use crate::mock_stage::MockStage;

/// The subjects of printed JSON events.
fn subjects(lines: &[String]) -> Vec<String> {
    let event = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    lines.iter().map(|line| event(line)["subject"].as_str().unwrap().to_owned()).collect()
}

/// Publishes an event before and one after noon, and listens from noon on.
async fn check_from_time(events: &Events) {
    const NOON_MS: i64 = 1_767_355_200_000;
    events.publish_at("C01-1", 1, Some(NOON_MS - 1)).await;
    events.publish_at("C01-1", 2, Some(NOON_MS)).await;
    let listen = events.listen(&["--from", "2026-01-02T12:00:00Z", "--json"]);
    listen.is_listening();
    events.publish("C01-1", 3).await;
    assert_eq!(subjects(&listen.lines(2)), ["C01-1-C000002", "C01-1-C000003"]);
}

#[test]
fn from_time_starts_with_the_first_event_at_that_time() {
    run(async { check_from_time(&Events::new().await).await });
}

/// This broker answers no request for a time.
#[test]
fn from_time_works_on_the_embedded_broker() {
    run(async {
        let stage = MockStage::new("").await;
        check_from_time(&Events::on(&stage.config().kafka)).await;
        stage.stop().await;
    });
}

#[test]
fn default_is_what_is_published_from_now_on() {
    run(async {
        let events = Events::new().await;
        events.publish("C01-1", 1).await;
        let mut listen = events.listen(&["--json"]);
        listen.is_listening();
        events.publish("C01-1", 2).await;
        assert_eq!(subjects(&listen.lines(1)), ["C01-1-C000002"]);
        assert_eq!(listen.end("INT").0, 0);
    });
}

#[test]
fn line_shows_the_event_and_details_show_more() {
    run(async {
        let events = Events::new().await;
        events.publish("C01-1", 1).await;
        events.publish("C01-2", 2).await;
        let listen =
            events.listen(&["--from", "beginning", "--type", "ChargeDeclined", "--object", "C01-1", "--details"]);
        let lines = listen.lines(8);
        let first = "2026-01-02T03:04:05.000Z  ChargeDeclined  C01-1-C000001  Declined ← AuthorizationInitiated (HardDeclined)  RETRY_CHARGE";
        assert_eq!(lines[0], first);
        let details = lines[1..].join("\n");
        for part in
            ["chargeAmount      9.99 EUR", "reason            HardDeclined: é", "next action       Charge again."]
        {
            assert!(details.contains(part), "{part} is missing in\n{details}");
        }
        assert!(!listen.out().contains("C01-2"), "{}", listen.out());
    });
}

#[test]
fn styles_appear_as_color_and_no_color_say() {
    run(async {
        let events = Events::new().await;
        events.publish("C01-1", 1).await;
        for (options, variables, is_styled) in [
            (vec![], vec![], false),
            (vec!["--color", "always"], vec![], true),
            (vec![], vec![("CLICOLOR_FORCE", "1")], true),
            (vec![], vec![("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (vec!["--color", "never"], vec![("CLICOLOR_FORCE", "1")], false),
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
            command.env_remove("NO_COLOR").envs(variables.iter().copied()).args(&options);
            command.args(["listen", "--kafka", &events.servers, "--topic", &events.topic, "--from", "beginning"]);
            let (mut listen, stdout) = Listen::spawn(command);
            listen.out = super::collect(stdout);
            let line = listen.lines(1).remove(0);
            assert_eq!(
                line.contains("\u{1b}[1mChargeDeclined\u{1b}[0m"),
                is_styled,
                "{options:?} {variables:?}: {line:?}"
            );
            assert_eq!(line.contains('\u{1b}'), is_styled, "{options:?} {variables:?}: {line:?}");
        }
    });
}

/// On a terminal of 60 columns, which `script` provides.
#[test]
fn lines_are_wrapped_at_the_width_of_the_terminal() {
    run(async {
        let events = Events::new().await;
        let id = events.publish("C01-1", 1).await;
        let target = Target::start(|_| Reaction::Status(200)).await;
        let program = env!("CARGO_BIN_EXE_ipn-receiver");
        let listen = format!(
            "stty cols 60 rows 20 && {program} --color never listen --kafka {} --topic {} --resend {id} --forward-to {} 2>/dev/null",
            events.servers, events.topic, target.url
        );
        let output = Command::new("script").args(["-qec", &listen, "/dev/null"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap().replace('\r', "");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() >= 2 && lines.iter().all(|line| line.chars().count() <= 60), "{lines:#?}");
        assert!(lines[1].starts_with("    "), "{lines:#?}");
    });
}

#[test]
fn empty_topic_is_named_as_such() {
    run(async {
        let events = Events::new().await;
        let mut listen = events.listen(&["--from", "beginning"]);
        listen.is_listening();
        assert!(listen.err().contains("it holds no events yet"), "{}", listen.err());
        assert_eq!(listen.end("TERM").0, 0);
    });
}

#[test]
fn reader_that_closes_the_pipe_ends_it() {
    run(async {
        let events = Events::new().await;
        events.publish("C01-1", 1).await;
        let source = ["--kafka", &events.servers, "--topic", &events.topic, "--from", "beginning"];
        let (mut listen, stdout) = Listen::start_unread(&source);
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut String::new()).unwrap();
        drop(stdout);
        events.publish("C01-1", 2).await;
        let (code, said) = listen.ended();
        assert!(code == 0 && !said.contains("panicked"), "{code}: {said}");
    });
}

/// With the configuration of a receiver, without its keys, and without a trace in the cluster.
#[test]
fn cluster_is_only_read() {
    run(async {
        let stage = Stage::new(1, "").await;
        let events = Events::on(&stage.kafka());
        events.publish("C01-1", 1).await;
        let operator = Operator::of(&stage);
        let mut command = operator.command("listen", &["--from", "beginning", "--json"]);
        command.env("IPN_RECEIVER__MERCHANTS__0__PRIVATE_KEY_FILE", "/absent.pem");
        let (mut listen, stdout) = Listen::spawn(command);
        listen.out = super::collect(stdout);
        assert_eq!(subjects(&listen.lines(1)), ["C01-1-C000001"]);
        assert_eq!(listen.end("INT").0, 0);
        let client: BaseConsumer = stage.kafka().client().create().unwrap();
        let group = format!("{}-listen", stage.kafka().group());
        let groups = client.fetch_group_list(Some(&group), Duration::from_secs(10)).unwrap();
        let known: Vec<&str> =
            groups.groups().iter().filter(|found| found.state() != "Dead").map(GroupInfo::name).collect();
        assert!(known.is_empty(), "{known:?}");
    });
}

#[test]
fn errors_name_the_flag_that_is_wrong() {
    run(async {
        let events = Events::new().await;
        for (arguments, code, parts) in [
            (vec!["--kafka", "127.0.0.1:1"], 3, vec!["--kafka 127.0.0.1:1", "Connection refused"]),
            (vec!["--kafka", &events.servers, "--topic", "other"], 3, vec!["--topic other", events.topic.as_str()]),
            (vec![], 2, vec!["--config FILE, or --kafka HOST:PORT"]),
            (vec!["--kafka", "x:1", "--from", "noon"], 2, vec!["--from", "2026-01-02T03:04:05Z"]),
            (vec!["--kafka", "x:1", "--type", "ChargeDenied"], 2, vec!["--type", "ChargeDeclined"]),
            (vec!["--kafka", "x:1", "--resend", "x"], 2, vec!["--resend"]),
        ] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
            let output = command.env_remove("IPN_RECEIVER_CONFIG").arg("listen").args(&arguments).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
            for part in parts {
                assert!(said.contains(part), "{arguments:?}: {part} is missing in\n{said}");
            }
        }
    });
}
