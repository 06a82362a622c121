"""Trunks: at Kamailio, which knows its customers by digest or by their address, and at SIPp, which misbehaves."""

import json

from harness.carrier import PASSWORD, Carrier
from harness.cases import case, each
from harness.conversation import converse
from harness.exchange import Exchange
from harness.failure import check, until
from harness.phones.offhook import Offhook, result
from harness.sipp import Callee, Sipp
from harness.wire import LOOPBACK

OTHER_LOOPBACK = "127.0.0.2"
OURS, THEIRS, OTHERS = "+49301234567", "+493022222", "+493033333"
NUMBERS = """
[numbers]
country = "DE"
"""
LINE = """
[[trunk]]
name = "{name}"
server = "{server}"
username = "t0815"
password = "{password}"
{more}
"""
KNOWN = """
[[trunk]]
name = "provider"
server = "{server}"
auth = "address"
networks = ["{host}"]
numbers = ["{number}"]
{more}
"""
ROUTE = """
[[route]]
name = "outside"
match = "+*"
to = {{ trunk = {trunks} }}
"""


def write(exchange, *texts):
    with open(exchange.settings, "a") as settings:
        settings.write("".join(texts))


def line(name, server, *more):
    return LINE.format(name=name, server=server, password=PASSWORD, more="\n".join(more))


def shown(exchange, name):
    return json.loads(exchange.command("trunk", "show", name, "--json"))


def office_and_carrier(lab, *more, first=()):
    """Alice's office with a line of the carrier, where Bob has a phone. `first` is a trunk that is tried before: its name and
    its text."""
    carrier = Carrier(lab, {OURS: "t0815", THEIRS: "bob"}, host=OTHER_LOOPBACK).start()
    office = Exchange(lab, domain="office.test")
    provider = line("provider", carrier.domain, f'proxy = "{carrier.host}:{carrier.port}"', f'numbers = ["{OURS}"]', *more)
    names = json.dumps([name for name, _ in first] + ["provider"])
    write(office, NUMBERS, *[text for _, text in first], provider, ROUTE.format(trunks=names))
    alice, bob = office.add("alice", OURS), carrier.account("bob")
    office.start()
    return office, carrier, alice, bob


def talk_in(lab, office, carrier, alice, bob):
    """Bob, who is the carrier's, calls our number; the Request-URI names the carrier's own domain."""
    caller = Offhook(lab, carrier, bob, "caller", host=OTHER_LOOPBACK)
    callee = Offhook(lab, office, alice, "callee")
    converse(caller, callee, target=f"sip:{OURS}@{carrier.domain}")


def talk_out(lab, office, carrier, alice, bob):
    """Alice calls Bob's number, and both hear each other."""
    caller = Offhook(lab, office, alice, "caller")
    callee = Offhook(lab, carrier, bob, "callee", host=OTHER_LOOPBACK)
    converse(caller, callee, target="sip:030-22222@office.test")


@each([("a call goes out by a line that is registered at Kamailio, and both hear each other", "udp"),
       ("a call goes out by a line that is registered at Kamailio over TCP", "tcp")], seconds=90)
def out(lab, transport):
    office, carrier, alice, bob = office_and_carrier(lab, f'transport = "{transport}"')
    carrier.wait_registered(carrier.account("t0815"))
    contact, = carrier.bindings(carrier.account("t0815"))
    check(contact.startswith("sip:line-"), f"registered: {contact}")
    talk_out(lab, office, carrier, alice, bob)


@case(seconds=90)
def a_call_comes_in_by_a_line_that_is_registered_at_kamailio_and_both_hear_each_other(lab):
    office, carrier, alice, bob = office_and_carrier(lab)
    carrier.wait_registered(carrier.account("t0815"))
    until(lambda: shown(office, "provider")["usable"], 15, "the line can be used")
    caller = Offhook(lab, carrier, bob, "caller", host=OTHER_LOOPBACK)
    callee = Offhook(lab, office, alice, "callee")
    converse(caller, callee, target=f"sip:{OURS}@{carrier.domain}")


def known_by_its_address(lab, *more):
    """The same with a carrier that knows the office by its address, and lets it show its own number only."""
    office = Exchange(lab, domain="office.test")
    customer = (office.host, office.port, OURS)
    carrier = Carrier(lab, {THEIRS: "bob", OTHERS: "dora"}, host=OTHER_LOOPBACK, customer=customer).start()
    provider = KNOWN.format(server=f"{carrier.host}:{carrier.port}", host=carrier.host, number=OURS, more="\n".join(more))
    write(office, NUMBERS, provider, ROUTE.format(trunks='"provider"'))
    alice, bob = office.add("alice", OURS), carrier.account("bob")
    office.start()
    return office, carrier, alice, bob


@case(seconds=90)
def a_call_goes_out_under_our_number_to_a_kamailio_that_knows_us_by_our_address(lab):
    talk_out(lab, *known_by_its_address(lab))


@case(seconds=90)
def a_call_comes_in_from_a_kamailio_that_knows_us_by_our_address(lab):
    talk_in(lab, *known_by_its_address(lab))


