"""Amazon and the buyer, in one story: objects, notifications, and waiting for what the receiver publishes."""

import copy
import dataclasses
import datetime
import json
import random
import time

import sns
from story import KEEP, NULL, OF_TYPE, SEES_WITHIN_S, compact, money


def _after(before):
    """Now, in a later second than before: stories of changes within one second say so."""
    while compact(sns.utc_now()) == before:
        time.sleep(0.05)
    return compact(sns.utc_now())


@dataclasses.dataclass
class Thing:
    kind: str
    id: str
    merchant: str
    permission: str
    object: dict


class Actor:
    """Amazon and the buyer, in one story."""

    def __init__(self, world, of):
        self.world, self.story = world, of
        self.merchant = of.merchant
        self.things = {}
        self.notes = []  # what went otherwise than the story says
        self.broken = []  # why the story says nothing: no known gap excuses it
        self.message_ids = set()
        self.began = len(world.api.reads)
        self.memo = {}
        self.shown = {}  # (object, field) -> values that a version of it was given
        self.mark = 0  # how long the API's log of reads was when the last IPN was sent
        self.random = random.Random()

    # ------------------------------------------------------------------------------------------ objects

    def number(self):
        return f"{self.random.randrange(10**7):07d}-{self.random.randrange(10**7):07d}"

    def permission(self, type_="PaymentMethodOnFile", *, name="permission", id_=None, state="Chargeable", reasons=(), at=None, hidden=False, **facts):
        """A permission; `hidden`: the API does not have it."""
        id_ = id_ or ("S02-" if type_ == "OneTime" else "C02-") + self.number()
        month = {"frequency": {"unit": "Month", "value": "1"}, "amount": money("30.00")}
        address = {"name": "Erika Marker-Name", "addressLine1": "Marker-Street 1", "city": "Berlin", "postalCode": "10115"}
        object_ = {
            "chargePermissionId": id_,
            "chargePermissionReferenceId": None,
            "chargePermissionType": type_,
            "recurringMetadata": month if type_ == "Recurring" else None,
            "paymentMethodOnFileMetadata": {"setupOnly": False} if type_ == "PaymentMethodOnFile" else None,
            "platformId": None,
            "buyer": {
                "buyerId": "amzn1.account.MARKERBUYER",
                "name": "Erika Marker-Name",
                "email": "marker@mail.example",
                "phoneNumber": "0301234567",
                "primeMembershipTypes": None,
            },
            "shippingAddress": {**address, "addressLine2": "Marker-Floor"},
            "billingAddress": address,
            "paymentPreferences": [{"paymentDescriptor": "Visa ****1111 (Amazon Pay)"}],
            "statusDetails": {},
            "creationTimestamp": compact(sns.utc_now()),
            "expirationTimestamp": compact(sns.utc_now() + datetime.timedelta(days=395)),
            "merchantMetadata": {"merchantReferenceId": "order-1", "merchantStoreName": "Shop", "noteToBuyer": None},
            "releaseEnvironment": "Sandbox",
            "limits": {"amountLimit": money("100.00"), "amountBalance": money("100.00")},
            "presentmentCurrency": "EUR",
        }
        return self._add(name, Thing("permission", id_, self.merchant, id_, object_), state, reasons, at, facts, hidden)

    def charge(self, state, reason=None, *, name="charge", of="permission", at=None, hidden=False, id_=None, **facts):
        parent = self.things[of]
        one_time = parent.id.startswith("S")
        id_ = id_ or (parent.id if one_time else "S02-" + self.number()) + f"-C{self.random.randrange(10**6):06d}"
        object_ = {
            "chargeId": id_,
            "chargePermissionId": parent.id,
            "chargeAmount": money("9.99"),
            "captureAmount": money("9.99") if state == "Captured" else None,
            "refundedAmount": None,
            "convertedAmount": None,
            "conversionRate": None,
            "softDescriptor": "Shop",
            "captureNow": False,
            "canHandlePendingAuthorization": True,
            "providerMetadata": {"providerReferenceId": None},
            "merchantMetadata": None,
            "platformId": None,
            "chargeInitiator": "MITU",
            "channel": "Web",
            "statusDetails": {},
            "creationTimestamp": compact(sns.utc_now()),
            "expirationTimestamp": compact(sns.utc_now() + datetime.timedelta(days=30)),
            "releaseEnvironment": "Sandbox",
        }
        return self._add(name, Thing("charge", id_, self.merchant, parent.id, object_), state, reason, at, facts, hidden)

    def refund(self, state, reason=None, *, name="refund", of="charge", at=None, **facts):
        charge = self.things[of]
        id_ = charge.id.rsplit("-", 1)[0] + f"-R{self.random.randrange(10**6):06d}"
        object_ = {
            "refundId": id_,
            "chargeId": charge.id,
            "refundAmount": money("9.99"),
            "softDescriptor": "Shop",
            "statusDetails": {},
            "creationTimestamp": compact(sns.utc_now()),
            "releaseEnvironment": "Sandbox",
        }
        return self._add(name, Thing("refund", id_, self.merchant, charge.permission, object_), state, reason, at, facts)

    def dispute(self, state, reason=None, *, name="dispute", of="charge", at=None, **facts):
        charge = self.things[of]
        id_ = charge.id.rsplit("-", 1)[0] + f"-B{self.random.randrange(10**6):06d}"
        object_ = {
            "disputeId": id_,
            "chargeId": charge.id,
            "disputeType": "Chargeback",
            "disputeAmount": money("9.99"),
            "filingReason": "ProductNotReceived",
            "statusDetails": {"resolution": None},
            "merchantEvidences": None,
            "merchantResponseDeadline": "20300112T000000Z",
            "resolutionAuthority": None,
            "creationTimestamp": compact(sns.utc_now()),
            "releaseEnvironment": "Sandbox",
        }
        return self._add(name, Thing("dispute", id_, self.merchant, charge.permission, object_), state, reason, at, facts)

    def change(self, name, state=None, reason=(), *, at=None, lag_s=0.0, resolution=KEEP, **facts):
        """The object's next version. `at`: its lastUpdatedTimestamp (None is now; `KEEP`; `NULL`; or the very value)."""
        thing = self.things[name]
        thing.object = copy.deepcopy(thing.object)
        thing.object.update(facts)
        details = thing.object["statusDetails"]
        if state:
            details["state"] = state
            if thing.kind == "permission":
                codes = [reason] if isinstance(reason, str) else list(reason or ())
                details["reasons"] = [{"reasonCode": c, "reasonDescription": "Why."} for c in codes] or None
            else:
                details["reasonCode"] = reason or None
                details["reasonDescription"] = "Why." if reason else None
        if resolution is not KEEP:
            details["resolution"] = resolution
        if at is not KEEP:
            before = details.get("lastUpdatedTimestamp")
            details["lastUpdatedTimestamp"] = _after(before) if at is None else None if at is NULL else at
        for field, value in facts.items():
            self.shown.setdefault((name, field), []).append(value)
        self.world.api.put(thing.merchant, thing.kind, thing.id, thing.object, lag_s=lag_s)

    def fail(self, fault, kind=None, *, name=None):
        """A fault of the merchant's endpoints (all, or of one kind), or of one object; None ends it."""
        thing = self.things.get(name)
        kind = thing.kind if thing else kind
        self.world.api.fail(self.merchant, kind, fault, thing and thing.id)

    def strip(self, name, *fields):
        """From the next version on the object has these fields alone."""
        thing = self.things[name]
        thing.object = {field: copy.deepcopy(thing.object[field]) for field in fields}

    def answer(self, name, make):
        """The API answers each read of the object with what `make` returns for its present version; None ends it."""
        thing = self.things[name]
        as_bytes = lambda: (200, json.dumps(make(copy.deepcopy(thing.object))).encode(), 0, {})  # noqa: E731
        self.fail(make and as_bytes, name=name)

    def _add(self, name, thing, state, reason, at, facts, hidden=False):
        self.things[name] = thing
        if hidden:
            thing.object["statusDetails"]["state"] = state
        else:
            self.change(name, state, reason, at=at, **facts)
        return thing

    # ------------------------------------------------------------------------------------------ notifications

    def message(self, name, notification="STATE_CHANGE", **overrides):
        thing = self.things[name]
        return {
            "MerchantID": thing.merchant,
            "ObjectType": OF_TYPE[thing.kind],
            "ObjectId": thing.id,
            "ChargePermissionId": thing.permission,
            "NotificationType": notification,
            "NotificationId": f"{self.random.randrange(16**8):08x}-0000-4000-8000-{self.random.randrange(16**12):012x}",
            "NotificationVersion": "V2",
            **overrides,
        }

    def envelope(self, message, *, topic=None, timestamp=None, version=None, forged=False):
        made = self.world.sns.notification(
            topic or sns.topic_arn(self.merchant, region=self.world.topic_region(self.merchant)),
            message,
            timestamp=timestamp,
            version=version or self.random.choice("12"),
            forged=forged,
        )
        self.message_ids.add(made["MessageId"])
        return made

    def post(self, envelope, *, answers=(200,), down_for_s=0):
        """Delivers as SNS does, and compares the answers of all attempts."""
        self.mark = len(self.world.api.reads)
        got = tuple(self.world.sns.deliver(self.world.port, envelope, down_for_s=down_for_s))
        if got != tuple(answers):
            self.broken.append(f"SNS was answered {got}, expected {tuple(answers)}")

    def attempt(self, envelope, answer):
        """One attempt alone, where the story is about its answer."""
        got = self.world.sns.attempt(self.world.port, envelope)
        if got != answer:
            self.broken.append(f"an attempt was answered {got}, expected {answer}")

    def ipn(self, name, notification="STATE_CHANGE", *, timestamp=None, version=None, **overrides):
        self.post(self.envelope(self.message(name, notification, **overrides), timestamp=timestamp, version=version))

    # ------------------------------------------------------------------------------------------ waiting

    def sees(self, type_, name, *, count=1, within_s=SEES_WITHIN_S):
        """Waits until the event is there."""
        thing = self.things[name]
        if not self.world.events.wait(thing.merchant, thing.id, type_, count, within_s):
            self.notes.append(f"no {type_} of the {name} within {within_s} s")

    def is_read(self, name, *, times=1, status=None, within_s=SEES_WITHIN_S):
        """Waits until the API was asked for the object so many times since the last IPN, or the last such wait."""
        thing = self.things[name]
        deadline = time.monotonic() + within_s
        while self.world.api.count(thing.merchant, thing.kind, thing.id, since=self.mark, status=status) < times:
            if time.monotonic() > deadline:
                self.notes.append(f"the {name} was not read {times} times within {within_s} s")
                break
            time.sleep(0.05)
        self.mark = len(self.world.api.reads)

    def reads(self, name):
        """How often the object was asked for since the story began."""
        thing = self.things[name]
        return self.world.api.count(thing.merchant, thing.kind, thing.id, since=self.began)

    def is_dead(self, count, *, within_s=SEES_WITHIN_S):
        """Waits until so many messages of the story are dead letters."""
        if not self.world.events.wait_dead(self.message_ids, count, within_s):
            self.notes.append(f"no {count} dead letters within {within_s} s")

    def restart_receiver(self):
        """Ends the receiver and starts it again, when all stories of this world have come so far."""
        self.world.together(self.world.service.restart)

    def stop_worker(self):
        """From here on IPNs are stored and nothing is read, when all stories of this world have come so far."""
        self.world.together(self.world.service.stop_worker)

    def start_worker(self):
        """All stories of this world have sent what was to be sent: their backlog is read."""
        self.mark = len(self.world.api.reads)
        self.world.together(self.world.service.start_worker)

    def known_permission(self, type_="PaymentMethodOnFile", **facts):
        """A permission that was published as Chargeable, which is how most stories begin."""
        self.permission(type_, **facts)
        self.ipn("permission")
        self.sees("PermissionChargeable", "permission")

