"""Music on hold with real phones: one holds, the other hears the music of the exchange until it is back."""

import time

from harness import tone
from harness.cases import each
from harness.conversation import TALK_SECONDS
from harness.exchange import Exchange
from harness.failure import check
from harness.phones.baresip import Baresip
from harness.phones.pjsua import Pjsua

HOLDS = [
    ("baresip holds pjsua2, which hears the music of the exchange", Baresip),
    ("pjsua2 holds pjsua2, which hears the music of the exchange", Pjsua),
]
MUSIC_HZ = 1500


@each(HOLDS, seconds=120)
def who_is_held_hears_music(lab, holds):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    music = exchange.data / "music"
    music.mkdir(parents=True)
    tone.make(music / "tone.wav", MUSIC_HZ, rate=16000)
    exchange.start()
    # A caller that hides where it is has a dialog with the exchange, and so has the called phone.
    alice = Pjsua(lab, exchange, alice, "caller", headers=[("Privacy", "header")])
    bob = holds(lab, exchange, bob, "callee")
    for phone in (alice, bob):
        phone.start()
    alice.dial(bob.account.address)
    bob.answered()
    time.sleep(TALK_SECONDS)
    bob.hold()
    time.sleep(TALK_SECONDS + 2)
    bob.resume()
    time.sleep(TALK_SECONDS)
    alice.hang_up()
    for phone in (alice, bob):
        phone.stop()
    tone.prove(alice.recording, MUSIC_HZ, TALK_SECONDS)
    tone.prove(alice.recording, bob.hz, 2 * TALK_SECONDS - 3)
    found = tone.measure(alice.recording, bob.hz, last=TALK_SECONDS - 1)
    check(found["tone_seconds"] > 1, f"the two talk again: {found}")
