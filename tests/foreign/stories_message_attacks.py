"""Attacks by genuine messages: SNS signed them, and Amazon Pay or somebody with its topic wrote anything into them.

A message that is no IPN is answered 200, stored, and becomes a dead letter. What can be accepted can be written.
"""

import json
import threading

import sns
from acts import CAPTURED, KNOWN, begins
from attacks import INNOCENT_WITHIN_S, command, innocents, innocents_are_published
from story import E, story

BODY_BYTES_MAX = 524_288
ID = "C02-7654321-7654321"


def texts():
    """Messages that are no IPN at all."""
    yield from ("", " ", "null", "[]", "{}", '"text"', "5", "1e999", "NaN", "[" * 60_000, '{"a":' * 30_000, "\ufeff{}")
    yield from ("<NotificationData/>", '{"MerchantID":"\\ud800"}', '{"MerchantID":"A"' + ',"MerchantID":"A"' * 5000 + "}")
    yield "\U0001f4a3" * 20_000


def changes():
    """What is otherwise than in an IPN: each names no object that can be read."""
    for value in (None, 5, [], {}, "", " ", "/", "..", "../../refunds/x", "a/b", "S02-1%2F2", "x\n", "\0", "ü" * 300, "x" * 100_000,
                  f"{ID}?a=b", f"{ID}#x", f" {ID}", "C02-0000000-0000000"):  # fmt: skip
        yield {"ObjectId": value}
    for value in (None, 5, [], "", "charge", "ORDER", "x" * 100_000, "__proto__"):
        yield {"ObjectType": value}
    for value in (None, 5, [], "", "A1NOBODY", "x" * 100_000, "A/../B", "a\nb"):
        yield {"MerchantID": value}
    for value in ("V99", None, 2, "x" * 100_000):
        yield {"NotificationVersion": value, "ObjectId": "C02-0000000-0000001"}


def post_all(a, envelopes):
    """Posts from eight threads, as SNS does not wait for one message before it sends the next."""
    envelopes, lock = iter(envelopes), threading.Lock()

    def work():
        while True:
            with lock:
                envelope = next(envelopes, None)
            if envelope is None:
                return
            a.post(envelope)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


TEXTS, CHANGES = list(texts()), list(changes())


@story(
    "message-is-no-ipn",
    "SNS delivers texts that are no IPN: each is answered 200 and becomes a dead letter.",
    world="attacked",
    own=True,
    expect=innocents(),
    dead=("*",) * len(TEXTS),
)
def _(a):
    post_all(a, [a.envelope(text) for text in TEXTS])
    innocents_are_published(a)
    a.is_dead(len(TEXTS), within_s=INNOCENT_WITHIN_S)


@story(
    "message-names-no-object",
    "IPNs have an odd object, type, merchant or version: each is answered 200 and becomes a dead letter.",
    world="attacked",
    own=True,
    expect=innocents(),
    dead=("*",) * len(CHANGES),
)
def _(a):
    a.permission(name="nowhere", id_=ID, hidden=True).open = True
    post_all(a, [a.envelope({**a.message("nowhere"), **change}) for change in CHANGES])
    innocents_are_published(a)
    a.is_dead(len(CHANGES), within_s=INNOCENT_WITHIN_S)


@story(
    "message-with-odd-extras",
    "IPNs about a charge name its permission, their kind and their id oddly, or are very long: it is published, once.",
    world="attacked",
    own=True,
    expect=[*innocents(), KNOWN, CAPTURED],
)
def _(a):
    a.known_permission()
    a.charge("Captured")
    for value in (None, 5, "", "a/b", "\0", "x" * 100_000, "C02-0000000-0000000"):
        a.post(a.envelope({**a.message("charge"), "ChargePermissionId": value}), answers=(200,))
    for change in ({"NotificationType": "NEW_KIND"}, {"NotificationId": 5}, {"added": ["x" * 1000] * 200}):
        a.post(a.envelope({**a.message("charge"), **change}))
    a.sees("ChargeCaptured", "charge")
    innocents_are_published(a)


