"""Answers of every size and shape. A shape is made from the true object; a fault is the same for every object."""

import gzip
import json
import socket
import struct
import time

ANSWER_BYTES_MAX = 1_048_576
HUGE = 900_000
TIMES = (0, -1, 1e18, 1e308, 253402300800000, 2**63, "", [], {}, True, "99991231T235959Z", "100000101T000000Z", "00000101T000000Z",
         "20260230T000000Z", "20261231T235960Z", "20261231T245959Z", "2026-12-31T23:59:59+99:99", "9" * 5000)  # fmt: skip
AMOUNTS = ("1e400", "-1", "NaN", "9" * 400, "9" * 5000, "1,5", "", " ", 1e300, -0.0, 2**64, [], {}, True, None)
STATES = (None, 5, [], {}, "", " ", "\0", "x" * 10_000, "\U0001f4a3", "__proto__", ["Captured"], {"state": "Captured"})


def body(value):
    return 200, value if isinstance(value, bytes) else json.dumps(value).encode(), 0, {}


def changed(**facts):
    return lambda o: body({**o, **facts})


def detail(**facts):
    return lambda o: body({**o, "statusDetails": {**o["statusDetails"], **facts}})


def text(value):
    return lambda _: body(value)


def numbered(what, make, values):
    return {f"{what} {n}": make(value) for n, value in enumerate(values)}


def padded(length):
    def make(o):
        whole = json.dumps(o).encode()
        return body(whole + b" " * (length - len(whole)))

    return make


def id_field(o):
    return next(iter(o))


