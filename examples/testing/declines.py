"""A declined charge and its permission, in both orders: what a consumer must do about each event.

The stories follow "May I ship, retry, mail?" in docs/events.md. Each line is an event, its code, and the task that the consumer
must note. `@2` sets the event's time to that of the second event.
"""

import re
import signal

from . import check
from .records import Record

ASK, OTHER, UPDATE = "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", "ASK_FOR_OTHER_PAYMENT_METHOD", "OPEN_UPDATE_PAGE"
REENGAGE, SETUP, REACH_OUT = "REENGAGE_BUYER_WITH_NEW_CHECKOUT", "OPEN_SETUP_PAGE", "REACH_OUT_BEFORE_NEXT_CYCLE"
CHECK, PERIOD = "RETRY_CHARGE_AFTER_PERMISSION_CHECK", "WAIT_FOR_NEXT_PERIOD"

FIXED = """
PermissionChargeable RETRY_CHARGE -> retry
PaymentMethodUpdated NONE
ChargeAuthorized NONE
ChargeCaptured NONE
"""
STORIES = {
    "hard decline, the charge first": f"""
ChargeDeclined {ASK} -> mail
PermissionNonChargeable {UPDATE}
{FIXED}""",
    "hard decline, the permission first": f"""
PermissionNonChargeable {UPDATE} -> mail
ChargeDeclined {ASK}
{FIXED}""",
    "soft decline, the charge first": f"""
ChargeDeclined {CHECK} -> check
PermissionNonChargeable {OTHER} -> mail
{FIXED}""",
    "soft decline, the permission first": f"""
PermissionNonChargeable {OTHER} -> mail
ChargeDeclined {OTHER}
{FIXED}""",
    "no event of the permission before it is fixed": f"""
ChargeDeclined {ASK} -> mail
{FIXED}""",
    "the charge is read after all of it": f"""
PermissionNonChargeable {ASK} -> mail
PermissionChargeable RETRY_CHARGE -> retry
ChargeDeclined {CHECK} -> check
ChargeCaptured NONE""",
    "the new card fails, too": f"""
ChargeDeclined {ASK} -> mail
PermissionNonChargeable {ASK}
PermissionChargeable RETRY_CHARGE -> retry
PermissionNonChargeable {ASK} -> mail
ChargeDeclined {ASK}
PaymentMethodUpdated RETRY_CHARGE -> retry""",
    "a second reason, and a second charge": f"""
ChargeDeclined {ASK} -> mail
PermissionNonChargeable {ASK}
PermissionNonChargeable VERIFY_AMOUNT_WITH_BUYER
ChargeDeclined {ASK}
{FIXED}""",
    "a charge goes through without a retry": f"""
ChargeDeclined {ASK} -> mail
ChargeCaptured NONE @1
PermissionNonChargeable {ASK}
ChargeAuthorized NONE
ChargeDeclined {ASK} -> mail""",
    "closed after the decline": f"""
ChargeDeclined {ASK} -> mail
PermissionClosed {REACH_OUT} -> mail
ChargeDeclined {REENGAGE}
PermissionClosed {REENGAGE}""",
    "closed before the decline is read": f"""
PermissionClosed {REACH_OUT} -> mail
ChargeDeclined {REENGAGE}
ChargeCaptured NONE
ChargeDeclined {REENGAGE}""",
    "closed by the merchant": f"""
PermissionNonChargeable {ASK} -> mail
PermissionClosed NONE
ChargeDeclined {REENGAGE} -> mail
ChargeDeclined {REENGAGE}""",
    "rejected, then closed by Amazon": f"""
ChargeDeclined {REENGAGE} -> mail
PermissionClosed {SETUP}""",
    "limit of the month, the charge first": f"""
ChargeDeclined {REENGAGE} -> mail
PermissionNonChargeable {PERIOD}
PermissionChargeable RETRY_CHARGE -> retry""",
    "limit of the month, the permission first": f"""
PermissionNonChargeable {PERIOD}
ChargeDeclined {REENGAGE}
PermissionChargeable RETRY_CHARGE -> retry
ChargeDeclined {ASK} -> mail""",
    "limit of the month, then a broken card": f"""
PermissionNonChargeable {PERIOD}
PermissionNonChargeable {ASK} -> mail
ChargeDeclined {ASK}""",
    "reminders and disputes are no problem of the payment": f"""
PermissionExpiring RENEW_BEFORE_EXPIRY -> mail
PermissionLimitNear CHECK_BALANCE_BEFORE_CHARGE
ChargeDeclined {ASK} -> mail
ChargebackReported RESPOND_TO_DISPUTE @1
DisputeDeadlineNear RESPOND_TO_DISPUTE
PermissionExpiring RENEW_BEFORE_EXPIRY -> mail
PermissionNonChargeable {ASK}""",
    "sandbox": f"""
ChargeDeclined {ASK}
PermissionChargeable RETRY_CHARGE
PermissionClosed {REENGAGE}""",
}
LINE = re.compile(r"(\w+) (\w+)(?: @(\d))?(?: -> (\w+))?")


class Declines:
    """Every story once for each place where the consumer may be killed in it, each time with a permission of its own."""

    def __init__(self):
        # The records before and after the kill; by permission the tasks and the title; the records by printed line.
        self.parts, self.wanted, self.titles, self.lines = ([], []), {}, {}, {}
        permission = 0
        for title, story in STORIES.items():
            events = [LINE.fullmatch(line).groups() for line in story.split("\n") if line]
            for cut in range(len(events) + 1):
                permission += 1
                self.add(f"{title}, killed after {cut} events", permission, events, cut)

    def add(self, title, permission, events, cut):
        for number, (name, code, time, task) in enumerate(events, 1):
            environment = "sandbox" if title.startswith("sandbox") else "live"
            record = Record(
                permission, 1_767_323_046_902 + number, name=name, code=code,
                source=f"/amazonpay/A1O8CIV1A24A6X/{environment}",
                time=f"2026-01-02T03:04:{int(time or number):02}.000Z",
            )  # fmt: skip
            self.parts[number > cut].append(record)
            self.titles[record.key], self.lines[record.line] = title, record
            wanted = self.wanted.setdefault(record.key, [])
            if task:
                wanted.append(f"{name} {task}")

    def check(self, subject):
        noted = {key: [] for key in self.wanted}
        names = {record.id: record.name for part in self.parts for record in part}
        for key, id, task in subject.tasks():
            noted[key].append(f"{names[id]} {task}")
        for key, wanted in self.wanted.items():
            check(noted[key] == wanted, f"{self.titles[key]}: the tasks are {noted[key]}, not {wanted}")

    def is_killed(self, subject):
        """The consumer applies the first part, and is killed."""
        run = subject.run(*subject.member)
        check(run.read(lines=len(self.parts[0])), f"ended unexpectedly: {run.errors()}")
        run.end(signal.SIGKILL)
        subject.check_printed(run)

    def finishes(self, subject):
        """It starts again and applies the second part."""
        run = subject.run(*subject.member, "--until-idle", "2")
        run.end()
        subject.ended(run, 0)
        subject.check_printed(run)
        self.check(subject)
        subject.say(f"{len(STORIES)} stories of a decline, killed at {len(self.wanted)} places: each mail, retry and check once")

    def ignores_repetition(self, subject):
        run = subject.run(*subject.member, "--until-idle", "2")
        run.end()
        subject.ended(run, 0)
        check(not run.lines(), f"applied again: {run.lines()[:3]}")
        self.check(subject)

    def again(self):
        """The same facts with new sequences."""
        return [record.again() for part in self.parts for record in part]
