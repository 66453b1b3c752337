//! Tests of the configuration and of its error texts.

use super::*;
use crate::domain::pay::Environment;
use crate::domain::sns::{SignatureVersion, TopicArn};
use crate::domain::state::NoticeRules;

const KEY: &str = include_str!("../../tests/fixtures/merchant-key-pkcs8.pem");
const GOOD: &str = r#"
    [kafka]
    bootstrap_servers = "localhost:9092"
    [[merchants]]
    id = "A1O8CIV1A24A6X"
    region = "eu"
    environment = "live"
    public_key_id = "LIVE-AEXAMPLE"
    private_key_file = "key.pem"
"#;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder for the key");
    std::fs::write(folder.path().join("key.pem"), KEY).expect("the key is written");
    std::fs::write(folder.path().join("not-a-key.pem"), "hello").expect("the file is written");
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_toml(text, environment, folder.path()).map_err(|mistakes| {
        mistakes
            .iter()
            .map(ToString::to_string)
            .map(|m| m.replace(&folder.path().display().to_string(), "FOLDER"))
            .collect()
    })
}

/// `text` has one mistake, whose text begins with `expected`.
fn check(text: &str, expected: &str) {
    let mistakes = load(text, &[]).expect_err(expected);
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(mistakes[0].starts_with(expected), "{mistakes:?} should begin with {expected:?}");
}

#[test]
fn short_file_is_enough() {
    let config = load(GOOD, &[]).expect("good");
    assert_eq!(config.kafka.topics().inbox, "amazonpay.ipn.inbox.v1");
    assert_eq!(config.kafka.group(), "amazonpay.worker");
    assert_eq!(config.merchants[0].merchant.account.environment, Environment::Live);
}

