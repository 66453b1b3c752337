"""An Amazon Pay API on loopback: four GETs over TLS, for as many merchants as have an API key.

It checks the signature of every request as Amazon's SDKs make it, and answers objects in the shapes of Amazon's own samples.
An object is a history of versions, each with the moment from which the API shows it, so the API can lag behind a
notification. Endpoints and single objects can be set to fail, to answer late, or to answer something else.
"""

import base64
import copy
import datetime
import email.utils
import hashlib
import http.server
import ipaddress
import json
import os
import re
import ssl
import threading
import time
import uuid

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

KINDS = {"permission": "chargePermissions", "charge": "charges", "refund": "refunds", "dispute": "disputes"}
PATH = re.compile(r"(?:/(live|sandbox))?/v2/(chargePermissions|charges|refunds|disputes)/([A-Za-z0-9-]+)")
SALT_BYTES = {"AMZN-PAY-RSASSA-PSS": 20, "AMZN-PAY-RSASSA-PSS-V2": 32}
MUST_BE_SIGNED = {"accept", "content-type", "x-amz-pay-date", "x-amz-pay-host", "x-amz-pay-region"}
CLOCK_SKEW_MAX_S = 120


class Refused(Exception):
    """Why a request is not answered as a signed one."""


class PayApi:
    def __init__(self, authority, folder):
        self.merchant_key = rsa.generate_private_key(65537, 2048)
        self.key_ids = {}  # public key id -> merchant
        self.regions = {}  # public key id -> region
        self.histories = {}  # (merchant, endpoint, id) -> [(shown from, object)]
        self.object_faults = {}  # (merchant, endpoint, id) -> fault
        self.endpoint_faults = {}  # (merchant, endpoint) -> fault
        self.reads = []  # (when, merchant, endpoint, id, status)
        self.unsigned = []  # why requests were refused
        self.lock = threading.Lock()

        key, certificate = authority.issue("localhost", ["localhost", ipaddress.ip_address("127.0.0.1")])
        chain = os.path.join(folder, "pay-api.pem")
        with open(chain, "wb") as file:
            file.write(_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        self.key_file = os.path.join(folder, "merchant-key.pem")
        with open(self.key_file, "wb") as file:
            file.write(_pem(self.merchant_key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"https://localhost:{self.server.server_port}"

    def add_merchant(self, merchant, key_id, region):
        self.key_ids[key_id], self.regions[key_id] = merchant, region

    def put(self, merchant, kind, id_, object_, *, lag_s=0.0):
        """The object's next version, which the API shows after `lag_s`."""
        with self.lock:
            history = self.histories.setdefault((merchant, KINDS[kind], id_), [])
            history.append((time.monotonic() + lag_s, copy.deepcopy(object_)))

    def fail(self, merchant, kind, fault, id_=None):
        """A fault of an endpoint, or of one object of it: `(status, body, seconds to wait, headers)`; None ends it.

        `kind` None means all endpoints. A fault may be a callable, which is asked at each read and may say None.
        """
        with self.lock:
            if id_ is not None:
                self.object_faults[(merchant, KINDS[kind], id_)] = fault
                return
            for endpoint in [KINDS[kind]] if kind else KINDS.values():
                self.endpoint_faults[(merchant, endpoint)] = fault

    def count(self, merchant, kind, id_, *, since, status=None):
        """How often an object was asked for since the log of reads was so long."""
        with self.lock:
            return sum(
                (m, endpoint, i) == (merchant, KINDS[kind], id_) and status in (None, s)
                for _, m, endpoint, i, s in self.reads[since:]
            )

    def shown(self, kind):
        """What the API shows now of every object of a kind, by (merchant, id)."""
        with self.lock:
            now = time.monotonic()
            versions = {k: [o for since, o in h if since <= now] for k, h in self.histories.items() if k[1] == KINDS[kind]}
        return {(merchant, id_): shown[-1] for (merchant, _, id_), shown in versions.items() if shown}

    # ------------------------------------------------------------------------------------------ one request

    def answer(self, path, headers):
        """Status, headers and body for a GET."""
        try:
            merchant = self._authenticate(path, headers)
        except Refused as why:
            with self.lock:
                self.unsigned.append(f"GET {path}: {why}")
            return 401, {}, _error("InvalidRequestSignature", "The signature is not valid.")
        found = PATH.fullmatch(path)
        if not found:
            return 400, {}, _error("InvalidRequest", "No such operation.")
        _, endpoint, id_ = found.groups()
        with self.lock:
            fault = self.object_faults.get((merchant, endpoint, id_)) or self.endpoint_faults.get((merchant, endpoint))
        if callable(fault):
            fault = fault()
        if fault:
            status, body, wait_s, extra = fault
            if wait_s:
                time.sleep(wait_s)
            if status is not None:
                self._note(merchant, endpoint, id_, status)
                return status, extra, body
        with self.lock:
            shown = [o for since, o in self.histories.get((merchant, endpoint, id_), []) if since <= time.monotonic()]
        status = 200 if shown else 404
        self._note(merchant, endpoint, id_, status)
        if not shown:
            return 404, {}, _error("ResourceNotFound", "The requested resource was not found.")
        return 200, {}, json.dumps(shown[-1]).encode()

    def _note(self, merchant, endpoint, id_, status):
        with self.lock:
            self.reads.append((time.monotonic(), merchant, endpoint, id_, status))

    def _authenticate(self, path, headers):
        """The merchant whose key signed the request."""
        algorithm, _, rest = headers.get("authorization", "").partition(" ")
        fields = dict(part.strip().split("=", 1) for part in rest.split(",") if "=" in part)
        if algorithm not in SALT_BYTES:
            raise Refused(f"unknown algorithm {algorithm!r}")
        names = fields.get("SignedHeaders", "").split(";")
        missing = MUST_BE_SIGNED - set(names)
        if missing:
            raise Refused(f"not signed: {sorted(missing)}")
        if names != sorted(names) or any(name not in headers for name in names):
            raise Refused(f"signed headers are not sorted, or not sent: {names}")
        self._check_values(path, headers, fields.get("PublicKeyId"))
        canonical = "\n".join(
            ["GET", path, ""]
            + [f"{name}:{' '.join(headers[name].split())}" for name in names]
            + ["", ";".join(names), hashlib.sha256(b"").hexdigest()]
        )
        to_sign = f"{algorithm}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=SALT_BYTES[algorithm])
        try:
            signature = base64.b64decode(fields.get("Signature", ""), validate=True)
            self.merchant_key.public_key().verify(signature, to_sign.encode(), pss, hashes.SHA256())
        except (ValueError, InvalidSignature):
            raise Refused("the signature does not verify") from None
        return self.key_ids[fields["PublicKeyId"]]

    def _check_values(self, path, headers, key_id):
        if key_id not in self.key_ids:
            raise Refused(f"unknown key {key_id!r}")
        named = key_id.upper().startswith(("LIVE", "SANDBOX"))
        environment = PATH.fullmatch(path)
        if environment and bool(environment[1]) == named:
            raise Refused("the path names an environment exactly where the key does not")
        if headers["accept"] != "application/json" or headers["content-type"] != "application/json":
            raise Refused("accept and content-type must be application/json")
        if headers["x-amz-pay-region"].lower() != self.regions[key_id]:
            raise Refused(f"wrong region {headers['x-amz-pay-region']!r}")
        stamp = headers["x-amz-pay-date"].replace("-", "").replace(":", "")
        try:
            when = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            raise Refused(f"x-amz-pay-date is {headers['x-amz-pay-date']!r}") from None
        if abs(time.time() - when.timestamp()) > CLOCK_SKEW_MAX_S:
            raise Refused(f"x-amz-pay-date is far from now: {headers['x-amz-pay-date']}")


def as_json(object_):
    return json.dumps(object_).encode()


def unavailable():
    return 503, _error("ServiceUnavailable", "Try again later."), 0, {}


def not_found():
    return 404, _error("ResourceNotFound", "The requested resource was not found."), 0, {}


def internal_error_that_says_not_found():
    """What the Japanese gateway was seen to answer: status 500 with the code of a 404."""
    return 500, _error("ResourceNotFound", "/errors/jp/500.html"), 0, {}


def throttled(retry_after_s):
    return 429, _error("TooManyRequests", "Rate exceeded."), 0, {"retry-after": str(retry_after_s)}


def unreadable():
    return 200, b"<html>maintenance</html>", 0, {}


def slow(seconds):
    return None, b"", seconds, {}


def _error(code, message):
    return json.dumps({"reasonCode": code, "message": message}).encode()


def _pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _handler(api):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            status, extra, body = api.answer(self.path, {k.lower(): v for k, v in self.headers.items()})
            self.send_response_only(status)
            self.send_header("date", email.utils.formatdate(usegmt=True))
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("x-amz-pay-request-id", str(uuid.uuid4()))
            for name, value in extra.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self):
            self.send_response(404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    return Handler
