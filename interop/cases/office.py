"""An office: a queue with its agent, who is called back, wake-up calls, intercom and paging, with phones of several makers."""

import json
import re
import time
import urllib.request

from harness import tone
from harness.cases import case, each
from harness.conversation import HEARD_SECONDS, TALK_SECONDS
from harness.exchange import DOMAIN, Exchange
from harness.failure import check, until
from harness.phones.baresip import Baresip
from harness.phones.offhook import Offhook, result
from harness.phones.pjsua import Pjsua

QUEUE = """
[[queue]]
number = "610"
name = "Support"
agents = ["1002"]
wrap_up = "1s"
say_refusal = true
"""
PAGE = """
[[page]]
number = "*81"
members = ["1002", "1003"]
"""


def office(lab, more="", sets=()):
    exchange = Exchange(lab, sets=sets)
    with exchange.settings.open("a") as settings:
        settings.write(more)
    accounts = [exchange.add(user, number=number)
                for user, number in (("alice", "1001"), ("bob", "1002"), ("carol", "1003"))]
    return exchange, accounts


def queue(exchange):
    return json.loads(exchange.command("queue", "show", "610", "--json"))


def measures(exchange):
    with urllib.request.urlopen(f"http://{exchange.host}:{exchange.web_port}/metrics", timeout=10) as answer:
        return answer.read().decode()


@each([("two callers wait for an agent who has logged in", 1), ("two callers of two threads wait for an agent", 2)],
      seconds=150)
def two_callers_wait_for_an_agent_who_has_logged_in(lab, threads):
    exchange, (alice, bob, carol) = office(lab, QUEUE, [f"sip.threads={threads}"])
    exchange.start()
    # Nobody is there: a voice says so before the call is refused.
    early = Offhook(lab, exchange, carol, "caller")
    refused = result(early.dial("610", "--record", early.recording, "--expect", "480", seconds=40))
    check(refused["code"] == 480 and refused["reason"] == "Nobody takes calls of Support", f"{refused}")
    loud = tone.measure(early.recording, 1)["loud_seconds"]
    check(loud >= 1, f"nothing was said: {loud}")
    agent = Baresip(lab, exchange, bob, "callee")
    first, second = Pjsua(lab, exchange, alice, "caller"), Baresip(lab, exchange, carol, "caller")
    for phone in (agent, first, second):
        phone.start()
    agent.ring(f"sip:*45@{DOMAIN}")
    agent.over()
    check(queue(exchange)["agents"] == [{"account": bob.address, "state": "free"}], f"{queue(exchange)}")
    first.dial(f"sip:610@{DOMAIN}")
    agent.answered()
    second.dial(f"sip:610@{DOMAIN}")
    time.sleep(TALK_SECONDS)
    waiting = queue(exchange)
    check((waiting["waiting"], waiting["answered"]) == (1, 1), f"{waiting}")
    first.hang_up()
    agent.answered()
    time.sleep(TALK_SECONDS)
    second.hang_up()
    done = until(lambda: (found := queue(exchange))["answered"] == 2 and found, 10, "both were answered")
    check((done["waiting"], done["abandoned"]) == (0, 0), f"{done}")
    check('offhook_queue_answered_total{queue="Support"} 2' in measures(exchange), "the measures count them")
    # It survives a kill that the agent is there.
    exchange.kill()
    exchange.start()
    check(queue(exchange)["agents"][0]["state"] == "free", f"{queue(exchange)}")
    for phone in (agent, first, second):
        phone.stop()
    tone.prove(first.recording, agent.hz, HEARD_SECONDS)
    tone.prove(second.recording, agent.hz, HEARD_SECONDS, last=TALK_SECONDS)
    tone.prove(agent.recording, second.hz, HEARD_SECONDS)


