"""Stories of dates and limits that are known before anything happens: expiry, the limit of a permission, deadlines.

The windows are the defaults: 14 days before an expiry, 72 hours before a deadline, 10 % of a limit.
"""

import time

from acts import CAPTURED, KNOWN, ago, becomes, begins, captured, declined, in_, next_state
from story import E, anything, compact, money, story


def one_that_was_shown(name, field):
    """That the value is one that the object had."""

    def check(actor, value):
        return value in actor.shown[name, field]

    check.__doc__ = f"a {field} of the {name}"
    return check


expiry, deadline = one_that_was_shown("permission", "expirationTimestamp"), one_that_was_shown("dispute", "merchantResponseDeadline")
NEW_CHECKOUT = "REENGAGE_BUYER_WITH_NEW_CHECKOUT"
EXPIRING = E("PermissionExpiring", "permission", prev=anything, first=anything, state="Chargeable", action="RENEW_BEFORE_EXPIRY", deadline=expiry)
NEAR = E("PermissionLimitNear", "permission", prev=anything, first=anything, action="CHECK_BALANCE_BEFORE_CHARGE")
DUE = E("DisputeDeadlineNear", "dispute", prev=anything, first=anything, state="ActionRequired", action="RESPOND_TO_DISPUTE", deadline=deadline)
MAYBE_EXPIRING = E("PermissionExpiring", "permission", optional=True, prev=anything)
UPDATED = E("PermissionUpdated", "permission", action="NONE", prev=anything)
ASKS = E("DisputeActionRequired", "dispute", action="RESPOND_TO_DISPUTE")


def ago_minutes():
    """A date that passed so long ago that the object is due to be read soon."""
    return compact(ago(seconds=280))


def limits(balance, limit="100.00"):
    return {"amountLimit": money(limit), "amountBalance": money(balance)}


# ------------------------------------------------------------------------------------------------------ expiry


@story(
    "expires-without-ipn",
    "A subscription expires, and no IPN says so: found about five minutes after its expirationTimestamp.",
    world="dated",
    expect=[KNOWN, MAYBE_EXPIRING, E("PermissionClosed", "permission", action=NEW_CHECKOUT, reasons=["Expired"], causes={"RECONCILIATION"}, prev=anything)],
)
def _(a):
    a.known_permission("Recurring", expirationTimestamp=ago_minutes())
    a.change("permission", "Closed", "Expired")
    a.sees("PermissionClosed", "permission", within_s=90)


@story(
    "expires-and-is-prolonged",
    "The expiry of a subscription passes, and a charge has prolonged it without an IPN: it is not closed, and nothing is read for ever.",
    world="dated",
    expect=[KNOWN, MAYBE_EXPIRING, E("PermissionUpdated", "permission", prev=anything)],
)
def _(a):
    a.known_permission("Recurring", expirationTimestamp=ago_minutes())
    a.change("permission", expirationTimestamp=in_(days=395))
    a.sees("PermissionUpdated", "permission", within_s=90)
    time.sleep(10)
    if a.reads("permission") > 10:
        a.notes.append(f"the permission was read {a.reads('permission')} times")


def order(id_, text, *events, **facts):
    @story(id_, text, expect=[KNOWN, *events])
    def _(a):
        a.known_permission("OneTime", **facts)
        time.sleep(4)


order(
    "order-expiring",
    "An order with an amount left expires in ten days: charge it before.",
    E("PermissionExpiring", "permission", prev=anything, first=anything, action="CHARGE_BEFORE_EXPIRY"),
    expirationTimestamp=in_(days=10),
)
order("order-expiring-used-up", "An order of which nothing is left expires in ten days.", expirationTimestamp=in_(days=10), limits=limits("0.00"))
order("order-limit-near", "An order has five percent of its amount left, which is how orders end.", limits=limits("5.00"))


@story(
    "expiring-at-first-sight",
    "A subscription that is first seen expires in ten days: published once, however often it is read.",
    expect=[KNOWN, EXPIRING],
)
def _(a):
    a.known_permission("Recurring", expirationTimestamp=in_(days=10))
    a.sees("PermissionExpiring", "permission")
    for _ in range(2):
        a.ipn("permission")
        a.is_read("permission")


