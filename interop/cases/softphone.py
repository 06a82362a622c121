"""`offhook call` and `offhook answer`: without an exchange, and what their exit codes tell."""

from harness.cases import case, each
from harness.conversation import converse
from harness.exchange import DOMAIN, Account, Exchange
from harness.failure import check
from harness.phones.offhook import Offhook, result
from harness.wire import LOOPBACK


@case()
def two_softphones_talk_without_an_exchange(lab):
    caller = Offhook(lab, None, None, "caller")
    callee = Offhook(lab, None, None, "callee", host="127.0.0.2")
    converse(caller, callee, target="sip:x@%s:%d" % callee.local)


def outcome(lab, caller, target, words, code, status):
    """Runs a call that is to end in this way."""
    process = caller.dial(target, *words)
    found = result(process)
    check(found["code"] == code and found["exit_code"] == status == process.ended(),
          f"wanted code {code} and exit status {status}, got {process.ended()}: {found}")


REFUSALS = [
    ("an unknown number ends with status 5", f"sip:nobody@{DOMAIN}", [], 404, 5),
    ("a known account that is away ends with status 3", f"sip:bob@{DOMAIN}", [], 480, 3),
    ("an expected refusal is a success", f"sip:nobody@{DOMAIN}", ["--expect", "404"], 404, 0),
]


@each(REFUSALS)
def refused(lab, target, words, code, status):
    exchange = Exchange(lab)
    alice, _ = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    outcome(lab, Offhook(lab, exchange, alice, "caller"), target, words, code, status)


ANSWERS = [
    ("a busy callee ends with status 4", ["--code", "486"], [], 486, 4),
    ("a callee that lets it ring ends with status 3", ["--after", "20s"], ["--ring-timeout", "2s"], 487, 3),
]


@each(ANSWERS)
def not_answered(lab, callee_words, caller_words, code, status):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    callee = Offhook(lab, exchange, bob, "callee")
    callee.answer(*callee_words)
    outcome(lab, Offhook(lab, exchange, alice, "caller"), bob.address, caller_words, code, status)


@case()
def a_wrong_password_ends_with_status_6(lab):
    exchange = Exchange(lab)
    exchange.add("alice")
    exchange.start()
    wrong = Account("alice", "not-the-password")
    process = Offhook(lab, exchange, wrong, "caller").dial(f"sip:alice@{DOMAIN}")
    check(process.ended() == 6, f"ended with {process.ended()}: {process.said()[-400:]}")


@case()
def no_exchange_at_all_ends_with_status_9(lab):
    process = Offhook(lab, None, None, "caller").dial(f"sip:x@{LOOPBACK}:{lab.port()}", "--timeout", "10s")
    check(process.ended() == 9, f"ended with {process.ended()}: {process.said()[-400:]}")


@case()
def a_wrong_tone_ends_with_status_7(lab):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    callee = Offhook(lab, exchange, bob, "callee")
    callee.answer("--play", lab.tone(callee.hz), "--loop")
    words = ["--duration", "3s", "--expect-audio", f"tone:{callee.hz + 200}"]
    process = Offhook(lab, exchange, alice, "caller").dial(bob.address, *words)
    check(process.ended() == 7, f"ended with {process.ended()}: {process.said()[-400:]}")