SHAPES = {
    "form": {
        "nothing": text(b""),
        "one byte": text(b"{"),
        "null": text(b"null"),
        "true": text(b"true"),
        "a list": lambda o: body([o]),
        "an empty object": text(b"{}"),
        "deep lists": text(b"[" * 200_000),
        "deep objects": text(b'{"a":' * 100_000),
        "a deep field": lambda o: body(json.dumps(o)[:-1].encode() + b',"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        "a byte order mark": lambda o: body(b"\xef\xbb\xbf" + json.dumps(o).encode()),
        "UTF-16": lambda o: body(json.dumps(o).encode("utf-16")),
        "no UTF-8": lambda o: body(json.dumps(o).encode().replace(b"Shop", b"\xff\xfe")),
        "a lone surrogate": lambda o: body(json.dumps(o).encode().replace(b"Shop", b"\\ud800")),
        "zeros": text(b"\0" * 5000),
        "gzip unasked": lambda o: (200, gzip.compress(json.dumps(o).encode()), 0, {"content-encoding": "gzip"}),
        "html": lambda o: (200, b"<html>", 0, {}),
        "twice": lambda o: body(json.dumps(o).encode() * 2),
        "keys twice": lambda o: body(json.dumps(o)[:-1].encode() + b"," + json.dumps(o)[1:].encode()),
        "NaN": lambda o: body(json.dumps({**o, "x": float("nan")}).encode()),
        "a number of 5000 digits": lambda o: body(json.dumps(o)[:-1].encode() + b',"x":' + b"9" * 5000 + b"}"),
        "204": lambda _: (204, b"", 0, {}),
        "206": lambda o: (206, json.dumps(o).encode()[:100], 0, {}),
        "304": lambda _: (304, b"", 0, {}),
        "another object": lambda o: body({**o, id_field(o): "S02-0000000-0000000-C000000"}),
        "an id that is none": lambda o: body({**o, id_field(o): ["x"]}),
        "all fields null": lambda o: body(dict.fromkeys(o)),
        "all fields lists": lambda o: body({key: [value] for key, value in o.items()}),
        "all fields numbers": lambda o: body(dict.fromkeys(o, 5)),
        "all fields texts": lambda o: body(dict.fromkeys(o, "x")),
        "no details": lambda o: body({**o, "statusDetails": None}),
        "a list of details": lambda o: body({**o, "statusDetails": [o["statusDetails"]]}),
    },
    "size": {
        "the greatest size": padded(ANSWER_BYTES_MAX),
        "one byte more": padded(ANSWER_BYTES_MAX + 1),
        "5 MB": padded(5_000_000),
        "a long state": detail(state="x" * HUGE),
        "a long descriptor": changed(softDescriptor="x" * HUGE),
        "a long reference": changed(merchantMetadata={"merchantReferenceId": "\u0001" * (HUGE // 6)}),
        "long digits": changed(chargeAmount={"amount": "9" * HUGE, "currencyCode": "EUR"}),
        "a long currency": changed(chargeAmount={"amount": "1", "currencyCode": "E" * HUGE}),
        "a long reason": detail(reasonCode="x" * HUGE, reasons=[{"reasonCode": "x" * HUGE}]),
        "many reasons": detail(reasons=[{"reasonCode": f"R{n}", "reasonDescription": "Why."} for n in range(15_000)]),
        "many fields": lambda o: body({**o, **{f"field{n}": n for n in range(50_000)}}),
        "a long permission": changed(chargePermissionId="x" * HUGE),
        "a key of 300 KB": changed(chargePermissionId="C" * 300_000),
        "a long time": detail(lastUpdatedTimestamp="2" * HUGE),
    },
    "values": {
        **numbered("state", lambda v: detail(state=v), STATES),
        **numbered("updated", lambda v: detail(lastUpdatedTimestamp=v), TIMES),
        **numbered("expires", lambda v: changed(expirationTimestamp=v), TIMES),
        **numbered("created", lambda v: changed(creationTimestamp=v), TIMES),
        **numbered("amount", lambda v: changed(chargeAmount={"amount": v, "currencyCode": "EUR"}, captureAmount=v,
                                               refundedAmount={"amount": v}, limits={"amountLimit": v, "amountBalance": {"amount": v, "currencyCode": v}}), AMOUNTS),
        **numbered("permission", lambda v: changed(chargePermissionId=v), (None, 5, [], {}, "", " ", "a/b", "\0", "x\ny", "\u00fc" * 300)),
        **numbered("type", lambda v: changed(chargePermissionType=v, recurringMetadata=v), (None, 5, [], {}, "", "Weekly", "x" * 9999)),
        **numbered("reasons", lambda v: detail(reasons=v, reasonCode=v), (5, "", [[]], [None] * 50, {"a": {"b": 1}}, ["x"] * 500, {"reasonCode": {}})),
    },
}  # fmt: skip


def status(code, headers=None, body_=b"{}"):
    return code, body_, 0, headers or {}


STATUSES = {
    "301": status(301, {"location": "http://127.0.0.1:1/"}),
    "307": status(307, {"location": "/v2/charges/x"}),
    "400": status(400),
    "401": status(401),
    "403": status(403),
    "409": status(409),
    "418": status(418),
    "500": status(500),
    "503": status(503),
    "599": status(599),
    "999": status(999),
}


def wire(answer):
    """A fault that answers a request on the bare connection."""

    def guarded(handler):
        try:
            answer(handler)
        except OSError:
            pass

    return guarded, b"", 0, {}


def _write(data):
    return wire(lambda handler: handler.wfile.write(data))


def _reset(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _drip(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n")
    for _ in range(60):
        handler.wfile.write(b" ")
        time.sleep(0.5)


def _endless(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for _ in range(200):
        handler.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        time.sleep(0.05)


CONNECTIONS = {
    "closed": _write(b""),
    "hung": wire(lambda _: time.sleep(6)),
    "reset": wire(_reset),
    "dripping": wire(_drip),
    "endless": wire(_endless),
    "cut-off": _write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{"),
    "no-http": _write(b"SSH-2.0-OpenSSH_9.0\r\n"),
    "long-header": _write(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 500_000 + b"\r\ncontent-length: 2\r\n\r\n{}"),
}
RETRY_AFTERS = {
    name: status(429, {"retry-after": value})
    for name, value in {
        "zero": "0", "negative": "-1", "word": "soon", "exponent": "1e9", "beyond-64-bits": "9" * 20, "4000-digits": "9" * 4000,
        "in-1970": "Thu, 01 Jan 1970 00:00:00 GMT",
    }.items()
}  # fmt: skip
