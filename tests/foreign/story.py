"""What a story is made of: what must be published (`E`), and how its fields are compared. `actor.py` is what Amazon does.

`E` names an event and the object it is about; fields that it does not name are not compared, but for these, which follow
from the order of events: the first event of an object is its first sight, and `previousState` is the state of the event before.
"""

import dataclasses

import pay_api

STORIES = {}
SEES_WITHIN_S = 25
OF_TYPE = {"permission": "CHARGE_PERMISSION", "charge": "CHARGE", "refund": "REFUND", "dispute": "CHARGEBACK"}
KEEP = object()
NULL = object()


class E:
    """One expected event, of one type or of "This|OrThat". `optional`: the documents do not say whether it is published."""

    def __init__(self, type_, name, *, optional=False, **fields):
        self.type, self.name, self.optional, self.fields = type_, name, optional, fields

    def __str__(self):
        action = self.fields.get("action")
        action = getattr(action, "__doc__", None) if callable(action) else action
        return ("~" if self.optional else "") + self.type + (f"[{action}]" if action else "")


@dataclasses.dataclass
class Story:
    id: str
    text: str
    play: object
    expect: list
    dead: list  # reasons of dead letters; "*" is any
    known_gap: str | None
    own: bool  # a merchant of its own, since it breaks an endpoint
    world: str  # which receiver it is played against, see `service.py`
    once: str | None  # a code that exactly one event of the story advises
    merchant: str = ""


def story(id_, text, *, expect, dead=(), known_gap=None, own=False, world="fast", once=None):
    def register(play):
        assert id_ not in STORIES, id_
        STORIES[id_] = Story(id_, text, play, list(expect), list(dead), known_gap, own, world, once)
        return play

    return register


def compact(time_):
    return time_.strftime("%Y%m%dT%H%M%SZ")


def money(amount):
    return {"amount": amount, "currencyCode": "EUR"}


def anything(_actor, _value):
    """anything"""
    return True


def other_than(*refused):
    return _check(lambda _, value: value not in refused, f"other than {' or '.join(refused)}")


def one_of(*values):
    return _check(lambda _, value: value in values, f"one of {values}")


def naming(*words):
    return _check(lambda _, value: all(word in (value or "") for word in words), f"a text with {words}")


def beginning(text):
    return _check(lambda _, value: isinstance(value, str) and value.startswith(text), f"a text that begins with {text}")


def of(name):
    """The id of the object of that name."""
    return _check(lambda actor, value: value == actor.things[name].id, f"the id of the {name}")


def memo(name):
    """What the story put into `memo` while it was played."""
    return _check(lambda actor, value: value == actor.memo.get(name), f"the {name} of the story")


def holding(**facts):
    return _check(
        lambda _, snapshot: all(snapshot.get(key) == value for key, value in facts.items()), f"a snapshot with {facts}"
    )


def _check(check, meaning):
    check.__doc__ = meaning
    return check


unavailable, not_found = pay_api.unavailable(), pay_api.not_found()
