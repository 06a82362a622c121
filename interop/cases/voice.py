"""Services that speak and listen: conference and voicemail, with real phones and the spectra of what they hear."""

import json
import time
from functools import partial

import numpy as np

from harness import tone
from harness.cases import case, each
from harness.exchange import DOMAIN, Exchange
from harness.failure import check, until
from harness.phones.baresip import Baresip
from harness.phones.offhook import Offhook
from harness.phones.pjsua import Pjsua

THIRD_HZ = 1300
TOGETHER_SECONDS = 8


@case(seconds=120)
def three_phones_in_a_conference_hear_the_others_and_not_themselves(lab):
    exchange = Exchange(lab)
    accounts = [exchange.add(user) for user in ("alice", "bob", "carol")]
    exchange.start()
    phones = [Baresip(lab, exchange, accounts[0], "caller", transport="tls", encryption="dtls_srtp"),
              Pjsua(lab, exchange, accounts[1], "callee"), Offhook(lab, exchange, accounts[2], "caller")]
    phones[2].hz = THIRD_HZ
    for phone in phones[:2]:
        phone.start()
        phone.dial(f"sip:3000@{DOMAIN}")
    sound = ["--play", lab.tone(THIRD_HZ), "--loop", "--record", phones[2].recording]
    phones[2].dial("3000", *sound, "--duration", f"{TOGETHER_SECONDS}s")
    for phone in phones[:2]:
        phone.hang_up()
        phone.stop()
    tones = [phone.hz for phone in phones]
    for phone in phones:
        hears_the_others(phone.recording, phone.hz, [hz for hz in tones if hz != phone.hz])


def hears_the_others(recording, own, others):
    """Two seconds in which both others sound at once; and while they do, not the own tone."""
    rate, samples = tone.read(recording)
    size, together = rate // 4, []
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    for start in range(0, len(samples) - size + 1, size):
        power = np.abs(np.fft.rfft(samples[start:start + size] * np.hanning(size))) ** 2
        share = {hz: power[np.abs(frequencies - hz) < 30].sum() / max(power.sum(), 1) for hz in [own, *others]}
        if all(share[hz] > 0.2 for hz in others):
            together.append(share[own])
    check(len(together) >= 8, f"{recording.name}: both {others} Hz together only {len(together) / 4} s")
    # The phone's own way into the echo of a room would be a tenth or more.
    check(np.median(together) < 0.02, f"{recording.name}: hears itself, {own} Hz, with {np.median(together):.3f}")


CALLERS = [
    ("baresip leaves a message for an account without a phone, and its owner hears it after a kill", Baresip),
    ("baresip with SRTP over TLS leaves a message, and its owner hears it after a kill",
     partial(Baresip, transport="tls", encryption="srtp-mand")),
    ("baresip with Opus leaves a message, and its owner hears it after a kill", partial(Baresip, codecs="opus")),
]


@each(CALLERS, seconds=120)
def a_message_is_left_and_heard(lab, caller):
    exchange = Exchange(lab, sets=["services.voicemail.for_all=true"])
    alice, bob = exchange.add("alice", number="1001"), exchange.add("bob", number="1002")
    exchange.start()
    phone = caller(lab, exchange, bob, "caller")
    phone.start()
    phone.dial(f"sip:1001@{DOMAIN}")
    # In place of the rest of the greeting.
    time.sleep(1)
    phone.press("#")
    time.sleep(5)
    phone.hang_up()
    phone.stop()
    folder = exchange.data / "voicemail" / f"alice@{DOMAIN}"
    message = until(lambda: next(folder.glob("new/*-1002.wav"), None), 10, "the message is there")
    tone.prove(message, phone.hz, 2.5)

    listed = messages(exchange, alice)
    check([one["from"] for one in listed] == ["1002"] and listed[0]["new"] and listed[0]["seconds"] > 3, f"{listed}")
    exchange.kill()
    # While no server runs, too.
    check(messages(exchange, alice) == listed, "the list is the same after the kill")
    kept = lab.folder / "kept.wav"
    exchange.command("voicemail", "save", alice.address, listed[0]["id"], str(kept))
    tone.prove(kept, phone.hz, 2.5)
    exchange.start()
    owner = Offhook(lab, exchange, alice, "caller")
    owner.dial("*97", "--dtmf", ",1", "--record", owner.recording, "--duration", "15s")
    tone.prove(owner.recording, phone.hz, 2.5)
    check(not messages(exchange, alice)[0]["new"], "it is no longer new")
    exchange.command("voicemail", "delete", alice.address, listed[0]["id"])
    check(messages(exchange, alice) == [] and not list(folder.glob("old/*")), "it is deleted")


def messages(exchange, account):
    return json.loads(exchange.command("voicemail", "list", account.address, "--json"))["messages"]
