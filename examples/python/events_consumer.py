#!/usr/bin/env python3
"""Applies the events of ipn-receiver to a local SQLite store: each once, in order, through crashes.

What an event brings about and the place in Kafka are one transaction of the store: after a crash both are there or
neither is. Put your own work into `act`, and your own database in the place of SQLite.
"""

import argparse
import json
import re
import signal
import sqlite3
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException

# What this consumer knows. Others may be added at any time, they are passed over.
EVENTS = frozenset(
    """
    PermissionChargeable PermissionNonChargeable PermissionClosed PaymentMethodUpdated PermissionUpdated
    PermissionStateUnrecognized
    ChargeAuthorizationInitiated ChargeAuthorized ChargeCaptureInitiated ChargeCaptured ChargeDeclined ChargeCanceled
    ChargeUpdated ChargeStateUnrecognized
    RefundInitiated RefundCompleted RefundDeclined RefundStateUnrecognized
    DisputeUnderReview DisputeActionRequired DisputeResolved DisputeClosed DisputeStateUnrecognized
    """.split()
)
TYPE = re.compile(r".+\.([A-Za-z]+)\.v1")  # events.type_prefix is the receiver's setting
SEQUENCE = re.compile(r"[0-9]{20}")

# What "once, in order" rests on.
FIXED = {
    "isolation.level": "read_committed",  # what the receiver did not commit did not happen
    "enable.auto.commit": False,  # the offsets are in the store
    "auto.offset.reset": "error",  # a gap must not be jumped silently
    "allow.auto.create.topics": False,
    # `on_assign` below is written for these.
    "group.protocol": "classic",
    "partition.assignment.strategy": "range,roundrobin",
}

# `sequence` is text: 20 digits do not fit into SQLite's integers, and as text of one length it sorts as it counts.
# An id must be kept for as long as the topic keeps its records (90 days).
SCHEMA = """
CREATE TABLE IF NOT EXISTS applied (charge_permission_id TEXT PRIMARY KEY, sequence TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS offsets (
    topic TEXT, partition INTEGER, offset INTEGER NOT NULL, PRIMARY KEY (topic, partition));
CREATE TABLE IF NOT EXISTS actions (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, code TEXT, type TEXT NOT NULL, subject TEXT NOT NULL,
    charge_permission_id TEXT NOT NULL, sequence TEXT NOT NULL);
"""


class Unreadable(Exception):
    """A record that is not what the receiver writes."""


class Trouble(Exception):
    """Why the consumer cannot go on, in a sentence for whoever runs it."""


