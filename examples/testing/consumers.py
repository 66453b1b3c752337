"""The consumers under test, and the invariants that must always hold."""

import copy
import fcntl
import glob
import json
import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing

from confluent_kafka import Consumer, TopicPartition

from . import BEGAN, PARTITIONS, check, remaining

# A static group member takes over at once from the killed process with the same instance id.
STATIC_MEMBER = ("--property", "group.instance.id=one")
EXAMPLES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


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
        self.runs, self.printed = [], set()
        self.member = STATIC_MEMBER

    def twin(self, topic, history):
        """The same consumer of another topic, with a store of its own."""
        twin = copy.copy(self)
        twin.topic, twin.group, twin.history = topic, f"{topic}-{self.name}", history
        twin.store, twin.printed, twin.member = self.store + "-twin", set(), STATIC_MEMBER
        return twin

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
        super().__init__("python", [sys.executable, os.path.join(EXAMPLES, "python", "events_consumer.py")], *more)

    def applied(self):
        with closing(sqlite3.connect(self.store)) as store:
            return store.execute("SELECT charge_permission_id, id, sequence FROM actions ORDER BY number").fetchall()

    def tasks(self):
        with closing(sqlite3.connect(self.store)) as store:
            noted = "SELECT charge_permission_id, id, task FROM actions WHERE task IS NOT NULL ORDER BY number"
            return store.execute(noted).fetchall()

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
        classes = tempfile.mkdtemp(dir=more[2])
        path = os.pathsep.join([classes, *glob.glob(os.path.join(jars, "*.jar"))])
        command = [java(), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", path, "EventsConsumer"]
        super().__init__("java", command, *more)
        sources = glob.glob(os.path.join(EXAMPLES, "java", "*.java"))
        self.compiler = [java(), "-m", "jdk.compiler/com.sun.tools.javac.Main", "-cp", path, "-d", classes, *sources]

    def refuses(self):
        subprocess.run(self.compiler, check=True, timeout=remaining())
        super().refuses()

    def events(self):
        with open(self.store, "rb") as store:
            return [json.loads(line) for line in store.read().split(b"\n")[:-1]]  # the last line may be incomplete

    def applied(self):
        return [(event["permission"], event["id"], event["sequence"]) for event in self.events()]

    def tasks(self):
        return [(event["permission"], event["id"], event["task"]) for event in self.events() if "task" in event]

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
