"""Phones that protect their media each in its own way, or not at all, call each other through the exchange."""

from functools import partial
from itertools import product
import time

from harness.cases import case, each
from harness.conversation import TALK_SECONDS, converse
from harness.exchange import Exchange
from harness.failure import check, until
from harness.meter import Meter
from harness.phones.baresip import Baresip
from harness.phones.browser import Browser
from harness.phones.offhook import Offhook, result
from harness.phones.pjsua import Pjsua
from harness.sipp import SDP, Callee, Sipp

MUST = partial(Baresip, encryption="srtp-mand")
MUST_WITH_FEEDBACK = partial(Baresip, encryption="srtp-mandf")
MAY = partial(Baresip, encryption="srtp")
SDES = partial(Baresip, transport="tls", encryption="srtp-mand")
DTLS = partial(Baresip, transport="tls", encryption="dtls_srtp")
DTLS_ON_ONE_PORT = partial(DTLS, rtcp_mux=True)
DTLS_AND_ICE = partial(DTLS, rtcp_mux=True, ice=True)
PJSUA = partial(Pjsua, transport="tls", srtp="mandatory")
PJSUA_MAY = partial(Pjsua, transport="tls", srtp="optional")
OURS_MUST = partial(Offhook, transport="tls", srtp="require")
OURS_MUST_OVER_UDP = partial(Offhook, srtp="require")
OURS_MUST_OVER_WSS = partial(Offhook, transport="wss", srtp="require")
OURS_MAY = partial(Offhook, transport="tls", srtp="prefer")
OURS_DTLS = partial(Offhook, transport="tls", srtp="require", keys="dtls")
OURS_DTLS_OVER_UDP = partial(Offhook, srtp="require", keys="dtls")
OURS_ICE = partial(OURS_DTLS, ice=True)
OPUS_BROWSER = partial(Browser, only="opus")

PAIRS = [
    ("a phone that must encrypt calls one that cannot", MUST, Baresip),
    ("a phone that must encrypt, with feedback, calls one that cannot", MUST_WITH_FEEDBACK, Baresip),
    ("a phone that may encrypt calls one that cannot", MAY, Baresip),
    ("a phone that cannot encrypt calls one that may", Baresip, MAY),
    ("DTLS calls a phone of another make that may encrypt", DTLS, PJSUA_MAY),
    ("DTLS on one port calls our plain phone", DTLS_ON_ONE_PORT, Offhook),
    ("DTLS with ICE calls our plain phone", DTLS_AND_ICE, Offhook),
    ("our phone that must encrypt calls SDES", OURS_MUST, SDES),
    ("SDES calls our phone that must encrypt", SDES, OURS_MUST),
    ("our phone that must encrypt calls one that cannot", OURS_MUST, Baresip),
    ("a phone that cannot encrypt calls ours that must, over UDP", Baresip, OURS_MUST_OVER_UDP),
    ("a phone that cannot encrypt calls ours that must, over WSS", Baresip, OURS_MUST_OVER_WSS),
    ("our phone that must encrypt calls DTLS", OURS_MUST, DTLS),
    ("SDES of another make calls our phone that may encrypt", PJSUA, OURS_MAY),
    ("our phone that may encrypt calls our plain phone", OURS_MAY, Offhook),
    ("a browser calls our phone that must encrypt", Browser, OURS_MUST),
    ("a browser calls our phone with keys from DTLS", Browser, OURS_DTLS),
    ("our phone with ICE and keys from DTLS calls a browser", OURS_ICE, Browser),
    ("our phone with ICE calls one without", partial(Offhook, ice=True), Baresip),
    ("a phone calls ours with ICE", DTLS_AND_ICE, OURS_ICE),
    ("our phone with keys from DTLS, over UDP, calls one that cannot encrypt", OURS_DTLS_OVER_UDP, Baresip),
    ("a phone that cannot encrypt calls ours with keys from DTLS, over UDP", Baresip, OURS_DTLS_OVER_UDP),
    ("a browser calls a plain phone", Browser, Baresip),
    ("a plain phone calls a browser", Baresip, Browser),
    ("a browser calls SDES", Browser, SDES),
    ("DTLS calls a browser", DTLS, Browser),
    ("a browser that speaks Opus alone calls a phone that speaks G.711 alone", OPUS_BROWSER, Baresip),
    ("our phone calls a browser that answers with Opus alone", Offhook, OPUS_BROWSER),
]


# Each with each, in both directions.
MAKES = {"SDES": SDES, "DTLS": DTLS, "SDES of another make": PJSUA, "our plain phone": Offhook, "our phone with DTLS": OURS_DTLS}
PAIRS += [(f"{caller} calls {callee}", MAKES[caller], MAKES[callee]) for caller, callee in product(MAKES, repeat=2)]


@each(PAIRS, seconds=90)
def both_hear_each_other(lab, caller, callee):
    exchange = Exchange(lab, "always")
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    meter = lab.keep(Meter(exchange.media_ports))
    converse(caller(lab, exchange, alice, "caller"), callee(lab, exchange, bob, "callee"))
    meter.prove(relayed=True)


