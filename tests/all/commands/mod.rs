//! The commands `redrive`, `recheck`, `in-charge-since` and `inspect`, run as processes beside a receiver.

mod in_charge_since;
mod inspect;
mod listen;
mod recheck;
mod redrive;

use std::process::{Command, Stdio};

use ipn_receiver::sandbox::pay_api::{ObjectKind, charge};
use ipn_receiver::sandbox::sns::Draft;
use serde_json::Value;
use time::OffsetDateTime;

use crate::harness::{Record, Stage, committed_records};

pub(crate) const PERMISSION: &str = "C02-0000001-1111111";
pub(crate) const CHARGE: &str = "S02-0000001-2222222-C000001";

/// Runs commands with the configuration of the receiver.
pub(crate) struct Operator {
    folder: tempfile::TempDir,
}

/// The output of a command.
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Operator {
    pub(crate) fn of(stage: &Stage) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = stage.environment.config_for_another_process(&stage.servers).unwrap();
        std::fs::write(folder.path().join("receiver.toml"), text).unwrap();
        Self { folder }
    }

    /// The command, with an empty standard input.
    pub(crate) fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ipn-receiver"));
        process.env_remove("RUST_LOG").arg(command).arg("--config").arg(self.folder.path().join("receiver.toml"));
        process.args(arguments).stdin(Stdio::null());
        process
    }

    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Output {
        let output = self.command(command, arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Output { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs the command, which must succeed, and returns its standard output.
    pub(crate) fn ok(&self, command: &str, arguments: &[&str]) -> String {
        let output = self.run(command, arguments);
        assert_eq!(output.code, 0, "{}{}", output.out, output.err);
        output.out
    }
}

pub(crate) fn dead_letters(stage: &Stage) -> Vec<Record> {
    committed_records(&stage.kafka(), &stage.kafka().topics().dead_letters)
}

/// The `ipn-redriven-from` header of each redriven inbox record.
pub(crate) fn redriven(stage: &Stage) -> Vec<String> {
    let records = committed_records(&stage.kafka(), &stage.kafka().topics().inbox);
    records.iter().filter_map(|record| record.headers.get("ipn-redriven-from").cloned()).collect()
}

pub(crate) fn put_charge(stage: &Stage, id: &str, state: &str) {
    stage.environment.put(ObjectKind::Charge, charge(id, PERMISSION, "1.00", "EUR"), state, &[]);
}

/// A genuine envelope with this `Message`, sent by the topic of the first merchant.
pub(crate) fn envelope_with(stage: &Stage, message: &str) -> String {
    let topic = stage.environment.topic_arn(&stage.environment.merchants[0]);
    stage.environment.sns.notification(&Draft::new(&topic, message, OffsetDateTime::now_utc()))
}

/// The last state record of an object.
pub(crate) fn state_of(stage: &Stage, id: &str) -> Option<Value> {
    let records = committed_records(&stage.kafka(), &stage.kafka().topics().state);
    let last = records.iter().rfind(|record| record.key.ends_with(id))?;
    serde_json::from_slice(&last.value).ok()
}
