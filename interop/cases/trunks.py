"""A number that goes by a trunk which is trusted by its address, to an exchange that takes it from there."""

import json

from harness.cases import case
from harness.conversation import converse
from harness.exchange import Exchange
from harness.failure import check
from harness.phones.offhook import Offhook, result

OTHER_LOOPBACK = "127.0.0.2"
NUMBER = "+49301234567"
OFFICE = "+493055501"
PLAN = """
[numbers]
country = "DE"

[[trunk]]
name = "carrier"
server = "{host}:{port}"
auth = "address"
networks = ["{host}"]
{numbers}
[[route]]
name = "premium"
match = "+49900*"
to = {{ reject = 603, reason = "No premium numbers" }}

[[route]]
name = "outside"
match = "+*"
to = {{ trunk = "carrier" }}
"""


def offices(lab, numbers=(), office_trunk="", carrier_more="", carrier_sets=(), srtp="off"):
    """Alice's office, and a carrier that has Bob's number; each trusts the other by its address. `numbers` are those of
    the office's trunk; with any, Alice has the first, and Bob is the caller. `office_trunk`: more keys of the office's
    trunk; `carrier_more`: more tables of the carrier; `srtp`: what the carrier's phone does."""
    carrier = Exchange(lab, domain="carrier.test", host=OTHER_LOOPBACK, sets=carrier_sets)
    office = Exchange(lab, domain="office.test")
    listed = (f"numbers = {list(numbers)}\n" if numbers else "") + office_trunk
    for exchange, other, listed, more in ((office, carrier, listed, ""), (carrier, office, "", carrier_more)):
        with open(exchange.settings, "a") as settings:
            settings.write(PLAN.format(host=other.host, port=other.port, numbers=listed) + more)
    bob, alice = carrier.add("bob", NUMBER), office.add("alice", *numbers[:1])
    carrier.start()
    office.start()
    # The carrier's phone is not where the office is, whose calls need no password there.
    roles = ("callee", "caller") if numbers else ("caller", "callee")
    return Offhook(lab, office, alice, roles[0]), Offhook(lab, carrier, bob, roles[1], host=OTHER_LOOPBACK, srtp=srtp)


@case()
def a_number_goes_by_a_trunk_and_both_hear_each_other(lab):
    converse(*offices(lab), target="sip:030-1234567@office.test")


OWN_MEDIA = 'srtp = "require"\ncodecs = ["pcma"]\n'


@case()
def a_plain_phone_with_another_codec_calls_by_a_trunk_that_must_be_encrypted(lab):
    alice, bob = offices(lab, office_trunk=OWN_MEDIA, carrier_sets=["media.srtp=require"], srtp="require")
    alice.words += ["--codec", "opus"]
    converse(alice, bob, target="sip:030-1234567@office.test")
    check(result(bob.answering)["codec"].startswith("PCMA"), f"the carrier's phone: {result(bob.answering)}")


@case()
def a_call_that_comes_by_such_a_trunk_reaches_a_plain_phone_with_another_codec(lab):
    alice, bob = offices(lab, numbers=(OFFICE,), office_trunk=OWN_MEDIA, carrier_sets=["media.srtp=require"], srtp="require")
    alice.words += ["--codec", "g722"]
    converse(bob, alice, target="sip:030-55501@carrier.test")
    check(result(alice.answering)["codec"].startswith("G722"), f"the phone: {result(alice.answering)}")


@case()
def a_trunk_that_must_be_encrypted_refuses_in_words_what_cannot_be(lab):
    alice, bob = offices(lab, office_trunk=OWN_MEDIA, carrier_sets=["media.srtp=off"])
    bob.answer()
    found = result(alice.dial("sip:030-1234567@office.test"))
    why = "The provider refuses encrypted media (SRTP), which its trunk requires"
    check((found["code"], found["reason"]) == (488, why), f"{found}")
    bob.stop()


@case()
def a_rule_refuses_in_its_own_words_and_abroad_is_off(lab):
    caller, _ = offices(lab)
    for number, reason in (("0900-123456", "No premium numbers"), ("0043-1-234567", "Calls abroad are not allowed here")):
        found = result(caller.dial(f"sip:{number}@office.test"))
        check((found["code"], found["reason"]) == (603, reason), f"{number}: {found}")
    said = caller.exchange.command("route", "list")
    check("carrier" in said, f"route list: {said}")


@case()
def a_carrier_calls_the_numbers_of_its_trunk_and_no_others(lab):
    alice, bob = offices(lab, numbers=(OFFICE, "+493055502"))
    # What the carrier has sent on, the office refuses in its own words: a foreign number, and one that leads nowhere.
    for number, reason in (("+498912345", "This is no number of this trunk"), ("+493055502", "No route leads to +493055502")):
        found = result(bob.dial(f"sip:{number}@carrier.test"))
        check((found["code"], found["reason"]) == (404, reason), f"{number}: {found}")
    converse(bob, alice, target="sip:030-55501@carrier.test")


@case()
def a_number_that_was_applied_for_rings_its_phone_until_it_is_released(lab):
    wanted = "+493055502"
    alice, bob = offices(lab, numbers=(OFFICE, wanted))
    office = alice.exchange

    def refused(when):
        found = result(bob.dial(f"sip:{wanted}@carrier.test"))
        check(found["code"] == 404, f"{when}: {found}")

    office.command("number", "add", wanted)
    request = json.loads(office.command("number", "request", "--account", alice.account.address, "--json"))
    check(request["state"] == "waiting", f"the application: {request}")
    refused("before it is approved")
    approved = json.loads(office.command("number", "approve", str(request["id"]), "--json"))
    check((approved["state"], approved["number"]) == ("approved", wanted), f"the application: {approved}")
    converse(bob, alice, target=f"sip:{wanted}@carrier.test")
    office.command("number", "release", wanted)
    refused("after it was released")
    history = json.loads(office.command("number", "history", wanted, "--json"))["history"]
    events = [one["event"] for one in history]
    check(events == ["added", "assigned", "released"], f"its history: {history}")
