"""Plays every story against the receiver on a real Kafka, and compares what it published with what the story expects.

Exit code 0: every story ended as it should, and every known gap is still one. 1: anything else.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rules
from actor import Actor
from compare import Contract, differences, short
from events import Events
from pay_api import PayApi
from service import WORLDS, Merchant, Service
from sns import Authority, Sns
from stories import STORIES

MAIN, OTHER, SELLER, PLATFORM = "A1FOREIGNMAIN", "A2FOREIGNOTHER", "A3FOREIGNSELLER", "A4FOREIGNPLATFORM"
JAPAN, AMERICA, GERMANY = "A6FOREIGNJAPAN", "A7FOREIGNAMERICA", "A8FOREIGNGERMANY"
UPDATE_URL = "https://payments.amazon.de/jr/your-account/orders/{ChargePermissionId}"
TOGETHER_WITHIN_S = 60
QUIET_S = 6  # nothing read and nothing published for so long: whatever was to come has come
QUIET_WITHIN_S = 25


class World:
    """One receiver with its stories."""

    other_merchant, platform_merchant, platform = OTHER, SELLER, PLATFORM
    japan, america, germany = JAPAN, AMERICA, GERMANY

    def __init__(self, service, stories, sns, api, bootstrap_servers):
        self.service, self.stories, self.sns, self.api = service, stories, sns, api
        self.port = service.port
        service.start()
        self.events = Events(bootstrap_servers, service.topic("events.v1"), service.topic("ipn.dlq.v1"))
        self.actors = [Actor(self, story) for story in stories]
        self.barrier = threading.Barrier(len(stories))

    def play(self):
        threads = [threading.Thread(target=self._play, args=(actor,), daemon=True) for actor in self.actors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._wait_for_quiet()

    def together(self, act):
        """Waits for all stories of this world; then one of them acts, and all go on."""
        if self.barrier.wait(TOGETHER_WITHIN_S) == 0:
            act()
        self.barrier.wait(TOGETHER_WITHIN_S)

    @staticmethod
    def topic_region(merchant):
        return {JAPAN: "ap-northeast-1", AMERICA: "us-east-1"}.get(merchant, "eu-west-1")

    def results(self, contract, breaches):
        """(actor, differences, events) of each story."""
        breaches = breaches + contract.breaches(self.events.records)
        results = []
        for actor in self.actors:
            things = {(t.merchant, t.id) for t in actor.things.values()}
            mine = [e for *_, e in self.events.records if (e["source"].split("/")[2], e["subject"]) in things]
            found = differences(actor, mine, self.events.dead_of(actor.message_ids))
            found += [text for event, text in breaches if any(event is e for e in mine)]
            results.append((actor, found, mine))
        return results

    def strangers(self):
        """Events that belong to no story."""
        things = {(t.merchant, t.id) for actor in self.actors for t in actor.things.values()}
        return [e for *_, e in self.events.records if (e["source"].split("/")[2], e["subject"]) not in things]

    def close(self):
        self.service.stop()
        if hasattr(self, "events"):
            self.events.close()
        self.service.delete_topics()

    @staticmethod
    def _play(actor):
        try:
            actor.story.play(actor)
        except Exception:
            actor.world.barrier.abort()
            actor.broken.append("the story broke off: " + traceback.format_exc(limit=-2).replace("\n", " "))

    def _wait_for_quiet(self):
        deadline = time.monotonic() + QUIET_WITHIN_S
        while time.monotonic() < min(deadline, self._last_activity() + QUIET_S):
            time.sleep(0.2)

    def _last_activity(self):
        mine = {actor.story.merchant for actor in self.actors}
        with self.api.lock:
            reads = [when for when, merchant, _, _, status in self.api.reads if merchant in mine and status == 200]
        return max([self.events.last, *reads[-1:]])


def run(options, folder):
    stories = [s for s in STORIES.values() if not options.only or s.id in options.only]
    merchants = [
        Merchant(MAIN),
        Merchant(OTHER, key_id=f"A{OTHER}"),
        Merchant(SELLER, owners=[PLATFORM]),
        Merchant(JAPAN, region="jp"),
        Merchant(AMERICA, region="na"),
        Merchant(GERMANY, update_url=UPDATE_URL),
    ]
    for number, one in enumerate(stories):
        one.merchant = f"A5FOREIGN{number}" if one.own else MAIN
        if one.own:
            merchants.append(Merchant(one.merchant))

    authority = Authority("ipn-receiver foreign test root")
    root_file = os.path.join(folder, "root.pem")
    with open(root_file, "wb") as file:
        file.write(authority.pem())
    sns, api = Sns(authority), PayApi(authority, folder)
    for merchant in merchants:
        api.add_merchant(merchant.id, merchant.key_id, merchant.region)

    worlds, services = [], []
    try:
        for name in WORLDS:
            chosen = [s for s in stories if s.world == name]
            if not chosen:
                continue
            service = Service(options.binary, options.bootstrap_servers, folder, name)
            services.append(service)
            service.write_config(sns, api, root_file, merchants)
            worlds.append(World(service, chosen, sns, api, options.bootstrap_servers))
        players = [threading.Thread(target=world.play) for world in worlds]
        for player in players:
            player.start()
        for player in players:
            player.join()
        contract = Contract()
        # Worlds share merchants, but no objects: each permission is in one of them, so its events are in order.
        records = [e for world in worlds for *_, e in world.events.records]
        breaches = rules.breaches(records, api.shown("permission"))
        results = [result for world in worlds for result in world.results(contract, breaches)]
        trouble = [f"a request was refused: {why}" for why in sorted(set(api.unsigned))]
        for world in worlds:
            trouble += [f"an event of no story: {short(e)} {e['subject']}" for e in world.strangers()]
            trouble += [f"the consumer failed: {world.events.broken}"] if world.events.broken else []
            with open(world.service.log) as log:
                trouble += [f"the receiver panicked: {line.strip()[:300]}" for line in log if "panicked at" in line]
            if world.service.process.poll() is not None:
                trouble.append(f"the receiver ended by itself: {world.service.process.returncode}")
        return results, trouble
    finally:
        for world in worlds:
            world.close()
        for service in services:
            service.stop()


def report(results, trouble, seconds):
    """The table, and whether all is as it should be."""
    counts = {"ok": 0, "gap": 0, "FAILED": 0, "UNEXPECTED PASS": 0}
    for actor, found, events in results:
        story = actor.story
        if found:
            verdict = "gap" if story.known_gap and not actor.broken else "FAILED"
        else:
            verdict = "UNEXPECTED PASS" if story.known_gap else "ok"
        counts[verdict] += 1
        expected = " ".join(map(str, story.expect)) or "nothing"
        if story.dead:
            expected += f" dead:{','.join(story.dead)}"
        print(f"{verdict:<7} {story.id}: {story.text}")
        print(f"        expected {expected}")
        if found:
            print(f"        got      {' '.join(map(short, events)) or 'nothing'}")
            if story.known_gap:
                print(f"        known gap: {story.known_gap}")
            for line in found:
                print(f"        - {line}")
    for line in trouble:
        print(f"FAILED  {line}")
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count), f"in {seconds:.0f} s")
    return not trouble and not counts["FAILED"] and not counts["UNEXPECTED PASS"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the receiver's program")
    parser.add_argument("--bootstrap-servers", required=True, help="a Kafka; topics are made there, and deleted at the end")
    parser.add_argument("--only", action="append", metavar="ID", help="this story alone; may be repeated")
    parser.add_argument("--events", action="store_true", help="print every event, too")
    parser.add_argument("--keep", metavar="FOLDER", help="where configuration and logs stay")
    options = parser.parse_args()
    unknown = set(options.only or ()) - set(STORIES)
    if unknown:
        parser.error(f"no such story: {', '.join(sorted(unknown))}; there are {', '.join(sorted(STORIES))}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or temporary
        os.makedirs(folder, exist_ok=True)
        results, trouble = run(options, os.path.abspath(folder))
    if options.events:
        for _, _, events in results:
            print(*map(json.dumps, events), sep="\n")
    sys.exit(0 if report(results, trouble, time.monotonic() - began) else 1)


if __name__ == "__main__":
    main()
