"""What a case raises when the product did not do what the case claims, and waiting with a deadline."""

import time


class Failure(Exception):
    """A claim that did not hold; the text says what was seen."""


def check(claim, otherwise):
    """Raises with `otherwise` unless `claim` holds."""
    if not claim:
        raise Failure(otherwise)


def until(found, seconds, what):
    """Calls `found` until it returns something true, and returns that; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds} s")
        time.sleep(0.05)
