"""Stories of objects whose parent cannot be read: they are published within the time of worker.parent_wait_max_ms."""

import time

import pay_api
from acts import CAPTURED, KNOWN, begins
from service import PARENT_WAIT_S
from story import E, anything, not_found, of, story, unavailable

WITHIN_S = PARENT_WAIT_S + 25
BAD_REQUEST = (400, b'{"reasonCode":"InvalidParameterValue","message":"no"}', 0, {})


def without(field):
    return lambda object_: {key: value for key, value in object_.items() if key != field}


ANSWERS = {
    "404": lambda a, name: a.fail(not_found, name=name),
    "400": lambda a, name: a.fail(BAD_REQUEST, name=name),
    "has-no-state": lambda a, name: a.answer(name, without("statusDetails")),
    "has-no-permission": lambda a, name: a.answer(name, without("chargePermissionId")),
    "is-html": lambda a, name: a.fail(pay_api.unreadable(), name=name),
}
OBJECTS = {
    "refund": (lambda a: a.refund("Declined", "ProcessingFailure"), "RefundDeclined", "CONTACT_SUPPORT"),
    "dispute": (lambda a: a.dispute("ActionRequired", "MerchantResponseRequired"), "DisputeActionRequired", "RESPOND_TO_DISPUTE"),
}


def orphan(name, event, action):
    return E(event, name, action=action, permission=of("permission"), ptype=anything, pstate=anything, idsource="IPN")


def register(name, answer):
    make, event, action = OBJECTS[name]

    @story(
        f"{name}-whose-charge-{answer}",
        f"The charge of a {name} {answer.replace('-', ' ')} in each answer: published under the IPN's permission.",
        expect=[KNOWN, orphan(name, event, action)],
        )
    def _(a):
        a.known_permission("Recurring")
        a.charge("Captured")
        ANSWERS[answer](a, "charge")
        make(a)
        begins(a, name, event, within_s=WITHIN_S)


for name in OBJECTS:
    for answer in ANSWERS:
        register(name, answer)


def register_charge(answer):
    @story(
        f"charge-whose-permission-{answer}",
        f"The permission of a charge {answer.replace('-', ' ')} in each answer: a decline is published without its facts.",
        expect=[E("ChargeDeclined", "charge", ptype=None, pstate=None, permission=of("permission"), action="ASK_FOR_OTHER_PAYMENT_METHOD")],
    )
    def _(a):
        a.permission("Recurring")
        ANSWERS[answer](a, "permission")
        a.charge("Declined", "HardDeclined")
        begins(a, "charge", "ChargeDeclined", within_s=WITHIN_S)


for answer in ("400", "has-no-state"):
    register_charge(answer)


@story(
    "refund-then-its-charge",
    "A refund was published without its charge; then the charge can be read, and all IPNs come again: nothing twice.",
    expect=[KNOWN, orphan("refund", "RefundInitiated", "WAIT"), CAPTURED],
)
def _(a):
    a.known_permission()
    a.charge("Captured")
    a.fail(not_found, name="charge")
    a.refund("RefundInitiated")
    begins(a, "refund", "RefundInitiated", within_s=WITHIN_S)
    a.fail(None, name="charge")
    begins(a, "charge", "ChargeCaptured")
    for name in ("refund", "charge", "permission"):
        a.ipn(name)
        a.is_read(name)


@story(
    "refund-goes-on-with-its-charge",
    "A refund was published without its charge; it is completed when the charge can be read: with the permission's facts.",
    expect=[
        KNOWN,
        orphan("refund", "RefundInitiated", "WAIT"),
        E("ChargeCaptured", "charge", optional=True, first=True),
        E("RefundCompleted", "refund", permission=of("permission"), ptype=anything),
    ],
)
def _(a):
    a.known_permission()
    a.charge("Captured")
    a.fail(not_found, name="charge")
    a.refund("RefundInitiated")
    begins(a, "refund", "RefundInitiated", within_s=WITHIN_S)
    a.fail(None, name="charge")
    a.change("refund", "Refunded")
    begins(a, "refund", "RefundCompleted", within_s=WITHIN_S)


