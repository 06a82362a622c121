"""Phones of different makers call each other through the exchange."""

from functools import partial

from harness.cases import case, each
from harness.conversation import converse
from harness.exchange import Exchange
from harness.failure import check
from harness.meter import Meter
from harness.phones.baresip import Baresip
from harness.phones.offhook import Offhook
from harness.phones.pjsua import Pjsua
from harness.wire import LOOPBACK, ask_with_credentials

BARESIP_TCP = partial(Baresip, transport="tcp")
PJSUA_TCP = partial(Pjsua, transport="tcp")
OFFHOOK_TCP = partial(Offhook, transport="tcp")

PAIRS = [
    ("baresip calls baresip, media direct", Baresip, Baresip, "never"),
    ("baresip calls baresip, media anchored", Baresip, Baresip, "always"),
    ("baresip calls offhook, media direct", Baresip, Offhook, "never"),
    ("offhook calls baresip, media direct", Offhook, Baresip, "never"),
    ("baresip calls offhook, media anchored", Baresip, Offhook, "always"),
    ("offhook calls baresip, media anchored", Offhook, Baresip, "always"),
    ("pjsua2 calls offhook", Pjsua, Offhook, "auto"),
    ("offhook calls pjsua2", Offhook, Pjsua, "auto"),
    ("pjsua2 calls offhook, media anchored", Pjsua, Offhook, "always"),
    ("baresip calls pjsua2", Baresip, Pjsua, "auto"),
    ("pjsua2 calls baresip, media anchored", Pjsua, Baresip, "always"),
    ("offhook calls offhook", Offhook, Offhook, "auto"),
    ("baresip over TCP calls pjsua2 over UDP", BARESIP_TCP, Pjsua, "auto"),
    ("pjsua2 over TCP calls baresip over TCP", PJSUA_TCP, BARESIP_TCP, "always"),
    ("offhook over TCP calls baresip over UDP", OFFHOOK_TCP, Baresip, "auto"),
]


@each(PAIRS)
def both_hear_each_other(lab, caller, callee, anchor):
    exchange = Exchange(lab, anchor)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    meter = lab.keep(Meter(exchange.media_ports))
    converse(caller(lab, exchange, alice, "caller"), callee(lab, exchange, bob, "callee"))
    # Phones of one network that understand each other need no relay, so `auto` leaves them alone.
    meter.prove(relayed=anchor == "always")


@case()
def a_number_rings_the_account_that_has_it(lab):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice"), exchange.add("bob", number="1002")
    exchange.start()
    caller, callee = Baresip(lab, exchange, alice, "caller"), Baresip(lab, exchange, bob, "callee")
    converse(caller, callee, target=f"sip:{bob.number}@{bob.domain}")


@each([("told over UDP", "udp"), ("told over TLS, encrypted", "tls")])
def a_phone_is_told_by_the_exchange_who_it_is(lab, transport):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    caller, callee = Baresip(lab, exchange, alice, "caller"), Baresip(lab, exchange, bob, "callee")
    told = exchange.command("device", "provision", alice.address, "--for", "baresip", "--transport", transport,
                            "--server", f"{exchange.host}:{exchange.port_for(transport)}", "--password", alice.password)
    # What it has in common with all phones of this harness.
    (caller.folder / "accounts").write_text(f"{told.strip()};audio_codecs=PCMU,PCMA;answermode=auto\n")
    converse(caller, callee)


@case()
def an_account_added_while_the_exchange_runs_can_be_called(lab):
    exchange = Exchange(lab)
    alice = exchange.add("alice")
    exchange.start()
    bob = exchange.add("bob")
    converse(Baresip(lab, exchange, alice, "caller"), Pjsua(lab, exchange, bob, "callee"))


@case()
def a_phone_that_goes_takes_its_binding_along(lab):
    exchange = Exchange(lab)
    bob = exchange.add("bob")
    exchange.start()
    phone = Pjsua(lab, exchange, bob, "callee")
    phone.start()
    phone.stop()
    check(not exchange.bindings(bob), f"still bound: {exchange.bindings(bob)}")


# Only a codec that neither baresip nor the relay has.
G729 = f"""v=0\r\no=- 1 1 IN IP4 {LOOPBACK}\r\ns=-\r\nc=IN IP4 {LOOPBACK}\r\nt=0 0\r\nm=audio 9 RTP/AVP 18\r\n""".encode()


@case()
def a_call_without_a_codec_in_common_is_refused_with_the_codecs_in_words(lab):
    exchange = Exchange(lab, "always")
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    callee = Baresip(lab, exchange, bob, "callee")
    callee.start()
    fields = (f"Contact: <sip:alice@{LOOPBACK}:9>", "Content-Type: application/sdp")
    answer = ask_with_credentials(exchange.server, alice, "INVITE", bob.address, fields=fields, body=G729)
    check(answer.status == 488, f"answered {answer.start}")
    warning = answer.first("Warning")
    check("G729" in warning and "offhook" in warning, f"Warning: {warning}")
    callee.stop()
