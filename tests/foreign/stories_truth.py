"""Stories of answers that cannot be believed: old, undecodable, different at each read; and of what is known for long."""

import itertools
import time

import pay_api
from acts import CAPTURED, KNOWN, ago, becomes, begins, captured, next_state
from story import E, anything, compact, holding, money, story

READS_MAX = 20


def watch_reads(a, name):
    if a.reads(name) > READS_MAX:
        a.notes.append(f"the {name} was read {a.reads(name)} times")


@story(
    "undecodable-then-older",
    "Six answers cannot be decoded, the next one is older than what was published, and then comes the true one: nothing is new.",
    expect=[KNOWN, CAPTURED],
)
def _(a):
    captured(a)
    charge = a.things["charge"].object
    details = {**charge["statusDetails"], "state": "Authorized", "lastUpdatedTimestamp": compact(ago(hours=1))}
    older = (200, pay_api.as_json({**charge, "statusDetails": details}), 0, {})
    answers = iter([pay_api.unreadable()] * 6 + [older])
    a.fail(lambda: next(answers, None), name="charge")
    for _ in range(8):
        a.ipn("charge")
        a.is_read("charge")


@story(
    "older-answer-then-another-ipn",
    "An answer of a lagging replica is older than what was published; then another IPN comes, and the capture is shown.",
    expect=[KNOWN, E("ChargeAuthorized", "charge"), CAPTURED],
)
def _(a):
    a.known_permission()
    a.charge("Authorized")
    begins(a, "charge", "ChargeAuthorized")
    older = {**a.things["charge"].object}
    older["statusDetails"] = {**older["statusDetails"], "state": "AuthorizationInitiated", "lastUpdatedTimestamp": compact(ago(hours=1))}
    answers = iter([(200, pay_api.as_json(older), 0, {})])
    a.fail(lambda: next(answers, None), name="charge")
    a.change("charge", "Captured")
    a.ipn("charge")
    a.is_read("charge")
    a.ipn("charge")
    a.sees("ChargeCaptured", "charge")


def differs(id_, text, make, *, event, **fields):
    @story(
        f"differs-at-each-read-{id_}",
        f"{text} differs at each read: the reads end, and the next change of the state is published.",
        expect=[
            KNOWN,
            *[E(event, "permission", optional=True, prev=anything)] * READS_MAX,
            E("PermissionClosed", "permission", reasons=["BuyerClosed"]),
        ],
        **fields,
    )
    def _(a):
        a.known_permission("Recurring")
        numbers = itertools.count(1)
        a.answer("permission", lambda object_: make(object_, next(numbers)))
        a.ipn("permission")
        time.sleep(25)
        watch_reads(a, "permission")
        becomes(a, "Closed", "PermissionClosed", "BuyerClosed")
        time.sleep(5)
        watch_reads(a, "permission")


def moved_balance(object_, number):
    return {**object_, "limits": {"amountLimit": money("100.00"), "amountBalance": money(f"{99 - number}.00")}}


def other_address(object_, number):
    return {**object_, "billingAddress": {"addressLine1": f"Marker-Street {number}", "city": "Berlin"}}


def older_time(object_, number):
    details = {**object_["statusDetails"], "lastUpdatedTimestamp": compact(ago(hours=number))}
    return object_ if object_["statusDetails"]["state"] == "Closed" else {**object_, "statusDetails": details}


differs("balance", "The balance", moved_balance, event="PermissionUpdated|PermissionLimitNear")
differs("address", "The billing address", other_address, event="PaymentMethodUpdated")
differs("unknown-field", "A field that no document names", lambda o, n: {**o, "etag": f"v{n}"}, event="PermissionUpdated")
differs("time", "The time, which goes back by an hour,", older_time, event="PermissionUpdated")


@story(
    "refund-of-a-stub",
    "A charge was final for so long that only a stub of it is kept; then a refund shows: ChargeUpdated.",
    world="stubs",
    expect=[KNOWN, CAPTURED, E("ChargeUpdated", "charge", action="NONE", state="Captured", snapshot=holding(refundedAmount=money("5.00")))],
)
def _(a):
    captured(a)
    time.sleep(20)
    next_state(a, "charge", None, "ChargeUpdated", refundedAmount=money("5.00"))


@story(
    "replay-of-a-stub",
    "A charge was final for so long that only a stub of it is kept; its IPN comes again: nothing is new.",
    world="stubs",
    expect=[KNOWN, CAPTURED],
)
def _(a):
    captured(a)
    time.sleep(20)
    for _ in range(2):
        a.ipn("charge")
        a.is_read("charge")


@story(
    "refund-object-of-a-stub",
    "A charge was final for so long that only a stub of it is kept; its refund is declined: published with the permission's facts.",
    world="stubs",
    expect=[KNOWN, CAPTURED, E("RefundDeclined", "refund", ptype="OneTime", pstate="Chargeable", action="CONTACT_SUPPORT")],
)
def _(a):
    captured(a)
    time.sleep(20)
    a.refund("Declined", "AmazonRejected")
    begins(a, "refund", "RefundDeclined")


@story(
    "decline-after-a-stub",
    "A subscription was closed so long ago that only a stub of it is kept; a late decline must not advise to retry.",
    world="stubs",
    expect=[KNOWN, E("PermissionClosed", "permission"), E("ChargeDeclined", "charge", pstate="Closed")],
)
def _(a):
    a.known_permission("Recurring")
    becomes(a, "Closed", "PermissionClosed", "BuyerClosed")
    time.sleep(20)
    a.charge("Declined", "SoftDeclined")
    begins(a, "charge", "ChargeDeclined")


@story(
    "balance-is-no-missed-ipn",
    "A balance moves and no IPN says so: reconciliation publishes it, and does not count it as a missed IPN.",
    world="reconciling",
    own=True,
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission"),
        E("PermissionUpdated", "permission", causes={"RECONCILIATION"}),
    ],
)
def _(a):
    a.known_permission()
    becomes(a, "NonChargeable", "PermissionNonChargeable", "TransactionCountExceeded")
    a.change("permission", limits={"amountLimit": money("100.00"), "amountBalance": money("90.00")})
    a.sees("PermissionUpdated", "permission", within_s=60)
    missed = a.world.service.metric("ipn_receiver_missed_ipns_found_total", merchant=a.merchant)
    if missed:
        a.notes.append(f"a moved balance was counted as {missed:.0f} missed IPNs")
