"""Settings at their limits: what is refused is named, with the range that is accepted; what is accepted works."""

import pay_api
from acts import CAPTURED, KNOWN
from attacks import BOTH, innocents, innocents_are_published
from service import MOST
from story import E, story

# A setting, and a value of it with which no receiver could work.
REFUSED = [
    ("ingress.deadline_ms", 0), ("ingress.deadline_ms", 14_001), ("ingress.body_bytes_max", 1023), ("ingress.body_bytes_max", 524_289),
    ("ingress.body_timeout_ms", 0), ("ingress.body_bytes_in_flight_max", 0), ("ingress.connections_max", 0), ("ingress.threads", -1),
    ("ingress.listen", "nowhere"), ("ingress.listen", "127.0.0.1:99999"), ("admin.listen", ""),
    ("kafka.partitions", 0), ("kafka.partitions", 1001), ("kafka.replication_factor", 0), ("kafka.topic_prefix", "a_b"),
    ("kafka.topic_prefix", "x" * 101), ("kafka.session_timeout_ms", 999), ("kafka.session_timeout_ms", 1_800_001),
    ("kafka.transaction_timeout_ms", 1999), ("kafka.transaction_timeout_ms", 900_001), ("kafka.append_timeout_ms", 10_000),
    ("kafka.properties.acks", "1"), ("kafka.properties.enable_idempotence", "false"),
    ("sns.certificates_max", 0), ("sns.certificate_fetches_max", 0), ("sns.certificate_fetches_max", 1001), ("sns.ipn_age_max_h", 87_601),
    ("pay_api.key_reload_ms", 0), ("pay_api.timeout_ms", -1), ("pay_api.timeout_ms", "1.5"), ("pay_api.timeout_ms", "soon"),
    ("worker.reads_in_flight_max", 0), ("worker.records_per_round_max", 0), ("worker.parent_wait_max_ms", 0),
    ("worker.confirm_reads_after_ms", "[]"), ("worker.confirm_reads_after_ms", "[2, 1]"), ("worker.confirm_reads_after_ms", "5"),
    ("worker.breaker_failures", 0), ("worker.breaker_failures", 2**32), ("worker.stub_after_d", 0), ("worker.stub_after_d", "nan"),
    ("worker.forget_after_d", 36_501), ("worker.forget_after_d", "inf"), ("worker.stub_after_d", 731),
    ("quota.share", 0), ("quota.share", 1.01), ("quota.share", "nan"), ("quota.reconciliation_share", 0),
    ("quota.sandbox", "{burst = 0.5, per_second = 1.0}"), ("quota.sandbox", "{burst = 1.0, per_second = 0.0}"),
    ("quota.sandbox", "{burst = nan, per_second = 1.0}"), ("quota.live", "{burst = 1.0, per_second = inf}"),
    ("reconciliation.period_factor", 0), ("reconciliation.period_factor", 1001), ("reconciliation.enabled", "maybe"),
    ("events.mode", "both"), ("events.free_text", ""), ("events.expiring_before_d", -1), ("events.expiring_before_d", 366),
    ("events.limit_near_percent", 101), ("events.dispute_deadline_before_h", 721),
    ("events.update_urls.eu", "javascript:alert(1)"), ("events.update_urls.eu", "https://x/{Name}"),
    ("telemetry.sample_ratio", -0.1), ("telemetry.sample_ratio", 1.1), ("telemetry.otlp_endpoint", "collector"),
    ("worker.unknown", 1), ("unknown", 1), ("role", "boss"),
]  # fmt: skip

# A value that `check` accepts, and what the receiver then does.
ACCEPTED = [
    ("pay_api.timeout_ms", 0, "no read ever succeeds, and the log blames DNS, firewall and proxy"),
    ("pay_api.answer_bytes_max", 0, "no answer can be read, and IPNs become dead letters after a week"),
    ("sns.certificate_timeout_ms", 0, "no certificate is fetched, and every IPN is answered 503"),
    ("sns.certificate_bytes_max", 0, "no certificate is fetched, and every IPN is answered 503"),
    ("ingress.body_bytes_max", 1024, "every IPN is answered 413, which SNS does not repeat"),
    ("ingress.threads", 100_000, "`serve` panics when it makes its threads"),
    ("sns.certificate_failure_ms", MOST, "`serve` panics: time_to_live is longer than 1000 years"),
    ("worker.pending_age_max_h", MOST, "`serve` panics: overflow in Duration::from_hours"),
    ("worker.confirm_reads_after_ms", f"[{MOST}]", "the worker panics at the first read, again after each start: multiply with overflow"),
    ("kafka.append_linger_ms", 60_000, "`serve` fails, with an error of librdkafka that does not name the setting"),
    ("quota.sandbox", "{burst = 1.0, per_second = 1e-300}", "nothing is ever read"),
    ("admin.probe_interval_ms", 0, "the probe of the inbox runs without a pause, on a third of a core"),
]


def plain(name):
    """A setting's name, however it is written: as in the file, as an environment variable, or as a property of librdkafka."""
    return name.lower().replace("__", ".").replace("_", ".")


def is_refused(a, setting, value):
    code, output = a.world.service.command("check", "--offline", settings={setting: value})
    named = plain(setting).removeprefix("kafka.properties.").removesuffix(".eu") in plain(output)
    if code != 78 or not named or "panicked" in output:
        a.notes.append(f"{setting} = {str(value)[:50]!r}: exit code {code}: {output[-200:]}")


@story("settings-refused", "Settings with which no receiver can work are refused, by name.", world="attacked", expect=[])
def _(a):
    for setting, value in REFUSED:
        is_refused(a, setting, value)


def register(setting, value, what):
    @story(
        f"setting-{setting}-{value if isinstance(value, int) else 'extreme'}",
        f"{setting} is {value}: refused, since no receiver can work with it.",
        world="attacked",
        expect=[],
        known_gap=f"it is accepted: {what}",
    )
    def _(a):
        is_refused(a, setting, value)


for case in ACCEPTED:
    register(*case)


@story(
    "settings-all-least",
    "All settings are as small as a receiver can work with: events are published, also after some failed reads.",
    world="least",
    own=True,
    expect=[*innocents(), KNOWN, CAPTURED],
)
def _(a):
    a.permission()
    a.charge("Captured")
    for name in ("permission", "charge"):
        failures = iter([pay_api.unavailable()] * 3)
        a.fail(lambda failures=failures: next(failures, None), name=name)
        a.ipn(name)
    a.sees("ChargeCaptured", "charge")
    a.sees("PermissionChargeable", "permission")
    innocents_are_published(a)


@story(
    "settings-all-greatest",
    "All settings are as great as `check` accepts: events are published, and the receiver ends when it is told.",
    world="greatest",
    own=True,
    expect=[*innocents(), *[E("PermissionLimitNear", f"{who} permission", optional=True) for who in BOTH]],
)
def _(a):
    innocents_are_published(a)
