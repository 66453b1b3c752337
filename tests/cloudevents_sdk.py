"""Reads events with the CloudEvents SDK for Python, as a consumer that knows nothing of ours would.

Standard input: one JSON object a line with "headers", "value" and the "expected" attributes. Prints how many were read, or
what is wrong with the first bad one.
"""

import json
import sys

from cloudevents.kafka import KafkaMessage, from_binary, from_structured


def read(record):
    headers = {name: value.encode() for name, value in record["headers"]}
    message = KafkaMessage(headers=headers, key=None, value=record["value"].encode())
    is_structured = headers["content-type"].startswith(b"application/cloudevents")
    event = from_structured(message) if is_structured else from_binary(message)
    data = event.data if isinstance(event.data, dict) else json.loads(event.data)
    for name, expected in record["expected"].items():
        found = data if name == "data" else event.get_attributes().get(name)
        if found != expected:
            sys.exit(f"{record['expected']['type']}: {name} is {found!r} and not {expected!r}")


count = 0
for line in sys.stdin:
    read(json.loads(line))
    count += 1
print(count)