#[test]
fn each_mistake_names_setting_and_remedy() {
    check(&GOOD.replace("region =", "regoin ="), "merchants[0].regoin: unknown field `regoin`, expected one of");
    check(
        &GOOD.replace("\"eu\"", "\"us\""),
        "merchants[0].region: unknown variant `us`, expected one of `na`, `eu`, `jp`",
    );
    check(&GOOD.replace("[kafka]", "[kafka]\npartition = 3"), "kafka.partition: unknown field");
    check(&GOOD.replace("[kafka]", "[kafka]\npartitions = 0"), "kafka.partitions: must be between 1 and 1000");
    check(&GOOD.replace("[kafka]", "[kafka]\npartitions = \"x\""), "kafka.partitions: invalid type: string");
    check(
        &GOOD.replace("\"key.pem\"", "\"absent.pem\""),
        "merchants[0].private_key_file: FOLDER/absent.pem cannot be read: No such file",
    );
    check(
        &GOOD.replace("\"key.pem\"", "\"not-a-key.pem\""),
        "merchants[0].private_key_file: FOLDER/not-a-key.pem: no PEM private key found",
    );
    check(
        &GOOD.replace("LIVE-", "SANDBOX-"),
        "merchants[0].public_key_id: is a key for SANDBOX, but environment is live",
    );
    let traced = |settings: &str| GOOD.replace("[kafka]", &format!("[telemetry]\n{settings}\n[kafka]"));
    for (endpoint, expected) in [
        ("", "is not a URL"),
        ("collector:4318", "must be an http or https URL"),
        ("grpc://collector:4317", "must be an http or https URL"),
        ("http://user:secret@collector:4318/v1/traces", "must not contain credentials"),
        ("https://collector/v1/traces?api-key=secret", "must not contain credentials"),
        ("http://collector:4318", "has no path; collectors accept traces at /v1/traces"),
    ] {
        let text = traced(&format!("otlp_endpoint = \"{endpoint}\""));
        check(&text, &format!("telemetry.otlp_endpoint: {expected}"));
    }
    check(&traced("sample_ratio = 1.5"), "telemetry.sample_ratio: must be between 0 and 1");
    check(&traced("otlp = \"x\""), "telemetry.otlp: unknown field");
    assert!(load(&traced("otlp_endpoint = \"http://collector:4318/v1/traces\""), &[]).is_ok());
    check(&GOOD.replace("\"localhost:9092\"", "\"\""), "kafka.bootstrap_servers: is missing");
    for servers in ["http://kafka:9092", "kafka:", "a:1,,b:2", ":9092", "kafka:99999"] {
        check(&GOOD.replace("localhost:9092", servers), "kafka.bootstrap_servers: must be host:port");
    }
    for servers in ["kafka", "a:9092, b:9093", "[::1]:9092"] {
        assert!(load(&GOOD.replace("localhost:9092", servers), &[]).is_ok(), "{servers}");
    }
    check(
        &GOOD.replace("[[merchants]]", "replication_factor = 0\n[[merchants]]"),
        "kafka.replication_factor: must be between 1 and 100",
    );
    check(
        &GOOD.replace("[[merchants]]", "[kafka.properties]\n\"security.protocol\" = \"SASL_SSL\"\n[[merchants]]"),
        "kafka.properties.\"sasl.mechanism\": is missing: set PLAIN",
    );
    check(
        &format!("{GOOD}\ntopic_arns = [\"arn:aws:sqs:x\"]"),
        "merchants[0].topic_arns: \"arn:aws:sqs:x\" is not a topic",
    );
    check(&format!("{GOOD}\ntopic_owners = []"), "merchants[0].topic_owners: is empty");
    check(
        &GOOD.replace("[[merchants]]", "[kafka.properties]\n\"foo.bar\" = \"secret\"\n[[merchants]]"),
        "kafka.properties.\"foo.bar\": is not a property of librdkafka",
    );
    check(
        &GOOD.replace("[[merchants]]", "append_linger_ms = 900\nappend_timeout_ms = 900\n[[merchants]]"),
        "kafka.append_linger_ms: must be below kafka.append_timeout_ms",
    );
    check(
        &GOOD.replace("[[merchants]]", "[quota]\nlive = { burst = 1.0, per_second = 1e-300 }\n[[merchants]]"),
        "quota.live: burst must be between 1 and 1000000, and per_second between 0.001",
    );
    check(
        &GOOD.replace("[[merchants]]", "[worker]\nforget_after_d = 29.5\n[[merchants]]"),
        "worker.forget_after_d: must be at least worker.stub_after_d",
    );
    for factor in ["0.0", "-1.0", "nan", "inf"] {
        check(
            &GOOD.replace("[[merchants]]", &format!("[reconciliation]\nperiod_factor = {factor}\n[[merchants]]")),
            "reconciliation.period_factor: must be between 0.000001 and 1000. Factor for all intervals",
        );
    }
    check(&GOOD[..GOOD.find("[[merchants]]").unwrap()], "merchants: is empty; add a [[merchants]] table");
    check("[kafka]\nsasl = \"hunter2", "line 2: not TOML");
    let twice = format!("{GOOD}\n{}", &GOOD[GOOD.find("[[merchants]]").unwrap()..]);
    check(&twice, "merchants[1].id: A1O8CIV1A24A6X/live is listed twice (first as merchants[0])");
}

/// Each of these properties of librdkafka is refused.
fn check_properties(properties: &[(&str, &str)], expected: &str) {
    for (name, value) in properties {
        let table = format!("[kafka.properties]\n\"{name}\" = \"{value}\"\n[[merchants]]");
        check(&GOOD.replace("[[merchants]]", &table), &format!("kafka.properties.\"{name}\": {expected}"));
    }
}

#[test]
fn property_that_a_guarantee_needs_is_refused() {
    let properties = [
        ("acks", "1"),
        ("message.max.bytes", "1000"),
        ("batch.size", "1"),
        ("queue.buffering.max.messages", "1"),
        ("queue.buffering.max.kbytes", "1"),
        ("receive.message.max.bytes", "1000"),
        ("max.in.flight", "6"),
        ("retries", "0"),
        ("group.instance.id", "one"),
        ("topic.blacklist", "amazonpay.*"),
        ("test.mock.num.brokers", "3"),
    ];
    check_properties(&properties, "is set by ipn-receiver");
}

