"""Whether the events and dead letters of a story are those that it expects, and what holds for every event."""

import json
import os

import jsonschema

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PRIVATE = ("Marker-", "marker@mail", "MARKERBUYER", "0301234567", "Visa ****", "Mastercard ****")


def name_of(event):
    return event["type"].split(".")[-2]


def short(event):
    return f"{name_of(event)}[{event['data']['nextAction']['code']}]"


def differences(actor, events, dead_letters):
    """What is otherwise than expected, in words. `events`: all of the story's, in the order of the topic."""
    story = actor.story
    found = actor.broken + actor.notes
    for name, thing in actor.things.items():
        got = [e for e in events if e["subject"] == thing.id and thing.merchant in e["source"].split("/")]
        found += _compare_object(name, [x for x in story.expect if x.name == name], got, actor)
    codes = [e["data"]["nextAction"]["code"] for e in events]
    if story.once and codes.count(story.once) != 1:
        found.append(f"{story.once} was advised {codes.count(story.once)} times, not once")
    reasons = sorted(reason for reason, _ in dead_letters)
    wanted = sorted(story.dead)
    if len(reasons) != len(wanted) or any(w not in ("*", r) for w, r in zip(wanted, reasons)):
        found.append(f"dead letters: expected {wanted or 'none'}, got {reasons or 'none'}")
    return found


def _compare_object(name, expected, got, actor):
    found = []
    required = [x for x in expected if not x.optional]
    for maybe in [x for x in expected if x.optional]:
        matches = [e for e in got if _is(maybe, e)]
        if len(matches) > sum(bool(set(x.type.split("|")) & set(maybe.type.split("|"))) for x in required):
            got = [e for e in got if e is not matches[-1]]
            found += _compare_fields(maybe, matches[-1], maybe.fields, actor)
    if len(required) != len(got) or not all(_is(x, e) for x, e in zip(required, got)):
        found.append(f"{name}: expected {[str(x) for x in required]}, got {[short(e) for e in got]}")
        return found
    for number, (want, event) in enumerate(zip(required, got)):
        before = got[number - 1]["data"]["state"] if number else None
        found += _compare_fields(want, event, {"prev": before, "first": number == 0, **want.fields}, actor)
    return found


def _is(want, event):
    return name_of(event) in want.type.split("|")


def _compare_fields(want, event, fields, actor):
    found = []
    for field, value in fields.items():
        is_ = actual(event, field)
        if callable(value):
            ok, value = value(actor, is_), getattr(value, "__doc__", None) or "other"
        else:
            ok = is_ == value
        if not ok:
            found.append(f"{want.name}, {name_of(event)}, {field}: expected {value!r}, got {is_!r}")
    return found


def actual(event, field):
    """A field of an event by the short name that stories use."""
    data = event["data"]
    action = data["nextAction"]
    if field in ("action", "deadline", "url", "advice"):
        return action.get({"action": "code", "advice": "text"}.get(field, field))
    if field == "reasons":
        return [r["reasonCode"] for r in data["reasons"]]
    if field == "evidence":
        return set(data.get("evidence", []))
    if field == "causes":
        return {c["type"] for c in data["causes"]}
    if field == "time":
        return event.get("time")
    if field == "source":
        return event["source"]
    if field == "snapshot":
        return data["snapshot"]
    names = {"prev": "previousState", "first": "firstSight", "ptype": "chargePermissionType", "pstate": "permissionState"}
    names["idsource"] = "chargePermissionIdSource"
    names["permission"] = "chargePermissionId"
    return data.get(names.get(field, field))


class Contract:
    """What the documents promise of every event: schema, key, order, privacy."""

    def __init__(self):
        with open(os.path.join(ROOT, "schemas", "events.schema.json")) as file:
            bundle = json.load(file)
        names = [reference["$ref"].split("/")[-1] for reference in bundle.pop("oneOf")]
        of = lambda name: {**bundle, "$ref": f"#/$defs/{name}"}
        self.schemas = {name: jsonschema.Draft202012Validator(of(name)) for name in names}

    def breaches(self, records):
        """`records`: (partition, key, text, event) in the order of each partition."""
        found, sequences = [], {}
        for _, key, text, event in records:
            what = f"{name_of(event)} of {event['subject']}"
            schema = self.schemas.get(name_of(event))
            if schema is None:
                found.append((event, f"{what}: no schema"))
                continue
            for error in schema.iter_errors(event):
                found.append((event, f"{what}: {error.json_path}: {error.message[:120]}"))
            if not key == event["partitionkey"] == event["data"]["chargePermissionId"]:
                found.append((event, f"{what}: key {key}, partitionkey and chargePermissionId are not one"))
            owner = (event["source"], key)
            if event["sequence"] <= sequences.get(owner, ""):
                found.append((event, f"{what}: sequence does not increase"))
            sequences[owner] = event["sequence"]
            for word in PRIVATE:
                if word in text:
                    found.append((event, f"{what}: private data: {word}"))
        return found
