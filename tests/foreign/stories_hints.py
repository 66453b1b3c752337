"""Stories of ATTRIBUTE_CHANGE: a change of the payment method that may be invisible is never lost, and never published twice."""

import time

from acts import KNOWN, OTHER_CARD, ago, becomes, begins, hint, in_
from story import E, anything, compact, money, one_of, story, unavailable

RETRY = "RETRY_CHARGE"
INVISIBLE = E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"attribute_change"}, prev=anything)
UPDATED = E("PermissionUpdated", "permission", action="NONE", prev=anything)
BALANCE = {"amountLimit": money("100.00"), "amountBalance": money("90.00")}
SUSPENDED = E("PermissionNonChargeable", "permission", reasons=["PaymentMethodInvalid"])
BACK = [
    E("PermissionChargeable", "permission", action=RETRY),
    E("PaymentMethodUpdated", "permission", action="NONE", evidence={"became_chargeable"}, prev=anything),
]


@story(
    "hint-after-charge",
    "A charge moves the balance; a second later the buyer changes the card invisibly: both are published.",
    expect=[KNOWN, UPDATED, INVISIBLE],
)
def _(a):
    a.known_permission()
    becomes(a, None, "PermissionUpdated", limits=BALANCE)
    time.sleep(1)
    hint(a, "PaymentMethodUpdated")


@story(
    "balance-moves-after-hint",
    "The buyer changes the card invisibly; before that is confirmed, a charge moves the balance: both are published.",
    expect=[KNOWN, E("PermissionUpdated|PaymentMethodUpdated", "permission", prev=anything), E("PermissionUpdated|PaymentMethodUpdated", "permission", prev=anything)],
    once=RETRY,
)
def _(a):
    a.known_permission()
    a.change("permission")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.is_read("permission")
    becomes(a, None, "PermissionUpdated", limits=BALANCE)
    a.sees("PaymentMethodUpdated", "permission")


def in_progress(a):
    """The buyer changes the card invisibly, and the shop charges at once: the hint is read while the charge is under way."""
    a.change("permission", "NonChargeable", "ChargeInProgress")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees("PermissionNonChargeable", "permission")
    a.change("permission", "Chargeable")
    a.ipn("permission")
    a.sees("PermissionChargeable", "permission", count=2)
    a.sees("PaymentMethodUpdated", "permission")


IN_PROGRESS = E("PermissionNonChargeable", "permission", action="WAIT", reasons=["ChargeInProgress"])
EITHER = E("PermissionChargeable|PaymentMethodUpdated", "permission", prev=anything)


@story(
    "hint-then-charge-at-once",
    "The buyer changes the card, the shop charges at once, and the charge ends well: the hint is not swallowed.",
    expect=[KNOWN, IN_PROGRESS, EITHER, EITHER],
)
def _(a):
    a.known_permission("Recurring")
    in_progress(a)


@story(
    "decline-hint-charge-at-once",
    "A charge was declined; the buyer changes the card, and a new charge is under way when the hint is read: RETRY_CHARGE once.",
    expect=[KNOWN, E("ChargeDeclined", "charge", action="ASK_BUYER_TO_UPDATE_PAYMENT_METHOD"), IN_PROGRESS, EITHER, EITHER],
    once=RETRY,
)
def _(a):
    a.known_permission("Recurring")
    a.charge("Declined", "HardDeclined")
    begins(a, "charge", "ChargeDeclined")
    in_progress(a)


@story(
    "hint-behind-sixteen-in-outage",
    "While the API is down, a hint comes and then twenty other IPNs of the permission: the hint is published.",
    own=True,
    expect=[KNOWN, INVISIBLE],
)
def _(a):
    a.known_permission()
    a.fail(unavailable)
    a.change("permission")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    for _ in range(20):
        a.ipn("permission")
    a.fail(None)
    a.sees("PaymentMethodUpdated", "permission", within_s=40)


@story(
    "ipns-do-not-put-off",
    "After a hint an IPN of the permission comes every second: the confirming read is not put off.",
    expect=[KNOWN, INVISIBLE],
)
def _(a):
    a.known_permission()
    a.change("permission")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    for _ in range(12):
        time.sleep(1)
        a.ipn("permission")
    a.sees("PaymentMethodUpdated", "permission", within_s=0.1)


