"""Stories of charges: authorized, captured, declined, canceled; and what their advice must take into account."""

import datetime

import pay_api
import sns
from acts import KNOWN, next_state
from story import E, anything, compact, holding, money, other_than, story, unavailable

RETRY = "RETRY_CHARGE_AFTER_PERMISSION_CHECK"
NEW_CHECKOUT = "REENGAGE_BUYER_WITH_NEW_CHECKOUT"


def declined_at_once(a, type_, reason):
    a.known_permission(type_)
    a.charge("Declined", reason)
    a.ipn("charge")
    a.sees("ChargeDeclined", "charge")


@story(
    "wallet-soft-decline",
    "A pending charge of a saved wallet ends in a soft decline.",
    expect=[
        KNOWN,
        E("ChargeAuthorizationInitiated", "charge", action="WAIT", state="AuthorizationInitiated"),
        E("ChargeDeclined", "charge", action=RETRY, reasons=["SoftDeclined"], ptype="PaymentMethodOnFile", pstate="Chargeable", causes={"IPN"}),
    ],
)
def _(a):
    a.known_permission()
    a.charge("AuthorizationInitiated")
    a.ipn("charge")
    a.sees("ChargeAuthorizationInitiated", "charge")
    next_state(a, "charge", "Declined", "ChargeDeclined", "SoftDeclined")


@story(
    "wallet-hard-decline",
    "A charge of a saved wallet is declined hard, and its permission can no longer be charged.",
    expect=[
        KNOWN,
        E("ChargeDeclined", "charge", action="ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", reasons=["HardDeclined"], state="Declined"),
        E("PermissionNonChargeable", "permission", action="OPEN_UPDATE_PAGE", reasons=["PaymentMethodInvalid"], url=None),
    ],
)
def _(a):
    declined_at_once(a, "PaymentMethodOnFile", "HardDeclined")
    next_state(a, "permission", "NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid")


@story(
    "wallet-amazon-rejected",
    "Amazon rejects a charge of a saved wallet for its risk.",
    expect=[KNOWN, E("ChargeDeclined", "charge", action=NEW_CHECKOUT, reasons=["AmazonRejected"])],
)
def _(a):
    declined_at_once(a, "PaymentMethodOnFile", "AmazonRejected")


@story(
    "wallet-processing-failure",
    "A charge of a saved wallet fails inside Amazon.",
    expect=[KNOWN, E("ChargeDeclined", "charge", action=RETRY, reasons=["ProcessingFailure"])],
)
def _(a):
    declined_at_once(a, "PaymentMethodOnFile", "ProcessingFailure")


@story(
    "order-hard-decline",
    "The charge of an order is declined hard: an order has no page on which to update the payment method.",
    expect=[KNOWN, E("ChargeDeclined", "charge", action="ASK_FOR_OTHER_PAYMENT_METHOD", ptype="OneTime", url=None)],
)
def _(a):
    declined_at_once(a, "OneTime", "HardDeclined")


@story(
    "unknown-decline-reason",
    "Amazon declines a charge for a reason that no document names.",
    expect=[KNOWN, E("ChargeDeclined", "charge", action=NEW_CHECKOUT, reasons=["LunarEclipse"])],
)
def _(a):
    declined_at_once(a, "PaymentMethodOnFile", "LunarEclipse")


@story(
    "decline-without-reason",
    "Amazon declines a charge and gives no reason.",
    expect=[KNOWN, E("ChargeDeclined", "charge", action=NEW_CHECKOUT, reasons=[])],
)
def _(a):
    declined_at_once(a, "Recurring", None)


@story(
    "two-declines-in-a-second",
    "Two charges of one wallet are declined within the same second.",
    expect=[
        KNOWN,
        E("ChargeDeclined", "first", action=RETRY, reasons=["SoftDeclined"]),
        E("ChargeDeclined", "second", action=RETRY, reasons=["SoftDeclined"]),
    ],
)
def _(a):
    a.known_permission()
    at = compact(sns.utc_now())
    for name in ("first", "second"):
        a.charge("Declined", "SoftDeclined", name=name, at=at)
    for name in ("first", "second"):
        a.ipn(name)
    a.sees("ChargeDeclined", "first")
    a.sees("ChargeDeclined", "second")


