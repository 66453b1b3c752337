"""Attacks on the state topic and on the events topic, while the worker is stopped.

Each record affects its own object at most: the worker gets ready, innocents are published, no known change is published
twice, and no pending work is lost. A record of a later release alone holds its object back.
"""

import json
import os
import random
import time

from acts import CAPTURED, KNOWN, begins
from attacks import command, innocents, innocents_are_published, is_published_once
from mutations import mutations
from story import E, story, unavailable

STATE, EVENTS = "state.v1", "events.v1"
OBJECTS = int(os.environ.get("FOREIGN_MUTATIONS", 60))  # so many variants are tried; 400 are all of them
WITHIN_S = 40
# A record of a later release; one whose object seems to have changed in the future, so that the true answer is an older one,
# which is believed after an hour; and work that is due at the end of time, which waits for the longest wait.
HELD_BACK = ("version", "pending.due = '9999", "observed.lastUpdated = '9999", "observed.lastUpdated = '+262142")


# Such a record is the receiver's own for an object that waits for its first read: nobody can tell that it was another.
NEVER_READ = ("observed missing", "observed = None")


def known(a, kind, number, names):
    """So many permissions, or charges of one permission, that are published."""
    if kind == "charge":
        a.known_permission()
    for count in range(number):
        names.append(f"{kind} {count}")
        a.permission(name=names[-1]) if kind == "permission" else a.charge("Authorized", name=names[-1])
        a.things[names[-1]].open = True
        a.ipn(names[-1])
    for name in names:
        a.sees("PermissionChargeable" if kind == "permission" else "ChargeAuthorized", name, within_s=WITHIN_S)


def record_of(a, name, records):
    """Key, partition, value and headers of an object's state."""
    thing = a.things[name]
    ending = f"{a.merchant}/sandbox/{ {'permission': 'ChargePermission'}.get(thing.kind, thing.kind.capitalize()) }/{thing.id}"
    partition, value, headers = records[ending.encode()]
    return ending, partition, json.loads(value), headers


def spoil(a, names, choose, readable):
    """Replaces the state of each object by a variant of itself; (name, what differs) of each that must go on."""
    records = a.world.topics.newest(STATE)
    variants = [m for m in mutations(choose(record_of(a, names[0], records)[2]), readable=readable) if m[0] not in NEVER_READ]
    picked = variants if len(variants) <= len(names) else random.Random(1).sample(variants, len(names))
    spoiled, written = [], []
    for name, (what, _) in zip(names, picked):
        key, partition, value, headers = record_of(a, name, records)
        mine = dict(mutations(choose(value), readable=readable)).get(what)
        if mine is None:
            continue
        text = json.dumps({**value, **mine}, ensure_ascii=True) if choose is pending_of else json.dumps(mine)
        written.append({"key": key, "value": text.encode(), "partition": partition, "headers": headers})
        if not what.startswith(HELD_BACK):
            spoiled.append((name, what))
    a.world.topics.put(STATE, written)
    return spoiled


def whole(value):
    return value


def pending_of(value):
    return {"pending": value["pending"]}


def register_mutations(kind, state, event, reason, before, readable):
    how = "an extreme value" if readable else "a wrong field"
    @story(
        f"state-with-{how.replace(' ', '-')}-of-{kind}",
        f"The state of each {kind} has {how}: its next change is published once, and the one before not again.",
        world="mutated" if readable else "poisoned",
        own=True,
        expect=[*innocents(), *([KNOWN] if kind == "charge" else [])],
    )
    def _(a):
        names = []
        known(a, kind, OBJECTS, names)
        a.stop_worker()
        spoiled = spoil(a, names, whole, readable)
        a.start_worker()
        innocents_are_published(a)
        for name, _ in spoiled:
            a.change(name, state, reason)
            a.ipn(name)
        deadline = time.monotonic() + WITHIN_S
        for name, what in spoiled:
            notes = len(a.notes)
            is_published_once(a, event, name, max(0.1, deadline - time.monotonic()))
            is_published_once(a, before, name, 0.1)
            a.notes[notes:] = [f"{what}: {note}" for note in a.notes[notes:]]


for readable in (True, False):
    register_mutations("permission", "NonChargeable", "PermissionNonChargeable", "PaymentMethodInvalid", "PermissionChargeable", readable)
    register_mutations("charge", "Captured", "ChargeCaptured", None, "ChargeAuthorized", readable)


@story(
    "state-with-an-extreme-value-of-pending",
    "The pending work of each charge has an extreme value: no work is lost, and each charge is published once.",
    world="mutated",
    own=True,
    expect=[*innocents(), KNOWN],
)
def _(a):
    a.known_permission()
    a.fail(unavailable, "charge")
    names = [f"charge {count}" for count in range(OBJECTS)]
    for name in names:
        a.charge("Captured", name=name).open = True
        a.ipn(name)
    time.sleep(5)  # pending_after_ms has passed
    a.stop_worker()
    spoiled = spoil(a, names, pending_of, readable=True)
    a.fail(None, "charge")
    a.start_worker()
    innocents_are_published(a)
    deadline = time.monotonic() + WITHIN_S
    for name, what in spoiled:
        notes = len(a.notes)
        is_published_once(a, "ChargeCaptured", name, max(0.1, deadline - time.monotonic()))
        a.notes[notes:] = [f"{what}: {note}" for note in a.notes[notes:]]