@story(
    "charge-then-its-permission",
    "A charge was published without its permission; then the permission can be read: nothing of the charge twice.",
    own=True,
    expect=[E("ChargeAuthorized", "charge", ptype=None), E("PermissionChargeable", "permission", action="NONE")],
)
def _(a):
    a.permission()
    a.fail(unavailable, "permission")
    a.charge("Authorized")
    begins(a, "charge", "ChargeAuthorized", within_s=WITHIN_S)
    a.fail(None, "permission")
    begins(a, "permission", "PermissionChargeable", within_s=WITHIN_S)
    a.ipn("charge")
    a.is_read("charge")


@story(
    "permission-endpoint-hangs",
    "The endpoint of permissions answers nothing within the time-out: a captured charge is published without its facts.",
    own=True,
    expect=[E("ChargeCaptured", "charge", ptype=None, action="NONE")],
)
def _(a):
    a.permission()
    a.fail((503, b"", 12, {}), "permission")
    a.charge("Captured")
    begins(a, "charge", "ChargeCaptured", within_s=WITHIN_S + 15)


@story(
    "charges-throttled-for-long",
    "Amazon throttles the reads of charges alone, for long: a dispute is published, since its deadline runs.",
    own=True,
    expect=[KNOWN, orphan("dispute", "DisputeActionRequired", "RESPOND_TO_DISPUTE")],
)
def _(a):
    a.known_permission()
    a.fail(pay_api.throttled(1), "charge")
    a.charge("Captured")
    a.dispute("ActionRequired", "MerchantResponseRequired")
    begins(a, "dispute", "DisputeActionRequired", within_s=WITHIN_S)


@story(
    "parent-comes-in-time",
    "The charge of a refund can be read again before the wait is over: published with its facts.",
    own=True,
    expect=[KNOWN, CAPTURED, E("RefundInitiated", "refund", permission=of("permission"), ptype="OneTime", pstate="Chargeable", idsource=None)],
)
def _(a):
    a.known_permission("OneTime")
    a.charge("Captured")
    a.fail(unavailable, name="charge")
    a.refund("RefundInitiated")
    a.ipn("refund")
    a.is_read("refund")
    time.sleep(2)
    a.fail(None, name="charge")
    a.sees("RefundInitiated", "refund", within_s=WITHIN_S)
    a.sees("ChargeCaptured", "charge", within_s=WITHIN_S)


MANY = [f"charge {number}" for number in range(8)]


@story(
    "many-charges-without-permissions",
    "The endpoint of permissions is down, and more charges wait than answers are kept: all are published, with few reads.",
    own=True,
    world="narrow",
    expect=[E("ChargeCaptured", name, ptype=None) for name in MANY],
)
def _(a):
    a.fail(unavailable, "permission")
    for number, name in enumerate(MANY):
        a.permission(name=f"permission {number}")
        a.charge("Captured", name=name, of=f"permission {number}")
        a.ipn(name)
    for name in MANY:
        a.sees("ChargeCaptured", name, within_s=WITHIN_S if name == MANY[0] else 2)
    time.sleep(5)
    for name in MANY:
        if a.reads(name) > 12:
            a.notes.append(f"{name} was read {a.reads(name)} times")


@story(
    "many-refunds-without-charges",
    "The endpoint of charges is down, and more refunds wait than answers are kept: all are published.",
    own=True,
    world="narrow",
    expect=[KNOWN, *(orphan(f"refund {number}", "RefundInitiated", "WAIT") for number in range(6))],
)
def _(a):
    a.known_permission()
    a.fail(unavailable, "charge")
    for number in range(6):
        a.charge("Captured", name=f"charge {number}")
        a.refund("RefundInitiated", name=f"refund {number}", of=f"charge {number}")
        a.ipn(f"refund {number}")
    for number in range(6):
        a.sees("RefundInitiated", f"refund {number}", within_s=2 if number else WITHIN_S)
