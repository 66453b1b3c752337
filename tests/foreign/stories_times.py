"""Stories of lastUpdatedTimestamp in every form that Amazon was seen to use, and in forms that nobody can read.

`time` of an event is that moment in UTC. Without a zone the documents do not say what it is, so it is not compared there;
nor where the value cannot be read. The changes must be published, each under its own id.
"""

import datetime

import sns
from story import NULL, E, anything, memo, story

KNOWN = E("PermissionChargeable", "permission", action="NONE")
TOKYO = datetime.timezone(datetime.timedelta(hours=9))


def epoch(time_):
    return int(time_.timestamp())


FORMS = {
    "basic": ("20260102T030405Z", lambda t: t.strftime("%Y%m%dT%H%M%SZ"), True),
    "offset-zero": ("2026-01-02T03:04:05+00:00", lambda t: t.strftime("%Y-%m-%dT%H:%M:%S+00:00"), True),
    "offset-tokyo": ("2026-01-02T12:04:05+0900", lambda t: t.astimezone(TOKYO).strftime("%Y-%m-%dT%H:%M:%S%z"), True),
    "fraction": ("2026-01-02T03:04:05.000Z", lambda t: t.strftime("%Y-%m-%dT%H:%M:%S.000Z"), True),
    "epoch-seconds": ("1767323045", epoch, True),
    "epoch-milliseconds": ("1767323045000", lambda t: epoch(t) * 1000, True),
    "no-zone": ("2026-01-02T03:04:05", lambda t: t.strftime("%Y-%m-%dT%H:%M:%S"), False),
    "words": ("yesterday", lambda t: "yesterday", False),
    "null": ("null", lambda t: NULL, False),
}


def register(name, sample, write, compared):
    at = lambda moment: memo(moment) if compared else anything

    @story(
        f"time-{name}",
        f"lastUpdatedTimestamp is written as {sample}.",
        expect=[
            KNOWN,
            E("ChargeAuthorized", "charge", time=at("first")),
            E("ChargeCaptured", "charge", time=at("second")),
            E("RefundInitiated", "refund", time=at("third")),
        ],
    )
    def _(a):
        def now(moment):
            time_ = sns.utc_now().replace(microsecond=0)
            a.memo[moment] = sns.rfc3339_ms(time_)
            return time_

        a.known_permission()
        a.charge("Authorized", at=write(now("first")))
        a.ipn("charge")
        a.sees("ChargeAuthorized", "charge")
        a.change("charge", "Captured", at=write(now("second")))
        a.ipn("charge")
        a.sees("ChargeCaptured", "charge")
        a.refund("RefundInitiated", at=write(now("third")))
        a.ipn("refund")
        a.sees("RefundInitiated", "refund")


for form, (example, writer, is_compared) in FORMS.items():
    register(form, example, writer, is_compared)
