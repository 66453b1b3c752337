"""Stories of declines that wait for a permission which is there and back between two reads, in every order.

That no decline is left waiting is compared over all stories, see `rules.py`.
"""

import time

from acts import KNOWN, TYPES, ago, becomes, begins, declined
from story import KEEP, E, anything, compact, one_of, other_than, story, unavailable

RETRY, CHECK = "RETRY_CHARGE", "RETRY_CHARGE_AFTER_PERMISSION_CHECK"
ASK = {"OneTime": "ASK_FOR_OTHER_PAYMENT_METHOD"}
WAITING = ("ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", "ASK_FOR_OTHER_PAYMENT_METHOD", "OPEN_UPDATE_PAGE", "WAIT_FOR_NEXT_PERIOD")
SAYS_SO = E("PermissionChargeable|PaymentMethodUpdated|PermissionUpdated", "permission", action=RETRY, prev=anything, state="Chargeable")
CARD = E("PaymentMethodUpdated", "permission", prev=anything, evidence={"descriptor_changed"})
IN_PROGRESS = E("PermissionNonChargeable", "permission", action="WAIT", reasons=["ChargeInProgress"])


def waits(type_="Recurring", name="charge"):
    return E("ChargeDeclined", name, action=ASK.get(type_, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD"), reasons=["HardDeclined"])


def there_and_back(a):
    """The permission is suspended, and the buyer repairs it: nobody reads in between."""
    a.change("permission", "NonChargeable", "PaymentMethodInvalid")
    a.change("permission", "Chargeable")


def register(type_):
    @story(
        f"there-and-back-after-decline-{type_}",
        f"{type_}: a decline is published; the permission is suspended and repaired before it is read: RETRY_CHARGE.",
        expect=[KNOWN, waits(type_), SAYS_SO],
        once=RETRY,
    )
    def _(a):
        a.known_permission(type_)
        declined(a)
        there_and_back(a)
        a.ipn("permission")
        a.sees("PermissionChargeable|PaymentMethodUpdated|PermissionUpdated", "permission", count=2)

    @story(
        f"there-and-back-before-decline-{type_}",
        f"{type_}: the permission is suspended, repaired and read; then the older decline is read: it must not wait.",
        expect=[
            KNOWN,
            E("ChargeDeclined", "charge", action=other_than(*WAITING)),
            E("PermissionUpdated|PermissionChargeable", "permission", optional=True, prev=anything),
        ],
    )
    def _(a):
        a.known_permission(type_)
        a.charge("Declined", "HardDeclined")
        there_and_back(a)
        a.ipn("permission")
        a.is_read("permission")
        time.sleep(1)
        begins(a, "charge", "ChargeDeclined")


for type_ in TYPES:
    register(type_)


@story(
    "there-and-back-both-at-once",
    "The IPNs of a decline and of the repaired permission come together, the decline's first.",
    expect=[KNOWN, E("ChargeDeclined", "charge"), E("PermissionUpdated|PermissionChargeable|PaymentMethodUpdated", "permission", optional=True, prev=anything)],
)
def _(a):
    a.known_permission("Recurring")
    a.charge("Declined", "HardDeclined")
    there_and_back(a)
    a.ipn("charge")
    a.ipn("permission")
    a.sees("ChargeDeclined", "charge")


@story(
    "there-and-back-in-outage",
    "During an outage a charge is declined, and the permission is suspended and repaired; its IPN comes first.",
    own=True,
    expect=[KNOWN, E("ChargeDeclined", "charge"), E("PermissionUpdated|PermissionChargeable|PaymentMethodUpdated", "permission", optional=True, prev=anything)],
)
def _(a):
    a.known_permission()
    a.fail(unavailable)
    a.charge("Declined", "HardDeclined")
    there_and_back(a)
    a.ipn("permission")
    a.ipn("charge")
    a.is_read("permission", status=503)
    a.fail(None)
    a.sees("ChargeDeclined", "charge", within_s=40)


@story(
    "two-declines-one-repair",
    "Two declined charges of one subscription wait; the permission is there and back unseen: RETRY_CHARGE once.",
    expect=[KNOWN, waits(name="first"), waits(name="second"), SAYS_SO],
    once=RETRY,
)
def _(a):
    a.known_permission("Recurring")
    declined(a, name="first")
    declined(a, name="second")
    there_and_back(a)
    for _ in range(2):
        a.ipn("permission")
        a.is_read("permission")


@story(
    "there-and-back-twice",
    "The permission is repaired unseen, a new charge is declined too, and it is repaired unseen again: RETRY_CHARGE each time.",
    expect=[KNOWN, waits(name="first"), SAYS_SO, waits(name="second"), SAYS_SO],
)
def _(a):
    a.known_permission("Recurring")
    for number, name in enumerate(("first", "second"), 1):
        time.sleep(1.1)
        declined(a, name=name)
        there_and_back(a)
        a.ipn("permission")
        a.sees("PermissionChargeable|PaymentMethodUpdated|PermissionUpdated", "permission", count=1 + number)


@story(
    "there-and-back-time-stands-still",
    "After a decline the permission is suspended and repaired, each seen, and its time stands still.",
    expect=[
        KNOWN,
        waits(),
        E("PermissionNonChargeable", "permission", action="ASK_BUYER_TO_UPDATE_PAYMENT_METHOD"),
        E("PermissionChargeable", "permission", action=RETRY),
        E("PaymentMethodUpdated", "permission", action="NONE", evidence={"became_chargeable"}, prev=anything),
    ],
    once=RETRY,
)
def _(a):
    a.known_permission("Recurring")
    declined(a)
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid", at=KEEP)
    becomes(a, "Chargeable", "PermissionChargeable", count=2, at=KEEP)


@story(
    "there-and-back-time-unknown",
    "After a decline the permission is there and back unseen, and its time cannot be read: the documents do not say that it moved.",
    expect=[KNOWN, waits(), E("PermissionUpdated|PermissionChargeable|PaymentMethodUpdated", "permission", optional=True, prev=anything, time=None)],
)
def _(a):
    a.known_permission("Recurring")
    declined(a)
    a.change("permission", "NonChargeable", "PaymentMethodInvalid")
    a.change("permission", "Chargeable", at="yesterday")
    a.ipn("permission")
    a.is_read("permission")


@story(
    "there-and-back-older-first",
    "After a decline a lagging replica shows the permission as it was an hour ago; the next answer is newer: RETRY_CHARGE.",
    expect=[KNOWN, waits(), SAYS_SO],
    once=RETRY,
)
def _(a):
    a.known_permission("Recurring")
    declined(a)
    a.change("permission", "Chargeable", at=compact(ago(hours=1)))
    a.ipn("permission")
    a.is_read("permission")
    there_and_back(a)
    a.ipn("permission")
    a.sees("PermissionChargeable|PaymentMethodUpdated|PermissionUpdated", "permission", count=2)


@story(
    "repaired-while-in-progress",
    "A decline is published; the permission is read while the next charge is under way, and is Chargeable again: RETRY_CHARGE.",
    expect=[KNOWN, waits(), IN_PROGRESS, E("PermissionChargeable", "permission", action=RETRY)],
    once=RETRY,
)
def _(a):
    a.known_permission("Recurring")
    declined(a)
    becomes(a, "NonChargeable", "PermissionNonChargeable", "ChargeInProgress")
    becomes(a, "Chargeable", "PermissionChargeable", count=2)


@story(
    "decline-after-progress",
    "A charge in progress ends, the permission is Chargeable and read; then its older decline is read: it must not wait.",
    expect=[KNOWN, IN_PROGRESS, E("PermissionChargeable", "permission"), E("ChargeDeclined", "charge", action=other_than(*WAITING))],
)
def _(a):
    a.known_permission("Recurring")
    becomes(a, "NonChargeable", "PermissionNonChargeable", "ChargeInProgress")
    a.charge("Declined", "HardDeclined")
    time.sleep(1.1)
    becomes(a, "Chargeable", "PermissionChargeable", count=2)
    begins(a, "charge", "ChargeDeclined")


@story(
    "decline-after-repair",
    "The permission is suspended and repaired, both published; then the decline that began it is read: it must not wait.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", action="ASK_BUYER_TO_UPDATE_PAYMENT_METHOD"),
        E("PermissionChargeable", "permission", action=RETRY),
        E("PaymentMethodUpdated", "permission", action="NONE", prev=anything),
        E("ChargeDeclined", "charge", action=other_than(RETRY, *WAITING)),
    ],
    once=RETRY,
)
def _(a):
    a.known_permission("Recurring")
    a.charge("Declined", "HardDeclined")
    becomes(a, "NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid")
    becomes(a, "Chargeable", "PermissionChargeable", count=2)
    a.sees("PaymentMethodUpdated", "permission")
    begins(a, "charge", "ChargeDeclined")


