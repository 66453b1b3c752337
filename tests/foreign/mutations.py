"""Variants of a JSON value, each wrong in one place: a field is missing, null, of another type, or at the end of its range."""

import copy

NUMBERS = (0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**70, 1e300, 0.5)
TIMES = ("", "yesterday", "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "+262142-12-31T23:59:59.999Z", "-9999-01-01T00:00:00Z")
TEXTS = ("", "\0", "x" * 50_000, "\ud800", "../../x", "\U0001f4a3")
READABLE = (0, 1, 2**31 - 1, "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", True, False)
ANY = (None, [], {}, "x", 5, True)


def mutations(value, *, readable=False):
    """(what differs, the variant), in an order that does not change. `readable`: numbers, times and flags
    alone, at values that can be read."""
    for path in sorted(_paths(value), key=repr):
        at = _at(value, path)
        if readable and path == ("version",):
            continue
        if not readable:
            yield f"{_name(path)} missing", _without(value, path)
        for other in _readable(at) if readable else _others(at):
            yield f"{_name(path)} = {other!r}"[:80], _with(value, path, other)


def _others(at):
    yield from (other for other in ANY if type(other) is not type(at))
    if isinstance(at, bool):
        yield not at
    elif isinstance(at, int):
        yield from NUMBERS
    elif isinstance(at, str):
        yield from TIMES if at[:2] == "20" and at.endswith("Z") else TEXTS
    elif isinstance(at, list) and at:
        yield at * 3000
    elif isinstance(at, dict):
        yield {**at, "addedByALaterRelease": {"a": [1, None]}}


def _readable(at):
    is_time = isinstance(at, str) and at[:2] == "20" and at.endswith("Z")
    return [o for o in READABLE if type(o) is type(at) and (is_time or not isinstance(at, str))]


def _paths(value, path=()):
    fields = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in fields:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def _name(path):
    return ".".join(map(str, path))


def _at(value, path):
    for key in path:
        value = value[key]
    return value


def _with(value, path, other):
    made = copy.deepcopy(value)
    _at(made, path[:-1])[path[-1]] = other
    return made


def _without(value, path):
    made = copy.deepcopy(value)
    del _at(made, path[:-1])[path[-1]]
    return made
