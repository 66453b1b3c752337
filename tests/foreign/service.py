"""The receiver as a process: its configuration, its topics, its start and its end."""

import dataclasses
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request

from confluent_kafka.admin import AdminClient

READY_WITHIN_S = 60

PARENT_WAIT_S = 15

# Times in which confirming reads and faults are over in seconds.
SHORT = """
[worker]
confirm_reads_after_ms = [1500, 4000, 9000, 20000]
parent_wait_max_ms = %d
systemic_retry_ms = 500
breaker_probe_ms = 1000
unknown_object_retries_ms = [300, 600, 1200]
""" % (PARENT_WAIT_S * 1000)
# A permission that is NonChargeable is read every 12 h by default, a refund under way every 6 h: here every 4 s and 2 s.
RECONCILING = """
[reconciliation]
enabled = true
period_factor = 0.0001
"""
QUIET = """
[reconciliation]
enabled = false
"""

# Reads at known dates are part of reconciliation; all else that it reads is read after hours and days.
DATED = """
[reconciliation]
enabled = true
"""
# A final object is reduced to a stub after 4 s.
STUBS = "stub_after_d = 0.00005\n"
NARROW = "answers_kept_max = 1\n"
# The worker takes a backlog in small steps, and believes that a read answers what came just before it.
BACKLOG = "records_per_round_max = 5\n"

AMPLE = "{ burst = 200, per_second = 100.0 }"
SCARCE = "{ burst = 2, per_second = 2.0 }"


@dataclasses.dataclass
class Settings:
    """One receiver that stories are played against."""

    text: str
    quota: str = AMPLE
    in_charge_days: int = 0  # since when the merchants have been in the receiver's charge, if it is not new
    split: bool = False  # one process receives IPNs and another one is the worker


WORLDS = {
    "fast": Settings(SHORT + QUIET),
    "defaults": Settings(QUIET),
    "reconciling": Settings(SHORT + RECONCILING),
    "dated": Settings(SHORT + DATED),
    "restarted": Settings(SHORT + QUIET),
    "backlog": Settings(SHORT + BACKLOG + QUIET, quota=SCARCE, split=True),
    "stubs": Settings(SHORT + STUBS + QUIET),
    "returning": Settings(SHORT + QUIET, in_charge_days=10),
    "narrow": Settings(SHORT + NARROW + QUIET),
}


@dataclasses.dataclass
class Merchant:
    id: str
    region: str = "eu"
    owners: list = ()
    key_id: str = ""
    update_url: str = ""

    def __post_init__(self):
        self.key_id = self.key_id or f"SANDBOX-{self.id}"


class Service:
    def __init__(self, binary, bootstrap_servers, folder, name):
        self.binary, self.bootstrap_servers, self.folder, self.name = binary, bootstrap_servers, folder, name
        self.prefix = f"foreign-{os.getpid()}-{int(time.time())}-{name}"
        self.port, self.admin_port = _free_port(), _free_port()
        self.config = os.path.join(folder, f"{name}.toml")
        self.log = os.path.join(folder, f"{name}.log")
        self.settings = WORLDS[name]
        self.process = self.ingest = None
        self.topics = []

    def write_config(self, sns, api, root_file, merchants):
        self.merchants = merchants
        text = f"""
ingress.listen = "127.0.0.1:{self.port}"
admin.listen = "127.0.0.1:{self.admin_port}"
# Every copy of a message reaches the worker.
ingress.messages_remembered_max = 0
shutdown.notice_ms = 0
quota.share = 1.0
quota.sandbox = {self.settings.quota}

[kafka]
bootstrap_servers = "{self.bootstrap_servers}"
topic_prefix = "{self.prefix}"
partitions = 3
replication_factor = 1

[development]
certificate_origins = ["{sns.origin}"]
pay_api_endpoint = "{api.endpoint}"
trust_anchor_files = ["{root_file}"]
{self.settings.text}"""
        for merchant in merchants:
            text += f"""
[[merchants]]
id = "{merchant.id}"
region = "{merchant.region}"
environment = "sandbox"
public_key_id = "{merchant.key_id}"
private_key_file = "{api.key_file}"
"""
            if merchant.owners:
                text += f"topic_owners = {json.dumps(merchant.owners)}\n"
            if merchant.update_url:
                text += f'update_url = "{merchant.update_url}"\n'
        with open(self.config, "w") as file:
            file.write(text)

    def start(self):
        """Makes the topics, starts the process, and waits until it is ready."""
        made = subprocess.run([self.binary, "topics", "--config", self.config], capture_output=True, text=True, timeout=60)
        if made.returncode:
            raise SystemExit(f"foreign: `topics` failed:\n{made.stdout}{made.stderr}")
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 2})
        self.topics = [t for t in admin.list_topics(timeout=10).topics if t.startswith(self.prefix)]
        if self.settings.split:
            self.ingest = self._spawn("ingest", _free_port())
        self.start_worker()

        if self.settings.in_charge_days:
            self._take_charge()

    def _take_charge(self):
        """Sets since when the merchants have been in the receiver's charge, and waits until it is so."""
        since = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 86400 * self.settings.in_charge_days))
        command = [self.binary, "in-charge-since", "--config", self.config]
        request = ["--merchant", self.merchants[0].id, "--environment", "sandbox", "--set", since, "--yes"]
        subprocess.run(command + request, check=True, capture_output=True, timeout=60)
        deadline = time.monotonic() + READY_WITHIN_S
        while since[:10] not in subprocess.run(command, capture_output=True, text=True, timeout=60).stdout:
            if time.monotonic() > deadline:
                raise SystemExit("foreign: `in-charge-since` does not take effect")
            time.sleep(0.5)

    def restart(self):
        self.stop_worker()
        self.start_worker()

    def start_worker(self):
        """The worker, which also receives IPNs unless another process does."""
        self.process = self._spawn("worker" if self.settings.split else "all", self.admin_port)

    def stop_worker(self):
        _end(self.process)

    def _spawn(self, role, admin_port):
        """Starts a process and waits until it is ready."""
        command = [self.binary, "--log-format", "json", "serve", "--config", self.config, "--role", role]
        environment = {**os.environ, "IPN_RECEIVER__ADMIN__LISTEN": f"127.0.0.1:{admin_port}"}
        with open(self.log, "a") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + READY_WITHIN_S
        while not _ready(admin_port):
            if process.poll() is not None or time.monotonic() > deadline:
                _end(process)
                with open(self.log) as log:
                    raise SystemExit(f"foreign: the receiver does not get ready:\n{log.read()[-3000:]}")
            time.sleep(0.1)
        return process

    def metric(self, name, **labels):
        """The sum of a metric over the lines with these labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{") and all(w in line for w in wanted))

    def topic(self, ending):
        (found,) = [t for t in self.topics if t.endswith(ending)]
        return found

    def stop(self):
        _end(self.process)
        _end(self.ingest)

    def delete_topics(self):
        if self.topics:
            admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 2})
            for future in admin.delete_topics(self.topics, operation_timeout=20).values():
                future.exception()


def _ready(admin_port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/readyz", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _end(process):
    if process and process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
