//! The settings of the worker.

use super::setting;
use crate::config::reference::DefaultValue::Toml;
use crate::config::reference::SettingsTable;

/// `[worker]`
pub(super) const WORKER: SettingsTable = SettingsTable {
    name: "worker",
    purpose: "How the worker reads objects and publishes events.",
    settings: &[
        setting("reads_in_flight_max", Toml("16"), "Reads at the same time, for each merchant and environment.").between(1.0, 10_000.0),
        setting(
            "records_per_round_max",
            Toml("500"),
            "Inbox records that the worker consumes in one round, before it starts reads and commits.",
        ).between(1.0, 1_000_000.0),
        setting(
            "records_open_max",
            Toml("10000"),
            "Inbox records whose objects are not read yet, for each merchant and environment. If there are more, their work is written to the state topic as pending work, and their offsets are committed.",
        ).between(1.0, 10_000_000.0),
        setting(
            "answers_kept_max",
            Toml("1000"),
            "Charges, refunds and disputes that are kept in memory until their parent object has been read. More are read again when the wait ends.",
        ).between(0.0, 1_000_000.0),
        setting(
            "parent_wait_max_ms",
            Toml("120000"),
            "Longest time that a charge, refund or dispute waits until its charge and its charge permission have been read. Then its event is published with what is known.",
        ).between(1.0, 86_400_000.0),
        setting(
            "pending_after_ms",
            Toml("10000"),
            "If an object is not read within this time after its IPN was consumed, the work is written to the state topic as pending work, and the inbox offset is committed.",
        ).between(0.0, 86_400_000.0),
        setting(
            "settle_slack_ms",
            Toml("5000"),
            "If an object's last update is older than its IPN by more than this, the object is read again: confirming reads.",
        ).between(0.0, 31_536_000_000.0),
        setting(
            "confirm_reads_after_ms",
            Toml("[30000, 120000, 600000, 3600000]"),
            "Confirming reads come at these times after the IPN, or up to half as much later, until the object is as new as the IPN. An ATTRIBUTE_CHANGE IPN that nothing explains is published after the first of these times.",
        ).between(1.0, 3_600_000.0),
        setting(
            "systemic_retry_ms",
            Toml("5000"),
            "Time until the retry after a systemic failure: an error of the network, of Amazon or of the credentials.",
        ).between(1.0, 3_600_000.0),
        setting(
            "breaker_failures",
            Toml("5"),
            "After this many systemic failures in a row the circuit breaker opens: the reads of that operation of the merchant stop; without a connection, all its reads.",
        ).between(1.0, 1_000_000.0),
        setting(
            "breaker_probe_ms",
            Toml("10000"),
            "While the circuit breaker is open, one read is sent as a probe at this interval.",
        ).between(1.0, 3_600_000.0),
        setting(
            "unknown_object_retries_ms",
            Toml("[60000, 300000, 900000, 2100000]"),
            "Times between the reads of an object that Amazon Pay does not find and the receiver has never read. After the last one the IPN becomes a dead letter.",
        ).between(0.0, 3_600_000.0),
        setting(
            "aged_after_ms",
            Toml("300000"),
            "Work that has been due for longer gets every second read of its operation, and one in eight while parent reads are due. Otherwise parent reads come first (a charge or charge permission that another object needs), then IPNs, then confirming reads, then retries.",
        ).between(0.0, 86_400_000.0),
        setting(
            "pending_age_max_h",
            Toml("168"),
            "Longest time for which reads of an object may fail because of the object itself. After that the IPN becomes a dead letter.",
        ).between(0.0, 8760.0),
        setting(
            "stub_after_d",
            Toml("30.0"),
            "After this many days without activity, the known state of an object in a final state is reduced to state, time and last event. Fractions are allowed.",
        ).between(0.000_001, 36_500.0),
        setting(
            "forget_after_d",
            Toml("730.0"),
            "After this many days without activity, the known state of an object in a final state is deleted.",
        ).between(0.000_001, 36_500.0),
    ],
};
