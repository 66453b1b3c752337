"""Attacks on the inbox: records that the receiver did not write, or wrote long ago, beside those of innocent objects.

Each foreign record has a result: it becomes a dead letter, or it is read as what it is. None stops another.
"""

import json

import sns
from acts import CAPTURED, KNOWN
from attacks import have_a_result, innocents, innocents_are_published, is_published_once
from story import story

HUGE = 960_000
FORM = [("ipn-schema-version", b"1")]


def headers_of(envelope, **changed):
    """The headers of an inbox record; `changed` by name with underscores, None leaves one out."""
    made = {
        "ipn-schema-version": "1",
        "ipn-received-at": sns.rfc3339_ms(sns.utc_now()),
        "ipn-sns-message-id": envelope["MessageId"],
        "ipn-sns-topic-arn": envelope["TopicArn"],
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    return [(k, v if isinstance(v, bytes) else v.encode()) for k, v in made.items() if v is not None]


def stored(a, name, **changed):
    """The inbox record of a genuine IPN about an object."""
    envelope = a.envelope(a.message(name))
    return {"value": json.dumps(envelope).encode(), "key": a.merchant, "headers": headers_of(envelope, **changed)}


def unlike_any_ipn(a):
    """Records with no IPN in them, each with the form of a genuine one in all else."""
    envelope = a.world.sns.notification(sns.topic_arn(a.merchant), "no IPN")
    text = json.dumps(envelope)
    values = {
        "no value": None,
        "empty": b"",
        "bytes": bytes(range(256)),
        "zeros": b"\0" * 1000,
        "no JSON": b"<html>",
        "null": b"null",
        "list": b"[]",
        "number": b"1e999",
        "empty object": b"{}",
        "deep": b"[" * 200_000,
        "deep object": b'{"a":' * 100_000,
        "UTF-16": text.encode("utf-16"),
        "cut off": text.encode()[:-30],
        "twice": text.encode() * 2,
        "large": b"x" * HUGE,
        "large JSON": json.dumps({**envelope, "Message": "\u0001" * (HUGE // 6 - 1000)}).encode(),
        "escapes": json.dumps({**envelope, "Message": '"' * (HUGE // 2 - 1000)}).encode(),
        "envelope of lists": json.dumps({key: [value] for key, value in envelope.items()}).encode(),
        "envelope of nulls": json.dumps(dict.fromkeys(envelope)).encode(),
    }
    return [{"name": n, "value": v, "key": a.merchant, "headers": headers_of(envelope)} for n, v in values.items()]


def with_foreign_headers(a):
    """No IPN, and headers that no release wrote."""
    records = []
    for number, headers in enumerate(
        [
            [],
            [("ipn-schema-version", None)],
            [("ipn-schema-version", b"")],
            [("ipn-schema-version", b"\xff\xfe")],
            [("ipn-schema-version", b"-1")],
            [("ipn-schema-version", b"99999999999999999999999999")],
            FORM * 500,
            [*FORM, ("ipn-record-kind", b"\xff")],
            [*FORM, ("ipn-record-kind", b"")],
            [*FORM, ("ipn-record-kind", b"recheck"), ("ipn-record-kind", b"in-charge-since")],
            [*FORM, ("ipn-redrive-count", b"99999999999999999999999")],
            [*FORM, ("ipn-redriven-from", b"\0" * 5000)],
            [*FORM, ("traceparent", b"00-" + b"f" * 9000)],
            [*FORM, ("", b"a header without a name")],
            [*FORM, ("x" * 60_000, b"y" * 300_000)],
            [*FORM, ("ipn-dlq-reason", b"unknown_object"), ("ipn-dlq-source", b"a/b/c")],
        ]
    ):
        records.append({"name": f"headers {number}", "value": b"{}", "key": a.merchant, "headers": headers})
    return records


def requests(a):
    """Requests of an operator with values that no command writes."""
    recheck = {"version": 1, "merchantId": a.merchant, "environment": "sandbox", "objectId": "C02-0000000-0000001",
               "objectType": "ChargePermission", "seed": False, "requestedAt": "2026-01-02T03:04:09.000Z"}
    charge = {"version": 1, "merchantId": a.merchant, "environment": "sandbox", "since": "2026-01-01T00:00:00.000Z",
              "requestedAt": "2026-01-02T03:04:10.000Z"}
    changes = {
        "recheck": [
            {"version": 99}, {"version": None}, {"version": "1"}, {"merchantId": None}, {"merchantId": "A1NOBODY"},
            {"environment": "live"}, {"environment": "moon"}, {"objectType": "Order"}, {"objectType": None}, {"seed": "yes"},
            {"objectId": ""}, {"objectId": "../../refunds/x"}, {"objectId": "x" * 100_000}, {"objectId": 5},
        ],
        "in-charge-since": [
            {"version": 99}, {"since": None}, {"since": ""}, {"since": "yesterday"}, {"since": 0},
            {"merchantId": "A1NOBODY"}, {"environment": "moon"},
        ],
    }  # fmt: skip
    for kind, all_ in changes.items():
        whole = recheck if kind == "recheck" else charge
        for change in all_:
            value = json.dumps({**whole, **change}).encode()
            yield {"name": f"{kind} {change}"[:60], "value": value, "key": a.merchant, "headers": [*FORM, ("ipn-record-kind", kind.encode())]}


def attack(id_, text, make):
    @story(f"inbox-{id_}", text, world="attacked", own=True, expect=innocents())
    def _(a):
        records = list(make(a))
        places = a.world.topics.put("ipn.inbox.v1", records)
        innocents_are_published(a)
        have_a_result(a, places, records)


attack("of-no-ipn", "Values that are no IPN, from nothing to a megabyte: each becomes a dead letter.", unlike_any_ipn)
attack("foreign-headers", "Headers that no release wrote: each record becomes a dead letter.", with_foreign_headers)
attack("foreign-requests", "Requests of an operator that no command wrote: each becomes a dead letter.", requests)


@story(
    "inbox-in-charge-at-the-ends-of-time",
    "Since the year 1, since the year 9999 and since no year at all a merchant is in charge: innocents are published.",
    world="attacked",
    own=True,
    expect=innocents(""),
)
def _(a):
    for since in ("0001-01-01T00:00:00Z", "-009999-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "+262142-12-31T23:59:59Z", "2026-01-01T00:00:00Z"):
        value = {"version": 1, "merchantId": a.merchant, "environment": "sandbox", "since": since, "requestedAt": since}
        record = {"value": json.dumps(value).encode(), "key": a.merchant, "headers": [*FORM, ("ipn-record-kind", b"in-charge-since")]}
        a.world.topics.put("ipn.inbox.v1", [record])
    innocents_are_published(a)


@story(
    "inbox-without-some-headers",
    "Genuine IPNs lack headers, or have unreadable ones: each becomes an event or a dead letter, and no later IPN is lost.",
    world="attacked",
    own=True,
    expect=[*innocents(), KNOWN],
)
def _(a):
    a.permission()
    changes = [
        {"ipn_received_at": None}, {"ipn_received_at": "yesterday"}, {"ipn_received_at": "9999-12-31T23:59:59.999Z"},
        {"ipn_received_at": b"\xff"}, {"ipn_sns_message_id": None}, {"ipn_sns_message_id": "x" * 50_000},
        {"ipn_sns_topic_arn": None}, {"traceparent": "zz"}, {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-00"},
        {"later-release": "x"},
    ]  # fmt: skip
    a.world.topics.put("ipn.inbox.v1", [stored(a, "permission", **change) for change in changes])
    a.sees("PermissionChargeable", "permission")
    innocents_are_published(a)


@story(
    "inbox-other-partition",
    "The IPNs of a merchant are in the partitions of others: what is published is published once, and nobody waits.",
    world="attacked",
    own=True,
    expect=[*innocents(), KNOWN, CAPTURED],
    dead=["not_understood"] * 4,
)
def _(a):
    a.permission()
    a.charge("Captured")
    for partition in range(3):
        a.world.topics.put("ipn.inbox.v1", [{**stored(a, n), "partition": partition} for n in ("permission", "charge")])
    is_published_once(a, "ChargeCaptured", "charge")
    innocents_are_published(a)


@story(
    "inbox-other-key",
    "The IPNs of a merchant have no key, or that of another, in the merchant's partition: each becomes a dead letter.",
    world="attacked",
    own=True,
    expect=innocents(),
    dead=["unknown_merchant"] * 8,
)
def _(a):
    a.permission().open = True
    a.charge("Captured").open = True
    partition = a.world.partition_of(a.merchant)
    for key in (None, b"", b"\xff\xfe", "x" * 100_000):
        a.world.topics.put("ipn.inbox.v1", [{**stored(a, n), "key": key, "partition": partition} for n in ("permission", "charge")])
    innocents_are_published(a)


@story(
    "inbox-transactions",
    "A stranger aborts and commits transactions on the inbox: no IPN is lost, and no loss is reported.",
    world="attacked",
    own=True,
    expect=[*innocents(), KNOWN],
)
def _(a):
    a.permission()
    lost = a.world.service.metric("ipn_receiver_kafka_data_loss_total")
    for _ in range(3):
        garbage = [{"value": b"aborted", "key": a.merchant, "partition": p} for p in range(3) for _ in range(50)]
        a.world.topics.put_in_transaction("ipn.inbox.v1", garbage, commit=False)
        a.world.topics.put_in_transaction("ipn.inbox.v1", [stored(a, "permission")], commit=True)
    innocents_are_published(a)
    if a.world.service.metric("ipn_receiver_kafka_data_loss_total") != lost:
        a.notes.append("aborted transactions were reported as lost data")


def write_batches(a, codec, within_s=25):
    a.known_permission()
    a.charge("Captured")
    records = [stored(a, name) for name in ("permission", "charge") for _ in range(20)]
    a.world.topics.put("ipn.inbox.v1", records, **{"compression.type": codec})
    a.sees("ChargeCaptured", "charge", within_s=within_s)


def register_codec(codec):
    @story(
        f"batches-of-{codec}",
        f"A stranger writes IPNs in batches of {codec}: each is published, and so are those after it.",
        world="attacked",
        own=True,
        expect=[*innocents(), KNOWN, CAPTURED],
    )
    def _(a):
        write_batches(a, codec)
        innocents_are_published(a)


for codec in ("gzip", "snappy", "lz4"):
    register_codec(codec)


@story(
    "batches-of-zstd",
    "A stranger, or a broker whose compression.type is zstd, writes batches of zstd to the topics: all go on, also after a restart.",
    world="zstd",
    own=True,
    expect=[*innocents("", " later"), KNOWN, CAPTURED],
    known_gap="the partition of the inbox stalls for ever and no error is logged; with such a batch of state, the worker starts over for ever",
)
def _(a):
    write_batches(a, "zstd", within_s=10)
    innocents_are_published(a, within_s=5)
    a.stop_worker()
    for ending in ("state.v1", "events.v1"):
        foreign = [{"key": "foreign", "value": b"{}" * 500, "partition": p} for p in range(3)]
        a.world.topics.put(ending, foreign, **{"compression.type": "zstd"})
    a.start_worker()
    innocents_are_published(a, " later", within_s=10)
