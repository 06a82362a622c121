"""Codes that are pressed in ordinary calls between two phones: who comes or goes by them is heard, by spectrum."""

import time

from cases.voice import THIRD_HZ, TOGETHER_SECONDS, hears_the_others
from harness import tone
from harness.cases import case, each
from harness.conversation import HEARD_SECONDS, TALK_SECONDS
from harness.exchange import DOMAIN, Exchange
from harness.failure import until
from harness.phones.baresip import Baresip
from harness.phones.browser import Browser
from harness.phones.offhook import Offhook
from harness.phones.pjsua import Pjsua

# Who calls, who is called, to whom that one is transferred, and who of the two presses.
TRANSFERS = [
    ("pjsua2 sends the baresip that it has called on to baresip by keys", Pjsua, Baresip, Baresip, 0),
    ("baresip sends the pjsua2 that has called it on to pjsua2 by keys", Pjsua, Baresip, Pjsua, 1),
]


def three(lab):
    """An exchange that hears codes in all calls, with the accounts 1001, 1002 and 1003."""
    exchange = Exchange(lab, sets=["services.in_call_codes.all_calls=true"])
    accounts = [exchange.add(user, number=number)
                for user, number in (("alice", "1001"), ("bob", "1002"), ("carol", "1003"))]
    exchange.start()
    return exchange, accounts


def talking(lab, calls, called, target, presser):
    """Who presses keys in a call, the other one of it, and who may come to it: started, and the first two talk."""
    exchange, (alice, bob, carol) = three(lab)
    pair = [calls(lab, exchange, alice, "caller"), called(lab, exchange, bob, "callee")]
    # Who stays and who comes must not sing alike.
    comes = target(lab, exchange, carol, "callee" if presser == 1 else "caller")
    for phone in (*pair, comes):
        phone.start()
    pair[0].dial(f"sip:1002@{DOMAIN}")
    pair[1].answered()
    time.sleep(1)
    return pair[presser], pair[1 - presser], comes


@each(TRANSFERS, seconds=120)
def keys_transfer_the_other_side(lab, calls, called, target, presser):
    goes, stays, carol = talking(lab, calls, called, target, presser)
    goes.press("*21003#")
    carol.answered()
    time.sleep(TALK_SECONDS)
    stays.hang_up()
    for phone in (goes, stays, carol):
        phone.stop()
    tone.prove(stays.recording, carol.hz, HEARD_SECONDS, last=TALK_SECONDS + 1)
    tone.prove(carol.recording, stays.hz, HEARD_SECONDS)


@each([("pjsua2 asks a baresip by keys and leaves it to the one it talked with", Pjsua, Baresip, Baresip, 0),
       ("baresip asks a pjsua2 by keys and leaves it to the one it talked with", Pjsua, Baresip, Pjsua, 1)], seconds=120)
def keys_ask_before_they_transfer(lab, calls, called, target, presser):
    asks, stays, carol = talking(lab, calls, called, target, presser)
    asks.press("*61003#")
    carol.answered()
    time.sleep(TALK_SECONDS)
    asks.hang_up()
    time.sleep(TALK_SECONDS)
    stays.hang_up()
    for phone in (asks, stays, carol):
        phone.stop()
    tone.prove(asks.recording, carol.hz, HEARD_SECONDS)
    tone.prove(stays.recording, carol.hz, HEARD_SECONDS, last=TALK_SECONDS + 1)
    tone.prove(carol.recording, stays.hz, HEARD_SECONDS, last=TALK_SECONDS + 1)


@case(seconds=150)
def three_hear_each_other_after_keys(lab):
    exchange, (alice, bob, carol) = three(lab)
    phones = [Baresip(lab, exchange, alice, "caller"), Pjsua(lab, exchange, bob, "callee")]
    third = Offhook(lab, exchange, carol, "callee")
    third.hz = THIRD_HZ
    third.answer("--play", lab.tone(THIRD_HZ), "--loop", "--record", third.recording)
    for phone in phones:
        phone.start()
    phones[0].dial(f"sip:1002@{DOMAIN}")
    phones[1].answered()
    time.sleep(1)
    phones[0].press("*41003#")
    until(lambda: third.recording.exists(), 20, "the third has answered")
    time.sleep(TOGETHER_SECONDS)
    for phone in phones:
        phone.hang_up()
    for phone in phones:
        phone.stop()
    third.answering.wait(15)
    tones = [phone.hz for phone in (*phones, third)]
    for phone in (*phones, third):
        hears_the_others(phone.recording, phone.hz, [hz for hz in tones if hz != phone.hz])


@case(seconds=150)
def a_browser_transfers_by_info_and_a_desk_phone_back_by_telephone_events(lab):
    exchange, (alice, bob, carol) = three(lab)
    page, bob = Browser(lab, exchange, alice, "callee"), Baresip(lab, exchange, bob, "caller")
    carol = Pjsua(lab, exchange, carol, "callee")
    for phone in (page, bob, carol):
        phone.start()
    bob.dial(f"sip:1001@{DOMAIN}")
    page.wait("CALL_ESTABLISHED", 20)
    until(lambda: page.measure()["packets"] > 50, 15, "sound reaches the browser")
    page.press("*21003#", "INFO")
    carol.answered()
    page.wait("CALL_CLOSED", 10)
    time.sleep(TALK_SECONDS)
    bob.press("*21001#")
    page.wait("CALL_ESTABLISHED", 20)
    time.sleep(TALK_SECONDS)
    page.keep()
    carol.hang_up()
    for phone in (bob, carol):
        phone.stop()
    tone.prove(bob.recording, carol.hz, HEARD_SECONDS)
    tone.prove(page.recording, carol.hz, HEARD_SECONDS, last=TALK_SECONDS)
    tone.prove(carol.recording, page.hz, HEARD_SECONDS, last=TALK_SECONDS)
