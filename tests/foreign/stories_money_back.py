"""Stories of refunds and disputes, with and without the charge that they belong to."""

from acts import CAPTURED, KNOWN, begins, captured, next_state
from story import E, anything, holding, not_found, of, story, unavailable


@story(
    "refund-completed",
    "The shop refunds a charge, and the buyer has the money back.",
    expect=[
        KNOWN,
        CAPTURED,
        E("RefundInitiated", "refund", action="WAIT", permission=of("permission"), ptype="OneTime", pstate="Chargeable", snapshot=holding(refundAmount={"amount": "9.99", "currencyCode": "EUR"})),
        E("RefundCompleted", "refund", action="NONE", state="Refunded", permission=of("permission")),
    ],
)
def _(a):
    captured(a)
    a.refund("RefundInitiated")
    begins(a, "refund", "RefundInitiated")
    next_state(a, "refund", "Refunded", "RefundCompleted")


@story(
    "refund-declined",
    "Amazon declines a refund, because the seller's balance is negative.",
    expect=[
        KNOWN,
        CAPTURED,
        E("RefundInitiated", "refund"),
        E("RefundDeclined", "refund", action="CONTACT_SUPPORT", reasons=["AmazonRejected"]),
    ],
)
def _(a):
    captured(a)
    a.refund("RefundInitiated")
    begins(a, "refund", "RefundInitiated")
    next_state(a, "refund", "Declined", "RefundDeclined", "AmazonRejected")


@story(
    "unknown-refund-state",
    "A refund is in a state that no document names.",
    expect=[KNOWN, CAPTURED, E("RefundStateUnrecognized", "refund", action="CONTACT_SUPPORT", state="Held")],
)
def _(a):
    captured(a)
    a.refund("Held")
    begins(a, "refund", "RefundStateUnrecognized")


@story(
    "refund-reads-its-charge",
    "The first IPN of all names a refund: its charge and permission are read for it, and published too.",
    expect=[
        E("PermissionChargeable", "permission", causes={"PARENT_READ"}),
        E("ChargeCaptured", "charge", causes={"PARENT_READ"}),
        E("RefundInitiated", "refund", permission=of("permission"), ptype="Recurring", causes={"IPN"}),
    ],
)
def _(a):
    a.permission("Recurring")
    a.charge("Captured")
    a.refund("RefundInitiated")
    begins(a, "refund", "RefundInitiated")
    a.sees("ChargeCaptured", "charge")
    a.sees("PermissionChargeable", "permission")


@story(
    "refund-whose-charge-is-404",
    "The API has neither the charge of a refund nor its permission: the refund is published under the IPN's permission.",
    expect=[E("RefundInitiated", "refund", permission=of("permission"), ptype=None, action="WAIT")],
)
def _(a):
    a.permission(hidden=True)
    a.charge("Captured", hidden=True)
    a.refund("RefundInitiated")
    begins(a, "refund", "RefundInitiated", within_s=75)


@story(
    "refund-while-charges-are-down",
    "Only the endpoint of charges is down: a declined refund is published under the IPN's permission.",
    own=True,
    expect=[KNOWN, E("RefundDeclined", "refund", permission=of("permission"), ptype=anything, action="CONTACT_SUPPORT")],
)
def _(a):
    a.known_permission()
    a.fail(unavailable, "charge")
    a.charge("Captured")
    a.refund("Declined", "ProcessingFailure")
    begins(a, "refund", "RefundDeclined", within_s=75)


@story(
    "dispute-won",
    "A buyer disputes a charge; the shop must answer, Amazon looks into it, and the merchant wins.",
    expect=[
        KNOWN,
        CAPTURED,
        E("DisputeActionRequired", "dispute", action="RESPOND_TO_DISPUTE", reasons=["MerchantResponseRequired"], deadline="20300112T000000Z", permission=of("permission"), ptype="PaymentMethodOnFile"),
        E("DisputeUnderReview", "dispute", action="WAIT", deadline=None),
        E("DisputeResolved", "dispute", action="NONE", reasons=["InvestigatorResolved"], snapshot=holding(resolution="MerchantWon")),
    ],
)
def _(a):
    captured(a, "PaymentMethodOnFile")
    a.dispute("ActionRequired", "MerchantResponseRequired")
    begins(a, "dispute", "DisputeActionRequired")
    next_state(a, "dispute", "UnderReview", "DisputeUnderReview")
    next_state(a, "dispute", "Resolved", "DisputeResolved", "InvestigatorResolved", resolution="MerchantWon")


@story(
    "dispute-closed",
    "The shop accepts a dispute, and it is closed.",
    expect=[
        KNOWN,
        CAPTURED,
        E("DisputeActionRequired", "dispute", action="RESPOND_TO_DISPUTE"),
        E("DisputeClosed", "dispute", action="NONE", reasons=["MerchantAcceptedDispute"]),
    ],
)
def _(a):
    captured(a)
    a.dispute("ActionRequired", "MerchantResponseRequired")
    begins(a, "dispute", "DisputeActionRequired")
    next_state(a, "dispute", "Closed", "DisputeClosed", "MerchantAcceptedDispute", resolution="BuyerWon")


@story(
    "dispute-deadline-moved",
    "Amazon moves the deadline of a dispute that waits for the shop: published again, with the new deadline.",
    expect=[
        KNOWN,
        CAPTURED,
        E("DisputeActionRequired", "dispute", deadline="20300112T000000Z"),
        E("DisputeActionRequired", "dispute", action="RESPOND_TO_DISPUTE", deadline="20300119T000000Z"),
    ],
)
def _(a):
    captured(a)
    a.dispute("ActionRequired", "MerchantResponseRequired")
    begins(a, "dispute", "DisputeActionRequired")
    a.change("dispute", merchantResponseDeadline="20300119T000000Z")
    a.ipn("dispute")
    a.sees("DisputeActionRequired", "dispute", count=2)


@story(
    "unknown-dispute-state",
    "A dispute is in a state that no document names.",
    expect=[KNOWN, CAPTURED, E("DisputeStateUnrecognized", "dispute", action="CONTACT_SUPPORT", state="InArbitration")],
)
def _(a):
    captured(a)
    a.dispute("InArbitration")
    begins(a, "dispute", "DisputeStateUnrecognized")


@story(
    "dispute-whose-charge-is-404",
    "The API has neither the charge of a dispute nor its permission: the deadline runs, so the dispute is published.",
    expect=[E("DisputeActionRequired", "dispute", permission=of("permission"), ptype=None, action="RESPOND_TO_DISPUTE", deadline="20300112T000000Z")],
)
def _(a):
    a.permission(hidden=True)
    a.charge("Captured", hidden=True)
    a.dispute("ActionRequired", "MerchantResponseRequired")
    begins(a, "dispute", "DisputeActionRequired", within_s=75)


@story(
    "dispute-of-purged-charge",
    "The charge of a dispute is 404 while its permission can be read: published under the IPN's permission.",
    expect=[KNOWN, E("DisputeActionRequired", "dispute", permission=of("permission"), ptype=anything, action="RESPOND_TO_DISPUTE")],
)
def _(a):
    a.known_permission()
    a.charge("Captured")
    a.fail(not_found, name="charge")
    a.dispute("ActionRequired", "MerchantResponseRequired")
    begins(a, "dispute", "DisputeActionRequired", within_s=75)
