#!/usr/bin/env python3
"""Tests the two example consumers on a real Kafka: each event once and in order, however often they are killed.

    python examples/test.py --bootstrap-servers 127.0.0.1:19092 [--only python|java]

Needs examples/python/requirements.txt, Java 17 and Kafka's jars. Creates its own topic and deletes it at the end.
"""

import argparse
import fcntl
import glob
import json
import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import closing

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

HERE = os.path.dirname(os.path.abspath(__file__))
PARTITIONS = 3
PERMISSIONS = 12
# The whole test must end within this time.
BEGAN = time.monotonic()
LIMIT_S = 180


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def remaining():
    left = BEGAN + LIMIT_S - time.monotonic()
    check(left > 0, "the test took too long")
    return left


# ---------------------------------------------------------------------------------------------- records


class Record:
    """A record to write, and whether a consumer must apply it."""

    def __init__(self, permission, sequence, id=None, name="ChargeDeclined", code=None, applies=True, **more):
        self.permission, self.sequence, self.id = permission, f"{sequence:020}", id or str(uuid.uuid4())
        self.partition, self.offset = permission % PARTITIONS, None
        self.key = f"B02-0000000-{permission:07}"
        self.code, self.applies = code, applies
        subject = self.key.replace("B02", "P02") + "-C000001"
        self.line = " ".join(filter(None, [f"amazonpay.{name}.v1", subject, self.sequence, code]))
        data = {"objectType": "Charge", "objectId": subject, "chargePermissionId": self.key, "state": "Declined"}
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
        self.producer = Producer({"bootstrap.servers": servers, "transactional.id": topic, "log_level": 2})
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


# -------------------------------------------------------------------------------------------- consumers under test


class Run:
    """A consumer's process. Its output goes through a small pipe, so it blocks while the test does not read."""

    def __init__(self, command, log):
        reader, writer = os.pipe()
        fcntl.fcntl(writer, getattr(fcntl, "F_SETPIPE_SZ", 1031), 4096)
        self.log, self.start = log, os.path.getsize(log) if os.path.exists(log) else 0
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer, stderr=errors)
        os.close(writer)
        self.pipe, self.output = reader, b""

    def read(self, lines=float("inf")):
        """Reads this many lines, or to the end. True if the process has not ended."""
        while self.output.count(b"\n") < lines:
            if not select.select([self.pipe], [], [], remaining())[0]:
                continue
            some = os.read(self.pipe, 512)
            if not some:
                return False
            self.output += some
        return True

    def end(self, sig=None):
        """Ends the process, with a signal if one is given. Reads the remaining output and returns the exit code."""
        if sig:
            self.process.send_signal(sig)
        self.read()
        return self.process.wait(remaining())

    def lines(self):
        return self.output.decode().split("\n")[:-1]  # the last line may be incomplete

    def errors(self):
        with open(self.log, "rb") as log:
            log.seek(self.start)
            return log.read().decode()

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.pipe)


