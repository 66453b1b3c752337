"""Stories of charge permissions: chargeable or not, closed, and payment methods that change."""

import datetime

import sns
from acts import KNOWN, OTHER_CARD, becomes, hint
from story import KEEP, E, anything, beginning, compact, holding, money, story

NEW_CHECKOUT = "REENGAGE_BUYER_WITH_NEW_CHECKOUT"
RETRY = "RETRY_CHARGE"


@story(
    "subscription-suspended-and-back",
    "The card of a subscription expires, and the buyer updates it.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", action="ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", reasons=["PaymentMethodExpired"], ptype="Recurring"),
        E("PermissionChargeable", "permission", action=RETRY, reasons=[]),
        E("PaymentMethodUpdated", "permission", action="NONE", evidence={"became_chargeable"}, prev=anything),
    ],
)
def _(a):
    a.known_permission("Recurring")
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodExpired")
    becomes(a, "Chargeable", "PermissionChargeable", count=2)
    a.sees("PaymentMethodUpdated", "permission")


@story(
    "update-page-of-subscription",
    "The advice for a subscription whose card was deleted names a page of Amazon's.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", action="ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", url=beginning("https://")),
    ],
)
def _(a):
    a.known_permission("Recurring")
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodDeleted")


@story(
    "charge-in-progress",
    "A permission is not chargeable while a charge is under way, and then is again: nothing to do, and no payment method changed.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", action="WAIT", reasons=["ChargeInProgress"]),
        E("PermissionChargeable", "permission", action="NONE"),
    ],
)
def _(a):
    a.known_permission()
    becomes(a, "NonChargeable", "PermissionNonChargeable", "ChargeInProgress")
    becomes(a, "Chargeable", "PermissionChargeable", count=2)


@story(
    "reason-changes",
    "A charge in progress ends with a card that is no longer valid: the permission stays NonChargeable for another reason.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", action="WAIT", reasons=["ChargeInProgress"]),
        E("PermissionNonChargeable", "permission", action="OPEN_UPDATE_PAGE", reasons=["PaymentMethodInvalid"]),
    ],
)
def _(a):
    a.known_permission()
    becomes(a, "NonChargeable", "PermissionNonChargeable", "ChargeInProgress")
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid", count=2)


@story(
    "reasons-in-another-order",
    "Amazon lists the same two reasons in another order in its next answer: nothing changed.",
    expect=[KNOWN, E("PermissionNonChargeable", "permission", action="OPEN_UPDATE_PAGE")],
)
def _(a):
    a.known_permission()
    becomes(a, "NonChargeable", "PermissionNonChargeable", ("MFAFailed", "PaymentMethodExpired"))
    a.change("permission", "NonChargeable", ("PaymentMethodExpired", "MFAFailed"), at=KEEP)
    a.ipn("permission")
    a.is_read("permission")


@story(
    "closed-by-buyer",
    "The buyer cancels a subscription at Amazon.",
    expect=[KNOWN, E("PermissionClosed", "permission", action="REACH_OUT_BEFORE_NEXT_CYCLE", reasons=["BuyerClosed"])],
)
def _(a):
    a.known_permission("Recurring")
    becomes(a, "Closed", "PermissionClosed", "BuyerClosed")


@story(
    "closed-by-merchant",
    "The shop closes a subscription itself.",
    expect=[KNOWN, E("PermissionClosed", "permission", action="NONE", reasons=["MerchantClosed"])],
)
def _(a):
    a.known_permission("Recurring")
    becomes(a, "Closed", "PermissionClosed", "MerchantClosed")


@story(
    "wallet-closed-by-amazon",
    "Amazon closes a saved wallet.",
    expect=[KNOWN, E("PermissionClosed", "permission", action="OPEN_SETUP_PAGE", reasons=["AmazonClosed"])],
)
def _(a):
    a.known_permission()
    becomes(a, "Closed", "PermissionClosed", "AmazonClosed")


@story(
    "order-used-up",
    "Amazon closes an order whose whole amount was captured: nothing is to be done.",
    expect=[KNOWN, E("PermissionClosed", "permission", action="NONE", reasons=["AmazonClosed"])],
)
def _(a):
    a.known_permission("OneTime")
    limits = {"amountLimit": money("100.00"), "amountBalance": money("0.00")}
    becomes(a, "Closed", "PermissionClosed", "AmazonClosed", limits=limits)


