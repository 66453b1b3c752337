"""Records as the receiver writes them, and invalid ones."""

import json
import random
import time
import uuid

from confluent_kafka import Producer

from . import PARTITIONS, check, remaining

PERMISSIONS = 12
# Kind and state of the object of an event; of the others: a declined charge.
STATES = {
    "PermissionChargeable": ("ChargePermission", "Chargeable"),
    "PermissionNonChargeable": ("ChargePermission", "NonChargeable"),
    "PermissionClosed": ("ChargePermission", "Closed"),
    "PaymentMethodUpdated": ("ChargePermission", "Chargeable"),
    "PermissionExpiring": ("ChargePermission", "Chargeable"),
    "PermissionLimitNear": ("ChargePermission", "Chargeable"),
    "ChargeAuthorized": ("Charge", "Authorized"),
    "ChargeCaptured": ("Charge", "Captured"),
    "ChargebackReported": ("Charge", "Captured"),
    "DisputeDeadlineNear": ("Dispute", "ActionRequired"),
}


class Record:
    """A record to write, and whether a consumer must apply it."""

    def __init__(self, permission, sequence, id=None, name="ChargeDeclined", code=None, applies=True, **more):
        self.permission, self.sequence, self.id = permission, f"{sequence:020}", id or str(uuid.uuid4())
        self.partition, self.offset = permission % PARTITIONS, None
        self.key = f"B02-0000000-{permission:07}"
        self.name, self.code, self.applies = name, code, applies
        subject = self.key.replace("B02", "P02") + "-C000001"
        self.line = " ".join(filter(None, [f"amazonpay.{name}.v1", subject, self.sequence, code]))
        kind, state = STATES.get(name, ("Charge", "Declined"))
        data = {"objectType": kind, "objectId": subject, "chargePermissionId": self.key, "state": state}
        if code:
            data["nextAction"] = {"code": code, "aFieldOfTomorrow": [1]}
        self.value = json.dumps(
            {
                "specversion": "1.0", "id": self.id, "source": "/amazonpay/A1O8CIV1A24A6X/live",
                "type": f"amazonpay.{name}.v1", "subject": subject, "time": "2026-01-02T03:04:05.000Z",
                "datacontenttype": "application/json", "partitionkey": self.key, "sequence": self.sequence,
                "data": data, **more,
            }
        ).encode()  # fmt: skip


    def again(self):
        """The same fact, published again with a new sequence."""
        copy = Record(self.permission, int(self.sequence) + 1000, id=self.id, applies=False)
        copy.value = self.value.replace(self.sequence.encode(), copy.sequence.encode())
        return copy


class History:
    """Records as the receiver writes them, and invalid ones. `expected`: what a consumer must apply, per permission."""

    def __init__(self):
        self.random = random.Random(1)
        # One sequence exceeds a signed 64-bit integer.
        self.last = [1767323046902 + p for p in range(PERMISSIONS - 1)] + [2**63 - 9]
        self.expected = {f"B02-0000000-{p:07}": [] for p in range(PERMISSIONS)}
        self.lines = {}

    def next(self, permission):
        self.last[permission] += self.random.choice([1, 1, 2, 1000])
        return self.last[permission]

    def fresh(self, permission):
        code = self.random.choice([None, "RETRY_CHARGE", "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD"])
        name = self.random.choice(["ChargeDeclined", "ChargeCaptured", "RefundCompleted", "ChargeStateUnrecognized"])
        return Record(permission, self.next(permission), name=name, code=code, aFieldOfTomorrow={"x": None})

    def expect(self, record):
        self.expected[record.key].append(record)
        self.lines[record.line] = record
        return record

    def transactions(self, count):
        """Pairs: whether to commit, and the records of the transaction."""
        for number in range(count):
            records = [self.expect(self.fresh(self.random.randrange(PERMISSIONS))) for _ in range(5)]
            odd = self.random.choice([records[0], records[-1]])
            p = odd.permission
            if number % 6 == 1:  # the same record again
                copy = Record(p, 0, applies=False)
                copy.id, copy.value = odd.id, odd.value
                records.append(copy)
            elif number % 6 == 2:  # the same fact, published again
                records.append(Record(p, self.next(p), id=odd.id, applies=False))
            elif number % 6 == 3:  # late: another fact with an older sequence
                records.append(Record(p, self.last[p] - 1, applies=False))
                records.append(Record(p, self.last[p], applies=False))
            elif number % 6 == 4:  # a type of a later version
                records.append(Record(p, self.next(p), name="ChargeTeleported", applies=False))
            elif number % 6 == 5:  # an aborted transaction; only its first event is published again
                yield False, [self.aborted(record) for record in records] + [Record(p, 2**63 + 99, applies=False)]
                for record in records[1:]:
                    self.expected[record.key].remove(record)
                    del self.lines[record.line]
                records = records[:1]
            yield True, records

    @staticmethod
    def aborted(record):
        twin = Record(record.permission, 0, id=record.id, applies=False)
        twin.value = record.value
        return twin


class Writer:
    def __init__(self, servers, topic):
        self.topic = topic
        # Compressed as by the receiver: not every client reads LZ4 without a further package.
        settings = {"bootstrap.servers": servers, "transactional.id": topic, "compression.type": "lz4", "log_level": 2}
        self.producer = Producer(settings)
        self.producer.init_transactions(remaining())

    def write(self, transactions, pause=0):
        for commit, records in transactions:
            self.producer.begin_transaction()
            for record in records:
                self.producer.produce(
                    self.topic, record.value, record.key, record.partition, on_delivery=self.delivered(record)
                )
            # Without flush, an aborted transaction would not reach the log.
            self.producer.flush(remaining())
            check(all(record.offset is not None for record in records), "Kafka did not take every record")
            if commit:
                self.producer.commit_transaction(remaining())
            else:
                self.producer.abort_transaction(remaining())
            time.sleep(pause)

    @staticmethod
    def delivered(record):
        def note(error, message):
            if error is None:
                record.offset = message.offset()

        return note