@case()
def two_softphones_that_must_encrypt_talk_without_an_exchange(lab):
    caller = Offhook(lab, None, None, "caller", srtp="require")
    callee = Offhook(lab, None, None, "callee", host="127.0.0.2", srtp="require")
    converse(caller, callee, target="sip:x@%s:%d" % callee.local)


@each([("two softphones shake hands without an exchange", partial(Offhook, host="127.0.0.2", srtp="require", keys="dtls")),
       ("a softphone that prefers keys in SDP shakes hands without an exchange", partial(Offhook, host="127.0.0.2", srtp="prefer"))])
def two_softphones_shake_hands_without_an_exchange(lab, callee):
    caller = Offhook(lab, None, None, "caller", srtp="require", keys="dtls")
    called = callee(lab, None, None, "callee")
    converse(caller, called, target="sip:x@%s:%d" % called.local)


@each([("two softphones find a way by ICE without an exchange", {}),
       ("two softphones with keys from DTLS find a way by ICE without an exchange", {"srtp": "require", "keys": "dtls"})])
def two_softphones_find_a_way_by_ice_without_an_exchange(lab, more):
    caller = Offhook(lab, None, None, "caller", ice=True, **more)
    callee = Offhook(lab, None, None, "callee", host="127.0.0.2", ice=True, **more)
    converse(caller, callee, target="sip:x@%s:%d" % callee.local)


@case()
def a_softphone_that_must_encrypt_refuses_one_that_does_not(lab):
    callee = Offhook(lab, None, None, "callee", host="127.0.0.2", srtp="require")
    callee.answer("--timeout", "20s")
    calling = Offhook(lab, None, None, "caller").dial("sip:x@%s:%d" % callee.local)
    found = result(calling)
    check((found["code"], found["srtp"]) == (488, None) and calling.ended() != 0, f"{calling.ended()}: {found}")
    callee.stop()


@each([("a browser calls a SIP phone with video, and both see", "browser"),
       ("a SIP phone with video calls a browser, and both see", "phone")], seconds=120)
def both_see_each_other(lab, caller):
    exchange = Exchange(lab, "always")
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    roles = ("caller", "callee") if caller == "browser" else ("callee", "caller")
    page = Browser(lab, exchange, alice, roles[0], video=True)
    desk = Baresip(lab, exchange, bob, roles[1], video=True)
    desk.start()
    page.start()
    if caller == "browser":
        page.command("dial", bob.address)
        desk.answered()
    else:
        desk.dial(alice.address)
    page.wait("CALL_ESTABLISHED", 20)
    until(lambda: page.measure()["frames"] >= 20, 30, "the browser decodes twenty pictures")
    width, height = desk.sees()
    check(width >= 160 and height >= 120, f"the phone sees a picture of {width}x{height}")
    page.command("hangup")
    page.wait("CALL_CLOSED", 10)
    page.stop()
    desk.stop()


@case(seconds=120)
def two_browsers_see_each_other_through_the_exchange(lab):
    exchange = Exchange(lab, "always")
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    caller = Browser(lab, exchange, alice, "caller", video=True)
    callee = Browser(lab, exchange, bob, "callee", video=True)
    callee.start()
    caller.start()
    caller.command("dial", bob.address)
    for browser in (caller, callee):
        browser.wait("CALL_ESTABLISHED", 20)
    time.sleep(TALK_SECONDS)
    for browser in (caller, callee):
        seen = browser.measure()
        check(seen["frames"] >= 20 and seen["packets"] >= 50, f"{browser.role} received {seen}")
    caller.command("hangup")
    callee.wait("CALL_CLOSED", 10)
    caller.stop()
    callee.stop()


def pictures(lab, direction):
    """The description of a phone with video in the plain profile, which never asks for anything."""
    return f"{SDP}a={direction}\nm=video {lab.port()} RTP/AVP 96\na=rtpmap:96 VP8/90000\na={direction}\n"


@case(seconds=90)
def a_browser_is_asked_for_a_key_frame_for_a_phone_that_cannot_ask(lab):
    exchange = Exchange(lab, "always")
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    page = Browser(lab, exchange, alice, "caller", video=True)
    shown, hidden = pictures(lab, "sendrecv"), pictures(lab, "inactive")
    scenario = Callee("video").invited().respond("200 OK", shown, retransmit=True).receive(request="ACK")
    desk = Sipp(lab, exchange, scenario.answer_again(hidden).answer_again(shown).bye(), bob, seconds=60)
    exchange.bind(bob, desk.contact)
    page.start()
    page.command("dial", bob.address)
    page.wait("CALL_ESTABLISHED", 20)
    until(lambda: page.measure()["asked"] >= 1, 20, "the browser is asked for a key frame when the call begins")
    page.command("hold")
    page.wait("HELD", 10)
    before = page.measure()
    page.command("resume")
    page.wait("RESUMED", 10)
    until(lambda: page.measure()["asked"] > before["asked"], 20, "the browser is asked when its pictures are seen again")
    until(lambda: page.measure()["keyFrames"] > before["keyFrames"], 20, "and sends a key frame")
    page.command("hangup")
    page.wait("CALL_CLOSED", 10)
    desk.done()
    page.stop()
