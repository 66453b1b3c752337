"""Stories of a decline and of the closing of its permission, in both orders: advice is never older than what is known."""

from acts import KNOWN, TYPES, becomes, begins, declined
from story import E, anything, other_than, story

WAITING = ("ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", "ASK_FOR_OTHER_PAYMENT_METHOD", "OPEN_UPDATE_PAGE", "WAIT_FOR_NEXT_PERIOD", "WAIT")
CHECK = "RETRY_CHARGE_AFTER_PERMISSION_CHECK"
NEW_CHECKOUT = "REENGAGE_BUYER_WITH_NEW_CHECKOUT"
CLOSED = {"OneTime": NEW_CHECKOUT, "Recurring": "REACH_OUT_BEFORE_NEXT_CYCLE", "PaymentMethodOnFile": "OPEN_SETUP_PAGE"}
DECLINES = {"SoftDeclined": dict.fromkeys(TYPES, CHECK), "HardDeclined": dict.fromkeys(TYPES, WAITING[0]) | {"OneTime": WAITING[1]}}
SENSIBLE = other_than(CHECK, "RETRY_CHARGE", *WAITING)


def closed(type_):
    return E("PermissionClosed", "permission", action=CLOSED[type_], reasons=["BuyerClosed"])


def register(type_, reason):
    @story(
        f"closed-then-{reason}-{type_}",
        f"{type_}: the buyer closes the permission; then a charge that was declined before ({reason}) is read.",
        expect=[KNOWN, closed(type_), E("ChargeDeclined", "charge", pstate="Closed", action=SENSIBLE)],
    )
    def _(a):
        a.known_permission(type_)
        a.charge("Declined", reason)
        becomes(a, "Closed", "PermissionClosed", "BuyerClosed")
        begins(a, "charge", "ChargeDeclined")

    @story(
        f"{reason}-then-closed-{type_}",
        f"{type_}: a charge is declined ({reason}); then the buyer closes the permission.",
        expect=[KNOWN, E("ChargeDeclined", "charge", pstate="Chargeable", action=DECLINES[reason][type_]), closed(type_)],
    )
    def _(a):
        a.known_permission(type_)
        declined(a, reason)
        becomes(a, "Closed", "PermissionClosed", "BuyerClosed")


for type_ in TYPES:
    for reason in DECLINES:
        register(type_, reason)


@story(
    "closed-and-never-seen-before",
    "The first IPN names a declined charge; its permission is read for it, and is Closed.",
    expect=[
        E("PermissionClosed", "permission", action="REACH_OUT_BEFORE_NEXT_CYCLE", causes={"PARENT_READ"}),
        E("ChargeDeclined", "charge", pstate="Closed", action=SENSIBLE),
    ],
)
def _(a):
    a.permission("Recurring", state="Closed", reasons="BuyerClosed")
    a.charge("Declined", "SoftDeclined")
    begins(a, "charge", "ChargeDeclined")


@story(
    "authorization-expires-after-closing",
    "An authorization lapses after its order was closed: no new charge is possible.",
    expect=[
        KNOWN,
        E("ChargeAuthorized", "charge"),
        E("PermissionClosed", "permission", action=NEW_CHECKOUT),
        E("ChargeCanceled", "charge", reasons=["ExpiredUnused"], pstate="Closed", action=SENSIBLE),
    ],
)
def _(a):
    a.known_permission("OneTime")
    a.charge("Authorized")
    begins(a, "charge", "ChargeAuthorized")
    becomes(a, "Closed", "PermissionClosed", "Expired")
    a.change("charge", "Canceled", "ExpiredUnused")
    begins(a, "charge", "ChargeCanceled")


@story(
    "suspended-then-hard-decline",
    "The permission is read as suspended before the decline that suspended it: both ask for another payment method.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", action="OPEN_UPDATE_PAGE", reasons=["PaymentMethodInvalid"]),
        E("ChargeDeclined", "charge", action="ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", pstate="NonChargeable"),
    ],
)
def _(a):
    a.known_permission()
    a.charge("Declined", "HardDeclined")
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid")
    begins(a, "charge", "ChargeDeclined")


def backlog(first, second):
    @story(
        f"backlog-{first}-before-{second}",
        f"Behind fourteen reads wait the IPN of a {first} and that of a {second}: closed by the buyer, and a decline before it.",
        world="backlog",
        own=True,
        expect=[
            KNOWN,
            E("PermissionClosed", "permission", action="REACH_OUT_BEFORE_NEXT_CYCLE"),
            E("ChargeDeclined", "charge", reasons=["HardDeclined"]),
            *(E("ChargeCaptured", f"charge {number}") for number in range(14)),
        ],
    )
    def _(a):
        a.known_permission("Recurring")
        others = [f"charge {number}" for number in range(14)]
        for name in others:
            a.charge("Captured", name=name)
        a.stop_worker()
        for name in others:
            a.ipn(name)
        a.charge("Declined", "HardDeclined")
        a.change("permission", "Closed", "BuyerClosed")
        a.ipn(first)
        a.ipn(second)
        a.start_worker()
        a.sees("ChargeDeclined", "charge", within_s=60)
        a.sees("PermissionClosed", "permission", within_s=60)
        for name in others:
            a.sees("ChargeCaptured", name, within_s=60)


backlog("permission", "charge")
backlog("charge", "permission")


@story(
    "backlog-repaired-card",
    "Behind a backlog wait a decline and both IPNs of the buyer's new card: RETRY_CHARGE once, and never 'wait' after it.",
    world="backlog",
    own=True,
    expect=[
        KNOWN,
        E("ChargeDeclined", "charge"),
        E("PaymentMethodUpdated", "permission", evidence={"descriptor_changed"}, action="RETRY_CHARGE"),
        *(E("ChargeCaptured", f"charge {number}", pstate=anything) for number in range(6)),
    ],
    once="RETRY_CHARGE",
)
def _(a):
    a.known_permission("Recurring")
    others = [f"charge {number}" for number in range(6)]
    for name in others:
        a.charge("Captured", name=name)
    a.stop_worker()
    for name in others:
        a.ipn(name)
    a.charge("Declined", "HardDeclined")
    a.ipn("charge")
    a.change("permission", paymentPreferences=[{"paymentDescriptor": "Mastercard ****2222 (Amazon Pay)"}])
    a.ipn("permission")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.start_worker()
    a.sees("ChargeDeclined", "charge", within_s=60)
    a.sees("PaymentMethodUpdated", "permission", within_s=60)
    for name in others:
        a.sees("ChargeCaptured", name, within_s=60)