@story(
    "expiring-subscription",
    "A subscription reaches its expirationTimestamp, and Amazon closes it.",
    expect=[
        KNOWN,
        E("PermissionExpiring", "permission", optional=True),
        E("PermissionClosed", "permission", action=NEW_CHECKOUT, reasons=["Expired"], prev="Chargeable"),
    ],
)
def _(a):
    a.known_permission("Recurring", expirationTimestamp=compact(sns.utc_now() + datetime.timedelta(seconds=2)))
    becomes(a, "Closed", "PermissionClosed", "Expired")


@story(
    "old-closing-first-seen",
    "A permission that was closed three days ago is first seen today: published as PermissionClosed however old.",
    expect=[E("PermissionClosed", "permission", action="REACH_OUT_BEFORE_NEXT_CYCLE", first=True)],
)
def _(a):
    a.permission("Recurring", state="Closed", reasons="BuyerClosed", at=compact(sns.utc_now() - datetime.timedelta(days=3)))
    a.ipn("permission")
    a.sees("PermissionClosed", "permission")


@story(
    "unknown-permission-words",
    "A permission of an unknown type is in an unknown state: both words are passed on.",
    expect=[E("PermissionStateUnrecognized", "permission", action="CONTACT_SUPPORT", state="Dormant", ptype="Lease")],
)
def _(a):
    a.permission("Lease", state="Dormant", somethingNew={"a": [1, None, "x"]})
    a.ipn("permission")
    a.sees("PermissionStateUnrecognized", "permission")


@story(
    "same-second-four-changes",
    "A permission loses and regains its payment method twice, and Amazon repeats one lastUpdatedTimestamp: no change is lost.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", reasons=["PaymentMethodInvalid"]),
        E("PermissionChargeable", "permission", action=RETRY),
        E("PaymentMethodUpdated", "permission", evidence={"became_chargeable"}, prev=anything),
        E("PermissionNonChargeable", "permission", reasons=["PaymentMethodInvalid"]),
        E("PermissionChargeable", "permission", action=RETRY),
        E("PaymentMethodUpdated", "permission", evidence={"became_chargeable"}, prev=anything),
    ],
)
def _(a):
    a.known_permission()
    for count in (1, 2):
        becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid", count=count, at=KEEP)
        becomes(a, "Chargeable", "PermissionChargeable", count=count + 1, at=KEEP)
        a.sees("PaymentMethodUpdated", "permission", count=count)


@story(
    "there-and-back-unseen",
    "A permission is suspended and is Chargeable again before it is read: there is nothing to publish.",
    expect=[KNOWN],
)
def _(a):
    a.known_permission()
    suspended = a.envelope(a.message("permission"))
    a.change("permission", "NonChargeable", "ChargeInProgress")
    a.change("permission", "Chargeable")
    a.post(suspended)
    a.ipn("permission")
    a.is_read("permission")


@story(
    "card-changed",
    "The buyer of a chargeable wallet picks another card: a failed charge can be retried.",
    expect=[KNOWN, E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"descriptor_changed"}, state="Chargeable")],
)
def _(a):
    a.known_permission()
    hint(a, "PaymentMethodUpdated", paymentPreferences=OTHER_CARD)


@story(
    "billing-address-changed",
    "The buyer of a subscription changes the billing address.",
    expect=[KNOWN, E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"billing_address_changed"})],
)
def _(a):
    a.known_permission("Recurring")
    hint(a, "PaymentMethodUpdated", billingAddress={"addressLine1": "Marker-Street 2", "city": "Berlin"})


@story(
    "shipping-address-changed",
    "The buyer changes the shipping address alone: that explains the hint, and is no change of the payment method.",
    expect=[KNOWN, E("PermissionUpdated", "permission", action="NONE")],
)
def _(a):
    a.known_permission()
    hint(a, "PermissionUpdated", shippingAddress={"addressLine1": "Marker-Street 3", "city": "Bonn"})


@story(
    "attribute-change-unexplained",
    "Amazon says that an attribute changed, and the object shows nothing: published once for this hint, however often it is sent.",
    expect=[KNOWN, E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"attribute_change"})],
)
def _(a):
    a.known_permission()
    a.change("permission")
    sent = a.envelope(a.message("permission", "ATTRIBUTE_CHANGE"))
    for _ in range(3):
        a.post(sent)
    a.sees("PaymentMethodUpdated", "permission")
    a.post(sent)
    a.is_read("permission")


