"""Recording and supervision with real phones: who is heard where, by spectrum."""

import json
import time
import wave
from functools import partial

import numpy as np

from harness import tone
from harness.cases import case, each
from harness.conversation import TALK_SECONDS
from harness.exchange import DOMAIN, Exchange
from harness.failure import check, until
from harness.phones.baresip import Baresip
from harness.phones.offhook import Offhook
from harness.phones.pjsua import Pjsua

PAIRS = [
    ("baresip calls pjsua2, and either is on its side of the recording", Baresip, Pjsua),
    ("baresip with SRTP over TLS calls baresip, and either is on its side of the recording",
     partial(Baresip, transport="tls", encryption="srtp-mand"), Baresip),
    ("baresip with Opus calls pjsua2 without, and either is on its side of the recording",
     partial(Baresip, codecs="opus"), Pjsua),
]


def recorded(lab, kinds, seconds, *sets):
    """Two phones of these kinds talk for so long, of which one is always recorded; the exchange and the phones."""
    exchange = Exchange(lab, sets=sets)
    alice, bob = exchange.add("alice", number="1001"), exchange.add("bob", number="1002")
    exchange.command("account", "rights", bob.address, "--record", "always")
    exchange.start()
    phones = [kind(lab, exchange, account, role) for kind, account, role in
              zip(kinds, (alice, bob), ("caller", "callee"), strict=True)]
    for phone in phones:
        phone.start()
    phones[0].call(f"sip:1002@{DOMAIN}", seconds)
    for phone in phones:
        phone.stop()
    return exchange, phones


@each(PAIRS, seconds=120)
def a_call_is_recorded(lab, caller, callee):
    exchange, phones = recorded(lab, (caller, callee), TALK_SECONDS + 2)
    recording = until(lambda: next(iter(recordings(exchange)), None), 10, "the recording is there")
    check((recording["from"], recording["to"]) == ("alice", "1002"), f"{recording}")
    sides(lab, exchange, recording, [phone.hz for phone in phones])
    # The phones heard each other all the same.
    tone.prove(phones[0].recording, phones[1].hz, 2.5)
    tone.prove(phones[1].recording, phones[0].hz, 2.5)
    record = json.loads((exchange.data / "cdr.ndjson").read_text().splitlines()[-1])
    check(record["recording"] == [path_of(recording["id"])] and record["media"] == "relayed", f"{record}")
    exchange.command("recording", "delete", recording["id"])
    check(recordings(exchange) == [] and not list(exchange.data.glob("recordings/2*/*/*.wav")), "it is deleted")


@case(seconds=150)
def who_fetches_a_parked_call_is_recorded_with_it(lab):
    exchange = Exchange(lab)
    alice, bob, carol = exchange.add("alice"), exchange.add("bob"), exchange.add("carol")
    exchange.command("account", "rights", carol.address, "--record", "always")
    exchange.start()
    alice, bob = Baresip(lab, exchange, alice, "caller"), Pjsua(lab, exchange, bob, "callee")
    carol = Pjsua(lab, exchange, carol, "callee")
    for phone in (alice, bob, carol):
        phone.start()
    alice.dial(bob.account.address)
    bob.answered()
    bob.transfer(f"sip:700@{DOMAIN}")
    alice.answered()
    carol.dial(f"sip:701@{DOMAIN}")
    time.sleep(TALK_SECONDS + 1)
    carol.hang_up()
    for phone in (alice, bob, carol):
        phone.stop()
    recording = until(lambda: next(iter(recordings(exchange)), None), 10, "the recording is there")
    check((recording["from"], recording["to"]) == ("alice", "carol"), f"{recording}")
    sides(lab, exchange, recording, [alice.hz, carol.hz])
    tone.prove(carol.recording, alice.hz, 2.5)


@case(seconds=120)
def keys_begin_a_recording_that_outlives_a_kill(lab):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice", number="1001"), exchange.add("bob", number="1002")
    exchange.command("account", "rights", alice.address, "--record", "on-demand")
    exchange.start()
    phones = [Baresip(lab, exchange, alice, "caller"), Baresip(lab, exchange, bob, "callee")]
    for phone in phones:
        phone.start()
    phones[0].dial(f"sip:1002@{DOMAIN}")
    time.sleep(2)
    check(not list(exchange.data.glob("recordings/**/*.wav")), "nothing is recorded that nobody wants recorded")
    phones[0].press("*1")
    time.sleep(6)
    # With no word to anybody.
    exchange.kill()
    exchange.start()
    recording = until(lambda: next(iter(recordings(exchange)), None), 10, "what was recorded is there")
    check(recording["seconds"] >= 3, f"{recording}")
    sides(lab, exchange, recording, [phone.hz for phone in phones])
    for phone in phones:
        phone.stop()