def read(value):
    """The event in a record's value, or None if it is of an unknown type."""
    if value is None:
        raise Unreadable("it has no value")
    try:
        event = json.loads(value.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise Unreadable("it is not a JSON object")
    if event.get("specversion") != "1.0":
        raise Unreadable(f"its specversion is {event.get('specversion')!r}, not '1.0'")
    if not isinstance(event.get("type"), str):
        raise Unreadable("it has no type")
    known = TYPE.fullmatch(event["type"])
    if not known or known[1] not in EVENTS:
        return None
    for name in ("id", "subject", "partitionkey", "sequence"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise Unreadable(f"it has no {name}")
    if not SEQUENCE.fullmatch(event["sequence"]):
        raise Unreadable(f"its sequence is {event['sequence']!r}, not 20 digits")
    if not isinstance(event.get("data"), dict):
        raise Unreadable("it has no data")
    return event


def next_action(event):
    """What the receiver advises to do, or None: not every event has it."""
    action = event["data"].get("nextAction")
    code = action.get("code") if isinstance(action, dict) else None
    return code if isinstance(code, str) else None


def act(store, event):
    """Your work goes here, as part of the transaction: change nothing but the store, the rest could not be undone."""
    store.execute(
        "INSERT INTO actions (id, code, type, subject, charge_permission_id, sequence) VALUES (?, ?, ?, ?, ?, ?)",
        (event["id"], next_action(event), event["type"], event["subject"], event["partitionkey"], event["sequence"]),
    )


def is_new(store, event):
    """Whether to apply the event; from then on it is no longer new."""
    last = store.execute(
        "SELECT sequence FROM applied WHERE charge_permission_id = ?", (event["partitionkey"],)
    ).fetchone()
    if last and event["sequence"] <= last[0]:
        return False  # late: what is newer has been applied
    if store.execute("INSERT OR IGNORE INTO seen VALUES (?)", (event["id"],)).rowcount == 0:
        return False  # the same fact, told again
    store.execute("INSERT OR REPLACE INTO applied VALUES (?, ?)", (event["partitionkey"], event["sequence"]))
    return True


def apply(store, message, event):
    """One transaction: what the event brings about, and that its record is done. Tells whether it was applied."""
    store.execute("BEGIN IMMEDIATE")  # the lock for writing at once: other processes may use the same store
    with store:
        applied = event is not None and is_new(store, event)
        if applied:
            act(store, event)
        # Never back: a process that was frozen may still hold a record of a partition that is another's by now.
        store.execute(
            "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT (topic, partition) DO UPDATE SET offset = excluded.offset"
            " WHERE excluded.offset > offset",
            (message.topic(), message.partition(), message.offset() + 1),
        )
    return applied


def open_store(path):
    try:
        store = sqlite3.connect(path, timeout=30, isolation_level=None)  # None: transactions begin where we say so
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("PRAGMA synchronous = FULL")  # a commit is on the disk
        store.executescript(SCHEMA)
        return store
    except sqlite3.Error as error:
        raise Trouble(f"cannot use the store {path}: {error}") from None


def check_topic(consumer, options):
    """Without this a wrong address or name would look like silence."""
    try:
        topic = consumer.list_topics(options.topic, timeout=10).topics[options.topic]
    except KafkaException as error:
        consumer.poll(0)  # hears through `on_error` why
        raise Trouble(f"no answer from Kafka at {options.bootstrap_servers}: {error.args[0].str()}") from None
    if topic.error:
        raise Trouble(f"cannot read the topic {options.topic}: {topic.error.str()}")


def explain(error, message):
    where = f"{message.topic()} partition {message.partition()}"
    if error.code() == KafkaError._AUTO_OFFSET_RESET:
        return (
            f"{where}: the record that comes next is no longer in Kafka, so events are lost ({error.str()});"
            " to go on with what is left, delete the partition's row from the store's table offsets"
        )
    return f"{where}: {error.str()}" if message.topic() else error.str()


def consume(options, store):
    stopping = False
    heard = None  # when something came last; nothing can come before partitions are assigned
    told = set()  # the errors of connections that were told since

    def stop(_signal, _frame):
        nonlocal stopping
        stopping = True

    def on_assign(consumer, partitions):
        nonlocal heard
        heard = time.monotonic()
        told.clear()
        for partition in partitions:
            row = store.execute(
                "SELECT offset FROM offsets WHERE topic = ? AND partition = ?", (partition.topic, partition.partition)
            ).fetchone()
            partition.offset = row[0] if row else OFFSET_BEGINNING
        consumer.assign(partitions)

    def on_error(error):
        # The client goes on trying by itself, many times a second; once is enough to know.
        if error.code() not in told:
            told.add(error.code())
            print(f"events_consumer: {error.str()}", file=sys.stderr)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    consumer = Consumer(
        {
            "log_level": 2,  # errors come to `on_error`
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
                if options.until_idle and heard and time.monotonic() - heard >= options.until_idle:
                    return
                continue
            if message.error():
                raise Trouble(explain(message.error(), message))
            told.clear()
            try:
                event = read(message.value())
            except Unreadable as error:
                raise Trouble(
                    f"cannot read the record at {message.topic()} partition {message.partition()}"
                    f" offset {message.offset()}: {error}; nothing after it was applied"
                ) from None
            if apply(store, message, event):
                words = [event["type"], event["subject"], event["sequence"], next_action(event)]
                print(*filter(None, words), flush=True)
            heard = time.monotonic()
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
        description="Applies the events of ipn-receiver to a SQLite store, each once and in order, and prints them.",
        epilog="Exit code: 0 after SIGINT, SIGTERM or --until-idle, 1 when it cannot go on, 2 for wrong arguments.",
    )
    parser.add_argument("--bootstrap-servers", required=True, metavar="HOST:PORT,...", help="where Kafka is")
    parser.add_argument("--topic", default="amazonpay.events.v1", help="topic of the events (default: %(default)s)")
    parser.add_argument("--group", required=True, help="consumer group; its members share the partitions and the store")
    parser.add_argument("--store", required=True, metavar="FILE", help="SQLite database; made if it is not there")
    parser.add_argument("--until-idle", type=seconds, metavar="SECONDS", help="leave when no record came for this long")
    parser.add_argument(
        "--property", dest="properties", action="append", type=property_of, default=[], metavar="NAME=VALUE",
        help="any other librdkafka property, such as security.protocol=SSL; may be given again",
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
    except Trouble as trouble:
        sys.exit(f"events_consumer: {trouble}")
    except sqlite3.Error as error:
        sys.exit(f"events_consumer: the store {options.store} failed: {error}")
    except KafkaException as error:
        sys.exit(f"events_consumer: Kafka: {error.args[0].str()}")


if __name__ == "__main__":
    main()