@story(
    "expiry-window-is-reached",
    "A subscription comes into the window before its expiry, and no IPN comes: published then.",
    world="dated",
    expect=[KNOWN, EXPIRING],
)
def _(a):
    a.known_permission("Recurring", expirationTimestamp=in_(days=14, seconds=10))
    a.sees("PermissionExpiring", "permission", within_s=60)


@story(
    "expiry-moves-within-the-window",
    "The expiry moves from ten days to twelve: another date, published again.",
    expect=[KNOWN, EXPIRING, UPDATED, EXPIRING],
)
def _(a):
    a.known_permission("Recurring", expirationTimestamp=in_(days=10))
    a.sees("PermissionExpiring", "permission")
    becomes(a, None, "PermissionUpdated", expirationTimestamp=in_(days=12))
    a.sees("PermissionExpiring", "permission", count=2)


@story(
    "expiry-moves-out-of-the-window",
    "A charge prolongs a subscription that was about to expire: the new date is far.",
    expect=[KNOWN, EXPIRING, UPDATED],
)
def _(a):
    a.known_permission("Recurring", expirationTimestamp=in_(days=10))
    a.sees("PermissionExpiring", "permission")
    becomes(a, None, "PermissionUpdated", expirationTimestamp=in_(days=395))


@story(
    "expiry-of-a-closed-permission",
    "A permission that is closed would have expired in ten days: nothing expires any more.",
    expect=[E("PermissionClosed", "permission")],
)
def _(a):
    a.permission("Recurring", state="Closed", reasons="MerchantClosed", expirationTimestamp=in_(days=10))
    begins(a, "permission", "PermissionClosed")


@story(
    "expiry-is-unreadable",
    "The expiry of a permission is null, then a word: no event of it, and no other is lost.",
    expect=[KNOWN, E("PermissionUpdated", "permission", optional=True, prev=anything), E("PermissionClosed", "permission")],
)
def _(a):
    a.known_permission("Recurring", expirationTimestamp=None)
    a.change("permission", expirationTimestamp="soon")
    a.ipn("permission")
    a.is_read("permission")
    becomes(a, "Closed", "PermissionClosed", "BuyerClosed")


# ------------------------------------------------------------------------------------------------------ limit


@story(
    "limit-comes-near",
    "A charge leaves five percent of the limit: published once, and again after a new month.",
    expect=[KNOWN, UPDATED, NEAR, UPDATED, UPDATED, UPDATED, NEAR],
)
def _(a):
    a.known_permission("PaymentMethodOnFile")
    becomes(a, None, "PermissionUpdated", limits=limits("5.00"))
    a.sees("PermissionLimitNear", "permission")
    for count, balance in ((2, "4.00"), (3, "100.00"), (4, "3.00")):
        becomes(a, None, "PermissionUpdated", count=count, limits=limits(balance))
    a.sees("PermissionLimitNear", "permission", count=2)


@story(
    "limit-near-at-first-sight",
    "A wallet that is first seen has five percent of its limit left.",
    expect=[KNOWN, NEAR],
)
def _(a):
    a.known_permission(limits=limits("5.00"))
    a.sees("PermissionLimitNear", "permission")
    a.ipn("permission")
    a.is_read("permission")


@story(
    "limit-is-far",
    "A charge leaves eleven percent of the limit: not near.",
    expect=[KNOWN, UPDATED],
)
def _(a):
    a.known_permission()
    becomes(a, None, "PermissionUpdated", limits=limits("11.00"))


@story(
    "limit-is-no-number",
    "Limits are null, then zero, then words: no event of the limit, and nothing fails.",
    expect=[KNOWN, *[E("PermissionUpdated", "permission", optional=True, prev=anything)] * 3, E("PermissionClosed", "permission")],
)
def _(a):
    a.known_permission(limits=None)
    for facts in (limits("0.00", "0.00"), limits("some", "more"), {"amountLimit": None, "amountBalance": None}):
        a.change("permission", limits=facts)
        a.ipn("permission")
        a.is_read("permission")
    becomes(a, "Closed", "PermissionClosed", "BuyerClosed")


# ------------------------------------------------------------------------------------------------------ deadline