@case(seconds=120)
def a_supervisor_hears_both_and_is_heard_when_it_joins_in(lab):
    exchange = Exchange(lab, anchor="always")
    alice, bob, carol = (exchange.add(user, number=number)
                         for user, number in (("alice", "1001"), ("bob", "1002"), ("carol", "1003")))
    exchange.command("account", "rights", carol.address, "--supervise", "1002")
    exchange.start()
    phones = [Baresip(lab, exchange, alice, "caller"), Pjsua(lab, exchange, bob, "callee")]
    for phone in phones:
        phone.start()
    phones[0].dial(f"sip:1002@{DOMAIN}")
    phones[1].answered()
    boss = Offhook(lab, exchange, carol, "caller")
    sound = ["--play", lab.tone(THIRD_HZ), "--loop", "--record", boss.recording, "--duration", "12s"]
    boss.dial("*9011002", "--dtmf", ",,,,6", *sound)
    phones[0].hang_up()
    for phone in phones:
        phone.stop()
    check(share(boss.recording, phones[0].hz) >= 6 and share(boss.recording, phones[1].hz) >= 6, "it hears both")
    for phone in phones:
        heard = share(phone.recording, THIRD_HZ)
        check(3 <= heard <= 9, f"{phone.recording.name}: the supervisor was heard for {heard} s")


SPOKEN = [
    ("baresip and pjsua2 are told by a voice that they are recorded", Baresip, Pjsua),
    ("pjsua2 and baresip are told by a voice that they are recorded", Pjsua, Baresip),
]


@each(SPOKEN, seconds=120)
def a_voice_says_that_a_call_is_recorded(lab, caller, callee):
    _, phones = recorded(lab, (caller, callee), TALK_SECONDS + 3, "services.recording.announce=spoken")
    for phone, other in (phones, phones[::-1]):
        said, last = speech(phone.recording, other.hz)
        check(said >= 0.5, f"{phone.recording.name}: a voice for {said} s")
        check(last < 5, f"{phone.recording.name}: the last of it after {last} s")
        # The other is heard after that.
        tone.prove(phone.recording, other.hz, 2)


def speech(recording, hz):
    """For how long there is sound beside a tone, and when that ends, in seconds."""
    rate, samples = tone.read(recording)
    size, spoken = rate // 10, []
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    for start in range(0, len(samples) - size + 1, size):
        power = np.abs(np.fft.rfft(samples[start:start + size] * np.hanning(size))) ** 2
        beside = power[(np.abs(frequencies - hz) > 60) & (frequencies > 150)].sum()
        loud = np.sqrt(np.mean(samples[start:start + size] ** 2)) > tone.QUIET
        if loud and beside > 0.3 * power.sum():
            spoken.append(start / rate)
    return len(spoken) / 10, spoken[-1] if spoken else 0


def share(recording, hz):
    """In how many seconds a tone sounds, whatever sounds beside it."""
    rate, samples = tone.read(recording)
    size, found = rate // 4, 0
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    for start in range(0, len(samples) - size + 1, size):
        power = np.abs(np.fft.rfft(samples[start:start + size] * np.hanning(size))) ** 2
        loud = np.sqrt(np.mean(samples[start:start + size] ** 2)) > tone.QUIET
        found += bool(loud and power[np.abs(frequencies - hz) < 30].sum() > 0.1 * power.sum())
    return found / 4


def recordings(exchange):
    return json.loads(exchange.command("recording", "list", "--json"))["recordings"]


def path_of(identity):
    return f"recordings/{identity[:4]}/{identity[4:6]}/{identity}.wav"


def sides(lab, exchange, recording, tones):
    """The first tone is left and not right, the second right and not left."""
    whole = lab.folder / "recording.wav"
    exchange.command("recording", "save", recording["id"], str(whole))
    with wave.open(str(whole)) as read:
        check(read.getnchannels() == 2, "two channels")
        rate, samples = read.getframerate(), np.frombuffer(read.readframes(read.getnframes()), "<i2")
    for number, (hz, name) in enumerate(zip(tones, ("left", "right"))):
        side = lab.folder / f"{name}.wav"
        with wave.open(str(side), "wb") as out:
            out.setparams((1, 2, rate, 0, "NONE", ""))
            out.writeframes(samples[number::2].tobytes())
        tone.prove(side, hz, 2.5)


THIRD_HZ = 1300