#[test]
fn property_that_loads_code_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("plugin.so");
    std::fs::write(&library, "not a library").unwrap();
    let properties = [
        ("plugin.library.paths", library.to_str().unwrap()),
        ("ssl.engine.location", "/tmp/engine.so"),
        ("ssl.engine.id", "dynamic"),
        ("ssl.providers", "default,legacy"),
        ("sasl.kerberos.kinit.cmd", "touch /tmp/x"),
    ];
    check_properties(&properties, "would load code or run a command");
}

#[test]
fn topic_whose_messages_cannot_be_verified_is_refused() {
    for (arn, partition) in [
        ("arn:aws-cn:sns:cn-north-1:123456789012:ipn", "aws-cn"),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:ipn", "aws-us-gov"),
        ("arn:aws-eusc:sns:eusc-de-east-1:123456789012:ipn", "aws-eusc"),
    ] {
        let region = arn.split(':').nth(3).unwrap();
        check(
            &format!("{GOOD}\ntopic_arns = [\"{arn}\"]"),
            &format!("merchants[0].topic_arns: {region} is in the AWS partition {partition}"),
        );
        check(
            &format!("{GOOD}\ntopic_regions = [\"eu-west-1\", \"{region}\"]"),
            &format!("merchants[0].topic_regions: {region} is in the AWS partition {partition}"),
        );
    }
    check(
        &format!("{GOOD}\ntopic_arns = [\"arn:aws:sns:cn-north-1:123456789012:ipn\"]"),
        "merchants[0].topic_arns: cn-north-1 is in the AWS partition aws-cn",
    );
    check(
        &format!("{GOOD}\ntopic_arns = [\"arn:aws-cn:sns:eu-west-1:123456789012:ipn\"]"),
        "merchants[0].topic_arns: \"arn:aws-cn:sns:eu-west-1:123456789012:ipn\" is not in the AWS partition aws",
    );
    for region in ["", "EU-WEST-1", "s3-eu-west-1", "eu-west-1 ", "Ireland"] {
        check(
            &format!("{GOOD}\ntopic_regions = [\"{region}\"]"),
            &format!("merchants[0].topic_regions: {region:?} is not the name of an AWS region"),
        );
    }
}

#[test]
fn parse_error_does_not_quote_the_line() {
    let mistakes = load("[kafka.properties]\n\"sasl.password\" = hunter2", &[]).expect_err("not TOML");
    assert!(!mistakes[0].contains("hunter2"), "{mistakes:?}");
}

#[test]
fn type_error_does_not_quote_the_value() {
    const SECRET: &str = "hunter2, expected \"nothing\"";
    for name in ["IPN_RECEIVER__KAFKA__PARTITIONS", "IPN_RECEIVER__MERCHANTS", "IPN_RECEIVER__SNS__TOPIC_ACCOUNTS"] {
        let mistakes = load(GOOD, &[(name, SECRET)]).expect_err(name);
        assert!(
            mistakes[0].starts_with(&format!("environment variable {name}: invalid type: string, expected ")),
            "{mistakes:?}"
        );
        assert!(!mistakes.concat().contains("hunter2"), "{mistakes:?}");
    }
    check(
        &GOOD.replace("[[merchants]]", "[kafka.properties]\n\"sasl.password\" = 4711\n[[merchants]]"),
        "kafka.properties.sasl.password: invalid type: integer, expected a string",
    );
}

#[test]
fn merchant_may_appear_once_per_environment() {
    let second =
        GOOD[GOOD.find("[[merchants]]").unwrap()..].replace("\"live\"", "\"sandbox\"").replace("LIVE-", "SANDBOX-");
    assert_eq!(load(&format!("{GOOD}\n{second}"), &[]).expect("good").merchants.len(), 2);
}

