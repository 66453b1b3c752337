"""Stories of times and other values in every form that Amazon was seen to use, and in forms that cannot be read.

`time` of an event is lastUpdatedTimestamp in UTC; without a zone it is UTC. Where it cannot be read, the event has no `time`: no
other field of the object, such as its creation, replaces it. The changes must be published, each under its own id.
"""

import datetime

import sns
from story import NULL, E, holding, memo, story

KNOWN = E("PermissionChargeable", "permission", action="NONE")
ABSENT = "absent"
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
    "no-zone": ("2026-01-02T03:04:05", lambda t: t.strftime("%Y-%m-%dT%H:%M:%S"), None),
    "words": ("yesterday", lambda t: "yesterday", ABSENT),
    "null": ("null", lambda t: NULL, ABSENT),
}


def register(name, sample, write, check):
    def at(moment):
        return None if check is ABSENT else memo(moment)

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
            time_ = sns.utc_now().replace(microsecond=250_000 if name == "fraction" else 0)
            a.memo[moment] = sns.rfc3339_ms(time_)
            return time_

        a.known_permission()
        a.charge("Authorized", at=write(now("first")), creationTimestamp="20261101T000000Z")
        a.ipn("charge")
        a.sees("ChargeAuthorized", "charge")
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


PRICE = {"amount": 14.1, "currencyCode": "EUR"}
DEADLINE = 1894406400  # 2030-01-12T00:00:00Z


@story(
    "values-deadline-as-epoch",
    "Amounts of a charge and a dispute are numbers, and the deadline is a number of seconds: all are published as documented.",
    expect=[
        KNOWN,
        E("ChargeCaptured", "charge", snapshot=holding(captureAmount={"amount": "14.1", "currencyCode": "EUR"}, conversionRate="1.25")),
        E("DisputeActionRequired", "dispute", action="RESPOND_TO_DISPUTE", deadline="20300112T000000Z", snapshot=holding(disputeAmount={"amount": "14.1", "currencyCode": "EUR"})),
    ],
)
def _(a):
    a.known_permission()
    a.charge("Captured", captureAmount=PRICE, conversionRate=1.25)
    a.ipn("charge")
    a.sees("ChargeCaptured", "charge")
    a.dispute("ActionRequired", "MerchantResponseRequired", disputeAmount=PRICE, merchantResponseDeadline=DEADLINE)
    a.ipn("dispute")
    a.sees("DisputeActionRequired", "dispute")


@story(
    "values-reasons-as-text",
    "The reasons of a permission are a list of texts, then an object with the code as its key: no code is lost.",
    expect=[
        E("PermissionNonChargeable", "permission", action="ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", reasons=["PaymentMethodInvalid"]),
        E("PermissionNonChargeable", "permission", action="ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", reasons=["PaymentMethodExpired"]),
    ],
)
def _(a):
    for count, reasons in ((1, ["PaymentMethodInvalid"]), (2, {"PaymentMethodExpired": "Why."})):
        now = sns.rfc3339_ms(sns.utc_now())
        details = {"state": "NonChargeable", "reasons": reasons}
        if count == 1:
            a.permission("Recurring", statusDetails=details, state=None, at=now)
        else:
            a.change("permission", statusDetails=details, at=now)
        a.ipn("permission")
        a.sees("PermissionNonChargeable", "permission", count=count)


@story(
    "values-prose-states",
    "States are the words of Amazon's guides: Pending and Completed of a charge, Completed of a refund.",
    expect=[
        KNOWN,
        E("ChargeAuthorizationInitiated", "charge", state="AuthorizationInitiated"),
        E("ChargeCaptured", "charge", state="Captured"),
        E("RefundCompleted", "refund", state="Refunded"),
    ],
)
def _(a):
    a.known_permission()
    a.charge("Pending")
    a.ipn("charge")
    a.sees("ChargeAuthorizationInitiated", "charge")
    a.change("charge", "Completed")
    a.ipn("charge")
    a.sees("ChargeCaptured", "charge")
    a.refund("Completed")
    a.ipn("refund")
    a.sees("RefundCompleted", "refund")
