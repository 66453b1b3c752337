"""Parses every fixture with the generated classes, and compares what they hold with the JSON.

parse.py FOLDER-OF-CLASSES FIXTURES SCHEMA
"""

import json
import pathlib
import re
import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True

import events


def plain(value):
    """Without zeros at the end of times, which pydantic does not write."""
    if isinstance(value, dict):
        return {name: plain(of) for name, of in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value):
        return re.sub(r"\.?0*Z$", "Z", value) if "." in value else value
    return value


names, codes = set(), set()
files = sorted(pathlib.Path(sys.argv[2]).glob("*.json"))
for file in files:
    text = file.read_bytes()
    event = events.AnyEvent.model_validate_json(text).root
    names.add(type(event).__name__)
    assert event.type == f"amazonpay.{type(event).__name__}.v1", file
    written = json.loads(event.model_dump_json(by_alias=True, exclude_unset=True))
    assert plain(written) == plain(json.loads(text)), f"{file}: {written}"
    codes.add(events.KnownNextActionCode(event.data.next_action.code))

with open(sys.argv[3], "rb") as schema:
    known = {reference["$ref"].split("/")[-1] for reference in json.load(schema)["oneOf"]}
assert names == known, f"no fixture of {known - names}"

# A code of a later version is text like any other, and compares like it.
later = json.loads(files[0].read_bytes())
later["data"]["nextAction"]["code"] = "A_CODE_OF_TOMORROW"
later["data"]["aFieldOfTomorrow"] = [1]
assert events.AnyEvent.model_validate(later).root.data.next_action.code == "A_CODE_OF_TOMORROW"
later["type"] = "amazonpay.ChargeTeleported.v1"
try:
    events.AnyEvent.model_validate(later)
    sys.exit("an event of an unknown type was parsed as a known one")
except ValueError:
    pass
print(f"pydantic: {len(files)} fixtures of {len(names)} types and {len(codes)} codes parsed")
