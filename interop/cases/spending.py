"""What accounts may spend by a trunk, across a crash too; and trunks that are made while the exchange runs."""

import json

from harness.cases import case
from harness.exchange import Exchange
from harness.failure import check, until
from harness.phones.offhook import Offhook, result

from .records import records
from .trunks import NUMBER, OTHER_LOOPBACK, PLAN

# A second costs 0.10.
RATES = "prefix,per_minute,connection,increments,currency\n+49,6.00,0,1/1,EUR\n"
SPENDING = '\n[rates]\nfile = "rates.csv"\n\n[security]\nlimits = { money_per_day = "0.40" }\n'
TARGET = "sip:030-1234567@office.test"


def carrier_with(lab, office):
    """A carrier that has Bob's number and trusts the office by its address."""
    carrier = Exchange(lab, domain="carrier.test", host=OTHER_LOOPBACK)
    with open(carrier.settings, "a") as settings:
        settings.write(PLAN.format(host=office.host, port=office.port, numbers=""))
    account = carrier.add("bob", NUMBER)
    carrier.start()
    return carrier, Offhook(lab, carrier, account, "callee", host=OTHER_LOOPBACK)


@case(seconds=120)
def a_call_ends_when_its_account_has_spent_what_it_may_and_none_leaves_after_a_crash(lab):
    office = Exchange(lab, domain="office.test")
    carrier, bob = carrier_with(lab, office)
    (lab.folder / "rates.csv").write_text(RATES)
    with open(office.settings, "a") as settings:
        settings.write(PLAN.format(host=carrier.host, port=carrier.port, numbers="") + SPENDING)
    alice = office.add("alice")
    office.start()
    caller = Offhook(lab, office, alice, "caller")
    bob.answer("--echo")
    # It would talk for longer.
    found = result(caller.dial(TARGET, "--duration", "20s"))
    check(3_500 <= found["duration_ms"] <= 8_000, f"the call that reaches the limit: {found}")
    bob.answering.wait(15)
    spent = json.loads(office.command("account", "spend", alice.address, "--json"))
    check((spent["money"], spent["money_per_day"], spent["seconds"]) == ("0.40", "0.40", 4), f"spent: {spent}")
    [record] = until(lambda: records(office), 15, "the call has a record")
    check((record["cost"], record["currency"], record["trunk"]) == ("0.40", "EUR", "carrier"), f"{record}")
    check((record["dialled"], record["sent"]) == ("030-1234567", NUMBER), f"{record}")
    check(record["ended_by"] == "exchange" and "spent" in record["reason"], f"{record}")
    for when in ("at once", "after a crash"):
        found = result(caller.dial(TARGET))
        check(found["code"] == 403 and "0.40 of its 0.40 EUR" in found["reason"], f"{when}: {found}")
        if when == "at once":
            office.kill()
            office.start()
    refused = [one for one in records(office) if one["code"] == 403]
    check(refused and refused[0]["answered_at"] is None, f"records of refused calls: {refused}")


@case()
def a_trunk_and_a_route_that_are_made_while_the_exchange_runs_carry_the_next_call(lab):
    office = Exchange(lab, domain="office.test")
    with open(office.settings, "a") as settings:
        settings.write('\n[numbers]\ncountry = "DE"\n')
    carrier, bob = carrier_with(lab, office)
    alice = office.add("alice")
    office.start()
    caller = Offhook(lab, office, alice, "caller")
    found = result(caller.dial(TARGET))
    check(found["code"] == 404, f"before there is a trunk: {found}")
    office.command("trunk", "add", "carrier", f"server={carrier.host}:{carrier.port}", "auth=address")
    office.command("route", "add", "outside", "match=+*", 'to={ trunk = "carrier" }')
    said = office.command("route", "test", "030-1234567", "--from", alice.address)
    check(f"goes to {NUMBER} by the trunk carrier" in said, f"route test: {said}")
    bob.start()
    caller.call(TARGET, 3)
    bob.over()
    office.command("route", "remove", "outside")
    found = result(caller.dial(TARGET))
    check(found["code"] == 404, f"after the route was removed: {found}")
