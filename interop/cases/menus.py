"""Voice menus, with real phones and prompts that are tones."""

import time
from functools import partial

from harness import tone
from harness.cases import each
from harness.exchange import DOMAIN, Exchange
from harness.failure import until
from harness.phones.baresip import Baresip
from harness.phones.pjsua import Pjsua

MAIN_HZ, SUB_HZ = 520, 1700
MENUS = """
[[menu]]
name = "main"
number = "500"
prompts = ["main.wav"]
[menu.digits]
1 = { call = "1002" }
2 = { menu = "sub" }

[[menu]]
name = "sub"
prompts = ["sub.wav"]
[menu.digits]
7 = { voicemail = "1002" }
"""

PHONES = [
    ("baresip goes through menus by keys and leaves a message", Baresip),
    ("baresip with DTLS over TLS goes through menus by keys and leaves a message",
     partial(Baresip, transport="tls", encryption="dtls_srtp")),
    ("pjsua2 goes through menus by keys and leaves a message", Pjsua),
]


def with_menus(lab):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice", number="1001"), exchange.add("bob", number="1002")
    prompts = exchange.data / "prompts"
    prompts.mkdir()
    for name, hz in (("main", MAIN_HZ), ("sub", SUB_HZ)):
        tone.make(prompts / f"{name}.wav", hz, seconds=4, rate=44100)
    with open(exchange.settings, "a") as settings:
        settings.write(MENUS)
    return exchange.start(), alice, bob


@each(PHONES, seconds=120)
def a_phone_chooses_by_keys(lab, phone):
    exchange, alice, _ = with_menus(lab)
    caller = phone(lab, exchange, alice, "caller")
    caller.start()
    caller.dial(f"sip:500@{DOMAIN}")
    time.sleep(3)
    caller.press("2")
    time.sleep(3)
    caller.press("7")
    # The greeting, or what is left of it.
    time.sleep(1)
    caller.press("#")
    time.sleep(5)
    caller.hang_up()
    caller.stop()
    message = until(lambda: next((exchange.data / "voicemail").glob(f"bob@{DOMAIN}/new/*-1001.wav"), None), 10,
                    "the message is there")
    tone.prove(message, caller.hz, 2.5)
    for hz in (MAIN_HZ, SUB_HZ):
        tone.prove(caller.recording, hz, 1.5)


@each([("baresip is connected by a menu with pjsua2", (Baresip, Pjsua)),
       ("pjsua2 is connected by a menu with baresip", (Pjsua, Baresip))], seconds=120)
def a_menu_rings_a_phone(lab, phones):
    exchange, alice, bob = with_menus(lab)
    caller, callee = phones[0](lab, exchange, alice, "caller"), phones[1](lab, exchange, bob, "callee")
    for phone in (callee, caller):
        phone.start()
    caller.dial(f"sip:500@{DOMAIN}")
    time.sleep(3)
    caller.press("1")
    time.sleep(10)
    caller.hang_up()
    for phone in (caller, callee):
        phone.stop()
    tone.prove(caller.recording, MAIN_HZ, 1.5)
    tone.prove(caller.recording, callee.hz, 3)
    tone.prove(callee.recording, caller.hz, 3)
