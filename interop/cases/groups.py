"""Calls for several: ring groups and feature codes, with phones of several makers."""

import json

from harness.cases import case, each
from harness.conversation import converse
from harness.exchange import Exchange
from harness.failure import check
from harness.phones.baresip import Baresip
from harness.phones.offhook import Offhook, result
from harness.phones.pjsua import Pjsua

GROUP = """
[[group]]
number = "600"
name = "Sales"
members = ["1002", "carol"]
strategy = "{strategy}"
rings_for = "3s"
"""

# How the group rings, what bob's phone does, who calls and who answers.
CASES = [
    ("baresip calls a group that rings at once, and pjsua2 answers", "all", ["--after", "60s"], Baresip, Pjsua),
    ("pjsua2 calls a group that rings in turn, and baresip answers after another phone was rung",
     "sequential", ["--after", "60s"], Pjsua, Baresip),
    ("the softphone calls a group whose first member declines, and baresip answers",
     "sequential", ["--code", "603"], Offhook, Baresip),
]


def office(lab, more):
    exchange = Exchange(lab)
    with exchange.settings.open("a") as settings:
        settings.write(more)
    accounts = [exchange.add(user, number=number)
                for user, number in (("alice", "1001"), ("bob", "1002"), ("carol", "1003"))]
    return exchange.start(), accounts


@each(CASES, seconds=120)
def a_group_is_called(lab, strategy, habit, caller, callee):
    exchange, (alice, bob, carol) = office(lab, GROUP.format(strategy=strategy))
    groups = json.loads(exchange.command("group", "list", "--json"))["groups"]
    check([one["number"] for one in groups] == ["600"], f"{groups}")
    check([one["account"] for one in groups[0]["members"]] == [bob.address, carol.address], f"{groups}")
    first = Offhook(lab, exchange, bob, "callee")
    first.answer(*habit)
    converse(caller(lab, exchange, alice, "caller"), callee(lab, exchange, carol, "callee"), f"sip:600@{exchange.domain}")
    first.stop()
    heard = result(first.answering) if habit[0] == "--code" else None
    check(heard is None or heard["code"] == 603, f"bob's phone was not rung: {heard}")


@case(seconds=120)
def calls_are_forwarded_by_feature_codes_that_survive_a_kill(lab):
    exchange, (alice, bob, carol) = office(lab, "")
    phone = Offhook(lab, exchange, bob, "caller")

    def dial(code, after):
        dialled = result(phone.dial(code, "--expect-audio", "speech", "--record", phone.recording, seconds=40))
        check(dialled["code"] == 200 and dialled["exit_code"] == 0, f"{code}: {dialled}")
        shown = json.loads(exchange.command("account", "answering", bob.address, "--json"))
        check(shown["forward_always"] == after, f"after {code}: {shown}")

    dial("*21*1003", "1003")
    exchange.kill()
    exchange.start()
    converse(Baresip(lab, exchange, alice, "caller"), Pjsua(lab, exchange, carol, "callee"), bob.address)
    dial("#21", None)