@story(
    "charge-without-permission",
    "Charges whose answer names no permission, and IPNs that name one oddly: innocents are published, and the charges on a later IPN.",
    world="attacked",
    own=True,
    expect=[*innocents(), KNOWN],
)
def _(a):
    a.known_permission()
    for number, value in enumerate((None, 5, "", "a/b", "\0", "x\ny", "x" * 100_000, "\u00fc")):
        name = f"charge {number}"
        a.charge("Captured", name=name, chargePermissionId=None).open = True
        a.post(a.envelope({**a.message(name), "ChargePermissionId": value}))
    innocents_are_published(a)


def padded(a, body_bytes, fill):
    """An envelope whose body, as SNS sends it, has so many bytes; its Message is an IPN with one long field."""
    topic, message = sns.topic_arn(a.merchant), a.message("charge")

    def made(length):
        return a.world.sns.notification(topic, {**message, "Padding": fill * length})

    def size(envelope):
        return len(json.dumps(envelope, indent=2, separators=(",", " : ")).encode())

    one = size(made(1001)) - size(made(1000))
    length = 1000 + (body_bytes - size(made(1000))) // one
    return made(length)


@story(
    "message-of-the-greatest-size",
    "IPNs are as large as the endpoint accepts, plain and full of escapes: each is stored, and the charge is published.",
    world="attacked",
    own=True,
    expect=[*innocents(), KNOWN, CAPTURED],
)
def _(a):
    a.known_permission()
    a.charge("Captured")
    for fill in ("x", '"', "\u0001", "\U0001f4a3"):
        a.attempt(padded(a, BODY_BYTES_MAX, fill), 200)
        a.attempt(padded(a, BODY_BYTES_MAX + 2000, fill), 413)
    a.sees("ChargeCaptured", "charge")
    innocents_are_published(a)


@story(
    "foreign-dead-letters",
    "The dead letters' topic is full of foreign records: redrive appends the genuine one of this merchant, and ends.",
    world="attacked",
    own=True,
    expect=[*innocents(), E("PermissionChargeable", "late")],
    dead=("unknown_object",),
)
def _(a):
    a.permission(name="late", hidden=True)
    a.ipn("late")
    a.is_dead(1)
    headers = [("ipn-dlq-reason", b"unknown_object"), ("ipn-dlq-object", f"{a.merchant}/sandbox/x".encode()), ("ipn-schema-version", b"1")]
    odd = [[], [(name, b"\xff") for name, _ in headers], [(name, None) for name, _ in headers], headers,
           [*headers, ("ipn-redrive-count", b"-1")], [*headers, ("ipn-redrive-count", b"9" * 400)], headers * 300]  # fmt: skip
    values = [None, b"", b"\xff", b"{}", b"[" * 100_000, b"x" * 900_000]
    a.world.topics.put("ipn.dlq.v1", [{"key": a.merchant, "value": v, "headers": h} for h in odd for v in values])
    a.change("late", "Chargeable")
    command(a, "redrive", "--filter", f"merchant={a.merchant}", "--yes", "--per-second", "1000")
    begins(a, "late", "PermissionChargeable")
    innocents_are_published(a)


@story(
    "commands-with-hostile-arguments",
    "Commands get ids, times and filters that are none: each ends with an error that is no panic, and the worker goes on.",
    world="attacked",
    own=True,
    expect=innocents(),
)
def _(a):
    for id_ in ("", " ", "x", "../../x", "a\nb", "\u00fc", "x" * 60_000, "C02"):
        command(a, "recheck", "--merchant", a.merchant, "--yes", "--", id_, exits=(2,))
        command(a, "recheck", "--merchant", a.merchant, "--type", "charge", "--yes", "--", id_, exits=(0, 2, 3))
    for merchant in ("", "x y", "A1NOBODY"):
        command(a, "recheck", "--merchant", merchant, "--yes", "C02-0000000-0000002", exits=(2, 3, 78))
    for since in ("", "0", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59Z", "99999-01-01T00:00:00Z", "-1"):
        arguments = ["in-charge-since", "--merchant", a.merchant, "--environment", "sandbox", "--yes", f"--set={since}"]
        command(a, *arguments, exits=(2, 3))
    for filter_ in ("", "=", "reason", "reason=", "reason=nothing", "x=y", "merchant=" + "x" * 50_000):
        command(a, "redrive", "--yes", "--filter", filter_, exits=(0, 1, 2))
    innocents_are_published(a)
