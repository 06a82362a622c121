"""Call park, call pickup and transfers in calls with legs of ours: those who meet hear each other."""

import json
import time

from harness import tone
from harness.cases import each
from harness.conversation import HEARD_SECONDS, TALK_SECONDS
from harness.exchange import Exchange
from harness.failure import until
from harness.phones.baresip import Baresip
from harness.phones.offhook import Offhook
from harness.phones.pjsua import Pjsua

# Who is parked, who parks, and who fetches; then who fetched transfers the call back.
PARK = [
    ("pjsua2 parks baresip, pjsua2 fetches it and sends it on", Baresip, Pjsua, Pjsua),
    ("baresip parks pjsua2, pjsua2 fetches it and sends it on", Pjsua, Baresip, Pjsua),
]


@each(PARK, seconds=150)
def a_call_is_parked_fetched_and_transferred(lab, parked, parks, fetches):
    exchange = Exchange(lab)
    alice, bob, carol = exchange.add("alice"), exchange.add("bob"), exchange.add("carol")
    exchange.start()
    alice, bob = parked(lab, exchange, alice, "caller"), parks(lab, exchange, bob, "callee")
    carol = fetches(lab, exchange, carol, "callee")
    for phone in (alice, bob, carol):
        phone.start()
    alice.dial(bob.account.address)
    bob.answered()
    bob.transfer(f"sip:700@{bob.account.domain}")
    # Bob is called and told the slot.
    bob.answered()
    carol.dial(f"sip:701@{carol.account.domain}")
    time.sleep(TALK_SECONDS)
    carol.transfer(bob.account.address)
    bob.answered()
    time.sleep(TALK_SECONDS)
    alice.hang_up()
    for phone in (alice, bob, carol):
        phone.stop()
    tone.prove(alice.recording, bob.hz, HEARD_SECONDS)
    tone.prove(bob.recording, alice.hz, HEARD_SECONDS)
    tone.prove(carol.recording, alice.hz, HEARD_SECONDS)


PICKUP = [
    ("pjsua2 takes baresip's call", Baresip, Pjsua),
    ("baresip takes pjsua2's call", Pjsua, Baresip),
]


@each(PICKUP, seconds=120)
def a_colleague_takes_a_call_that_rings(lab, caller, colleague):
    exchange = Exchange(lab)
    alice, bob, carol = exchange.add("alice"), exchange.add("bob"), exchange.add("carol")
    exchange.start()
    for one in (bob, carol):
        exchange.command("account", "answering", one.address, "--pickup-group", "sales")
    ringing = Offhook(lab, exchange, bob, "callee")
    ringing.answer("--after", "60s")
    alice, carol = caller(lab, exchange, alice, "caller"), colleague(lab, exchange, carol, "callee")
    for phone in (alice, carol):
        phone.start()
    alice.ring(bob.address)
    until(lambda: json.loads(exchange.command("status", "--json"))["calls_ringing"], 10, "the call is on its way to bob")
    carol.dial(f"sip:*8@{carol.account.domain}")
    time.sleep(TALK_SECONDS)
    alice.hang_up()
    for phone in (alice, carol):
        phone.stop()
    ringing.stop()
    tone.prove(alice.recording, carol.hz, HEARD_SECONDS)
    tone.prove(carol.recording, alice.hz, HEARD_SECONDS)
