"""Stories of the way of a notification: duplicates, order, replays, forgeries, topics, merchants, and an API that lags."""

import time

import sns
from acts import CAPTURED, KNOWN, ago, captured
from story import KEEP, E, anything, compact, of, story, unavailable


@story("duplicates", "SNS delivers one message five times.", expect=[KNOWN, CAPTURED])
def _(a):
    a.known_permission()
    a.charge("Captured")
    sent = a.envelope(a.message("charge"))
    for _ in range(4):
        a.post(sent)
    a.sees("ChargeCaptured", "charge")
    a.post(sent)
    a.is_read("charge")


@story("published-anew", "Amazon Pay publishes the same notification again, with other ids.", expect=[KNOWN, CAPTURED])
def _(a):
    captured(a)
    for _ in range(2):
        a.ipn("charge")
        a.is_read("charge")


@story("reordered", "The IPN of an earlier state arrives after that of the later one.", expect=[KNOWN, CAPTURED])
def _(a):
    a.known_permission()
    a.charge("AuthorizationInitiated")
    earlier = a.envelope(a.message("charge"), timestamp=ago(seconds=2))
    a.change("charge", "Captured")
    a.ipn("charge")
    a.sees("ChargeCaptured", "charge")
    a.post(earlier)
    a.is_read("charge")


@story("old-replay", "Somebody sends a genuine IPN of three days ago again.", expect=[KNOWN, CAPTURED])
def _(a):
    captured(a)
    a.post(a.envelope(a.message("charge"), timestamp=ago(days=3)))
    a.is_read("charge")


@story("too-old-replay", "A genuine IPN of sixteen days ago is refused with 503, since our clock may be wrong.", expect=[KNOWN])
def _(a):
    a.known_permission()
    a.charge("Captured")
    a.attempt(a.envelope(a.message("charge"), timestamp=ago(days=16)), 503)


@story("forged", "Somebody signs an IPN with a key of their own.", expect=[KNOWN])
def _(a):
    a.known_permission()
    a.charge("Captured")
    for version in "12":
        a.attempt(a.envelope(a.message("charge"), forged=True, version=version), 403)


@story("topic-of-a-stranger", "A genuine SNS message comes from a topic of another AWS account.", expect=[KNOWN])
def _(a):
    a.known_permission()
    a.charge("Captured")
    topic = sns.topic_arn(a.merchant, account="123456789012")
    a.attempt(a.envelope(a.message("charge"), topic=topic), 503)


@story("signature-versions", "One IPN is signed with SHA-1, the next with SHA-256.", expect=[KNOWN, E("ChargeAuthorized", "charge"), CAPTURED])
def _(a):
    a.known_permission()
    a.charge("Authorized")
    a.ipn("charge", version="1")
    a.sees("ChargeAuthorized", "charge")
    a.change("charge", "Captured")
    a.ipn("charge", version="2")
    a.sees("ChargeCaptured", "charge")


@story("endpoint-was-down", "The endpoint cannot be reached at the first attempt; SNS comes again after 20 s.", expect=[KNOWN, CAPTURED])
def _(a):
    a.known_permission()
    a.charge("Captured")
    a.post(a.envelope(a.message("charge")), down_for_s=1, answers=(None, 200))
    a.sees("ChargeCaptured", "charge")


@story("legacy-v1", "A V1 IPN with XML arrives: answered 200 and ignored.", expect=[])
def _(a):
    message = {
        "ReleaseEnvironment": "Sandbox",
        "MarketplaceID": "136311",
        "Version": "2013-01-01",
        "NotificationType": "PaymentCapture",
        "SellerId": a.merchant,
        "NotificationReferenceId": "1111111-1111-11111-1111-11111EXAMPLE",
        "Timestamp": sns.rfc3339_ms(sns.utc_now()),
        "NotificationData": "<?xml version=\"1.0\"?><CaptureNotification/>",
    }
    a.post(a.envelope(message))


@story("camel-case", "The message spells its keys as the older page does.", expect=[KNOWN, CAPTURED])
def _(a):
    a.known_permission()
    a.charge("Captured")
    message = {key[0].lower() + key[1:]: value for key, value in a.message("charge").items()}
    a.post(a.envelope({**message, "somethingNew": 1}))
    a.sees("ChargeCaptured", "charge")


