"""The receiver as a process: its configuration, its topics, its start and its end."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request

from confluent_kafka.admin import AdminClient

READY_WITHIN_S = 60

# Times in which confirming reads and faults are over in seconds.
SHORT = """
[worker]
confirm_reads_after_ms = [1500]
systemic_retry_ms = 500
breaker_probe_ms = 1000
unknown_object_retries_ms = [300, 600, 1200]
"""
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

# The receivers that stories are played against. None has a quota in the way.
WORLDS = {"fast": SHORT + QUIET, "defaults": QUIET, "reconciling": SHORT + RECONCILING, "restarted": SHORT + QUIET}


class Service:
    def __init__(self, binary, bootstrap_servers, folder, name):
        self.binary, self.bootstrap_servers, self.folder, self.name = binary, bootstrap_servers, folder, name
        self.prefix = f"foreign-{os.getpid()}-{int(time.time())}-{name}"
        self.port, self.admin_port = _free_port(), _free_port()
        self.config = os.path.join(folder, f"{name}.toml")
        self.log = os.path.join(folder, f"{name}.log")
        self.process = None
        self.topics = []

    def write_config(self, sns, api, root_file, merchants):
        """`merchants`: (id, key id, topic owners)."""
        text = f"""
ingress.listen = "127.0.0.1:{self.port}"
admin.listen = "127.0.0.1:{self.admin_port}"
shutdown.notice_ms = 0
quota.share = 1.0
quota.sandbox = {{ burst = 200, per_second = 100.0 }}

[kafka]
bootstrap_servers = "{self.bootstrap_servers}"
topic_prefix = "{self.prefix}"
partitions = 3
replication_factor = 1

[development]
certificate_origins = ["{sns.origin}"]
pay_api_endpoint = "{api.endpoint}"
trust_anchor_files = ["{root_file}"]
{WORLDS[self.name]}"""
        for id_, key_id, owners in merchants:
            text += f"""
[[merchants]]
id = "{id_}"
region = "eu"
environment = "sandbox"
public_key_id = "{key_id}"
private_key_file = "{api.key_file}"
"""
            if owners:
                text += f"topic_owners = {json.dumps(owners)}\n"
        with open(self.config, "w") as file:
            file.write(text)

    def start(self):
        """Makes the topics, starts the process, and waits until it is ready."""
        made = subprocess.run([self.binary, "topics", "--config", self.config], capture_output=True, text=True, timeout=60)
        if made.returncode:
            raise SystemExit(f"foreign: `topics` failed:\n{made.stdout}{made.stderr}")
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 2})
        self.topics = [t for t in admin.list_topics(timeout=10).topics if t.startswith(self.prefix)]
        self.start_process()

    def start_process(self):
        with open(self.log, "a") as log:
            command = [self.binary, "--log-format", "json", "serve", "--config", self.config]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self.log) as log:
                    raise SystemExit(f"foreign: the receiver does not get ready:\n{log.read()[-3000:]}")
            time.sleep(0.1)

    def topic(self, ending):
        (found,) = [t for t in self.topics if t.endswith(ending)]
        return found

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def delete_topics(self):
        if self.topics:
            admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 2})
            for future in admin.delete_topics(self.topics, operation_timeout=20).values():
                future.exception()

    def _ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
