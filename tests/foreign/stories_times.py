"""Stories of lastUpdatedTimestamp in every form that Amazon was seen to use, and in forms that cannot be read.

`time` of an event is that moment in UTC. Without a zone the documents do not say which, so it is not compared there. Where
the value cannot be read they do not say either, nor how old the state is taken for; but `time` is never another field of the
object, such as its creation. The changes must be published, each under its own id.
"""

import datetime

import sns
from acts import KNOWN
from story import NULL, E, memo, other_than, story

CREATED = "2026-11-01T00:00:00.000Z"
TOKYO = datetime.timezone(datetime.timedelta(hours=9))


def epoch(time_):
    return int(time_.timestamp())


FORMS = {
    "basic": ("20260102T030405Z", lambda t: t.strftime("%Y%m%dT%H%M%SZ"), None),
    "offset-zero": ("2026-01-02T03:04:05+00:00", lambda t: t.strftime("%Y-%m-%dT%H:%M:%S+00:00"), None),
    "offset-tokyo": ("2026-01-02T12:04:05+0900", lambda t: t.astimezone(TOKYO).strftime("%Y-%m-%dT%H:%M:%S%z"), None),
    "fraction": ("2026-01-02T03:04:05.250Z", lambda t: sns.rfc3339_ms(t), None),
    "epoch-seconds": ("1767323045", epoch, None),
    "epoch-milliseconds": ("1767323045000", lambda t: epoch(t) * 1000, None),
    "no-zone": ("2026-01-02T03:04:05", lambda t: t.strftime("%Y-%m-%dT%H:%M:%S"), other_than(CREATED)),
    "words": ("yesterday", lambda t: "yesterday", other_than(CREATED)),
    "null": ("null", lambda t: NULL, other_than(CREATED)),
}

UNREAD = "expected `time` to be this moment; got creationTimestamp, and ChargeUpdated as for an old state"
REPLACED = "expected `time` to be no other field; got creationTimestamp"
KNOWN_GAPS = {
    "offset-zero": UNREAD,
    "offset-tokyo": UNREAD,
    "no-zone": UNREAD,
    "words": REPLACED,
    "null": REPLACED,
}


def register(name, sample, write, check):
    authorized = "ChargeAuthorized|ChargeUpdated" if name in ("words", "null") else "ChargeAuthorized"

    def at(moment):
        return check or memo(moment)

    @story(
        f"time-{name}",
        f"lastUpdatedTimestamp is written as {sample}.",
        expect=[
            KNOWN,
            E(authorized, "charge", time=at("first")),
            E("ChargeCaptured", "charge", time=at("second")),
            E("RefundInitiated", "refund", time=at("third")),
        ],
        known_gap=KNOWN_GAPS.get(name),
    )
    def _(a):
        def now(moment):
            time_ = sns.utc_now().replace(microsecond=250_000 if name == "fraction" else 0)
            a.memo[moment] = sns.rfc3339_ms(time_)
            return time_

        a.known_permission()
        a.charge("Authorized", at=write(now("first")), creationTimestamp="20261101T000000Z")
        a.ipn("charge")
        a.sees(authorized, "charge")
        a.change("charge", "Captured", at=write(now("second")))
        a.ipn("charge")
        a.sees("ChargeCaptured", "charge")
        a.refund("RefundInitiated", at=write(now("third")), creationTimestamp="20261101T000000Z")
        a.ipn("refund")
        a.sees("RefundInitiated", "refund")


for form, (example, writer, check) in FORMS.items():
    register(form, example, writer, check)


@story(
    "unreadable-times-and-ids",
    "A permission is suspended and restored twice, and no lastUpdatedTimestamp can be read: four changes, four ids.",
    expect=[
        E("PermissionChargeable", "permission"),
        E("PermissionNonChargeable", "permission", reasons=["ChargeInProgress"]),
        E("PermissionChargeable", "permission", action="NONE"),
        E("PermissionNonChargeable", "permission", reasons=["ChargeInProgress"]),
        E("PermissionChargeable", "permission", action="NONE"),
    ],
    known_gap="expected an id for each change; got the same id twice where the state repeats",
)
def _(a):
    a.permission(at="yesterday")
    a.ipn("permission")
    a.sees("PermissionChargeable", "permission")
    for count in (1, 2):
        a.change("permission", "NonChargeable", "ChargeInProgress", at="yesterday")
        a.ipn("permission")
        a.sees("PermissionNonChargeable", "permission", count=count)
        a.change("permission", "Chargeable", at="yesterday")
        a.ipn("permission")
        a.sees("PermissionChargeable", "permission", count=count + 1)
