"""An Amazon SNS on loopback: signs notifications with a key of its own, serves the certificate, posts, and retries.

It knows what AWS documents about SNS, and nothing of the receiver: the text to sign, both signature versions, the headers,
which answers end a delivery, and when the next attempt is made.
"""

import base64
import datetime
import hashlib
import http.client
import http.server
import json
import threading
import time
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ACCOUNT = "291180941288"  # Amazon Pay's, in every sample of an IPN
SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")  # in the order of the signed text
ATTEMPT_TIMEOUT_S = 15
RETRIES = 3
RETRY_DELAY_S = 20


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc)


def rfc3339_ms(time_):
    return time_.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_.microsecond // 1000:03d}Z"


class Authority:
    """A certificate authority, and the certificates it issues."""

    def __init__(self, name):
        self.key = rsa.generate_private_key(65537, 2048)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._build(self.name, self.key.public_key(), True, None).sign(self.key, hashes.SHA256())

    def issue(self, common_name, names):
        """A key and its certificate for `names`, each a DNS name or an IP address object."""
        key = rsa.generate_private_key(65537, 2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        return key, self._build(subject, key.public_key(), False, names).sign(self.key, hashes.SHA256())

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def _build(self, subject, public_key, is_ca, names):
        now = utc_now()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if is_ca:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            return builder.add_extension(usage, critical=True)
        general = [x509.DNSName(n) if isinstance(n, str) else x509.IPAddress(n) for n in names]
        return builder.add_extension(x509.SubjectAlternativeName(general), critical=False).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )


class Sns:
    """The service, with one certificate and any number of topics."""

    def __init__(self, authority):
        self.key, certificate = authority.issue("sns.amazonaws.com", ["sns.amazonaws.com"])
        self.stranger_key = rsa.generate_private_key(65537, 2048)
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        digest = hashlib.md5(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
        path = f"/SimpleNotificationService-{digest}.pem"

        class Certificates(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = self.path == path
                self.send_response(200 if found else 404)
                self.send_header("content-type", "application/x-pem-file")
                self.send_header("content-length", str(len(pem) if found else 0))
                self.end_headers()
                if found:
                    self.wfile.write(pem)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Certificates)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server.server_port}/"
        self.certificate_url = self.origin.rstrip("/") + path

    def notification(self, topic_arn, message, *, timestamp=None, version="1", forged=False):
        """A signed envelope; `message` is a dict, or the text itself."""
        envelope = {
            "Type": "Notification",
            "MessageId": str(uuid.uuid4()),
            "TopicArn": topic_arn,
            "Message": message if isinstance(message, str) else json.dumps(message),
            "Timestamp": rfc3339_ms(timestamp or utc_now()),
            "SignatureVersion": version,
        }
        text = "".join(f"{name}\n{envelope[name]}\n" for name in SIGNED if name in envelope)
        digest = {"1": hashes.SHA1(), "2": hashes.SHA256()}[version]
        key = self.stranger_key if forged else self.key
        signature = key.sign(text.encode(), padding.PKCS1v15(), digest)
        envelope["Signature"] = base64.b64encode(signature).decode()
        envelope["SigningCertURL"] = self.certificate_url
        subscription = f"{topic_arn}:{uuid.uuid5(uuid.NAMESPACE_URL, topic_arn)}"
        region = topic_arn.split(":")[3]
        envelope["UnsubscribeURL"] = f"https://sns.{region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={subscription}"
        return envelope

    @staticmethod
    def attempt(port, envelope):
        """One attempt: the status, or None where no answer came in time."""
        body = json.dumps(envelope, indent=2, separators=(",", " : ")).encode()
        headers = {
            "x-amz-sns-message-type": envelope["Type"],
            "x-amz-sns-message-id": envelope["MessageId"],
            "x-amz-sns-topic-arn": envelope["TopicArn"],
            "x-amz-sns-subscription-arn": envelope["UnsubscribeURL"].rsplit("=", 1)[1],
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
            "Accept-Encoding": "gzip,deflate",
        }
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ATTEMPT_TIMEOUT_S)
        try:
            connection.request("POST", "/ipn", body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def deliver(self, port, envelope, *, down_for_s=0):
        """Attempts until an answer ends the delivery; the statuses of all attempts.

        Statuses from 200 to 499 end it; anything else, or none, is tried again after 20 s, three times. For `down_for_s`
        the endpoint is out of reach.
        """
        statuses = []
        began = time.monotonic()
        for number in range(1 + RETRIES):
            if number:
                time.sleep(RETRY_DELAY_S)
            down = time.monotonic() - began < down_for_s
            statuses.append(None if down else self.attempt(port, envelope))
            if statuses[-1] is not None and 200 <= statuses[-1] < 500:
                break
        return statuses


def topic_arn(owner, *, account=ACCOUNT, region="eu-west-1"):
    return f"arn:aws:sns:{region}:{account}:A1G8446IYHA4MR{owner}"
