"""What every attack has in common: innocent objects of the same merchant and of a neighbour, which must be published soon.

The neighbour is another merchant in the same partition of the inbox and of the state topic.
"""

import time

from story import E

INNOCENT_WITHIN_S = 25
BOTH = ("innocent", "neighbour")


def innocents(*rounds):
    """What must be published of the innocents of each round."""
    return [
        E(event, f"{who} {what}{round_}")
        for round_ in rounds or ("",)
        for who in BOTH
        for event, what in (("PermissionChargeable", "permission"), ("ChargeCaptured", "charge"))
    ]


def innocents_are_published(a, round_="", within_s=INNOCENT_WITHIN_S):
    """A new permission and its captured charge, of this merchant and of its neighbour."""
    mine = a.merchant
    for who, merchant in zip(BOTH, (mine, a.world.neighbour(mine))):
        a.merchant = merchant
        a.permission(name=f"{who} permission{round_}")
        a.charge("Captured", name=f"{who} charge{round_}", of=f"{who} permission{round_}")
        a.ipn(f"{who} permission{round_}")
        a.ipn(f"{who} charge{round_}")
    a.merchant = mine
    deadline = time.monotonic() + within_s
    for want in innocents(round_):
        a.sees(want.type, want.name, within_s=max(0.1, deadline - time.monotonic()))


def is_published_once(a, type_, name, within_s=INNOCENT_WITHIN_S):
    """For an object whose other events are open: this event must come, and come once."""
    a.sees(type_, name, within_s=within_s)
    thing = a.things[name]
    count = sum(e["type"].split(".")[-2] == type_ for e in a.world.events.of(thing.merchant, thing.id))
    if count > 1:
        a.notes.append(f"{count} times {type_} of the {name}")


def have_a_result(a, places, records, within_s=INNOCENT_WITHIN_S):
    """Each of these inbox records must become a dead letter."""
    if a.world.events.wait_given_up(places, within_s):
        return
    for place, record in zip(places, records):
        if place not in a.world.events.given_up:
            a.notes.append(f"no dead letter of {place}: {record.get('name') or record}"[:300])


def command(a, *arguments, exits=(0,), within_s=60):
    """Runs a command beside the receiver, and compares its exit code. Its output."""
    code, output = a.world.service.command(*arguments, within_s=within_s)
    if code not in exits or "panicked" in output:
        a.notes.append(f"{' '.join(arguments)[:80]!r} ended with {code}, expected {exits}: {output[-300:]}")
    return output
