"""Parts of the test of the example consumers."""

import time

PARTITIONS = 3
# The whole test must end within this time.
BEGAN = time.monotonic()
LIMIT_S = 240


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def remaining():
    left = BEGAN + LIMIT_S - time.monotonic()
    check(left > 0, "the test took too long")
    return left
