"""What holds over all events of a run, whatever its stories expect.

- An event id names one change: no id appears twice.
- A decline is not left waiting: an event that advises to wait for the code RETRY_CHARGE is followed by one that gives it, once
  the API shows the permission as Chargeable at a later time.
- The code RETRY_CHARGE is given once for what one read shows of a permission.
- Advice is never older than what is known: after PermissionClosed nothing advises to retry, or to wait for the permission.
"""

import datetime

from compare import name_of

WAITS = {"ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", "ASK_FOR_OTHER_PAYMENT_METHOD", "OPEN_UPDATE_PAGE", "WAIT_FOR_NEXT_PERIOD"}
RETRIES = {"RETRY_CHARGE", "RETRY_CHARGE_AFTER_PERMISSION_CHECK"}
FACTS = ("type", "subject")
DATA_FACTS = ("state", "previousState", "reasons")


def breaches(records, permissions):
    """(event, what is wrong). `records`: all events of the run in the order of each partition; `permissions`: what the API
    shows at the end, by (merchant, id)."""
    return [*_ids(records), *_waiting(records, permissions), *_closed(records), *_twice(records)]


def code(event):
    return event["data"]["nextAction"]["code"]


def _ids(records):
    first = {}
    for event in records:
        before = first.setdefault(event["id"], event)
        if before is event:
            continue
        facts = [f for f in FACTS if before[f] != event[f]] + [f for f in DATA_FACTS if before["data"].get(f) != event["data"].get(f)]
        of = f"{name_of(before)} of {before['subject']}, sequence {before['sequence']}"
        yield event, f"{name_of(event)} has the id of {of}" + (f", which differs in {facts}" if facts else "")


def _waiting(records, permissions):
    for number, event in enumerate(records):
        if code(event) not in WAITS or "time" not in event:
            continue
        merchant, id_ = event["source"].split("/")[2], event["data"]["chargePermissionId"]
        details = permissions.get((merchant, id_), {}).get("statusDetails", {})
        since = _read(details.get("lastUpdatedTimestamp"))
        if details.get("state") != "Chargeable" or since is None or since <= datetime.datetime.fromisoformat(event["time"]):
            continue
        rest = records[number + 1 :]
        if not any(code(e) in RETRIES for e in rest if (e["source"], e["data"]["chargePermissionId"]) == (event["source"], id_)):
            yield event, f"{name_of(event)} is left waiting: the permission is Chargeable since {since:%H:%M:%S}, and no event says so"


def _closed(records):
    closed = {}
    for event in records:
        permission = (event["source"], event["data"]["chargePermissionId"])
        if event["data"]["objectType"] == "ChargePermission":
            closed[permission] = event["data"]["state"] == "Closed"
            waits = {"WAIT"}
        else:
            waits = set()
        known = closed.get(permission) or event["data"].get("permissionState") == "Closed"
        if known and code(event) in WAITS | RETRIES | waits:
            yield event, f"{name_of(event)} advises {code(event)} although the permission is known to be Closed"


def _twice(records):
    advised = {}
    for event in records:
        if code(event) == "RETRY_CHARGE":
            read = (event["source"], event["subject"], event["data"]["observedAt"])
            if read in advised:
                yield event, f"{name_of(event)} and {advised[read]} of one read both advise RETRY_CHARGE"
            advised[read] = name_of(event)


def _read(text):
    """A time in Amazon's documented form; others are left to the stories."""
    try:
        return datetime.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    except (TypeError, ValueError):
        return None
