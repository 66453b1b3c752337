"""The short dunning consumers: each task once, although one is killed and everything is published again."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

from . import BEGAN, PARTITIONS, check, remaining
from .consumers import EXAMPLES
from .records import Record

FIXTURES = os.path.join(os.path.dirname(EXAMPLES), "fixtures")
ASK, UPDATE = "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", "OPEN_UPDATE_PAGE"
# The kind of task of each code; of other codes: none.
KINDS = {
    "RETRY_CHARGE": "charge", "RETRY_CHARGE_AFTER_PERMISSION_CHECK": "check", ASK: "mail", UPDATE: "mail",
    "ASK_FOR_OTHER_PAYMENT_METHOD": "mail", "VERIFY_AMOUNT_WITH_BUYER": "mail", "OPEN_SETUP_PAGE": "mail",
    "REENGAGE_BUYER_WITH_NEW_CHECKOUT": "mail", "REACH_OUT_BEFORE_NEXT_CYCLE": "mail", "RESPOND_TO_DISPUTE": "dispute",
}  # fmt: skip
# The events of one permission: name, code, and the kind of the task that must be stored.
STORY = [
    ("ChargeDeclined", ASK, "mail"),
    ("PermissionNonChargeable", UPDATE, None),
    ("PermissionChargeable", "RETRY_CHARGE", "charge"),
    ("PaymentMethodUpdated", "NONE", None),
    ("ChargeDeclined", "A_CODE_OF_TOMORROW", None),
    ("ChargeTeleported", "WAIT", None),
    ("ChargeDeclined", "RETRY_CHARGE_AFTER_PERMISSION_CHECK", "check"),
    ("ChargeDeclined", ASK, "mail"),
    ("PermissionNonChargeable", ASK, None),
    ("DisputeActionRequired", "RESPOND_TO_DISPUTE", "dispute"),
]
PERMISSIONS = 20


class Tasks:
    """Records, the ids whose tasks must be stored, and those that must have none."""

    def __init__(self):
        self.parts, self.kinds, self.sequence = ([], []), {}, 1_767_323_046_902
        for permission in range(PERMISSIONS):
            for number, (name, code, kind) in enumerate(STORY):
                # Most permissions have their story before the kill, some after it, and some in both parts.
                part = permission % 3 == 0 or (permission % 3 == 1 and number > permission // 2)
                self.add(part, Record(permission, self.next(), name=name, code=code), kind)
            late = Record(permission, 1, name="ChargeDeclined", code="RETRY_CHARGE")
            self.add(1, late, None)
            sandbox = Record(
                permission, self.next(), name="ChargeDeclined", code=ASK, source="/amazonpay/A1O8CIV1A24A6X/sandbox"
            )
            self.add(1, sandbox, None)
        for number, file in enumerate(sorted(os.listdir(FIXTURES))):
            self.add_fixture(PERMISSIONS + number, os.path.join(FIXTURES, file))

    def next(self):
        self.sequence += 1
        return self.sequence

    def add(self, part, record, kind):
        self.parts[part].append(record)
        self.kinds[record.id] = kind

    def add_fixture(self, permission, file):
        """A real event, as the event of a permission of its own."""
        with open(file, "rb") as text:
            event = json.load(text)
        code = event["data"]["nextAction"]["code"]
        record = Record(permission, self.next(), name=event["type"].split(".")[1], code=code)
        event.update(id=record.id, partitionkey=record.key, sequence=record.sequence)
        record.value = json.dumps(event).encode()
        self.add(permission % 2, record, KINDS.get(code))

    def expected(self, part=None):
        records = self.parts[part] if part is not None else [*self.parts[0], *self.parts[1]]
        return {record.id: self.kinds[record.id] for record in records if self.kinds[record.id]}

    def again(self):
        """The same facts with new sequences: nothing is due."""
        again = [record.again() for part in self.parts for record in part]
        # The last record of each partition: after it, everything was read.
        self.ends = [Record(900 + p, self.next(), name="ChargeDeclined", code=ASK) for p in range(PARTITIONS)]
        self.kinds.update((record.id, "mail") for record in self.ends)
        return again + self.ends


class Dunning:
    def __init__(self, name, command, servers, topic, folder):
        self.name, self.folder = name, folder
        self.store = os.path.join(folder, f"{name}.store")
        self.log = os.path.join(folder, f"{name}.log")
        self.command = [*command, servers, "live", topic, self.store]
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def said(self):
        with open(self.log, "rb") as log:
            return log.read().decode()

    def tasks(self):
        """Pairs: id and kind of each task that is stored."""
        if not os.path.exists(self.store):
            return []
        return [(id, task.split(":")[0]) for id, task in self.stored() if task]

    def wait(self, n_tasks):
        while len(self.tasks()) < n_tasks:
            check(self.process.poll() is None, f"{self.name} ended unexpectedly: {self.said()}")
            remaining()
            time.sleep(0.1)

    def end(self, sig):
        self.process.send_signal(sig)
        return self.process.wait(remaining())

    def is_killed(self, tasks):
        self.start()
        self.wait(len(tasks.expected(0)) // 2)
        self.end(signal.SIGKILL)
        self.tear()

    def finishes(self, tasks):
        """Kafka waits for the killed process for its session time-out, then gives its partitions to this one."""
        self.start()
        expected = {**tasks.expected(), **{record.id: "mail" for record in tasks.ends}}
        self.wait(len(expected))
        check(self.end(signal.SIGINT) == 0, f"{self.name} did not end cleanly: {self.said()}")
        stored = self.tasks()
        check(len(stored) == len({id for id, _ in stored}), f"{self.name}: a task is stored twice")
        differ = expected.items() ^ dict(stored).items()
        check(not differ, f"{self.name}: tasks differ: {sorted(differ, key=str)[:5]}")
        lines = [line for line in self.said().split("\n") if line]
        check(len(lines) <= len(stored) + 1, f"{self.name} printed a task twice, or an error: {lines[-3:]}")
        print(
            f"{self.name}: {len(stored)} tasks of {len(tasks.kinds)} events, each once, although killed and repeated"
            f" ({time.monotonic() - BEGAN:.0f} s)",
            flush=True,
        )

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class DunningPython(Dunning):
    def __init__(self, *more):
        super().__init__("dunning.py", [sys.executable, os.path.join(EXAMPLES, "python", "dunning.py")], *more)

    def stored(self):
        try:
            with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as store:
                return store.execute("SELECT id, task FROM done").fetchall()
        except sqlite3.OperationalError:
            return []  # its tables are not there yet

    def tear(self):
        pass


class DunningTypeScript(Dunning):
    def __init__(self, script, *more):
        super().__init__("dunning.ts", ["node", script], *more)

    def stored(self):
        with open(self.store, "rb") as store:
            done = [json.loads(line) for line in store.read().split(b"\n")[:-1]]  # the last line may be incomplete
        return [(event["id"], event.get("task")) for event in done]

    def tear(self):
        """Leaves an incomplete line, as a power failure may."""
        with open(self.store, "ab") as store:
            store.write(b'{"id":"half')