@story(
    "decline-after-replaced-card",
    "The buyer replaces the card of a chargeable wallet, which is published; then an older decline is read: it must not wait.",
    expect=[
        KNOWN,
        E("PaymentMethodUpdated", "permission", action=RETRY, evidence={"descriptor_changed"}),
        E("ChargeDeclined", "charge", action=other_than(*WAITING)),
    ],
    once=RETRY,
)
def _(a):
    a.known_permission()
    a.charge("Declined", "HardDeclined")
    time.sleep(1.1)
    a.change("permission", paymentPreferences=[{"paymentDescriptor": "Mastercard ****2222 (Amazon Pay)"}])
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees("PaymentMethodUpdated", "permission")
    begins(a, "charge", "ChargeDeclined")


@story(
    "declined-again-within-minutes",
    "After RETRY_CHARGE the new charge is declined, too, and the buyer picks another card at once: RETRY_CHARGE again.",
    expect=[
        KNOWN,
        waits(name="first"),
        CARD,
        waits(name="second"),
        CARD,
        *[E("PermissionChargeable", "permission", optional=True, prev=anything)] * 2,
    ],
)
def _(a):
    a.known_permission("Recurring")
    for number, name in enumerate(("first", "second"), 1):
        time.sleep(1.1)
        declined(a, name=name)
        time.sleep(1.1)
        a.change("permission", paymentPreferences=[{"paymentDescriptor": f"Visa ****{number}222 (Amazon Pay)"}])
        a.ipn("permission", "ATTRIBUTE_CHANGE")
        a.sees("PaymentMethodUpdated", "permission", count=number)


