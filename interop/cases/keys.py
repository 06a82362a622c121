"""Keys that are pressed in a call arrive as keys: as telephone events of either clock, and by INFO."""

import time
from functools import partial

from harness import tone
from harness.cases import each
from harness.exchange import Exchange
from harness.failure import check, until
from harness.phones.baresip import Baresip
from harness.phones.browser import Browser

PAIRS = [
    ("a browser and a desk phone that share a codec press keys", Browser),
    ("a browser and a desk phone that share no codec press keys", partial(Browser, only="opus")),
]
# Of a finger.
PACE_SECONDS = 0.6


@each(PAIRS, seconds=120)
def keys_arrive(lab, browser):
    exchange = Exchange(lab, "always")
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    page, desk = browser(lab, exchange, alice, "caller"), Baresip(lab, exchange, bob, "callee")
    desk.start()
    page.start()
    page.command("dial", bob.address)
    page.wait("CALL_ESTABLISHED", 20)
    desk.answered()
    # What is pressed by INFO takes the place of sound.
    until(lambda: page.measure()["packets"] > 50, 15, "sound reaches the browser")

    for by, keys in (("RFC2833", "159#"), ("INFO", "70*")):
        page.press(keys, by)
        heard = desk.pressed(len(keys))
        check(heard == keys, f"pressed {keys} by {by}, arrived {heard}")
    # A browser tells nobody of keys, but plays them.
    for key in "2580":
        desk.press(key)
        time.sleep(PACE_SECONDS)
    until(lambda: heard_by(page) == "2580", 10, "the browser plays the keys 2580")
    page.command("hangup")
    page.wait("CALL_CLOSED", 10)


def heard_by(page):
    page.keep()
    return tone.keys(page.recording)