class Subject:
    """A consumer with its store, and the invariants that must always hold."""

    def __init__(self, name, command, servers, topic, folder, history):
        self.name, self.command, self.servers, self.topic, self.history = name, command, servers, topic, history
        self.group = f"{topic}-{name}"
        self.store = os.path.join(folder, f"{name}.store")
        self.log = os.path.join(folder, f"{name}.log")
        # A static group member takes over at once from the killed process with the same instance id.
        self.member = ("--property", "group.instance.id=one")
        self.runs, self.printed = [], set()

    def say(self, what):
        print(f"{self.name}: {what} ({time.monotonic() - BEGAN:.0f} s)", flush=True)

    def run(self, *more):
        run = Run(
            [*self.command, "--bootstrap-servers", self.servers, "--topic", self.topic,
             "--group", self.group, "--store", self.store, *more],
            self.log,
        )  # fmt: skip
        self.runs.append(run)
        return run

    def ended(self, run, code, why=""):
        got = run.process.returncode
        check(got == code, f"exit code {got}, not {code}{why and f', {why}'}: {run.errors() or 'no output'}")

    def check_printed(self, run, all_of=None):
        lines = run.lines()
        for line in lines:
            check(line in self.history.lines, f"printed an event that must not be applied: {line}")
            check(line not in self.printed, f"printed twice: {line}")
            self.printed.add(line)
        if all_of is not None:
            check(set(lines) == all_of, f"applied and printed differ: {all_of.symmetric_difference(lines)}")

    def check_store(self, complete=False):
        """Applied events must be a prefix of the expected ones and match the offsets. Returns their lines."""
        applied = {key: [] for key in self.history.expected}
        for key, id, sequence in self.applied():
            applied[key].append((id, sequence))
        offsets, lines = self.offsets(), set()
        for key, records in self.history.expected.items():
            wanted = [(record.id, record.sequence) for record in records]
            got = applied[key]
            twice = len(got) - len({id for id, _ in got})
            check(twice == 0, f"{key}: {twice} applied twice")
            check(got == wanted[: len(got)], f"{key}: out of order, or must not be applied: {got}")
            done = [r for r in records if r.offset is not None and r.offset < offsets.get(r.partition, 0)]
            check(len(got) >= len(done), f"{key}: {len(done) - len(got)} passed, but not applied")
            if self.atomic:
                check(len(got) == len(done), f"{key}: {len(got) - len(done)} applied, but not passed")
            if complete:
                check(len(got) == len(wanted), f"{key}: {len(wanted) - len(got)} not applied")
                check(len(done) == len(wanted), f"{key}: the offset was not kept")
            lines |= {record.line for record in records[: len(got)]}
        return lines

    # -- test steps

    def is_killed(self):
        """Repeated SIGKILL: while the process waits for its pipe, and during work."""
        total = len(self.history.lines)
        done = set()
        for number in range(self.kills):
            run = self.run(*self.member, *self.slow)
            check(run.read(lines=random.randint(1, 25)), f"ended unexpectedly: {run.errors()}")
            time.sleep(random.uniform(0, 0.003) if number % 2 else 0.05)
            run.end(signal.SIGKILL)
            self.check_printed(run)
            self.tear()
            before, done = done, self.check_store()
            check(before < done < set(self.history.lines), "the kill did not interrupt the work")
            check(done.issuperset(run.lines()), "printed an event that was not applied")
        self.say(f"killed {self.kills} times; of {total} events {len(done)} are applied, each once and in order")

    def finishes(self):
        before = self.check_store()
        run = self.run(*self.member, "--until-idle", "2")
        run.end()
        self.ended(run, 0)
        self.check_printed(run, all_of=self.check_store(complete=True) - before)
        self.say(f"applied {len(self.history.lines)} events once and in order; none aborted, doubled, late or unknown")

    def leaves(self, sig):
        """A signal during work: the consumer finishes the batch first."""
        before = self.check_store()
        run = self.run(*self.member, *self.slow)
        check(run.read(lines=10), f"ended unexpectedly: {run.errors()}")
        self.excludes()
        run.end(sig)
        self.ended(run, 0)
        self.check_printed(run, all_of=self.check_store() - before)
        self.say(f"shut down cleanly on {sig.name}, exit code 0")

    def is_idle(self):
        run = self.run(*self.member, "--until-idle", "0.5")
        run.end()
        self.ended(run, 0)
        check(not run.lines(), f"applied again after a clean end: {run.lines()[:3]}")

    def shares(self, pool):
        """Two processes share one store; one of them leaves."""
        before = self.check_store()
        # A member learns of a rebalance with its heartbeat, which must be shorter than the idle time.
        quick = ("--property", "heartbeat.interval.ms=300")
        one, other = self.run(*quick), self.run(*quick, "--until-idle", "2")
        end = pool.submit(other.end)
        check(one.read(lines=10), f"ended unexpectedly: {one.errors()}")
        one.end(signal.SIGTERM)
        self.ended(one, 0)
        end.result()
        self.ended(other, 0)
        self.check_printed(one)
        self.check_printed(other)
        check(other.lines(), "the second process had nothing to do")
        check(
            set(one.lines() + other.lines()) == self.check_store(complete=True) - before,
            "what two processes printed is not what they applied",
        )
        self.say("two processes shared the work and the store, each event once")

    def stops_at(self, broken):
        for _ in range(2):
            run = self.run(*self.member, "--until-idle", "2")
            run.end()
            self.ended(run, 1, "at a record that cannot be read")
            errors = run.errors()
            where = f"{self.topic} partition {broken.partition} offset {broken.offset}"
            check(where in errors, f"the message does not name {where}: {errors}")
            check(errors.count("\n") == 1, f"not one line: {errors}")
            check(broken.line not in run.lines(), "applied what cannot be read")
            self.check_printed(run)
        self.check_store(complete=False)
        self.say(f"stopped, twice, with: {errors.strip()}")

    def stops_before_a_gap(self):
        run = self.run(*self.member, "--until-idle", "2")
        run.end()
        self.ended(run, 1, "before a gap")
        check("no longer in Kafka" in run.errors(), f"the message does not mention the gap: {run.errors()}")
        self.say(f"stopped before a gap with: {run.errors().strip()}")

    def refuses(self):
        run = Run([*self.command, "--bootstrap-servers", self.servers, "--topic", self.topic + "-none",
                   "--group", self.group, "--store", self.store + "-none"], self.log)  # fmt: skip
        self.runs.append(run)
        run.end()
        self.ended(run, 1, "without its topic")
        check(self.topic + "-none" in run.errors(), f"the message does not name the topic: {run.errors()}")

    def close(self):
        for run in self.runs:
            run.close()


