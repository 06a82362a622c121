"""A number that goes by a trunk which is trusted by its address, to an exchange that takes it from there."""

from harness.cases import case
from harness.conversation import converse
from harness.exchange import Exchange
from harness.failure import check
from harness.phones.offhook import Offhook, result

OTHER_LOOPBACK = "127.0.0.2"
NUMBER = "+49301234567"
PLAN = """
[numbers]
country = "DE"

[[trunk]]
name = "carrier"
server = "{host}:{port}"
auth = "address"
networks = ["{host}"]

[[route]]
name = "premium"
match = "+49900*"
to = {{ reject = 603, reason = "No premium numbers" }}

[[route]]
name = "outside"
match = "+*"
to = {{ trunk = "carrier" }}
"""


def offices(lab):
    """Alice's office, and a carrier that has Bob's number; each trusts the other by its address."""
    carrier = Exchange(lab, domain="carrier.test", host=OTHER_LOOPBACK)
    office = Exchange(lab, domain="office.test")
    for exchange, other in ((office, carrier), (carrier, office)):
        with open(exchange.settings, "a") as settings:
            settings.write(PLAN.format(host=other.host, port=other.port))
    bob, alice = carrier.add("bob", NUMBER), office.add("alice")
    carrier.start()
    office.start()
    return Offhook(lab, office, alice, "caller"), Offhook(lab, carrier, bob, "callee")


@case()
def a_number_goes_by_a_trunk_and_both_hear_each_other(lab):
    converse(*offices(lab), target="sip:030-1234567@office.test")


@case()
def a_rule_refuses_in_its_own_words_and_abroad_is_off(lab):
    caller, _ = offices(lab)
    for number, reason in (("0900-123456", "No premium numbers"), ("0043-1-234567", "Calls abroad are not allowed here")):
        found = result(caller.dial(f"sip:{number}@office.test"))
        check((found["code"], found["reason"]) == (603, reason), f"{number}: {found}")
    said = caller.exchange.command("route", "list")
    check("carrier" in said, f"route list: {said}")