@story(
    "deadline-near-at-first-sight",
    "A dispute that is first seen must be answered within two days: published once.",
    expect=[KNOWN, CAPTURED, ASKS, DUE],
)
def _(a):
    captured(a)
    a.dispute("ActionRequired", "MerchantResponseRequired", merchantResponseDeadline=in_(hours=48))
    begins(a, "dispute", "DisputeActionRequired")
    a.sees("DisputeDeadlineNear", "dispute")
    for _ in range(2):
        a.ipn("dispute")
        a.is_read("dispute")


@story(
    "deadline-window-is-reached",
    "The deadline of a dispute comes near, and no IPN comes: published then.",
    world="dated",
    expect=[KNOWN, CAPTURED, ASKS, DUE],
)
def _(a):
    captured(a)
    a.dispute("ActionRequired", "MerchantResponseRequired", merchantResponseDeadline=in_(hours=72, seconds=10))
    begins(a, "dispute", "DisputeActionRequired")
    a.sees("DisputeDeadlineNear", "dispute", within_s=60)


@story(
    "deadline-passes-without-ipn",
    "The deadline of a dispute passes, Amazon decides, and no IPN says so: found about five minutes after the deadline.",
    world="dated",
    expect=[KNOWN, CAPTURED, ASKS, E("DisputeDeadlineNear", "dispute", optional=True, prev=anything), E("DisputeResolved", "dispute", reasons=["MerchantResponseDeadlineExpired"], causes={"RECONCILIATION"})],
)
def _(a):
    captured(a)
    a.dispute("ActionRequired", "MerchantResponseRequired", merchantResponseDeadline=ago_minutes())
    begins(a, "dispute", "DisputeActionRequired")
    a.change("dispute", "Resolved", "MerchantResponseDeadlineExpired", resolution="BuyerWon")
    a.sees("DisputeResolved", "dispute", within_s=90)


@story(
    "deadline-moves-into-the-window",
    "Amazon moves the deadline of a dispute to two days from now, and then to one day: each date once.",
    expect=[KNOWN, CAPTURED, ASKS, ASKS, DUE, ASKS, DUE],
)
def _(a):
    captured(a)
    a.dispute("ActionRequired", "MerchantResponseRequired")
    begins(a, "dispute", "DisputeActionRequired")
    for count, hours in ((2, 48), (3, 24)):
        next_state(a, "dispute", None, "DisputeActionRequired", count=count, merchantResponseDeadline=in_(hours=hours))
        a.sees("DisputeDeadlineNear", "dispute", count=count - 1)


@story(
    "deadline-of-an-answered-dispute",
    "The shop has answered, so that the deadline of two days from now does not matter.",
    expect=[KNOWN, CAPTURED, E("DisputeUnderReview", "dispute")],
)
def _(a):
    captured(a)
    a.dispute("UnderReview", merchantResponseDeadline=in_(hours=48))
    begins(a, "dispute", "DisputeUnderReview")


@story(
    "deadline-as-epoch",
    "The deadline of a dispute is a number of seconds: published in the documented form, and near.",
    expect=[KNOWN, CAPTURED, E("DisputeActionRequired", "dispute", action="RESPOND_TO_DISPUTE", deadline="20300112T000000Z")],
)
def _(a):
    captured(a)
    a.dispute("ActionRequired", "MerchantResponseRequired", merchantResponseDeadline=1894406400)
    begins(a, "dispute", "DisputeActionRequired")


# ------------------------------------------------------------------------------------------------------ update pages


def update_page(region, url):
    @story(
        f"update-page-{region}",
        f"A subscription of a merchant in the region {region} is declined: the page is the one of Amazon's guide.",
        expect=[KNOWN, E("ChargeDeclined", "charge", action="ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", url=url)],
    )
    def _(a):
        a.merchant = getattr(a.world, region)
        a.known_permission("Recurring")
        declined(a)


def ending_in_id(start):
    def check(actor, value):
        return value == start + actor.things["permission"].id

    check.__doc__ = f"{start}{{id}}"
    return check


update_page("japan", ending_in_id("https://pay.amazon.com/jp/jr/your-account/ba/"))
update_page("america", ending_in_id("https://payments.amazon.com/jr/your-account/ba/"))
# What the shop configured for itself, see `run.py`.
update_page("germany", ending_in_id("https://payments.amazon.de/jr/your-account/orders/"))