@case(seconds=90)
def one_call_more_than_the_provider_has_channels_for_is_refused_in_words_and_the_first_goes_on(lab):
    office, carrier, alice, bob = known_by_its_address(lab, "max_calls = 1")
    first, answers = Offhook(lab, office, alice, "caller"), Offhook(lab, carrier, bob, "callee", host=OTHER_LOOPBACK)
    second = Offhook(lab, office, office.add("carol"), "caller")
    answers.start()
    talking = first.begin_talking("sip:030-22222@office.test")
    until(lambda: json.loads(office.command("calls", "live", "--json"))["calls"], 15, "the first call is there")
    refused = result(second.dial("sip:030-33333@office.test"))
    check(refused["code"] == 503 and "as many calls" in refused["reason"], f"dialled: {refused}")
    check(talking.ended() is None, "the first call has ended")
    answers.stop()
    talking.wait(15)
    until(lambda: not json.loads(office.command("calls", "live", "--json"))["calls"], 15, "the first call is over")
    refused = result(second.dial("sip:030-33333@office.test"))
    check(refused["code"] in (404, 480), f"nobody has that number at the carrier: {refused}")


@case()
def a_line_is_taken_back_when_the_exchange_ends_and_its_test_says_that_all_is_well(lab):
    office, carrier, _, bob = office_and_carrier(lab)
    line = carrier.account("t0815")
    carrier.wait_registered(line)
    until(lambda: shown(office, "provider")["health"]["state"] == "up", 15, "OPTIONS are answered")
    said = office.command("trunk", "test", "provider")
    check(said.count("ok ") == 3, f"trunk test: {said}")
    callee = Offhook(lab, carrier, bob, "callee", host=OTHER_LOOPBACK)
    callee.answer()
    said = office.command("trunk", "test", "provider", "--to", "030-22222")
    check("030-22222 has answered, and we have hung up" in said, f"trunk test --to: {said}")
    callee.stop()
    office.process.stop()
    until(lambda: not carrier.bindings(line), 10, "the contact is taken back")


def sipp(lab, office, scenario):
    """SIPp as a provider of the office, and the address at which it is."""
    provider = Sipp(lab, office, scenario)
    return provider, f"{LOOPBACK}:{provider.link.far[1]}"


def beside(lab, scenario, *more):
    """An office whose first line is SIPp's, which does not want to be registered at, and whose second is the carrier's."""
    office = Exchange(lab, domain="office.test")
    carrier = Carrier(lab, {OURS: "t0815", THEIRS: "bob"}, host=OTHER_LOOPBACK).start()
    bad, where = sipp(lab, office, scenario)
    good = line("provider", carrier.domain, f'proxy = "{carrier.host}:{carrier.port}"', f'numbers = ["{OURS}"]')
    first = line("bad", where, "register = false", 'health = "off"', *more)
    write(office, NUMBERS, first, good, ROUTE.format(trunks='["bad", "provider"]'))
    alice, bob = office.add("alice", OURS), carrier.account("bob")
    office.start()
    until(lambda: shown(office, "provider")["usable"] and shown(office, "bad")["servers"], 15, "both lines can be used")
    return bad, (office, carrier, alice, bob)


@case(seconds=90)
def a_carrier_that_answers_503_is_passed_over_and_both_hear_each_other_by_the_next(lab):
    bad, places = beside(lab, Callee("unable").invited().refuse("503 Service Unavailable"))
    talk_out(lab, *places)
    bad.done()


@case(seconds=90)
def a_carrier_that_answers_without_a_session_is_hung_up_and_the_next_is_called(lab):
    bad, places = beside(lab, Callee("mute").invited().respond("200 OK", retransmit=True).receive(request="ACK").bye())
    talk_out(lab, *places)
    bad.done()


@case()
def a_carrier_that_never_takes_the_password_ends_with_the_reason_in_words(lab):
    office = Exchange(lab, domain="office.test")
    scenario = Callee("never content")
    for nonce in ("one", "two"):
        challenge = f'WWW-Authenticate: Digest realm="carrier.test", nonce="{nonce}", qop="auth", algorithm=MD5'
        scenario.receive(request="REGISTER").respond(f"401 Unauthorized\n{challenge}")
    provider, where = sipp(lab, office, scenario)
    write(office, NUMBERS, line("provider", where, 'health = "off"'), ROUTE.format(trunks='"provider"'))
    alice = office.add("alice")
    office.start()
    until(lambda: shown(office, "provider")["registration"]["state"] == "failed", 15, "the registration has failed")
    provider.done()
    found = shown(office, "provider")
    check(found["registration"]["code"] == 401 and "password is wrong" in found["why_not"], f"shown: {found}")
    troubles = json.loads(office.command("status", "--json"))["troubles"]
    check(any("the trunk provider cannot be used" in one for one in troubles), f"status: {troubles}")
    # The provider is gone by now: the caller is told.
    refused = result(Offhook(lab, office, alice, "caller").dial("sip:030-22222@office.test"))
    check(refused["code"] in (502, 504), f"dialled: {refused}")
