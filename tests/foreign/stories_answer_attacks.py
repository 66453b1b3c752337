"""Attacks by the Amazon Pay API: answers of every size and shape about some objects, and true ones about all others.

An answer that cannot be used delays its own object alone. When the API tells the truth again, each object is published.
"""

import copy
import time

from answers import CONNECTIONS, RETRY_AFTERS, SHAPES, STATUSES, status
from attacks import INNOCENT_WITHIN_S, innocents, innocents_are_published
from story import story

TRUTH_WITHIN_S = 45


def answered(a, name, make):
    """The API answers each read of the object with what `make` makes of its present version."""
    thing = a.things[name]
    a.fail(lambda: make(copy.deepcopy(thing.object)), name=name)


def register_shapes(id_, text, shapes, group):
    @story(f"answers-{id_}-of-charges", f"{text} about charges.", world="attacked", own=True, expect=innocents())
    def _(a):
        a.permission(name="parent").open = True
        a.ipn("parent")
        a.sees("PermissionChargeable", "parent")
        for what, make in shapes.items():
            a.charge("Captured", name=what, of="parent").open = True
            answered(a, what, make)
            a.ipn(what)
        time.sleep(1)
        innocents_are_published(a)
        tell_the_truth(a, shapes, "ChargeCaptured")

    @story(f"answers-{id_}-of-permissions", f"{text} about permissions of charges.", world="attacked", own=True, expect=innocents())
    def _(a):
        for what, make in shapes.items():
            a.permission(name=what).open = True
            a.charge("Captured", name=f"charge of {what}", of=what).open = True
            answered(a, what, make)
            a.ipn(what)
            a.ipn(f"charge of {what}")
        time.sleep(1)
        innocents_are_published(a)
        deadline = time.monotonic() + TRUTH_WITHIN_S
        for what in shapes:
            a.sees("ChargeCaptured", f"charge of {what}", within_s=max(0.1, deadline - time.monotonic()))
        tell_the_truth(a, shapes, "PermissionChargeable")


def tell_the_truth(a, names, event):
    for name in names:
        a.fail(None, name=name)
        a.change(name)
        a.ipn(name)
    deadline = time.monotonic() + TRUTH_WITHIN_S
    for name in names:
        a.sees(event, name, within_s=max(0.1, deadline - time.monotonic()))


for group, shapes in SHAPES.items():
    register_shapes(group, f"Answers of odd {group}", shapes, group)


def register_poison(id_, text, fault, known_gap=None):
    @story(
        f"one-object-{id_}",
        f"One charge is always answered {text}: the others of its kind and its merchant are published.",
        world="attacked",
        own=True,
        expect=innocents("", " later"),
        known_gap=known_gap,
    )
    def _(a):
        a.permission(name="parent").open = True
        a.ipn("parent")
        a.charge("Captured", name="poison", of="parent").open = True
        a.fail(fault, name="poison")
        a.ipn("poison")
        within_s = 10 if known_gap else INNOCENT_WITHIN_S
        innocents_are_published(a, "", within_s)
        time.sleep(6)  # the breaker has had time to open
        innocents_are_published(a, " later", within_s)
        if not a.notes:
            tell_the_truth(a, ["poison"], "ChargeCaptured")


@story(
    "many-objects-500",
    "Fifteen charges are always answered 500: the others of their kind and their merchant are published.",
    world="attacked",
    own=True,
    expect=innocents("", " later"),
)
def _(a):
    a.permission(name="parent").open = True
    a.ipn("parent")
    names = [f"poison {number}" for number in range(15)]
    for name in names:
        a.charge("Captured", name=name, of="parent").open = True
        a.fail(STATUSES["500"], name=name)
        a.ipn(name)
    innocents_are_published(a)
    time.sleep(6)
    innocents_are_published(a, " later")
    tell_the_truth(a, names, "ChargeCaptured")


for name, fault in {**STATUSES, **CONNECTIONS}.items():
    register_poison(name, name.replace("-", " "), fault)
for name, fault in RETRY_AFTERS.items():
    register_poison(f"retry-after-{name}", f"429 with a Retry-After ({name})", fault)
register_poison(
    "retry-after-in-9999",
    "429 with a Retry-After in the year 9999",
    status(429, {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}),
    known_gap="its operation of the merchant is not read for an hour",
)