@story("unknown-notification-type", "The IPN is of a notification type that no document names.", expect=[KNOWN, CAPTURED])
def _(a):
    a.known_permission()
    a.charge("Captured")
    a.ipn("charge", "MOOD_CHANGE")
    a.sees("ChargeCaptured", "charge")


@story("unknown-object-type", "The IPN names an object type that no document names: kept as a dead letter.", expect=[KNOWN], dead=["not_understood"])
def _(a):
    a.known_permission()
    a.ipn("permission", ObjectType="GIFT_CARD", ObjectId="S02-1234567-1234567-G123456")
    a.is_dead(1)


@story("not-understood", "A genuine SNS message holds no IPN at all: kept as a dead letter.", expect=[], dead=["not_understood"])
def _(a):
    a.post(a.envelope("Hello from Amazon"))
    a.is_dead(1)


@story("unknown-merchant", "The IPN is about a merchant who is not configured: kept as a dead letter.", expect=[KNOWN], dead=["unknown_merchant"])
def _(a):
    a.known_permission()
    a.ipn("permission", MerchantID="A0FOREIGNNOBODY")
    a.is_dead(1)


@story("test-ipn", "An IPN names an object that the API does not have, as test IPNs do.", expect=[], dead=["unknown_object"])
def _(a):
    a.permission(hidden=True)
    a.charge("Captured", hidden=True)
    a.ipn("charge")
    a.is_dead(1)


@story("live-id-in-sandbox", "An IPN names a live object, and the merchant is configured for the sandbox alone: kept as a dead letter.", expect=[], dead=["*"])
def _(a):
    a.permission("OneTime", id_="P02-" + a.number(), hidden=True)
    a.charge("Captured", hidden=True)
    a.ipn("charge")
    a.is_dead(1)


@story(
    "two-merchants-one-id",
    "Two merchants have a charge of the same id: two events, each of its own merchant.",
    expect=[
        KNOWN,
        CAPTURED,
        E("PermissionChargeable", "permission of the other"),
        E("ChargeCaptured", "charge of the other", permission=of("permission of the other")),
    ],
)
def _(a):
    captured(a)
    permission, charge = a.things["permission"].id, a.things["charge"].id
    a.merchant = a.world.other_merchant
    a.permission(name="permission of the other", id_=permission)
    a.ipn("permission of the other")
    a.sees("PermissionChargeable", "permission of the other")
    a.charge("Captured", name="charge of the other", of="permission of the other", id_=charge)
    a.ipn("charge of the other")
    a.sees("ChargeCaptured", "charge of the other")


@story("platform-topic", "The IPNs of a merchant come on the topic of its platform.", expect=[KNOWN, CAPTURED])
def _(a):
    a.merchant = a.world.platform_merchant
    topic = sns.topic_arn(a.world.platform)
    a.permission()
    a.post(a.envelope(a.message("permission"), topic=topic))
    a.sees("PermissionChargeable", "permission")
    a.charge("Captured")
    a.post(a.envelope(a.message("charge"), topic=topic))
    a.sees("ChargeCaptured", "charge")


@story("stale-replica", "After a capture was published, another replica of the API shows the authorization once more.", expect=[KNOWN, CAPTURED])
def _(a):
    a.known_permission()
    earlier = compact(ago(seconds=1))
    a.charge("Captured")
    now = a.things["charge"].object["statusDetails"]["lastUpdatedTimestamp"]
    a.ipn("charge")
    a.sees("ChargeCaptured", "charge")
    a.change("charge", "Authorized", at=earlier)
    a.ipn("charge")
    a.is_read("charge")
    a.change("charge", "Captured", at=now)


@story("same-second-charge", "A charge passes three states, and Amazon gives all of them one lastUpdatedTimestamp.", expect=[KNOWN, E("ChargeAuthorized", "charge"), E("ChargeCaptureInitiated", "charge"), CAPTURED])
def _(a):
    a.known_permission()
    a.charge("Authorized")
    a.ipn("charge")
    a.sees("ChargeAuthorized", "charge")
    for state in ("CaptureInitiated", "Captured"):
        a.change("charge", state, at=KEEP)
        a.ipn("charge")
        a.sees("Charge" + state, "charge")


