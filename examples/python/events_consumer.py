#!/usr/bin/env python3
"""Applies the events of ipn-receiver to a local SQLite store: each event once and in order, also after crashes.

The effects of an event and its Kafka offset are stored in one transaction: after a crash, both are there or neither is.
Put your own work into `act`, and replace SQLite with your own database.
"""

import argparse
import json
import re
import signal
import sqlite3
import sys
import time
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException

# The known event types. Releases may add types at any time; the consumer skips unknown ones.
EVENTS = frozenset(
    """
    PermissionChargeable PermissionNonChargeable PermissionClosed PaymentMethodUpdated PermissionUpdated
    PermissionExpiring PermissionLimitNear PermissionStateUnrecognized
    ChargeAuthorizationInitiated ChargeAuthorized ChargeCaptureInitiated ChargeCaptured ChargeDeclined ChargeCanceled
    ChargeUpdated ChargebackReported ChargeStateUnrecognized
    RefundInitiated RefundCompleted RefundDeclined RefundStateUnrecognized
    DisputeUnderReview DisputeActionRequired DisputeResolved DisputeClosed DisputeDeadlineNear DisputeStateUnrecognized
    """.split()
)
TYPE = re.compile(r".+\.([A-Za-z]+)\.v1")  # events.type_prefix is the receiver's setting
SEQUENCE = re.compile(r"[0-9]{20}")

# The codes that allow a mail to the buyer, once for each problem of a charge permission. RENEW_BEFORE_EXPIRY is not one of
# them: that reminder has a mail of its own. See "May I ship, retry, mail?" in docs/events.md.
NEW_CHECKOUT = frozenset("REENGAGE_BUYER_WITH_NEW_CHECKOUT OPEN_SETUP_PAGE REACH_OUT_BEFORE_NEXT_CYCLE".split())
ASKS = NEW_CHECKOUT | frozenset(
    """
    ASK_BUYER_TO_UPDATE_PAYMENT_METHOD ASK_FOR_OTHER_PAYMENT_METHOD OPEN_UPDATE_PAGE VERIFY_AMOUNT_WITH_BUYER
    """.split()
)
WENT_THROUGH = ("Authorized", "CaptureInitiated", "Captured")

# Settings that "once and in order" depends on.
FIXED = {
    "isolation.level": "read_committed",  # skip records of aborted transactions
    "enable.auto.commit": False,  # the offsets are in the store
    "auto.offset.reset": "error",  # never skip a gap silently
    "allow.auto.create.topics": False,
    # `on_assign` below requires these.
    "group.protocol": "classic",
    "partition.assignment.strategy": "range,roundrobin",
}

# `sequence` is text: 20 digits exceed SQLite's integers, and text of fixed length sorts like the number.
# Keep each id as long as the topic keeps its records (90 days).
SCHEMA = """
CREATE TABLE IF NOT EXISTS applied (charge_permission_id TEXT PRIMARY KEY, sequence TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS offsets (
    topic TEXT, partition INTEGER, offset INTEGER NOT NULL, PRIMARY KEY (topic, partition));
CREATE TABLE IF NOT EXISTS actions (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, code TEXT, type TEXT NOT NULL, subject TEXT NOT NULL,
    charge_permission_id TEXT NOT NULL, sequence TEXT NOT NULL, task TEXT);
CREATE TABLE IF NOT EXISTS problems (
    charge_permission_id TEXT PRIMARY KEY, asked TEXT NOT NULL, asked_at TEXT NOT NULL, closed INTEGER NOT NULL);
"""


class UnreadableRecord(Exception):
    """A record that the receiver cannot have written."""


class ConsumerError(Exception):
    """An error that stops the consumer, as one sentence for the operator."""