class Python(Subject):
    kills, atomic, slow = 12, True, ()

    def __init__(self, *more):
        super().__init__("python", [sys.executable, os.path.join(HERE, "python", "events_consumer.py")], *more)

    def applied(self):
        with closing(sqlite3.connect(self.store)) as store:
            return store.execute("SELECT charge_permission_id, id, sequence FROM actions ORDER BY number").fetchall()

    def tear(self):
        """SQLite leaves no incomplete writes."""

    def excludes(self):
        """A SQLite store may be shared."""

    def offsets(self):
        with closing(sqlite3.connect(self.store)) as store:
            return dict(store.execute("SELECT partition, offset FROM offsets WHERE topic = ?", (self.topic,)))


class Java(Subject):
    kills, atomic = 4, False
    slow = ("--property", "max.poll.records=30")  # otherwise one batch would hold all records

    def __init__(self, jars, *more):
        source, classes = os.path.join(HERE, "java", "EventsConsumer.java"), tempfile.mkdtemp(dir=more[2])
        jars = os.pathsep.join(glob.glob(os.path.join(jars, "*.jar")))
        quick = [java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]
        super().__init__("java", [*quick, jars, source], *more)
        self.compiler = [java(), "-m", "jdk.compiler/com.sun.tools.javac.Main", "-cp", jars, "-d", classes, source]
        self.compiled = [*quick, classes + os.pathsep + jars, "EventsConsumer"]

    def refuses(self):
        super().refuses()
        # Compile once; compiling on each start would take most of the test's time.
        subprocess.run(self.compiler, check=True, timeout=remaining())
        self.command = self.compiled

    def applied(self):
        with open(self.store, "rb") as store:
            lines = store.read().split(b"\n")[:-1]  # the last line may be incomplete
        return [(event["permission"], event["id"], event["sequence"]) for event in map(json.loads, lines)]

    def excludes(self):
        """A second process must not open the same store."""
        run = self.run()
        run.end()
        self.ended(run, 1, "beside another process")
        check("in use" in run.errors(), f"the message does not say that the store is in use: {run.errors()}")

    def tear(self):
        """Leaves an incomplete line, as a power failure may."""
        with open(self.store, "ab") as store:
            store.write(b'{"id":"half')

    def offsets(self):
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": self.group, "log_level": 2})
        try:
            asked = [TopicPartition(self.topic, p) for p in range(PARTITIONS)]
            return {at.partition: at.offset for at in consumer.committed(asked, remaining()) if at.offset >= 0}
        finally:
            consumer.close()