# The API lags behind its own IPN. Whatever was updated before must be older than the settle slack of 5 s, else it answers
# the IPN: Amazon's own time passes here.


def lags(a, seconds, within_s):
    a.known_permission()
    a.charge("Authorized")
    a.ipn("charge")
    a.sees("ChargeAuthorized", "charge")
    time.sleep(6)
    a.change("charge", "Captured", lag_s=seconds)
    a.ipn("charge")
    a.sees("ChargeCaptured", "charge", within_s=within_s)


@story("api-lags-30-s", "The API shows a capture half a minute after its IPN.", world="defaults", expect=[KNOWN, E("ChargeAuthorized", "charge"), CAPTURED])
def _(a):
    lags(a, 29, 150)


@story("api-lags-for-three-reads", "The API shows a capture only after two confirming reads: the next one finds it.", expect=[KNOWN, E("ChargeAuthorized", "charge"), CAPTURED])
def _(a):
    lags(a, 7, 40)


@story("new-object-lags-20-s", "The API shows a new charge 20 s after its first IPN: no dead letter.", world="defaults", expect=[KNOWN, E("ChargeAuthorized", "charge")])
def _(a):
    a.known_permission()
    a.charge("Authorized", hidden=True)
    a.change("charge", "Authorized", lag_s=20)
    a.ipn("charge")
    a.sees("ChargeAuthorized", "charge", within_s=100)


# The receiver itself: restarted with work that waits, and reading what no IPN named.


@story(
    "restart-with-pending-work",
    "The receiver is restarted while the API is down: what it had answered 200 is published once, and nothing twice.",
    world="restarted",
    own=True,
    expect=[KNOWN, E("ChargeAuthorized", "charge"), CAPTURED, E("ChargeDeclined", "other", reasons=["SoftDeclined"], pstate="Chargeable")],
)
def _(a):
    a.known_permission()
    a.charge("Authorized")
    a.ipn("charge")
    a.sees("ChargeAuthorized", "charge")
    a.fail(unavailable)
    a.change("charge", "Captured")
    a.ipn("charge")
    a.is_read("charge", status=503)
    a.charge("Declined", "SoftDeclined", name="other")
    a.ipn("other")
    a.restart_receiver()
    a.fail(None)
    a.sees("ChargeCaptured", "charge", within_s=75)
    a.sees("ChargeDeclined", "other", within_s=75)


@story(
    "lost-ipn-of-permission",
    "A suspended wallet is Chargeable again, and no IPN says so: reconciliation finds it.",
    world="reconciling",
    expect=[
        KNOWN,
        E("PermissionNonChargeable", "permission", reasons=["PaymentMethodInvalid"]),
        E("PermissionChargeable", "permission", action="RETRY_CHARGE", causes={"RECONCILIATION"}),
        E("PaymentMethodUpdated", "permission", evidence={"became_chargeable"}, prev=anything),
    ],
)
def _(a):
    a.known_permission()
    a.change("permission", "NonChargeable", "PaymentMethodInvalid")
    a.ipn("permission")
    a.sees("PermissionNonChargeable", "permission")
    a.change("permission", "Chargeable")
    a.sees("PermissionChargeable", "permission", count=2, within_s=60)
    a.sees("PaymentMethodUpdated", "permission")


@story(
    "lost-ipn-of-refund",
    "A refund is declined, and no IPN says so: reconciliation finds it.",
    world="reconciling",
    expect=[KNOWN, CAPTURED, E("RefundInitiated", "refund"), E("RefundDeclined", "refund", action="CONTACT_SUPPORT", causes={"RECONCILIATION"})],
)
def _(a):
    captured(a)
    a.refund("RefundInitiated")
    a.ipn("refund")
    a.sees("RefundInitiated", "refund")
    a.change("refund", "Declined", "ProcessingFailure")
    a.sees("RefundDeclined", "refund", within_s=60)