@story(
    "soft-decline-of-closed-permission",
    "The buyer closes the subscription; then a soft decline of its last charge is read. A retry must not be advised.",
    expect=[
        KNOWN,
        E("PermissionClosed", "permission", action="REACH_OUT_BEFORE_NEXT_CYCLE"),
        E("ChargeDeclined", "charge", action=other_than(RETRY), pstate="Closed", reasons=["SoftDeclined"]),
    ],
)
def _(a):
    a.known_permission("Recurring")
    next_state(a, "permission", "Closed", "PermissionClosed", "BuyerClosed")
    a.charge("Declined", "SoftDeclined")
    a.ipn("charge")
    a.sees("ChargeDeclined", "charge")


@story(
    "order-captured",
    "The charge of an order is authorized and captured in the background, each state with its IPN.",
    expect=[
        KNOWN,
        E("ChargeAuthorizationInitiated", "charge", action="WAIT"),
        E("ChargeAuthorized", "charge", action="NONE"),
        E("ChargeCaptureInitiated", "charge", action="WAIT"),
        E("ChargeCaptured", "charge", action="NONE", ptype="OneTime", snapshot=holding(captureAmount=money("9.99"))),
    ],
)
def _(a):
    a.known_permission("OneTime")
    a.charge("AuthorizationInitiated", convertedAmount="9.99", conversionRate=1.5)
    a.ipn("charge")
    a.sees("ChargeAuthorizationInitiated", "charge")
    next_state(a, "charge", "Authorized", "ChargeAuthorized")
    next_state(a, "charge", "CaptureInitiated", "ChargeCaptureInitiated")
    next_state(a, "charge", "Captured", "ChargeCaptured", captureAmount=money("9.99"))


@story(
    "authorization-expired",
    "An authorization is not captured for 30 days, and lapses.",
    expect=[KNOWN, E("ChargeAuthorized", "charge"), E("ChargeCanceled", "charge", action=RETRY, reasons=["ExpiredUnused"])],
)
def _(a):
    a.known_permission("OneTime")
    a.charge("Authorized")
    a.ipn("charge")
    a.sees("ChargeAuthorized", "charge")
    next_state(a, "charge", "Canceled", "ChargeCanceled", "ExpiredUnused")


@story(
    "refunded-amount",
    "A captured charge shows a refunded amount; its state stays.",
    expect=[KNOWN, E("ChargeCaptured", "charge"), E("ChargeUpdated", "charge", action="NONE", state="Captured", snapshot=holding(refundedAmount=money("5.00")))],
)
def _(a):
    a.known_permission("OneTime")
    a.charge("Captured")
    a.ipn("charge")
    a.sees("ChargeCaptured", "charge")
    next_state(a, "charge", "Captured", "ChargeUpdated", refundedAmount=money("5.00"))


@story(
    "unknown-charge-state",
    "A charge is in a state that no document names.",
    expect=[KNOWN, E("ChargeStateUnrecognized", "charge", action="CONTACT_SUPPORT", state="OnHold")],
)
def _(a):
    a.known_permission()
    a.charge("OnHold")
    a.ipn("charge")
    a.sees("ChargeStateUnrecognized", "charge")


@story(
    "permission-read-for-charge",
    "The first IPN names a charge; its permission is unknown, and is read first.",
    expect=[
        E("PermissionChargeable", "permission", action="NONE", causes={"PARENT_READ"}),
        E("ChargeAuthorized", "charge", pstate="Chargeable", ptype="Recurring", causes={"IPN"}),
    ],
)
def _(a):
    a.permission("Recurring")
    a.charge("Authorized")
    a.ipn("charge")
    a.sees("ChargeAuthorized", "charge")


