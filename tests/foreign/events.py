"""What the receiver published: a read_committed consumer of its events and of its dead letters."""

import json
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from compare import name_of


class Events:
    def __init__(self, bootstrap_servers, events_topic, dead_topic):
        self.records = []  # (partition, key, text, event), in the order of each partition
        self.dead = []  # (reason, message id, SNS message)
        self.changed = threading.Condition()
        self.broken = None
        self.events_topic, self.dead_topic = events_topic, dead_topic
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": events_topic,  # never joined: partitions are assigned by hand
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 50,
                "log_level": 2,
            }
        )
        topics = self.consumer.list_topics(timeout=10).topics
        self.consumer.assign(
            [TopicPartition(t, p, OFFSET_BEGINNING) for t in (events_topic, dead_topic) for p in topics[t].partitions]
        )
        self.ending = False
        self.last = time.monotonic()
        self.thread = threading.Thread(target=self._consume, daemon=True)
        self.thread.start()

    def of(self, merchant, id_):
        return [e for *_, e in self.records if e["subject"] == id_ and e["source"] == f"/amazonpay/{merchant}/sandbox"]

    def wait(self, merchant, id_, type_, count, within_s):
        return self._wait(lambda: sum(name_of(e) in type_.split("|") for e in self.of(merchant, id_)) >= count, within_s)

    def dead_of(self, message_ids):
        return [(reason, id_) for reason, id_ in self.dead if id_ in message_ids]

    def wait_dead(self, message_ids, count, within_s):
        return self._wait(lambda: len(self.dead_of(message_ids)) >= count, within_s)

    def close(self):
        self.ending = True
        self.thread.join(10)
        self.consumer.close()

    def _wait(self, is_there, within_s):
        with self.changed:
            return self.changed.wait_for(is_there, within_s)

    def _consume(self):
        while not self.ending:
            message = self.consumer.poll(0.2)
            if message is None:
                continue
            with self.changed:
                if message.error():
                    self.broken = str(message.error())
                elif message.topic() == self.events_topic:
                    text = message.value().decode()
                    key = (message.key() or b"").decode()
                    self.records.append((message.partition(), key, text, json.loads(text)))
                else:
                    headers = {name: value.decode() for name, value in message.headers() or []}
                    sent = json.loads(message.value())
                    self.dead.append((headers.get("ipn-dlq-reason"), sent.get("MessageId")))
                self.last = time.monotonic()
                self.changed.notify_all()