@case(seconds=120)
def who_was_busy_is_called_when_free_also_after_a_kill(lab):
    exchange, (alice, bob, carol) = office(lab)
    exchange.start()
    busy = Offhook(lab, exchange, bob, "callee")
    busy.answer("--code", "486")
    caller = Offhook(lab, exchange, alice, "caller")
    check(result(caller.dial("1002", "--expect", "486"))["code"] == 486, "bob is busy")
    busy.stop()
    dialled = result(caller.dial("*37", "--record", caller.recording, "--expect-audio", "speech"))
    check(dialled["code"] == 200 and dialled["exit_code"] == 0, f"{dialled}")
    exchange.kill()
    exchange.start()
    phones = [Baresip(lab, exchange, alice, "caller"), Pjsua(lab, exchange, bob, "callee"),
              Baresip(lab, exchange, carol, "caller")]
    for phone in phones:
        phone.start()
    phones[2].call(bob.address, 2)
    phones[1].over()
    # First Alice's phone rings, which answers by itself, then Bob's.
    phones[0].answered()
    phones[1].answered()
    time.sleep(TALK_SECONDS)
    phones[0].hang_up()
    for phone in phones:
        phone.stop()
    tone.prove(phones[0].recording, phones[1].hz, HEARD_SECONDS)
    tone.prove(phones[1].recording, phones[0].hz, HEARD_SECONDS)


@case(seconds=200)
def a_sleeper_is_woken(lab):
    exchange, (alice, _, _) = office(lab, sets=['numbers.time_zone="UTC"'])
    exchange.start()
    # Far enough from the full minute that it is still to come when the exchange hears of it.
    at = time.gmtime(time.time() + 80)
    dialled = result(Offhook(lab, exchange, alice, "caller").dial(
        time.strftime("*55*%H%M", at), "--expect-audio", "speech", seconds=30))
    check(dialled["code"] == 200 and dialled["exit_code"] == 0, f"{dialled}")
    phone = Baresip(lab, exchange, alice, "callee")
    phone.start()
    phone._wait("CALL_ESTABLISHED", seconds=100)
    woken = time.time()
    phone._wait("CALL_CLOSED", seconds=30)
    phone.stop()
    check(time.strftime("%H%M", time.gmtime(woken)) == time.strftime("%H%M", at), "at that minute")
    loud = tone.measure(phone.recording, 1)["loud_seconds"]
    check(loud >= 2, f"nothing was said: {loud}")


INTERCOM = [("baresip speaks to a phone that is asked to answer by itself", Baresip),
            ("pjsua2 speaks to a phone that is asked to answer by itself", Pjsua)]


@each(INTERCOM, seconds=100)
def a_phone_is_asked_to_answer_by_itself(lab, speaker):
    exchange, (alice, bob, _) = office(lab)
    exchange.command("account", "rights", alice.address, "--intercom", "on")
    exchange.start()
    caller, callee = speaker(lab, exchange, alice, "caller"), Baresip(lab, exchange, bob, "callee")
    for phone in (callee, caller):
        phone.start()
    caller.call(f"sip:*801002@{DOMAIN}", TALK_SECONDS)
    callee.over()
    for phone in (callee, caller):
        phone.stop()
    tone.prove(callee.recording, caller.hz, HEARD_SECONDS)
    tone.prove(caller.recording, callee.hz, HEARD_SECONDS)
    # It prints what it receives.
    said = callee.process.said()
    for head in (r"Answer-Mode: *Auto", r"Call-Info:.*answer-after=0", r"Alert-Info:.*info=alert-autoanswer"):
        check(re.search(head, said, re.IGNORECASE), f"no {head} in what baresip received")


@case(seconds=100)
def all_phones_of_a_page_hear_who_speaks(lab):
    exchange, (alice, bob, carol) = office(lab, PAGE)
    exchange.command("account", "rights", alice.address, "--intercom", "on")
    exchange.start()
    speaker = Pjsua(lab, exchange, alice, "caller")
    listeners = [Baresip(lab, exchange, bob, "callee"), Pjsua(lab, exchange, carol, "callee")]
    for phone in (*listeners, speaker):
        phone.start()
    speaker.call(f"sip:*81@{DOMAIN}", TALK_SECONDS + 1)
    for phone in listeners:
        phone.over()
    for phone in (*listeners, speaker):
        phone.stop()
    for phone in listeners:
        tone.prove(phone.recording, speaker.hz, HEARD_SECONDS)
    heard = tone.measure(speaker.recording, listeners[0].hz)
    check(heard["tone_seconds"] == 0, f"who speaks hears nobody: {heard}")
