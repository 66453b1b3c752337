#!/usr/bin/env python3
"""A short dunning consumer: stores and prints what is due after each event, once. Ctrl-C ends it.

    python dunning.py [HOST:PORT [live|sandbox [TOPIC [STORE]]]]

Put your own work into `due`. events_consumer.py is the robust reference, with the whole rule of when to mail.
"""

import json
import sqlite3
import sys

from confluent_kafka import Consumer

DEFAULTS = ["127.0.0.1:9092", "live", "amazonpay.events.v1", "dunning.db"]


def due(event):
    """What is due after the event. Later versions may add codes: ignore those that you do not know."""
    action = event["data"]["nextAction"]
    match action["code"]:
        case "RETRY_CHARGE": return "charge: create one for each payment that is due"
        case "RETRY_CHARGE_AFTER_PERMISSION_CHECK": return "check: charge only if the permission is now Chargeable"
        case "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD": return f"mail: update your payment method at {action.get('url')}"
        case "OPEN_UPDATE_PAGE" | "ASK_FOR_OTHER_PAYMENT_METHOD" | "VERIFY_AMOUNT_WITH_BUYER":
            return "mail: choose another payment method in our shop"
        case "OPEN_SETUP_PAGE" | "REENGAGE_BUYER_WITH_NEW_CHECKOUT" | "REACH_OUT_BEFORE_NEXT_CYCLE":
            return "mail: check out anew in our shop"
        case "RESPOND_TO_DISPUTE": return f"dispute: respond by {action.get('deadline', 'the date in Seller Central')}"


def apply(store, event):
    """Stores the event's id with what is due, in one transaction: a repeated event finds its id and does nothing."""
    id, permission, sequence = event["id"], event["partitionkey"], event["sequence"]
    is_old = "SELECT 1 FROM done WHERE id = ? OR (permission = ? AND sequence >= ?)"
    with store:
        if store.execute(is_old, (id, permission, sequence)).fetchone():
            return None
        task = due(event)
        if event["data"]["nextAction"]["code"] == "RETRY_CHARGE":  # the problem is over
            store.execute("DELETE FROM mailed WHERE permission = ?", (permission,))
        if task and task.startswith("mail:"):  # a decline has two events, but needs one mail
            is_first = store.execute("INSERT OR IGNORE INTO mailed VALUES (?)", (permission,)).rowcount
            task = task if is_first else None
        store.execute("INSERT INTO done VALUES (?, ?, ?, ?)", (id, permission, sequence, task))
    return task


def main():
    servers, environment, topic, path = sys.argv[1:] + DEFAULTS[len(sys.argv) - 1 :]
    store = sqlite3.connect(path)
    store.executescript("""
        CREATE TABLE IF NOT EXISTS done (id PRIMARY KEY, permission, sequence, task);
        CREATE INDEX IF NOT EXISTS newest ON done (permission, sequence);
        CREATE TABLE IF NOT EXISTS mailed (permission PRIMARY KEY);
    """)
    consumer = Consumer({
        "bootstrap.servers": servers, "group.id": "dunning-python", "isolation.level": "read_committed",
        "auto.offset.reset": "earliest", "enable.auto.commit": False,
    })  # fmt: skip
    consumer.subscribe([topic])
    try:
        while True:
            message = consumer.poll(1)
            if message is None:
                continue
            if message.error():
                sys.exit(f"dunning: {message.error().str()}")
            event = json.loads(message.value())
            if event["source"].endswith(f"/{environment}") and (task := apply(store, event)):
                print(event["type"], event["partitionkey"], task, flush=True)
            consumer.commit(message)  # after the store: a crash in between repeats the event, which is known by then
    except KeyboardInterrupt:
        consumer.close()


if __name__ == "__main__":
    main()
