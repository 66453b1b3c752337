//! `docs/configuration.md` is generated from `config::reference`.
//! After a change: `UPDATE_DOCS=1 cargo test --test all configuration_doc`.

use std::fmt::Write as _;
use std::path::Path;

use ipn_receiver::config::reference::{DefaultValue, SettingsTable, TABLES};

const INTRODUCTION: &str = r#"# Configuration

For operators: every setting of the receiver, with its default and its meaning. The settings that a first start needs are under
[A smallest configuration](#a-smallest-configuration). This file is generated from the code (`UPDATE_DOCS=1 cargo test --test all
configuration_doc`).

The receiver reads one TOML file: `--config FILE`, or the environment variable `IPN_RECEIVER_CONFIG`. It checks the whole file
before it starts anything, and reports every mistake with the name of the setting and the accepted values.
`ipn-receiver check --offline --config FILE` makes the same check and does not start the receiver.

## A smallest configuration

```toml
[kafka]
bootstrap_servers = "kafka-1:9092,kafka-2:9092,kafka-3:9092"

[[merchants]]
id = "A1O8CIV1A24A6X"                       # merchant id
region = "eu"                               # na, eu or jp
environment = "live"                        # live or sandbox; one table for each
public_key_id = "LIVE-AEXAMPLE"             # Seller Central > Integration Central
private_key_file = "/run/secrets/amazon-pay.pem"
```

For a single test broker, add `replication_factor = 1` under `[kafka]`. If that broker is lost, acknowledged IPNs are lost.

## Environment variables

An environment variable overrides the file. Its name is `IPN_RECEIVER__`, then the path of the setting in upper case with two underscores
between the parts:

| setting | environment variable |
|---|---|
| addresses of the brokers | `IPN_RECEIVER__KAFKA__BOOTSTRAP_SERVERS` |
| property `sasl.password` of librdkafka | `IPN_RECEIVER__KAFKA__PROPERTIES__SASL_PASSWORD` |
| key id of the first merchant | `IPN_RECEIVER__MERCHANTS__0__PUBLIC_KEY_ID` |

The merchants are numbered from 0, in the order of the file. Write numbers, booleans and lists as in TOML:
`IPN_RECEIVER__MERCHANTS__0__TOPIC_OWNERS='["A1PROVIDER"]'`. Everything else is text.

These environment variables have no setting in the file:

| environment variable | meaning |
|---|---|
| `IPN_RECEIVER_CONFIG` | The configuration file, as `--config`. |
| `IPN_RECEIVER_LOG_FORMAT` | `text` or `json`, as `--log-format`. |
| `RUST_LOG` | Which log lines are written: `info`, or for example `info,ipn_receiver=debug`. |
| `OTEL_EXPORTER_OTLP_HEADERS` | Headers for the collector of traces, such as a token. |

## Units

The end of a name is the unit: `_ms` milliseconds, `_s` seconds, `_h` hours, `_d` days, `_bytes_max` bytes. Every other `_max` is a
count. The metric `ipn_receiver_limit_hits_total` counts how often a limit is hit, see [metrics.md](metrics.md).
"#;

fn document() -> String {
    let mut document = INTRODUCTION.to_owned();
    for table in TABLES {
        let heading = match table.name {
            "" => "Role".to_owned(),
            "merchants[]" => "`[[merchants]]`".to_owned(),
            name => format!("`[{name}]`"),
        };
        write!(document, "\n## {heading}\n\n{}\n\n{}", table.purpose, rows(table)).unwrap();
    }
    document
}

fn rows(table: &SettingsTable) -> String {
    let mut rows = String::from("| setting | default | range | meaning |\n|---|---|---|---|\n");
    for setting in table.settings {
        let default = match setting.default {
            DefaultValue::Toml(value) => format!("`{value}`"),
            DefaultValue::Required => "required".to_owned(),
            DefaultValue::Other(words) => words.to_owned(),
        };
        let range = setting.range.map_or_else(String::new, |(least, most)| format!("{least} to {most}"));
        writeln!(rows, "| `{}` | {default} | {range} | {} |", table.path(setting), setting.meaning).unwrap();
    }
    rows
}

#[test]
fn configuration_doc_matches_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let document = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &document).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == document,
        "docs/configuration.md is out of date; run: UPDATE_DOCS=1 cargo test --test all configuration_doc"
    );
}
