"""Phones that protect their media each in its own way call each other through the exchange."""

from functools import partial

from harness.cases import each
from harness.conversation import converse
from harness.exchange import Exchange
from harness.meter import Meter
from harness.phones.baresip import Baresip

MUST = partial(Baresip, encryption="srtp-mand")
MUST_WITH_FEEDBACK = partial(Baresip, encryption="srtp-mandf")
MAY = partial(Baresip, encryption="srtp")

PAIRS = [
    ("a phone that must encrypt calls one that cannot", MUST, Baresip),
    ("a phone that must encrypt, with feedback, calls one that cannot", MUST_WITH_FEEDBACK, Baresip),
    ("a phone that may encrypt calls one that cannot", MAY, Baresip),
    ("a phone that cannot encrypt calls one that may", Baresip, MAY),
]


@each(PAIRS)
def both_hear_each_other(lab, caller, callee):
    exchange = Exchange(lab, "always")
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    meter = lab.keep(Meter(exchange.media_ports))
    converse(caller(lab, exchange, alice, "caller"), callee(lab, exchange, bob, "callee"))
    meter.prove(relayed=True)
