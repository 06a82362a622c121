"""Phones that protect their media each in its own way call each other through the exchange."""

from functools import partial

from harness.cases import each
from harness.conversation import converse
from harness.exchange import Exchange
from harness.meter import Meter
from harness.phones.baresip import Baresip

SDES = partial(Baresip, encryption="srtp-mand")
DTLS = partial(Baresip, encryption="dtls_srtp")
MUXED = partial(Baresip, encryption="dtls_srtp", rtcp_mux=True)
BROWSER_LIKE = partial(Baresip, encryption="dtls_srtp", rtcp_mux=True, ice=True)
ICE = partial(Baresip, ice=True, rtcp_mux=True)

PAIRS = [
    ("SDES calls plain", SDES, Baresip),
    ("plain calls SDES", Baresip, SDES),
    ("SDES calls SDES", SDES, SDES),
    ("DTLS calls plain", DTLS, Baresip),
    ("plain calls DTLS", Baresip, DTLS),
    ("DTLS with rtcp-mux calls SDES", MUXED, SDES),
    ("SDES calls DTLS with rtcp-mux", SDES, MUXED),
    ("ICE and DTLS calls plain", BROWSER_LIKE, Baresip),
    ("ICE and DTLS calls ICE and DTLS", BROWSER_LIKE, BROWSER_LIKE),
    ("ICE calls plain", ICE, Baresip),
    ("plain calls ICE", Baresip, ICE),
]


@each(PAIRS)
def both_hear_each_other(lab, caller, callee):
    exchange = Exchange(lab, "always")
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    meter = lab.keep(Meter(exchange.media_ports))
    converse(caller(lab, exchange, alice, "caller"), callee(lab, exchange, bob, "callee"))
    meter.prove(relayed=True)
