//! `verify` as a process over messages that AWS signed, and in this process with certificates that it fetches.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ipn_receiver::commands::verify::{self, At, Format, Options};
use ipn_receiver::domain::sns::{Policy, TopicArn, TopicPolicy, TopicRule};
use ipn_receiver::sandbox::environment::SandboxEnvironment;
use ipn_receiver::sandbox::sns::CertificateAnswer;
use serde_json::Value;

use crate::harness::run;
use crate::mock_stage::envelope;
use crate::vectors::real_messages;

/// Exit code and standard output.
fn verify(arguments: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"))
        .arg("verify")
        .args(arguments)
        .env_remove("IPN_RECEIVER_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn each_message_has_its_verdict_failed_check_and_exit_code() {
    let Some(messages) = real_messages() else { return };
    let folder = tempfile::tempdir().unwrap();
    let find = |name: &str| &messages.iter().find(|(file, _)| file.starts_with(name)).unwrap().1;
    let recent = find("2026-uswest2-notification-v2");
    let message = write(folder.path(), "message.json", &recent["message"].to_string());
    let cert = write(folder.path(), "cert.pem", recent["cert_pem"].as_str().unwrap());
    let old = find("amazonpay-ipn-CaptureNotification2");
    let old_cert = write(folder.path(), "old.pem", old["cert_pem"].as_str().unwrap());
    let altered = recent["message"].to_string().replace("\"Message\":\"", "\"Message\":\"x");
    let genuine = recent["message"].to_string();
    let absent = folder.path().join("absent").display().to_string();
    for (arguments, input, code, expected) in [
        (
            vec!["--at", "message", "--cert", &cert, &message],
            "",
            0,
            "message.json: genuine\n    message:     Notification 9d2c5580-",
        ),
        (vec!["--at", "2026-05-01T00:00:00Z", "--cert", &cert], genuine.as_str(), 0, "-: genuine"),
        (
            vec!["--at", "2027-05-01T00:00:00Z", "--cert", &cert, &message],
            "",
            3,
            "undecided (validity): signing certificate expired at 2026-10-14T23:59:59.999Z",
        ),
        (
            vec!["--at", "2027-05-01T00:00:00Z", "--cert", &cert, &message],
            "",
            3,
            "genuine while its certificate is valid; add --at message",
        ),
        (vec!["--at", "message", "--cert", &cert], altered.as_str(), 1, "not genuine (signature)"),
        (
            vec!["--at", "message", "--cert", &old_cert, &message],
            "",
            3,
            "undecided (certificate): signing certificate was issued by",
        ),
        (vec!["--cert", &cert], "hello", 1, "not genuine (envelope): not a JSON object"),
        (
            vec!["--at", "message", "--cert", &cert, &message, &absent],
            "",
            3,
            "undecided (file): the file cannot be read",
        ),
        (vec!["--cert", &message, &message], "", 3, "is not exactly one PEM block"),
        (vec!["--at", "tomorrow", &message], "", 2, "write 2026-01-02T03:04:05Z"),
        (vec!["--config", &absent, &message], "", 78, "cannot be read"),
    ] {
        let (found, text) = verify(&arguments, input);
        assert!(found == code && text.contains(expected), "{arguments:?}: {found} {text}");
    }
    let (code, text) = verify(&["--json", "--cert", &cert, "--at", "2027-05-01T00:00:00Z", &message, &message], "");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (3, 2));
    assert_eq!(lines[0]["failedCheck"], "validity");
    assert_eq!(lines[0]["genuineWhileCertificateValid"], true);
    assert_eq!(lines[0]["certificateValidUntil"], "2026-10-14T23:59:59.999Z");
}

#[test]
fn unreachable_certificate_host_leaves_the_message_undecided() {
    run(async {
        let environment = SandboxEnvironment::start_fast(1).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = PathBuf::from(write(folder.path(), "message.json", &envelope(&environment)));
        let config = environment.config_with("127.0.0.1:1", "").unwrap();
        let own = config.policy(&ipn_receiver::config::MerchantAccount::table(&config.merchants));
        let only = |arn: &str| {
            let topics = TopicPolicy::new(vec![TopicRule::Arn(TopicArn::parse(arn).unwrap())]);
            Policy { topics, development_origins: Vec::new(), ..own.clone() }
        };
        let other_topic = only("arn:aws:sns:us-east-1:291180941288:Another");
        let other_region = only("arn:aws:sns:eu-central-1:291180941288:Another");
        for (answer, policy, expected) in [
            (CertificateAnswer::Status(500), None, "undecided (certificate)"),
            (CertificateAnswer::Body(b"<html>".to_vec()), None, "undecided (certificate)"),
            (CertificateAnswer::Good, None, "genuine"),
            (CertificateAnswer::Good, Some(own), "genuine"),
            (CertificateAnswer::Good, Some(other_topic), "undecided (topic)"),
            (CertificateAnswer::Good, Some(other_region), "undecided (certificate-url)"),
        ] {
            environment.sns.set_certificate_answer(answer);
            let options = Options { files: vec![file.clone()], at: At::Now, cert: None, policy, format: Format::Text };
            let mut out = Vec::new();
            verify::verify_files(&options, environment.cert_authorities().unwrap(), &mut out).await.unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.contains(&format!("message.json: {expected}")), "{text}");
        }
    });
}