@story(
    "attribute-change-twice",
    "The buyer changes something invisible, and later again: two hints, two events.",
    expect=[
        KNOWN,
        E("PaymentMethodUpdated", "permission", evidence={"attribute_change"}),
        E("PaymentMethodUpdated", "permission", evidence={"attribute_change"}),
    ],
)
def _(a):
    a.known_permission("Recurring")
    hint(a, "PaymentMethodUpdated")
    hint(a, "PaymentMethodUpdated", count=2)


@story(
    "attribute-change-first-sight",
    "The first IPN about a permission says that an attribute changed.",
    expect=[
        E("PermissionChargeable", "permission", action="NONE"),
        E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"attribute_change"}, prev=anything, first=anything),
    ],
)
def _(a):
    a.permission("Recurring")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees("PaymentMethodUpdated", "permission")


@story(
    "attribute-change-and-balance",
    "An invisible change of the card comes with a balance that moved: the balance does not explain the hint.",
    expect=[
        KNOWN,
        E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"attribute_change"}, prev=anything),
        E("PermissionUpdated", "permission", optional=True),
    ],
)
def _(a):
    a.known_permission()
    hint(a, "PaymentMethodUpdated", limits={"amountLimit": money("100.00"), "amountBalance": money("70.00")})


@story(
    "attribute-change-and-expiry",
    "An invisible change of the card comes with an expiry that moved: the expiry does not explain the hint.",
    expect=[
        KNOWN,
        E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"attribute_change"}, prev=anything),
        E("PermissionUpdated", "permission", optional=True),
    ],
)
def _(a):
    a.known_permission("Recurring")
    hint(a, "PaymentMethodUpdated", expirationTimestamp=compact(sns.utc_now() + datetime.timedelta(days=500)))


@story(
    "attribute-change-in-progress",
    "An invisible change of the card comes while a charge is under way: the state in progress does not explain the hint.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", action="WAIT", reasons=["ChargeInProgress"]),
        E("PaymentMethodUpdated", "permission", action="WAIT", evidence={"attribute_change"}, prev=anything),
    ],
)
def _(a):
    a.known_permission()
    a.change("permission", "NonChargeable", "ChargeInProgress")
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees("PaymentMethodUpdated", "permission")


@story(
    "metadata-explains-hint",
    "The shop changes its own metadata: that explains the hint, and is no change of the payment method.",
    expect=[KNOWN, E("PermissionUpdated", "permission", action="NONE", snapshot=holding(merchantReferenceId="order-2"))],
)
def _(a):
    a.known_permission()
    hint(a, "PermissionUpdated", merchantMetadata={"merchantReferenceId": "order-2", "merchantStoreName": "Shop"})


@story(
    "balance-moved",
    "A capture moves the balance of a wallet, and its STATE_CHANGE IPN comes: no change of the payment method.",
    expect=[KNOWN, E("PermissionUpdated", "permission", action="NONE")],
)
def _(a):
    a.known_permission()
    limits = {"amountLimit": money("100.00"), "amountBalance": money("90.01")}
    becomes(a, None, "PermissionUpdated", limits=limits)


@story(
    "update-page-used",
    "A suspended wallet gets another card: both IPNs, one event of the payment method with all evidence.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", action="OPEN_UPDATE_PAGE", reasons=["PaymentMethodExpired"]),
        E("PermissionChargeable", "permission", action=RETRY),
        E("PaymentMethodUpdated", "permission", action="NONE", evidence={"became_chargeable", "descriptor_changed"}, prev=anything),
    ],
)
def _(a):
    a.known_permission()
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodExpired")
    a.change("permission", "Chargeable", paymentPreferences=OTHER_CARD)
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.ipn("permission")
    a.sees("PaymentMethodUpdated", "permission")


@story(
    "hint-explained-by-chargeable",
    "A suspended subscription is Chargeable again and an ATTRIBUTE_CHANGE comes with it: the hint is explained.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", reasons=["PaymentMethodInvalid"]),
        E("PermissionChargeable", "permission", action=RETRY),
        E("PaymentMethodUpdated", "permission", action="NONE", evidence={"became_chargeable"}, prev=anything),
    ],
)
def _(a):
    a.known_permission("Recurring")
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid")
    becomes(a, "Chargeable", "PermissionChargeable", count=2)
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees("PaymentMethodUpdated", "permission")
    a.is_read("permission")
