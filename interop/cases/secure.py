"""Phones over TLS and WebSocket, with a certificate that the exchange made for itself."""

import ssl
import socket
from functools import partial

from harness.cases import case, each
from harness.conversation import converse
from harness.exchange import DOMAIN, Exchange
from harness.failure import check
from harness.phones.baresip import Baresip
from harness.phones.browser import Browser
from harness.phones.offhook import Offhook
from harness.phones.pjsua import Pjsua
from harness.wire import LOOPBACK

BARESIP_TLS = partial(Baresip, transport="tls")
OFFHOOK = {name: partial(Offhook, transport=name) for name in ("tls", "ws", "wss")}

PAIRS = [
    ("baresip over TLS calls baresip over TLS", BARESIP_TLS, BARESIP_TLS),
    ("baresip over TLS calls baresip over UDP", BARESIP_TLS, Baresip),
    ("baresip over UDP calls baresip over TLS", Baresip, BARESIP_TLS),
    ("pjsua2 over UDP calls baresip over TLS", Pjsua, BARESIP_TLS),
    ("baresip over TLS calls offhook over WSS", BARESIP_TLS, OFFHOOK["wss"]),
    ("offhook over WSS calls baresip over TLS", OFFHOOK["wss"], BARESIP_TLS),
    ("offhook over TLS calls baresip over UDP", OFFHOOK["tls"], Baresip),
    ("offhook over WS calls offhook over TLS", OFFHOOK["ws"], OFFHOOK["tls"]),
]


@each(PAIRS)
def both_hear_each_other(lab, caller, callee):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    converse(caller(lab, exchange, alice, "caller"), callee(lab, exchange, bob, "callee"))


@case()
def the_certificate_is_good_for_whoever_trusts_its_authority_and_for_nobody_else(lab):
    exchange = Exchange(lab).start()
    trusting = ssl.create_default_context(cafile=str(exchange.authority))
    for port in (exchange.tls_port, exchange.https_port):
        for name in (DOMAIN, LOOPBACK, "localhost"):
            with socket.create_connection((LOOPBACK, port), 5) as plain:
                with trusting.wrap_socket(plain, server_hostname=name) as secured:
                    check(secured.version() in ("TLSv1.2", "TLSv1.3"), secured.version())
        for context, name in ((trusting, "other.example"), (ssl.create_default_context(), DOMAIN)):
            try:
                with socket.create_connection((LOOPBACK, port), 5) as plain:
                    context.wrap_socket(plain, server_hostname=name).close()
            except ssl.SSLCertVerificationError:
                continue
            check(False, f"{name} on port {port} was believed")


@each([("a browser over WS registers, chats and calls", "ws"), ("a browser over WSS registers, chats and calls", "wss")],
      seconds=120)
def a_browser_is_a_phone(lab, transport):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    browser = Browser(lab, exchange, alice, "caller", transport)
    browser.start()
    bound = exchange.bindings(alice)
    check(len(bound) == 1 and bound[0].split(";")[0].endswith(".invalid"), f"bound: {bound}")

    phone = Offhook(lab, exchange, bob, "caller")
    sent = lab.run("message", [lab.binary, "message", alice.address, "Hello, browser", *phone.words])
    check(sent.wait(20) == 0, f"the message was not taken: {sent.said()}")
    check(browser.wait("message", 10)["body"] == "Hello, browser", "another text")

    # It rings and can be stopped on both ways.
    asked = lab.run("options", [lab.binary, "options", alice.address, *phone.words])
    check(asked.wait(20) == 0, f"OPTIONS to the browser: {asked.said()}")
    calling = lab.run("call", [lab.binary, "call", alice.address, "--ring-timeout", "8s", *phone.words])
    browser.wait("CALL_INCOMING", 10)
    calling.wait(30)
    browser.command("dial", bob.address)
    browser.wait("CALL_CLOSED", 15)

    browser.stop()
    check(not exchange.bindings(alice), "the browser is gone, its binding is not")