@story(
    "next-period",
    "The limit of the month is used up, and a new month begins.",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", action="WAIT_FOR_NEXT_PERIOD", reasons=["TransactionCountExceeded"]),
        E("PermissionChargeable", "permission", action=RETRY),
    ],
    once=RETRY,
)
def _(a):
    a.known_permission("Recurring")
    becomes(a, "NonChargeable", "PermissionNonChargeable", "TransactionCountExceeded")
    becomes(a, "Chargeable", "PermissionChargeable", count=2)


@story(
    "waits-in-vain",
    "A decline waits, and the buyer closes the subscription instead: the closing says what to do.",
    expect=[KNOWN, waits(), E("PermissionClosed", "permission", action="REACH_OUT_BEFORE_NEXT_CYCLE")],
)
def _(a):
    a.known_permission("Recurring")
    declined(a)
    becomes(a, "Closed", "PermissionClosed", "BuyerClosed")


@story(
    "waits-across-restart",
    "The receiver is restarted while a decline waits; then the permission is there and back unseen: RETRY_CHARGE.",
    world="restarted",
    expect=[KNOWN, waits(), SAYS_SO],
    once=RETRY,
)
def _(a):
    a.known_permission("Recurring")
    declined(a)
    a.restart_receiver()
    there_and_back(a)
    a.ipn("permission")
    a.sees("PermissionChargeable|PaymentMethodUpdated|PermissionUpdated", "permission", count=2)


@story(
    "there-and-back-without-ipn",
    "A decline waits, the permission is there and back, and both IPNs are lost: reconciliation says RETRY_CHARGE.",
    world="reconciling",
    expect=[KNOWN, waits(), SAYS_SO],
    once=RETRY,
)
def _(a):
    a.known_permission("Recurring")
    declined(a)
    there_and_back(a)
    a.sees("PermissionChargeable|PaymentMethodUpdated|PermissionUpdated", "permission", count=2, within_s=45)


@story(
    "decline-of-a-repaired-first-sight",
    "The permission is first read when it is repaired already; then its older decline is read: it must not wait.",
    expect=[KNOWN, E("ChargeDeclined", "charge", action=one_of(CHECK, RETRY))],
)
def _(a):
    a.permission("Recurring")
    a.charge("Declined", "HardDeclined")
    there_and_back(a)
    begins(a, "permission", "PermissionChargeable")
    begins(a, "charge", "ChargeDeclined")
