"""Stories of changes that Amazon's times do not tell apart: each is published once, under an id of its own.

That no id appears twice is compared over all stories, see `rules.py`.
"""

import sns
from acts import CAPTURED, KNOWN, becomes, begins, captured, hint, next_state
from story import KEEP, E, anything, holding, money, story

RETRY = "RETRY_CHARGE"
SUSPENDED = ("NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid")


def cycle(number):
    """What is published of a permission that loses and regains its payment method, for the so many-th time."""
    return [
        E("PermissionNonChargeable", "permission", reasons=["PaymentMethodInvalid"]),
        E("PermissionChargeable", "permission", action=RETRY),
        E("PaymentMethodUpdated", "permission", action="NONE", evidence={"became_chargeable"}, prev=anything),
    ] * number


def lose_and_regain(a, number, at):
    for count in range(1, number + 1):
        becomes(a, *SUSPENDED, count=count, at=at)
        becomes(a, "Chargeable", "PermissionChargeable", count=count + 1, at=at)
        a.sees("PaymentMethodUpdated", "permission", count=count)


@story(
    "bare-permission-alternates",
    "A permission has no field but those of its state, and a time with an offset that stands still.",
    expect=[E("PermissionChargeable", "permission", ptype=None), *cycle(2)],
)
def _(a):
    a.permission(at=sns.utc_now().strftime("%Y-%m-%dT%H:%M:%S+00:00"))
    a.strip("permission", "chargePermissionId", "statusDetails", "creationTimestamp")
    a.change("permission", "Chargeable", at=KEEP, creationTimestamp="20260901T000000Z")
    begins(a, "permission", "PermissionChargeable")
    lose_and_regain(a, 2, KEEP)


@story(
    "time-is-absent",
    "A permission loses and regains its payment method twice, and its answers have no lastUpdatedTimestamp at all.",
    expect=[E("PermissionChargeable", "permission", time=None), *cycle(2)],
)
def _(a):
    a.permission()
    del a.things["permission"].object["statusDetails"]["lastUpdatedTimestamp"]
    a.change("permission", at=KEEP)
    begins(a, "permission", "PermissionChargeable")
    lose_and_regain(a, 2, KEEP)


@story(
    "time-comes-and-goes",
    "The time of a permission can be read, then not, then again; it never moves.",
    expect=[KNOWN, *cycle(2)],
)
def _(a):
    a.known_permission()
    time = a.things["permission"].object["statusDetails"]["lastUpdatedTimestamp"]
    for count in (1, 2):
        becomes(a, *SUSPENDED, count=count, at="yesterday")
        becomes(a, "Chargeable", "PermissionChargeable", count=count + 1, at=time)
        a.sees("PaymentMethodUpdated", "permission", count=count)


@story(
    "reasons-swap-twice",
    "Amazon lists the same two reasons as [a, b], [b, a] and [a, b], at one time: nothing changed.",
    expect=[KNOWN, E("PermissionNonChargeable", "permission", action="OPEN_UPDATE_PAGE")],
)
def _(a):
    a.known_permission()
    reasons = ["MFAFailed", "PaymentMethodExpired"]
    becomes(a, "NonChargeable", "PermissionNonChargeable", reasons)
    for again in (reasons[::-1], reasons):
        a.change("permission", "NonChargeable", again, at=KEEP)
        a.ipn("permission")
        a.is_read("permission")


@story(
    "reason-added-and-removed",
    "A second reason comes and goes within one second: three sets of reasons, three events.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", reasons=["PaymentMethodExpired"]),
        E("PermissionNonChargeable", "permission"),
        E("PermissionNonChargeable", "permission", reasons=["PaymentMethodExpired"]),
    ],
)
def _(a):
    a.known_permission("Recurring")
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodExpired")
    becomes(a, "NonChargeable", "PermissionNonChargeable", ("PaymentMethodExpired", "MFAFailed"), count=2, at=KEEP)
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodExpired", count=3, at=KEEP)


@story(
    "refunded-amount-returns",
    "The refunded amount of a charge goes from 5 to 7 and back to 5, at one time.",
    expect=[KNOWN, CAPTURED, *(E("ChargeUpdated", "charge", snapshot=holding(refundedAmount=money(m))) for m in ("5.00", "7.00", "5.00"))],
)
def _(a):
    captured(a)
    for count, amount in enumerate(("5.00", "7.00", "5.00"), 1):
        next_state(a, "charge", None, "ChargeUpdated", count=count, at=KEEP, refundedAmount=money(amount))


@story(
    "card-returns",
    "The buyer changes the card, and back to the first one, at one time: three events.",
    expect=[
        KNOWN,
        *(E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"descriptor_changed"}) for _ in range(3)),
    ],
)
def _(a):
    a.known_permission()
    for count, card in enumerate(("2222", "1111", "2222"), 1):
        other = [{"paymentDescriptor": f"Visa ****{card} (Amazon Pay)"}]
        hint(a, "PaymentMethodUpdated", count=count, at=KEEP, paymentPreferences=other)


@story(
    "dispute-to-and-fro",
    "A dispute is under review, waits for the shop, and is under review again, within one second.",
    expect=[
        KNOWN,
        CAPTURED,
        E("DisputeUnderReview", "dispute", action="WAIT"),
        E("DisputeActionRequired", "dispute", action="RESPOND_TO_DISPUTE"),
        E("DisputeUnderReview", "dispute", action="WAIT"),
        E("DisputeActionRequired", "dispute", action="RESPOND_TO_DISPUTE"),
    ],
)
def _(a):
    captured(a)
    a.dispute("UnderReview")
    begins(a, "dispute", "DisputeUnderReview")
    next_state(a, "dispute", "ActionRequired", "DisputeActionRequired", "MerchantResponseRequired", at=KEEP)
    next_state(a, "dispute", "UnderReview", "DisputeUnderReview", count=2, at=KEEP)
    next_state(a, "dispute", "ActionRequired", "DisputeActionRequired", "MerchantResponseRequired", count=2, at=KEEP)


@story(
    "deadline-returns",
    "The deadline of a dispute is moved and moved back, at one time.",
    expect=[
        KNOWN,
        CAPTURED,
        *(E("DisputeActionRequired", "dispute", deadline=f"203001{day}T000000Z") for day in (12, 19, 12)),
    ],
)
def _(a):
    captured(a)
    a.dispute("ActionRequired", "MerchantResponseRequired")
    begins(a, "dispute", "DisputeActionRequired")
    for count, day in ((2, 19), (3, 12)):
        next_state(a, "dispute", None, "DisputeActionRequired", count=count, at=KEEP, merchantResponseDeadline=f"203001{day}T000000Z")


@story(
    "refund-time-stands-still",
    "A refund is under way, declined, and under way again after all, and its time stands still.",
    expect=[KNOWN, CAPTURED, E("RefundInitiated", "refund"), E("RefundDeclined", "refund"), E("RefundInitiated", "refund"), E("RefundCompleted", "refund")],
)
def _(a):
    captured(a)
    a.refund("RefundInitiated")
    begins(a, "refund", "RefundInitiated")
    next_state(a, "refund", "Declined", "RefundDeclined", "ProcessingFailure", at=KEEP)
    next_state(a, "refund", "RefundInitiated", "RefundInitiated", count=2, at=KEEP)
    next_state(a, "refund", "Refunded", "RefundCompleted", at=KEEP)