@story(
    "captured-in-outage",
    "The API is down while a charge is authorized and captured; what is read afterwards is published once.",
    own=True,
    expect=[KNOWN, E("ChargeCaptured", "charge", pstate="Chargeable", causes={"IPN"})],
)
def _(a):
    a.fail(unavailable)
    a.permission("OneTime")
    a.ipn("permission")
    a.charge("AuthorizationInitiated")
    a.ipn("charge")
    a.is_read("permission", status=503, times=2)
    a.change("charge", "Captured", captureAmount=money("9.99"))
    a.ipn("charge")
    a.fail(None)
    a.sees("ChargeCaptured", "charge")


@story(
    "old-capture-first-seen",
    "A charge that was captured three days ago is first seen today: an old change, published as ChargeUpdated.",
    expect=[KNOWN, E("ChargeUpdated", "charge", action="NONE", state="Captured", first=True, prev=None)],
)
def _(a):
    a.known_permission()
    a.charge("Captured", at=compact(sns.utc_now() - datetime.timedelta(days=3)))
    a.ipn("charge")
    a.sees("ChargeUpdated", "charge")


@story(
    "old-decline-first-seen",
    "A charge that was declined three days ago is first seen today: a decline is published as such however old.",
    expect=[KNOWN, E("ChargeDeclined", "charge", reasons=["HardDeclined"], first=True)],
)
def _(a):
    a.known_permission()
    a.charge("Declined", "HardDeclined", at=compact(sns.utc_now() - datetime.timedelta(days=3)))
    a.ipn("charge")
    a.sees("ChargeDeclined", "charge")


@story(
    "permission-endpoint-down",
    "Only the endpoint of permissions is down: a decline is published without the facts of its permission.",
    own=True,
    expect=[E("ChargeDeclined", "charge", ptype=None, action="ASK_FOR_OTHER_PAYMENT_METHOD", permission=anything)],
)
def _(a):
    a.fail(unavailable, "permission")
    a.permission()
    a.charge("Declined", "HardDeclined")
    a.ipn("charge")
    a.sees("ChargeDeclined", "charge", within_s=75)


@story(
    "permission-is-404",
    "The API has the charge but not its permission: a decline is published without the facts of its permission.",
    expect=[E("ChargeDeclined", "charge", ptype=None, action="ASK_FOR_OTHER_PAYMENT_METHOD")],
)
def _(a):
    a.permission(hidden=True)
    a.charge("Declined", "HardDeclined")
    a.ipn("charge")
    a.sees("ChargeDeclined", "charge", within_s=75)


@story(
    "api-throttles",
    "The API answers 429 with Retry-After three times.",
    own=True,
    expect=[KNOWN, E("ChargeAuthorized", "charge")],
)
def _(a):
    _fails_three_times(a, pay_api.throttled(1))


@story(
    "api-500-resource-not-found",
    "The API answers 500 with the code of a 404, as Japan's was seen to do: an outage, not a missing object.",
    own=True,
    expect=[KNOWN, E("ChargeAuthorized", "charge")],
)
def _(a):
    _fails_three_times(a, pay_api.internal_error_that_says_not_found())


@story(
    "api-refuses-key",
    "The API answers 401 for a while, as with a key that is not yet active: never a dead letter.",
    own=True,
    expect=[KNOWN, E("ChargeAuthorized", "charge")],
)
def _(a):
    _fails_three_times(a, (401, b'{"reasonCode":"UnauthorizedAccess","message":"no"}', 0, {}))


@story(
    "api-answers-html",
    "The API answers 200 with a page of HTML twice.",
    own=True,
    expect=[KNOWN, E("ChargeAuthorized", "charge")],
)
def _(a):
    _fails_three_times(a, pay_api.unreadable(), times=2)


@story(
    "api-is-slow",
    "The API takes four seconds to answer.",
    expect=[KNOWN, E("ChargeAuthorized", "charge")],
)
def _(a):
    a.known_permission()
    a.charge("Authorized")
    a.fail(pay_api.slow(4), name="charge")
    a.ipn("charge")
    a.sees("ChargeAuthorized", "charge")


def _fails_three_times(a, fault, times=3):
    a.known_permission()
    a.charge("Authorized")
    left = iter([fault] * times)
    a.fail(lambda: next(left, None), name="charge")
    a.ipn("charge")
    a.sees("ChargeAuthorized", "charge", within_s=75)
