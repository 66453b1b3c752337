"""Stories of what happened days ago and is found only now. The merchant has been in the receiver's charge for ten days.

What happened since then is published under its own type, as late; what is older is an old state.
"""

from acts import KNOWN, ago, begins
from story import E, anything, compact, story

CHARGES = {
    "AuthorizationInitiated": ("ChargeAuthorizationInitiated", None, "WAIT"),
    "Authorized": ("ChargeAuthorized", None, "NONE"),
    "Captured": ("ChargeCaptured", None, "NONE"),
    "Canceled": ("ChargeCanceled", "AmazonCanceled", "REENGAGE_BUYER_WITH_NEW_CHECKOUT"),
    "Declined": ("ChargeDeclined", "AmazonRejected", "REENGAGE_BUYER_WITH_NEW_CHECKOUT"),
}
PERMISSIONS = {
    "Chargeable": ("PermissionChargeable", (), "NONE"),
    "NonChargeable": ("PermissionNonChargeable", "PaymentMethodInvalid", "OPEN_UPDATE_PAGE"),
    "Closed": ("PermissionClosed", "BuyerClosed", "OPEN_SETUP_PAGE"),
}


def at(days):
    return compact(ago(days=days))


def register_charge(state, event, reason, action):
    @story(
        f"found-late-{event}",
        f"A charge was {state} three days ago, and is first seen today.",
        world="returning",
            expect=[KNOWN, E(event, "charge", late=True, action=action, first=True)],
    )
    def _(a):
        a.known_permission()
        a.charge(state, reason, at=at(3))
        begins(a, "charge", event)


def register_permission(state, event, reasons, action):
    @story(
        f"found-late-{event}",
        f"A permission was {state} three days ago, and is first seen today.",
        world="returning",
            expect=[E(event, "permission", late=True, action=action, first=True)],
    )
    def _(a):
        a.permission(state=state, reasons=reasons, at=at(3))
        begins(a, "permission", event)


for state, fields in CHARGES.items():
    register_charge(state, *fields)
for state, fields in PERMISSIONS.items():
    register_permission(state, *fields)


@story(
    "captured-before-our-charge",
    "A charge was captured twenty days ago, before the merchant was in our charge.",
    world="returning",
    expect=[KNOWN, E("ChargeUpdated", "charge", state="Captured", action="NONE", first=True)],
)
def _(a):
    a.known_permission()
    a.charge("Captured", at=at(20))
    begins(a, "charge", "ChargeUpdated")


@story(
    "captured-in-time",
    "A charge is captured now: not late.",
    world="returning",
    expect=[KNOWN, E("ChargeCaptured", "charge", late=None)],
)
def _(a):
    a.known_permission()
    a.charge("Captured")
    begins(a, "charge", "ChargeCaptured")


@story(
    "captured-late-after-authorized-late",
    "A charge was authorized four days ago and captured three days ago; both are found today, one after the other.",
    world="returning",
    expect=[KNOWN, E("ChargeAuthorized", "charge", late=True), E("ChargeCaptured", "charge", late=True)],
)
def _(a):
    a.known_permission()
    a.charge("Authorized", at=at(4))
    begins(a, "charge", "ChargeAuthorized")
    a.change("charge", "Captured", at=at(3))
    begins(a, "charge", "ChargeCaptured", within_s=60)


@story(
    "captured-at-an-unknown-time",
    "A charge that is first seen has no time that can be read: neither late nor old.",
    world="returning",
    expect=[KNOWN, E("ChargeCaptured", "charge", late=None, time=None)],
)
def _(a):
    a.known_permission()
    a.charge("Captured", at="yesterday", creationTimestamp=at(9))
    begins(a, "charge", "ChargeCaptured")


@story(
    "money-back-found-late",
    "A refund was declined and a dispute was opened three days ago; both are first seen today.",
    world="returning",
    expect=[
        KNOWN,
        E("ChargeCaptured", "charge"),
        E("RefundDeclined", "refund", late=True, action="CONTACT_SUPPORT"),
        E("DisputeActionRequired", "dispute", late=True, action="RESPOND_TO_DISPUTE", permission=anything),
    ],
)
def _(a):
    a.known_permission()
    a.charge("Captured")
    begins(a, "charge", "ChargeCaptured")
    a.refund("Declined", "AmazonRejected", at=at(3))
    begins(a, "refund", "RefundDeclined")
    a.dispute("ActionRequired", "MerchantResponseRequired", at=at(3))
    begins(a, "dispute", "DisputeActionRequired")