def foreign_keys(a):
    """Keys under which the receiver writes nothing, and its own keys with values that it does not write."""
    account = f"{a.merchant}/sandbox"
    keys = [
        b"", b"\xff\xfe", b"/", b"////", b"x" * 200_000, f"{account}/Charge/", f"{account}/", account, f"{account}/Order/x",
        f"{account}/charge/S02-1", f"{a.merchant}/live/Charge/S02-1-1-C1", f"{a.merchant}/moon/Charge/S02-1-1-C1",
        "A1NOBODY/sandbox/Charge/S02-1-1-C1", f"{account}/Charge/../x", f"{account}/Charge/a/b", f"{account}/Charge/\0",
        "__barrier", "__complete", "__unknown", f"{account}/__in_charge_since", f"{account}/__unknown",
    ]  # fmt: skip
    values = [None, b"", b"\xff", b"null", b"[]", b"{}", b'{"version":1}', b'{"version":"1"}', b"[" * 100_000, b"x" * 700_000]
    return [(key, value) for key in keys for value in values]


@story(
    "state-foreign-keys",
    "Foreign keys on every partition of the state topic, and garbage under the receiver's own: nothing is published twice.",
    world="poisoned",
    own=True,
    expect=[*innocents(), KNOWN, CAPTURED, E("PermissionClosed", "permission", reasons=["BuyerClosed"])],
)
def _(a):
    a.known_permission()
    a.charge("Captured")
    begins(a, "charge", "ChargeCaptured")
    a.stop_worker()
    small = [(k, v) for k, v in foreign_keys(a) if len(k) + len(v or b"") < 300_000]
    large = [(k, v) for k, v in foreign_keys(a) if (k, v) not in small][:6]
    a.world.topics.put(STATE, [{"key": k, "value": v, "partition": p} for p in range(3) for k, v in small + large])
    a.start_worker()
    for name in ("permission", "charge"):
        a.ipn(name)
        a.is_read(name, within_s=60)
    innocents_are_published(a)
    a.change("permission", "Closed", "BuyerClosed")
    begins(a, "permission", "PermissionClosed")
    for id_ in ("x", "../x", "\u00fc" * 500, "C02-0000000-0000000", "x" * 20_000, a.things["charge"].id):
        command(a, "inspect", id_, exits=(0, 1, 2))


@story(
    "state-in-other-partition",
    "The state of an object is in all partitions, newer and older than in its own: its next change is published once.",
    world="poisoned",
    own=True,
    expect=[*innocents(), KNOWN, E("PermissionNonChargeable", "permission", prev="Chargeable")],
)
def _(a):
    a.known_permission()
    a.stop_worker()
    key, mine, value, headers = record_of(a, "permission", a.world.topics.newest(STATE))
    for state in ("NonChargeable", "Closed"):
        value["observed"]["state"] = state
        others = [p for p in range(3) if p != mine]
        a.world.topics.put(STATE, [{"key": key, "value": json.dumps(value).encode(), "headers": headers, "partition": p} for p in others])
    a.start_worker()
    a.change("permission", "NonChargeable", "PaymentMethodInvalid")
    begins(a, "permission", "PermissionNonChargeable", within_s=60)
    innocents_are_published(a)


def foreign_events(a):
    """Values on the events topic, some with the form of the receiver's own events about an object of this merchant."""
    yield from (None, b"", b"\xff\xfe", b"null", b"[]", b"{}", b"[" * 100_000, b"x" * 900_000)
    (event,) = [e for e in a.world.events.of(a.merchant, a.things["template"].id)]
    for what, variant in mutations(event):
        if "3000" not in what and len(json.dumps(variant)) < 100_000:
            yield json.dumps(variant).encode()


@story(
    "state-rebuilt-beside-foreign-events",
    "The state of all objects is damaged, and the events topic is full of foreign events: what was published is not repeated.",
    world="poisoned",
    own=True,
    expect=[
        *innocents(),
        E("PermissionChargeable", "template"),
        KNOWN,
        CAPTURED,
        E("PermissionNonChargeable", "permission", prev="Chargeable"),
    ],
)
def _(a):
    a.permission(name="template")
    begins(a, "template", "PermissionChargeable")
    a.known_permission()
    a.charge("Captured")
    begins(a, "charge", "ChargeCaptured")
    a.stop_worker()
    records = a.world.topics.newest(STATE)
    values = list(foreign_events(a))
    a.world.topics.put(EVENTS, [{"key": a.things["template"].id, "value": v, "partition": n % 3} for n, v in enumerate(values)])
    a.world.topics.put(EVENTS, [{"value": v, "partition": p} for p in range(3) for v in values[:8]])
    for name, garbage in (("permission", b"{}"), ("charge", b"\xff")):
        key, partition, _, headers = record_of(a, name, records)
        a.world.topics.put(STATE, [{"key": key, "value": garbage, "headers": headers, "partition": partition}])
    a.start_worker()
    for name in ("permission", "charge"):
        a.ipn(name)
        a.is_read(name, within_s=60)
    a.change("permission", "NonChargeable", "PaymentMethodInvalid")
    begins(a, "permission", "PermissionNonChargeable")
    innocents_are_published(a)
