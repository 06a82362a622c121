"""Call forwarding: whoever does not take a call sends it on, and the two who then talk hear each other."""

from functools import partial

from harness.cases import each
from harness.conversation import converse
from harness.exchange import DOMAIN, Exchange
from harness.failure import check
from harness.phones.baresip import Baresip
from harness.phones.browser import Browser
from harness.phones.offhook import Offhook
from harness.phones.pjsua import Pjsua

# How bob is set, what his phone does (None: there is none), and who calls whom in the end.
CASES = [
    ("baresip calls a busy account and talks with pjsua2",
     ["--busy", "carol"], ["--code", "486"], Baresip, Pjsua),
    ("pjsua2 calls an account that does not answer and talks with baresip",
     ["--no-answer", "1003", "--ring-seconds", "2"], ["--after", "60s"], Pjsua, Baresip),
    ("the softphone calls an account without a phone and talks with a browser",
     ["--unreachable", f"sip:carol@{DOMAIN}"], None, Offhook, Browser),
    ("a browser calls an account that is not to be disturbed and talks with baresip over TLS",
     ["--do-not-disturb", "on", "--busy", "carol"], ["--after", "60s"],
     Browser, partial(Baresip, transport="tls", encryption="dtls_srtp")),
    ("baresip calls an account whose calls all go on and talks with the softphone",
     ["--always", "carol"], ["--after", "60s"], Baresip, Offhook),
]


@each(CASES, seconds=120)
def a_call_goes_on(lab, wanted, habit, caller, callee):
    exchange = Exchange(lab)
    alice, bob, carol = exchange.add("alice"), exchange.add("bob"), exchange.add("carol", number="1003")
    exchange.start()
    shown = exchange.command("account", "answering", bob.address, *wanted, "--json")
    check("carol" in shown or "1003" in shown, f"what was set is not shown: {shown}")
    first = Offhook(lab, exchange, bob, "callee")
    if habit:
        first.answer(*habit)
    converse(caller(lab, exchange, alice, "caller"), callee(lab, exchange, carol, "callee"), bob.address)
    first.stop()
