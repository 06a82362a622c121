"""Call transfer (RFC 5589): two who did not call each other hear each other."""

import time
from functools import partial

from harness import tone
from harness.cases import each
from harness.conversation import HEARD_SECONDS, TALK_SECONDS
from harness.exchange import Exchange
from harness.phones.baresip import Baresip
from harness.phones.pjsua import Pjsua

# Who is sent on, who sends, and to whom.
BLIND = [
    ("pjsua2 sends baresip on to baresip", Baresip, Pjsua, Baresip),
    ("baresip sends pjsua2 on to pjsua2", Pjsua, Baresip, Pjsua),
    ("pjsua2 sends baresip over TLS on to baresip",
     partial(Baresip, transport="tls", encryption="srtp-mand"), Pjsua, Baresip),
]


@each(BLIND, seconds=120)
def a_blind_transfer(lab, sent, sender, target):
    transfer(lab, sent, sender, target, attended=False)


# baresip 1.0 knows no Replaces.
@each([("pjsua2 talks with pjsua2 first and then joins it with another", Pjsua, Pjsua, Pjsua)], seconds=120)
def an_attended_transfer(lab, sent, sender, target):
    transfer(lab, sent, sender, target, attended=True)


def transfer(lab, sent, sender, target, attended):
    exchange = Exchange(lab)
    alice, bob, carol = exchange.add("alice"), exchange.add("bob"), exchange.add("carol")
    exchange.start()
    alice, bob = sent(lab, exchange, alice, "caller"), sender(lab, exchange, bob, "callee")
    carol = target(lab, exchange, carol, "callee")
    for phone in (alice, bob, carol):
        phone.start()
    alice.dial(bob.account.address)
    bob.answered()
    if attended:
        bob.dial(carol.account.address)
        carol.answered()
    bob.transfer(None if attended else carol.account.address)
    carol.answered()
    time.sleep(TALK_SECONDS)
    alice.hang_up()
    for phone in (alice, bob, carol):
        phone.stop()
    tone.prove(alice.recording, carol.hz, HEARD_SECONDS)
    tone.prove(carol.recording, alice.hz, HEARD_SECONDS)