def read(value):
    """The event in a record's value, or None if its type is unknown."""
    if value is None:
        raise UnreadableRecord("it has no value")
    try:
        event = json.loads(value.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnreadableRecord(f"it is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise UnreadableRecord("it is not a JSON object")
    if event.get("specversion") != "1.0":
        raise UnreadableRecord(f"its specversion is {event.get('specversion')!r}, not '1.0'")
    if not isinstance(event.get("type"), str):
        raise UnreadableRecord("it has no type")
    known = TYPE.fullmatch(event["type"])
    if not known or known[1] not in EVENTS:
        return None
    for name in ("id", "source", "subject", "partitionkey", "sequence"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise UnreadableRecord(f"it has no {name}")
    if not SEQUENCE.fullmatch(event["sequence"]):
        raise UnreadableRecord(f"its sequence is {event['sequence']!r}, not 20 digits")
    if not isinstance(event.get("data"), dict):
        raise UnreadableRecord("it has no data")
    return event


def next_action(event):
    """The code of the next action, or None if the event has none."""
    action = event["data"].get("nextAction")
    code = action.get("code") if isinstance(action, dict) else None
    return code if isinstance(code, str) else None


class Problem(NamedTuple):
    """What the buyer was asked about a charge permission. A decline has two events, in either order, but needs one mail."""

    asked: str  # the code of the mail; or WAIT_FOR_NEXT_PERIOD, which needs none
    asked_at: str  # the newest `time` of an event that asks, or empty
    closed: bool  # the permission is closed: the problem never ends


def next_task(problem, event):
    """The problem after the event, or None; and what to do: mail, retry, check or nothing (None)."""
    data, code = event["data"], next_action(event)
    name, kind = TYPE.fullmatch(event["type"])[1], data.get("objectType")
    time = event["time"] if isinstance(event.get("time"), str) else ""  # texts of one form: they sort like the times
    if problem and problem.closed:
        return problem, None
    if name == "PermissionClosed":
        if code not in ASKS:
            return None, None
        return Problem(code, time, True), None if problem and problem.asked in NEW_CHECKOUT else "mail"
    if code == "RETRY_CHARGE":
        return None, "retry"
    if code == "RETRY_CHARGE_AFTER_PERMISSION_CHECK":
        return problem, "check"
    if code == "RENEW_BEFORE_EXPIRY":
        return problem, "mail"
    if kind == "Charge" and data.get("state") in WENT_THROUGH:
        return (None if problem and "" < problem.asked_at < time else problem), None
    if code not in ASKS and code != "WAIT_FOR_NEXT_PERIOD":
        return problem, None
    if problem is None:
        return Problem(code, time, False), "mail" if code in ASKS else None
    problem = problem._replace(asked_at=max(problem.asked_at, time))
    # While the limit of the month is used up, only the permission itself can have another problem.
    if problem.asked == "WAIT_FOR_NEXT_PERIOD" and code in ASKS and kind == "ChargePermission":
        return problem._replace(asked=code), "mail"
    return problem, None


def act(store, event):
    """Put your work here. It runs inside the transaction: change only the store.

    The column `task` says what is due outside the store. Do it later, and note that it is done: `mail` the buyer; `retry`:
    create a charge for each payment that is due; `check`: do so if the permission, read from Amazon Pay, is Chargeable.
    """
    permission, task = event["partitionkey"], None
    if event["source"].endswith("/live"):
        row = store.execute(
            "SELECT asked, asked_at, closed FROM problems WHERE charge_permission_id = ?", (permission,)
        ).fetchone()
        problem, task = next_task(Problem(*row) if row else None, event)
        if problem:
            store.execute("INSERT OR REPLACE INTO problems VALUES (?, ?, ?, ?)", (permission, *problem))
        else:
            store.execute("DELETE FROM problems WHERE charge_permission_id = ?", (permission,))
    store.execute(
        "INSERT INTO actions (id, code, type, subject, charge_permission_id, sequence, task)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (event["id"], next_action(event), event["type"], event["subject"], permission, event["sequence"], task),
    )


def is_new(store, event):
    """Whether to apply the event. Marks the event as applied."""
    last = store.execute(
        "SELECT sequence FROM applied WHERE charge_permission_id = ?", (event["partitionkey"],)
    ).fetchone()
    if last and event["sequence"] <= last[0]:
        return False  # late: a newer event was already applied
    if store.execute("INSERT OR IGNORE INTO seen VALUES (?)", (event["id"],)).rowcount == 0:
        return False  # the same fact, published again
    store.execute("INSERT OR REPLACE INTO applied VALUES (?, ?)", (event["partitionkey"], event["sequence"]))
    return True


def apply(store, message, event):
    """Stores the effects of the event and its offset in one transaction. Returns whether the event was applied."""
    store.execute("BEGIN IMMEDIATE")  # take the write lock now: other processes may use the same store
    with store:
        applied = event is not None and is_new(store, event)
        if applied:
            act(store, event)
        # Never move an offset back: a paused process may still hold a record of a partition that it has lost.
        store.execute(
            "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT (topic, partition) DO UPDATE SET offset = excluded.offset"
            " WHERE excluded.offset > offset",
            (message.topic(), message.partition(), message.offset() + 1),
        )
    return applied


def open_store(path):
    try:
        store = sqlite3.connect(path, timeout=30, isolation_level=None)  # None: transactions are started explicitly
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("PRAGMA synchronous = FULL")  # each commit is synced to disk
        store.executescript(SCHEMA)
        return store
    except sqlite3.Error as error:
        raise ConsumerError(f"cannot use the store {path}: {error}") from None


def check_topic(consumer, options):
    """Without this check, a wrong address or topic would look like an empty topic."""
    try:
        topic = consumer.list_topics(options.topic, timeout=10).topics[options.topic]
    except KafkaException as error:
        consumer.poll(0)  # `on_error` prints the cause
        raise ConsumerError(f"no answer from Kafka at {options.bootstrap_servers}: {error.args[0].str()}") from None
    if topic.error:
        raise ConsumerError(f"cannot read the topic {options.topic}: {topic.error.str()}")


def explain(error, message):
    where = f"{message.topic()} partition {message.partition()}"
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        return (
            f"{where}: the next record is no longer in Kafka, so events are lost ({error.str()});"
            " to continue with the remaining events, delete the partition's row from the store's table offsets"
        )
    return f"{where}: {error.str()}" if message.topic() else error.str()


def consume(options, store):
    stopping = False
    last_activity = None  # None until partitions are assigned
    reported = set()  # connection errors that were printed since the last record

    def stop(_signal, _frame):
        nonlocal stopping
        stopping = True

    def on_assign(consumer, partitions):
        nonlocal last_activity
        last_activity = time.monotonic()
        reported.clear()
        for partition in partitions:
            row = store.execute(
                "SELECT offset FROM offsets WHERE topic = ? AND partition = ?", (partition.topic, partition.partition)
            ).fetchone()
            partition.offset = row[0] if row else OFFSET_BEGINNING
        consumer.assign(partitions)

    def on_error(error):
        # The client retries many times a second; print each error once.
        if error.code() not in reported:
            reported.add(error.code())
            print(f"events_consumer: {error.str()}", file=sys.stderr)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    consumer = Consumer(
        {
            "log_level": 2,  # `on_error` prints errors
            **options.properties,
            **FIXED,
            "bootstrap.servers": options.bootstrap_servers,
            "group.id": options.group,
            "error_cb": on_error,
        }
    )
    try:
        check_topic(consumer, options)
        consumer.subscribe([options.topic], on_assign=on_assign)
        while not stopping:
            message = consumer.poll(0.2)
            if message is None:
                if options.until_idle and last_activity and time.monotonic() - last_activity >= options.until_idle:
                    return
                continue
            if message.error():
                raise ConsumerError(explain(message.error(), message))
            reported.clear()
            try:
                event = read(message.value())
            except UnreadableRecord as error:
                raise ConsumerError(
                    f"cannot read the record at {message.topic()} partition {message.partition()}"
                    f" offset {message.offset()}: {error}; no later record was applied"
                ) from None
            if apply(store, message, event):
                words = [event["type"], event["subject"], event["sequence"], next_action(event)]
                print(*filter(None, words), flush=True)
            last_activity = time.monotonic()
    finally:
        consumer.close()


def property_of(text):
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    if name in FIXED or name in ("bootstrap.servers", "group.id"):
        raise argparse.ArgumentTypeError(f"{name} is set by this program")
    return name, value


def seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds above 0")
    return value


def arguments():
    parser = argparse.ArgumentParser(
        description="Applies each event of ipn-receiver to a SQLite store, once and in order, and prints it.",
        epilog="Exit code: 0 after SIGINT, SIGTERM or --until-idle, 1 on an error, 2 for wrong arguments.",
    )
    parser.add_argument("--bootstrap-servers", required=True, metavar="HOST:PORT,...", help="addresses of Kafka")
    parser.add_argument("--topic", default="amazonpay.events.v1", help="topic of the events (default: %(default)s)")
    parser.add_argument("--group", required=True, help="consumer group; its members share the partitions and the store")
    parser.add_argument("--store", required=True, metavar="FILE", help="SQLite database; created if missing")
    parser.add_argument("--until-idle", type=seconds, metavar="SECONDS", help="exit if no record arrives for this long")
    parser.add_argument(
        "--property", dest="properties", action="append", type=property_of, default=[], metavar="NAME=VALUE",
        help="any other librdkafka property, such as security.protocol=SSL; repeatable",
    )
    options = parser.parse_args()
    options.properties = dict(options.properties)
    return options


def main():
    options = arguments()
    try:
        store = open_store(options.store)
        try:
            consume(options, store)
        finally:
            store.close()
    except ConsumerError as failure:
        sys.exit(f"events_consumer: {failure}")
    except sqlite3.Error as error:
        sys.exit(f"events_consumer: the store {options.store} failed: {error}")
    except KafkaException as error:
        sys.exit(f"events_consumer: Kafka: {error.args[0].str()}")


if __name__ == "__main__":
    main()