@story(
    "hints-do-not-put-off",
    "The buyer changes the card again and again, a hint each two seconds: the first event does not wait for the last hint.",
    expect=[KNOWN, INVISIBLE, *[E("PaymentMethodUpdated", "permission", optional=True, evidence={"attribute_change"}, prev=anything)] * 8],
)
def _(a):
    a.known_permission()
    for _ in range(6):
        a.change("permission")
        a.ipn("permission", "ATTRIBUTE_CHANGE")
        time.sleep(2)
    a.sees("PaymentMethodUpdated", "permission", within_s=0.1)
    a.is_read("permission")


@story(
    "hint-first-sight-suspended",
    "The first IPN of a suspended permission says that an attribute changed.",
    expect=[
        E("PermissionNonChargeable", "permission", action="OPEN_UPDATE_PAGE"),
        E("PaymentMethodUpdated", "permission", action="WAIT", evidence={"attribute_change"}, prev=anything, first=anything),
    ],
)
def _(a):
    a.permission(state="NonChargeable", reasons="PaymentMethodInvalid")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees("PaymentMethodUpdated", "permission")


@story(
    "hint-first-sight-old",
    "The first IPN of a permission that was last updated three days ago says that an attribute changed.",
    expect=[
        E("PermissionUpdated", "permission", first=True),
        E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"attribute_change"}, prev=anything, first=anything),
    ],
)
def _(a):
    a.permission("Recurring", at=compact(ago(days=3)))
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees("PaymentMethodUpdated", "permission")


ORDERS = {"state-first": ("STATE_CHANGE", "ATTRIBUTE_CHANGE"), "attribute-first": ("ATTRIBUTE_CHANGE", "STATE_CHANGE")}


def register_act(order, types, read_between):
    @story(
        f"one-act-{order}" + ("-read-between" if read_between else ""),
        f"The buyer of a suspended subscription updates the card invisibly: {types[0]}, a second later {types[1]}.",
        expect=[KNOWN, SUSPENDED, *BACK],
        once=RETRY,
    )
    def _(a):
        a.known_permission("Recurring")
        becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid")
        a.change("permission", "Chargeable")
        a.ipn("permission", types[0])
        if read_between:
            a.sees("PermissionChargeable", "permission", count=2)
        time.sleep(1)
        a.ipn("permission", types[1])
        a.sees("PaymentMethodUpdated", "permission")
        time.sleep(8)


for order, types in ORDERS.items():
    for read_between in (False, True):
        register_act(order, types, read_between)


@story(
    "one-act-in-two-steps",
    "A suspended wallet shows the new card first, and is Chargeable some seconds later.",
    expect=[
        KNOWN,
        SUSPENDED,
        E("PaymentMethodUpdated", "permission", action="WAIT", evidence={"descriptor_changed"}),
        E("PermissionChargeable", "permission", action=RETRY),
        E("PaymentMethodUpdated", "permission", action="NONE", evidence={"became_chargeable"}, prev=anything),
    ],
    once=RETRY,
)
def _(a):
    a.known_permission()
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid")
    hint(a, "PaymentMethodUpdated", paymentPreferences=OTHER_CARD)
    becomes(a, "Chargeable", "PermissionChargeable", count=2)
    a.sees("PaymentMethodUpdated", "permission", count=2)


@story(
    "one-act-chargeable",
    "The buyer of a chargeable wallet picks another card; Amazon sends both IPNs, a second apart: RETRY_CHARGE once.",
    expect=[KNOWN, E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"descriptor_changed"})],
    once=RETRY,
)
def _(a):
    a.known_permission()
    a.change("permission", paymentPreferences=OTHER_CARD)
    a.ipn("permission")
    a.sees("PaymentMethodUpdated", "permission")
    time.sleep(1)
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    time.sleep(8)


@story(
    "hint-explained-late",
    "A hint is read before the API shows the new card, which the confirming read finds: one event.",
    expect=[KNOWN, E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"descriptor_changed"})],
    once=RETRY,
)
def _(a):
    a.known_permission()
    a.change("permission", paymentPreferences=OTHER_CARD, lag_s=1.0)
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees("PaymentMethodUpdated", "permission")