def java():
    return os.path.join(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else "java"


def kafka_jars():
    """The folder where scripts/kafka stores Kafka's jars."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.environ.get("IPN_KAFKA_DIR") or os.path.join(cache, "ipn-receiver", "kafka")
    found = [jars for jars in glob.glob(os.path.join(folder, "jars-*")) if os.path.exists(f"{jars}/.complete")]
    return max(found, key=os.path.getmtime, default=None)


# --------------------------------------------------------------------------------------------------------- main


def test(subjects, writer, admin, history, pool):
    def each(part):
        # Wait for all consumers before reporting a failure, so that none keeps running.
        futures = [(subject, pool.submit(part, subject)) for subject in subjects]
        failures = []
        for subject, future in futures:
            try:
                future.result()
            except (Failed, subprocess.TimeoutExpired, sqlite3.Error, OSError, ValueError) as error:
                failures.append(f"{subject.name}: {error}")
        check(not failures, "; ".join(failures))

    writer.write(list(history.transactions(230)))

    def first(subject):
        subject.refuses()
        subject.is_killed()
        subject.leaves(signal.SIGINT)
        subject.finishes()
        subject.is_idle()

    each(first)

    more = list(history.transactions(60))

    def second(subject):
        # Another group: the first one would wait for its static member.
        subject.group += "-two"
        subject.member = ()
        if isinstance(subject, Python):
            subject.shares(pool)
        else:
            subject.leaves(signal.SIGTERM)
            subject.finishes()

    writing = pool.submit(writer.write, more, 0.05)
    each(second)
    writing.result()

    before, broken, after = (history.fresh(0) for _ in range(3))
    broken.value = broken.value[:-1]
    writer.write([(True, [history.expect(before), broken, after])])
    each(lambda subject: subject.stops_at(broken))
    for subject in subjects:
        check(before.line in subject.check_store(complete=True), "the event before the invalid record is not applied")

    gap = [TopicPartition(writer.topic, broken.partition, after.offset)]
    for future in admin.delete_records(gap).values():
        future.result(remaining())
    each(lambda subject: subject.stops_before_a_gap())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bootstrap-servers", required=True, metavar="HOST:PORT,...", help="a Kafka to test against")
    parser.add_argument("--only", choices=["python", "java"], help="test one of the consumers")
    parser.add_argument(
        "--kafka-jars", default=kafka_jars(), metavar="DIR",
        help="folder with Kafka's jars, such as libs of its distribution (default: where scripts/kafka keeps them)",
    )  # fmt: skip
    options = parser.parse_args()
    # A shell starts background processes with SIGINT ignored, and a JVM would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wanted = [options.only] if options.only else ["python", "java"]
    if "java" in wanted:
        if not options.kafka_jars:
            parser.error("Kafka's jars were not found; run scripts/kafka up, or name their folder with --kafka-jars")
        if not shutil.which(java()):
            parser.error(f"no Java found ({java()}); run scripts/setup kafka, or --only python")

    topic = f"ipn-receiver-examples-{uuid.uuid4().hex[:12]}"
    folder = tempfile.mkdtemp(prefix="ipn-receiver-examples-")
    history = History()
    arguments = (options.bootstrap_servers, topic, folder, history)
    subjects = [Python(*arguments) if name == "python" else Java(options.kafka_jars, *arguments) for name in wanted]
    admin = AdminClient({"bootstrap.servers": options.bootstrap_servers, "log_level": 2})
    made = False
    try:
        admin.list_topics(timeout=10)
        admin.create_topics([NewTopic(topic, PARTITIONS)])[topic].result(remaining())
        made = True
        with ThreadPoolExecutor() as pool:
            test(subjects, Writer(options.bootstrap_servers, topic), admin, history, pool)
        print(f"passed in {time.monotonic() - BEGAN:.0f} s")
    except (Failed, subprocess.TimeoutExpired) as error:
        sys.exit(f"FAILED: {error}")
    except KafkaException as error:
        sys.exit(f"FAILED: Kafka at {options.bootstrap_servers}: {error.args[0].str()}")
    except FutureTimeout:
        sys.exit(f"FAILED: Kafka at {options.bootstrap_servers} does not answer")
    finally:
        for subject in subjects:
            subject.close()
        if made:
            admin.delete_topics([topic])[topic].result(10)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