#[test]
fn environment_variables_override_the_file() {
    let config = load(
        GOOD,
        &[
            ("IPN_RECEIVER__KAFKA__BOOTSTRAP_SERVERS", "broker:9"),
            ("IPN_RECEIVER__KAFKA__PARTITIONS", "3"),
            ("IPN_RECEIVER__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "ssl"),
            ("IPN_RECEIVER__MERCHANTS__0__TOPIC_OWNERS", "[\"APROVIDER\"]"),
            ("IPN_RECEIVER__SHUTDOWN__NOTICE_MS", "7"),
            ("UNRELATED", "x"),
        ],
    )
    .expect("good");
    assert_eq!(
        (config.kafka.bootstrap_servers.as_str(), config.kafka.partitions, config.shutdown.notice_ms),
        ("broker:9", 3, 7)
    );
    assert_eq!(config.kafka.properties["security.protocol"], "ssl");
    let topic = TopicArn::parse("arn:aws:sns:eu-west-1:291180941288:XAPROVIDER").expect("a topic");
    assert_eq!(config.merchants[0].merchant.topics.owner_of(&topic), Some("APROVIDER"));
    for (name, beginning) in [
        ("IPN_RECEIVER__KAFKA__PARTITION", "environment variable IPN_RECEIVER__KAFKA__PARTITION: unknown field"),
        ("IPN_RECEIVER__MERCHANTS__0__REGION", "environment variable IPN_RECEIVER__MERCHANTS__0__REGION: "),
        ("IPN_RECEIVER__MERCHANTS__5__ID", "IPN_RECEIVER__MERCHANTS__5__ID: skips"),
    ] {
        let mistakes = load(GOOD, &[(name, "3")]).expect_err(name);
        assert!(mistakes[0].starts_with(beginning), "{mistakes:?}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text =
        GOOD.replace("key.pem", "absent.pem").replace("[kafka]", "[quota]\nshare = 7.0\n[kafka]\npartitions = 0");
    assert_eq!(load(&text, &[]).expect_err("three mistakes").len(), 3);
}

fn credentials(config: &Config) -> &Credentials {
    config.merchants[0].credentials.as_ref().expect("this role sends requests")
}

#[test]
fn ingest_needs_no_key() {
    let without_key = format!("role = \"ingest\"\n{}", GOOD.replace("key.pem", "absent.pem"));
    let config = load(&without_key, &[]).expect("the key is not read");
    assert!(config.merchants[0].credentials.is_none());
    check(&without_key.replace("ingest", "worker"), "merchants[0].private_key_file: FOLDER/absent.pem cannot be read");
    check(&without_key.replace("ingest", "both"), "role: unknown variant `both`");
}

#[test]
fn public_key_id_is_in_the_settings_or_in_a_file() {
    const FILE: &str = "public_key_id_file = \"key-id\"";
    let in_file = GOOD.replace("public_key_id = \"LIVE-AEXAMPLE\"", FILE);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("key.pem"), KEY).expect("written");
    std::fs::write(folder.path().join("key-id"), "LIVE-AFILE\n").expect("written");
    let config = Config::from_toml(&in_file, [], folder.path()).expect("good");
    assert_eq!(format!("{:?}", credentials(&config).api_key), "ApiKey(LIVE-AFILE)");
    let before = credentials(&config).files.fingerprint().expect("readable");
    std::fs::write(folder.path().join("key-id"), "SANDBOX-AFILE").expect("written");
    assert_ne!(credentials(&config).files.fingerprint().expect("readable"), before);
    let (setting, what) = credentials(&config).files.load().expect_err("of another environment");
    assert_eq!((setting, what.as_str()), ("public_key_id_file", "is a key for SANDBOX, but environment is live"));
    check(&in_file, "merchants[0].public_key_id_file: FOLDER/key-id cannot be read");
    check(&format!("{GOOD}\n{FILE}"), "merchants[0].public_key_id_file: is set together with public_key_id; keep one");
    check(&in_file.replace(FILE, ""), "merchants[0].public_key_id: is missing");
}

#[test]
fn update_page_of_a_merchant_replaces_that_of_the_region() {
    let with = |settings: &str| load(&format!("{GOOD}\n{settings}"), &[]);
    let of = |settings: &str| {
        let config = with(settings).expect(settings);
        config.events.update_urls.by_account(&config.merchants).into_values().next().unwrap()
    };
    assert_eq!(of(""), "https://pay.amazon.com/");
    for url in ["https://payments.amazon.de/jr/your-account/orders/", "https://shop.example/?id={ChargePermissionId}"] {
        assert_eq!(of(&format!("update_url = \"{url}\"")), url);
    }
    for url in [
        "http://shop.example/{ChargePermissionId}",
        "https://shop.example/{chargePermissionId}",
        "https://shop.example/{ChargePermissionId}/{ChargePermissionId}",
        "https://shop.example/a page",
        "https:///{ChargePermissionId}",
        "",
    ] {
        let requirement =
            "must start with https:// and have no other placeholder than {ChargePermissionId}, at most once";
        check(&format!("{GOOD}\nupdate_url = \"{url}\""), &format!("merchants[0].update_url: {requirement}"));
        let regions = format!("[events.update_urls]\njp = \"{url}\"\n[kafka]");
        check(&GOOD.replace("[kafka]", &regions), "events.update_urls: each must start with https://");
    }
}

#[test]
fn notices_can_be_switched_off() {
    let off = "[events]\nexpiring_before_d = 0.0\nlimit_near_percent = 0\ndispute_deadline_before_h = 0\n[kafka]";
    let config = load(&GOOD.replace("[kafka]", off), &[]).expect("0 is allowed");
    assert_eq!(config.events.notices(), NoticeRules::default());
}

#[test]
fn signature_version_min_applies_to_the_merchants_topics() {
    let topic = TopicArn::parse("arn:aws:sns:eu-west-1:291180941288:XA1O8CIV1A24A6X").expect("a topic");
    for (text, least) in [
        ("", SignatureVersion::V1),
        ("signature_version_min = 2", SignatureVersion::V2),
        ("signature_version_min = \"2\"", SignatureVersion::V2),
    ] {
        let config = load(&format!("{GOOD}\n{text}"), &[]).expect("good");
        assert_eq!(config.merchants[0].merchant.topics.signature_version_min(&topic), Some(least), "{text}");
    }
    check(&format!("{GOOD}\nsignature_version_min = 3"), "merchants[0].signature_version_min: must be 1 or 2");
}

#[test]
fn development_table_is_refused_with_a_live_merchant() {
    let table = "[development]\ncertificate_origins = [\"http://localhost:4566/_aws/sns/\"]\n\
                 topic_arns = [\"arn:aws:sns:us-east-1:000000000000:ipn\"]\npay_api_endpoint = \"http://localhost:8081/\"\n[[merchants]]";
    let live = GOOD.replace("[[merchants]]", table);
    check(&live, "development: weakens the checks of messages, and A1O8CIV1A24A6X/live is live");
    let sandbox = live.replace("\"live\"", "\"sandbox\"").replace("LIVE-", "SANDBOX-");
    let config = load(&sandbox, &[]).expect("good");
    let topic = TopicArn::parse("arn:aws:sns:us-east-1:000000000000:ipn").expect("a topic");
    assert!(config.merchants[0].merchant.topics.allows(&topic));
    assert_eq!(config.policy(&MerchantAccount::table(&config.merchants)).development_origins.len(), 1);
    let development = config.development.expect("the table is there");
    assert_eq!(development.pay_api_endpoint.as_deref(), Some("http://localhost:8081"));
    for (right, wrong, expected) in [
        (
            "http://localhost:4566/_aws/sns/",
            "localhost:4566",
            "development.certificate_origins: \"localhost:4566\" is not an origin",
        ),
        ("http://localhost:8081/", "nowhere", "development.pay_api_endpoint: \"nowhere\" is not an endpoint"),
        ("arn:aws:sns:us-east-1:000000000000:ipn", "ipn", "development.topic_arns: \"ipn\" is not a topic"),
        (
            "topic_arns",
            "trust_anchor_files = [\"key.pem\"]\ntopic_arns",
            "development.trust_anchor_files: FOLDER/key.pem: not an X.509",
        ),
    ] {
        check(&sandbox.replacen(right, wrong, 1), expected);
    }
}
