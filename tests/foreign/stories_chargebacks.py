"""Stories of CHARGEBACK IPNs that name a charge: the chargeback is published, since its window runs."""

from acts import CAPTURED, KNOWN, begins, captured
from story import E, anything, naming, not_found, of, story

REPORTED = E(
    "ChargebackReported",
    "charge",
    action="RESPOND_TO_DISPUTE",
    evidence={"chargeback_ipn"},
    advice=naming("11", "7"),
    permission=of("permission"),
    prev=anything,
    first=anything,
)


def chargeback(a):
    sent = a.envelope(a.message("charge", ObjectType="CHARGEBACK"))
    a.post(sent)
    return sent


@story(
    "chargeback-names-a-charge",
    "A CHARGEBACK IPN names the charge, not the dispute: never 'no change'.",
    expect=[KNOWN, CAPTURED, REPORTED],
)
def _(a):
    captured(a)
    chargeback(a)
    a.sees("ChargebackReported", "charge")


@story(
    "chargeback-names-an-unseen-charge",
    "The first IPN about a charge is a CHARGEBACK that names it instead of the dispute.",
    expect=[KNOWN, CAPTURED, REPORTED],
)
def _(a):
    a.known_permission()
    a.charge("Captured")
    chargeback(a)
    a.sees("ChargebackReported", "charge")


@story(
    "chargeback-twice-in-sns",
    "SNS delivers a CHARGEBACK that names a charge five times: one event.",
    expect=[KNOWN, CAPTURED, REPORTED],
)
def _(a):
    captured(a)
    sent = chargeback(a)
    a.post(sent)
    a.sees("ChargebackReported", "charge")
    for _ in range(3):
        a.post(sent)
    a.is_read("charge")


@story(
    "two-chargebacks-of-a-charge",
    "Two CHARGEBACK IPNs name one charge: two events.",
    expect=[KNOWN, CAPTURED, REPORTED, REPORTED],
)
def _(a):
    captured(a)
    for count in (1, 2):
        chargeback(a)
        a.sees("ChargebackReported", "charge", count=count)


@story(
    "two-chargebacks-at-once",
    "Two CHARGEBACK IPNs name one charge and are read together: two events.",
    expect=[KNOWN, CAPTURED, REPORTED, REPORTED],
)
def _(a):
    captured(a)
    chargeback(a)
    chargeback(a)
    a.sees("ChargebackReported", "charge", count=2)


@story(
    "chargeback-and-capture-together",
    "A charge is captured, and both its IPN and a CHARGEBACK that names it come before it is read.",
    expect=[KNOWN, CAPTURED, REPORTED],
)
def _(a):
    a.known_permission("OneTime")
    a.charge("Captured")
    a.ipn("charge")
    chargeback(a)
    a.sees("ChargeCaptured", "charge")
    a.sees("ChargebackReported", "charge")


@story(
    "chargeback-then-dispute",
    "A CHARGEBACK names the charge, and a later one names the dispute: both are published.",
    expect=[KNOWN, CAPTURED, REPORTED, E("DisputeActionRequired", "dispute", action="RESPOND_TO_DISPUTE")],
)
def _(a):
    captured(a)
    chargeback(a)
    a.sees("ChargebackReported", "charge")
    a.dispute("ActionRequired", "MerchantResponseRequired")
    begins(a, "dispute", "DisputeActionRequired")


@story(
    "chargeback-of-an-unreadable-charge",
    "A CHARGEBACK names a charge that the API does not have: a dead letter.",
    expect=[KNOWN],
    dead=["*"],
)
def _(a):
    a.known_permission()
    a.charge("Captured", hidden=True)
    chargeback(a)
    a.is_dead(1)


@story(
    "chargeback-of-a-purged-charge",
    "A CHARGEBACK names a charge that was published, and that the API no longer has: a dead letter.",
    expect=[KNOWN, CAPTURED],
    dead=["chargeback"],
)
def _(a):
    captured(a)
    a.fail(not_found, name="charge")
    chargeback(a)
    a.is_dead(1)


@story(
    "chargeback-names-a-permission",
    "A CHARGEBACK names the permission: never silence, so a dead letter that somebody looks at.",
    expect=[KNOWN],
    dead=["*"],
)
def _(a):
    a.known_permission()
    a.ipn("permission", ObjectType="CHARGEBACK")
    a.is_dead(1)