@story(
    "recurring-metadata-explains-hint",
    "The shop changes the frequency of a subscription: that explains the hint.",
    expect=[KNOWN, UPDATED],
)
def _(a):
    a.known_permission("Recurring")
    hint(a, "PermissionUpdated", recurringMetadata={"frequency": {"unit": "Year", "value": "1"}, "amount": money("300.00")})
    time.sleep(6)


@story(
    "hint-and-closing",
    "An attribute changes, and the subscription is closed before that is read: nothing may wait for a closed permission.",
    expect=[
        KNOWN,
        E("PermissionClosed", "permission", action="REACH_OUT_BEFORE_NEXT_CYCLE"),
        E("PaymentMethodUpdated", "permission", optional=True, action=one_of("NONE"), prev=anything),
    ],
)
def _(a):
    a.known_permission("Recurring")
    a.change("permission", "Closed", "BuyerClosed")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.ipn("permission")
    a.sees("PermissionClosed", "permission")
    time.sleep(6)


@story(
    "details-not-returned",
    "Amazon no longer returns the buyer's details, and later returns them again: no change of the payment method.",
    expect=[KNOWN],
)
def _(a):
    a.known_permission()
    details = {k: a.things["permission"].object[k] for k in ("buyer", "shippingAddress", "billingAddress", "paymentPreferences")}
    for facts in (dict.fromkeys(details), details):
        a.change("permission", **facts)
        a.ipn("permission")
        a.is_read("permission")


@story(
    "hint-without-details",
    "The buyer changes the card, and Amazon no longer returns any details: the hint is published, nothing else.",
    expect=[KNOWN, INVISIBLE],
)
def _(a):
    a.known_permission("Recurring")
    hint(a, "PaymentMethodUpdated", buyer=None, billingAddress=None, shippingAddress=None, paymentPreferences=None)


@story(
    "two-hints-in-a-second",
    "Two hints come together, and the object shows nothing: one event for both.",
    expect=[KNOWN, INVISIBLE],
)
def _(a):
    a.known_permission()
    a.change("permission")
    for _ in range(2):
        a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees("PaymentMethodUpdated", "permission")
    time.sleep(6)


@story(
    "hint-for-a-limit",
    "An invisible change of the card comes with a limit that moved: the limit does not explain the hint.",
    expect=[KNOWN, *[E("PermissionUpdated|PaymentMethodUpdated", "permission", prev=anything)] * 2],
    once=RETRY,
)
def _(a):
    a.known_permission("Recurring", expirationTimestamp=in_(days=300))
    a.change("permission", limits={"amountLimit": money("200.00"), "amountBalance": money("200.00")})
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees("PermissionUpdated", "permission")
    a.sees("PaymentMethodUpdated", "permission")


@story(
    "hint-across-restart",
    "The receiver is restarted between a hint and its confirming read: published once.",
    world="restarted",
    expect=[KNOWN, INVISIBLE],
)
def _(a):
    a.known_permission()
    a.change("permission")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.restart_receiver()
    a.sees("PaymentMethodUpdated", "permission")


@story(
    "hint-late-in-backlog",
    "A hint waits in a backlog while a read of its permission, begun before it was consumed, ends: the hint is published.",
    world="backlog",
    own=True,
    expect=[KNOWN, INVISIBLE],
)
def _(a):
    a.known_permission()
    a.stop_worker()
    for _ in range(30):
        a.ipn("permission")
    a.change("permission")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.start_worker()
    a.sees("PaymentMethodUpdated", "permission", within_s=60)


@story(
    "hint-behind-sixteen-in-backlog",
    "A hint waits in a backlog before twenty other IPNs of its permission: the hint is published.",
    world="backlog",
    own=True,
    expect=[KNOWN, INVISIBLE],
)
def _(a):
    a.known_permission()
    a.stop_worker()
    a.change("permission")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    for _ in range(20):
        a.ipn("permission")
    a.start_worker()
    a.sees("PaymentMethodUpdated", "permission", within_s=60)
