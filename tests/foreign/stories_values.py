"""Stories of values in forms that Amazon was seen to use, or that its documents use loosely."""

from acts import CAPTURED, KNOWN, begins
from story import KEEP, E, anything, holding, money, story


def permission_with(id_, text, reasons):
    @story(
        f"reasons-{id_}",
        f"The reasons of a suspended permission are written as {text}: their code is kept.",
        expect=[KNOWN, E("PermissionNonChargeable", "permission", action="OPEN_UPDATE_PAGE", reasons=["PaymentMethodExpired"])],
    )
    def _(a):
        a.known_permission()
        a.change("permission", "NonChargeable", "PaymentMethodExpired")
        a.things["permission"].object["statusDetails"]["reasons"] = reasons
        a.change("permission", at=KEEP)
        begins(a, "permission", "PermissionNonChargeable")


permission_with("as-object", "one object", {"reasonCode": "PaymentMethodExpired", "reasonDescription": "Why."})
permission_with("as-texts", "a list of texts", ["PaymentMethodExpired"])
permission_with("as-text", "one text", "PaymentMethodExpired")


@story(
    "amounts-as-numbers",
    "Amounts are numbers: published as text.",
    expect=[KNOWN, E("ChargeCaptured", "charge", snapshot=holding(chargeAmount=money("9.99"), captureAmount=money("5")))],
)
def _(a):
    a.known_permission()
    a.charge("Captured", chargeAmount={"amount": 9.99, "currencyCode": "EUR"}, captureAmount={"amount": 5, "currencyCode": "EUR"})
    begins(a, "charge", "ChargeCaptured")


@story(
    "amount-changes-its-form",
    "An amount is a text in one answer and a number in the next: nothing changed.",
    expect=[KNOWN, CAPTURED],
)
def _(a):
    a.known_permission()
    a.charge("Captured", chargeAmount=money("9.99"))
    begins(a, "charge", "ChargeCaptured")
    a.change("charge", chargeAmount={"amount": 9.99, "currencyCode": "EUR"})
    a.ipn("charge")
    a.is_read("charge")


@story(
    "status-detail-without-s",
    "An early form of the answers: the key statusDetail, and epoch milliseconds.",
    expect=[KNOWN, E("ChargeCaptured", "charge", time=anything)],
)
def _(a):
    a.known_permission()
    a.charge("Captured")
    a.answer("charge", lambda o: {**{k: v for k, v in o.items() if k != "statusDetails"}, "statusDetail": o["statusDetails"]})
    begins(a, "charge", "ChargeCaptured")
