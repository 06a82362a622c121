"""What may be dialled that is no phone."""

from functools import partial

from harness import tone
from harness.cases import each
from harness.conversation import HEARD_SECONDS, TALK_SECONDS, converse
from harness.exchange import DOMAIN, Exchange
from harness.failure import until
from harness.phones.baresip import Baresip
from harness.phones.browser import Browser
from harness.phones.offhook import Offhook
from harness.phones.pjsua import Pjsua

PHONES = [
    ("baresip hears itself when it dials *43", Baresip),
    ("baresip with SDES over TLS hears itself when it dials *43",
     partial(Baresip, transport="tls", encryption="srtp-mand")),
    ("baresip with DTLS over TLS hears itself when it dials *43",
     partial(Baresip, transport="tls", encryption="dtls_srtp")),
    ("baresip with Opus hears itself when it dials *43", partial(Baresip, codecs="opus")),
    ("pjsua2 hears itself when it dials *43", Pjsua),
    ("pjsua2 with SRTP over TLS hears itself when it dials *43", partial(Pjsua, transport="tls", srtp="mandatory")),
    ("a browser hears itself when it dials *43", Browser),
]


@each(PHONES, seconds=120)
def a_phone_hears_itself(lab, phone):
    exchange = Exchange(lab)
    alice = exchange.add("alice")
    exchange.start()
    caller = phone(lab, exchange, alice, "caller")
    caller.start()
    caller.call(f"sip:*43@{DOMAIN}", TALK_SECONDS)
    caller.stop()
    tone.prove(caller.recording, caller.hz, HEARD_SECONDS)


@each([(f"the softphone hears itself over {name} when it dials *43", name) for name in ("udp", "tcp", "tls", "wss")])
def the_softphone_hears_itself(lab, transport):
    exchange = Exchange(lab)
    alice = exchange.add("alice")
    exchange.start()
    caller = Offhook(lab, exchange, alice, "caller", transport)
    caller.hears = caller.hz
    # Its own measure counts what was lost, and how well it would be understood.
    caller.call("*43", TALK_SECONDS)
    tone.prove(caller.recording, caller.hz, HEARD_SECONDS)
    # Its ACK and its BYE found the way to our Contact.
    records = exchange.data / "cdr.ndjson"
    until(lambda: records.exists() and '"ended_by":"caller"' in records.read_text(), 10, "the caller ends the call")


HIDDEN = [
    ("the softphone that hides itself calls baresip", Baresip),
    ("the softphone that hides itself calls baresip with DTLS over TLS",
     partial(Baresip, transport="tls", encryption="dtls_srtp")),
    ("the softphone that hides itself calls pjsua2", Pjsua),
    ("the softphone that hides itself calls a browser", Browser),
]


@each(HIDDEN, seconds=120)
def a_bridged_call_is_heard_on_both_sides(lab, callee):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    caller = Offhook(lab, exchange, alice, "caller")
    # A caller that wants to be hidden has a dialog with the exchange, and so has the called phone.
    caller.words += ["--header", "Privacy: header"]
    converse(caller, callee(lab, exchange, bob, "callee"))
