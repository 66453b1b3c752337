"""Writes records to the receiver's topics as a program that has no business there, and reads what the topics hold.

Each record that is written here has the header `foreign`, so that `events.py` takes none of them for the receiver's.
"""

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

MARK = ("foreign", b"yes")
SENT_WITHIN_S = 20
RECORD_BYTES_MAX = 1_000_000


def partition_of(key, partitions):
    """The partition of a key, as Kafka's Java client chooses it (murmur2)."""
    data, mask, factor = key.encode(), 0xFFFFFFFF, 0x5BD1E995
    hash_ = 0x9747B28C ^ len(data)
    for at in range(0, len(data) - len(data) % 4, 4):
        word = int.from_bytes(data[at : at + 4], "little") * factor & mask
        word = (word ^ word >> 24) * factor & mask
        hash_ = hash_ * factor & mask ^ word
    rest = data[len(data) // 4 * 4 :]
    if rest:
        hash_ = (hash_ ^ int.from_bytes(rest, "little")) * factor & mask
    hash_ = (hash_ ^ hash_ >> 13) * factor & mask
    return ((hash_ ^ hash_ >> 15) & 0x7FFFFFFF) % partitions


class Topics:
    def __init__(self, service):
        self.service = service

    def put(self, ending, records, **settings):
        """Writes records, each a dict with `value` and maybe `key`, `headers`, `partition`; the place of each, as
        `topic/partition/offset`."""
        producer = self._producer(**settings)
        sent = []
        self._send(producer, ending, records, sent)
        if producer.flush(SENT_WITHIN_S):
            raise TimeoutError(f"records for {ending} were not written")
        return [place() for place in sent]

    def put_in_transaction(self, ending, records, *, commit):
        producer = self._producer(**{"transactional.id": f"{self.service.prefix}-stranger-{ending}"})
        producer.init_transactions(SENT_WITHIN_S)
        producer.begin_transaction()
        sent = []
        self._send(producer, ending, records, sent)
        producer.flush(SENT_WITHIN_S)
        if commit:
            producer.commit_transaction(SENT_WITHIN_S)
        else:
            producer.abort_transaction(SENT_WITHIN_S)

    def newest(self, ending):
        """The newest record of each key: {key: (partition, value, headers)}."""
        topic = self.service.topic(ending)
        consumer = Consumer(
            {"bootstrap.servers": self.service.bootstrap_servers, "group.id": "none", "enable.auto.commit": False,
             "isolation.level": "read_committed", "enable.partition.eof": True, "log_level": 2}
        )
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
        found, ended = {}, set()
        while len(ended) < len(partitions):
            message = consumer.poll(SENT_WITHIN_S)
            if message is None:
                raise TimeoutError(f"{topic} cannot be read to its end")
            if message.error():
                ended.add(message.partition())
            elif message.key() is not None:
                found[message.key()] = message.partition(), message.value(), message.headers() or []
        consumer.close()
        return found

    def _producer(self, **settings):
        return Producer(
            {"bootstrap.servers": self.service.bootstrap_servers, "partitioner": "murmur2_random", "linger.ms": 5,
             "message.max.bytes": RECORD_BYTES_MAX, "log_level": 2, **settings}
        )

    def _send(self, producer, ending, records, sent):
        topic = self.service.topic(ending)
        for record in records:
            place = {}
            headers = [*record.get("headers", ()), MARK]
            producer.produce(
                topic, record["value"], record.get("key"), record.get("partition", -1), _note(place), headers=headers
            )
            sent.append(lambda place=place: f"{topic}/{place['partition']}/{place['offset']}")
            producer.poll(0)


def _note(place):
    def delivered(error, message):
        if error:
            raise KafkaException(error)
        place.update(partition=message.partition(), offset=message.offset())

    return delivered
