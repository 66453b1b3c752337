#!/usr/bin/env python3
"""Tests the example consumers on a real Kafka: each event once and in order, however often they are killed.

    python examples/test.py --bootstrap-servers 127.0.0.1:19092 [--only python|java|dunning] [--dunning-js FILE]

Needs examples/python/requirements.txt, Java 17 and Kafka's jars. Creates its own topics and deletes them at the end.
"""

import argparse
import glob
import os
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

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

sys.dont_write_bytecode = True  # no __pycache__ beside the examples

from testing import BEGAN, PARTITIONS, Failed, check, remaining
from testing.consumers import Java, Python, java
from testing.declines import Declines
from testing.dunning import DunningPython, DunningTypeScript, Tasks
from testing.records import History, Writer


def kafka_jars():
    """The folder where scripts/kafka stores Kafka's jars."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.environ.get("IPN_KAFKA_DIR") or os.path.join(cache, "ipn-receiver", "kafka")
    found = [jars for jars in glob.glob(os.path.join(folder, "jars-*")) if os.path.exists(f"{jars}/.complete")]
    return max(found, key=os.path.getmtime, default=None)


# --------------------------------------------------------------------------------------------------------- main


def each_of(subjects, pool):
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

    return each


def test_declines(subjects, writer, pool):
    """A declined charge and its permission in both orders, and a consumer that is killed in between."""
    declines = Declines()
    each = each_of([subject.twin(writer.topic, declines) for subject in subjects], pool)
    writer.write([(True, declines.parts[0])])
    each(declines.is_killed)
    writer.write([(True, declines.parts[1])])
    each(declines.finishes)
    writer.write([(True, declines.again())])
    each(declines.ignores_repetition)


def test_dunning(subjects, writer, pool):
    """The short consumers: killed, started again, and everything published once more."""
    tasks = Tasks()
    each = each_of(subjects, pool)
    writer.write([(True, tasks.parts[0])])
    each(lambda subject: subject.is_killed(tasks))
    writer.write([(False, [record.again() for record in tasks.parts[1]]), (True, tasks.parts[1]), (True, tasks.again())])
    each(lambda subject: subject.finishes(tasks))


def test(subjects, writer, admin, history, pool):
    each = each_of(subjects, pool)
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
    parser.add_argument("--only", choices=["python", "java", "dunning"], help="test one of the consumers")
    parser.add_argument(
        "--kafka-jars", default=kafka_jars(), metavar="DIR",
        help="folder with Kafka's jars, such as libs of its distribution (default: where scripts/kafka keeps them)",
    )  # fmt: skip
    parser.add_argument("--dunning-js", metavar="FILE", help="typescript/build/dunning.js, which `npm run build` makes")
    options = parser.parse_args()
    # A shell starts background processes with SIGINT ignored, and a JVM would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wanted = [options.only] if options.only else ["python", "java", "dunning"]
    if "java" in wanted:
        if not options.kafka_jars:
            parser.error("Kafka's jars were not found; run scripts/kafka up, or name their folder with --kafka-jars")
        if not shutil.which(java()):
            parser.error(f"no Java found ({java()}); run scripts/setup kafka, or --only python")

    topic = f"ipn-receiver-examples-{uuid.uuid4().hex[:12]}"
    folder = tempfile.mkdtemp(prefix="ipn-receiver-examples-")
    history = History()
    arguments = (options.bootstrap_servers, topic, folder, history)
    subjects = [Python(*arguments)] if "python" in wanted else []
    subjects += [Java(options.kafka_jars, *arguments)] if "java" in wanted else []
    short = []
    if "dunning" in wanted:
        arguments = (options.bootstrap_servers, f"{topic}-dunning", folder)
        short = [DunningPython(*arguments)]
        if options.dunning_js:
            short.append(DunningTypeScript(options.dunning_js, *arguments))
        else:
            print("skipped: dunning.ts was not run: --dunning-js does not name what `npm run build` makes of it")
    admin = AdminClient({"bootstrap.servers": options.bootstrap_servers, "log_level": 2})
    made = []
    try:
        admin.list_topics(timeout=10)
        for name in (topic, f"{topic}-declines", f"{topic}-dunning"):
            admin.create_topics([NewTopic(name, PARTITIONS)])[name].result(remaining())
            made.append(name)
        with ThreadPoolExecutor(max_workers=12) as pool:
            # These mostly wait for the session of a killed process to end, so they run beside the others.
            dunning = pool.submit(test_dunning, short, Writer(options.bootstrap_servers, f"{topic}-dunning"), pool)
            if subjects:
                test(subjects, Writer(options.bootstrap_servers, topic), admin, history, pool)
                test_declines(subjects, Writer(options.bootstrap_servers, f"{topic}-declines"), pool)
            dunning.result()
        print(f"passed in {time.monotonic() - BEGAN:.0f} s")
    except (Failed, subprocess.TimeoutExpired) as error:
        sys.exit(f"FAILED: {error}")
    except KafkaException as error:
        sys.exit(f"FAILED: Kafka at {options.bootstrap_servers}: {error.args[0].str()}")
    except FutureTimeout:
        sys.exit(f"FAILED: Kafka at {options.bootstrap_servers} does not answer")
    finally:
        for subject in [*subjects, *short]:
            subject.close()
        for deleted in admin.delete_topics(made).values() if made else ():
            deleted.result(10)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
