"""What many stories begin with, or consist of."""

import datetime

import sns
from story import E, compact

KNOWN = E("PermissionChargeable", "permission", action="NONE")
CAPTURED = E("ChargeCaptured", "charge")
OTHER_CARD = [{"paymentDescriptor": "Mastercard ****2222 (Amazon Pay)"}]
TYPES = ("OneTime", "Recurring", "PaymentMethodOnFile")


def ago(**duration):
    return sns.utc_now() - datetime.timedelta(**duration)


def in_(**duration):
    return compact(sns.utc_now() + datetime.timedelta(**duration))


def captured(a, type_="OneTime", **facts):
    """A permission and a captured charge, both published."""
    a.known_permission(type_, **facts)
    a.charge("Captured")
    begins(a, "charge", "ChargeCaptured")


def begins(a, name, event, **wait):
    a.ipn(name)
    a.sees(event, name, **wait)


def next_state(a, name, state, event, reason=(), *, count=1, **facts):
    a.change(name, state, reason, **facts)
    a.ipn(name)
    a.sees(event, name, count=count)


def becomes(a, state, event, reason=(), **facts):
    next_state(a, "permission", state, event, reason, **facts)


def hint(a, event, *, count=1, **facts):
    """The buyer changes something; Amazon says only that an attribute changed."""
    a.change("permission", **facts)
    a.ipn("permission", "ATTRIBUTE_CHANGE")
    a.sees(event, "permission", count=count)


def declined(a, reason="HardDeclined", *, name="charge", **facts):
    a.charge("Declined", reason, name=name, **facts)
    begins(a, name, "ChargeDeclined")
