"""Two exchanges, each in a network of its own, that know each other by the DNS only: RFC 3263 with dnsmasq, RFC 5922 with a
certificate of the callee's."""

from harness.cases import case, each
from harness.conversation import converse
from harness.dns import Dns, Silent
from harness.exchange import Exchange
from harness.failure import check, until
from harness.network import OUTSIDE, among
from harness.phones.offhook import Offhook, result

HERE, THERE = "a.test", "b.test"
SERVICES = {"udp": ("SIP+D2U", f"_sip._udp.{THERE}"), "tls": ("SIPS+D2T", f"_sips._tcp.{THERE}")}


def offices(lab, transport="udp", dead_first=False, trusted=True, guests=None):
    """Alice's exchange and Bob's, whose domain is in the DNS with one transport; Bob's takes calls from `guests`, or hers."""
    dns, places = Dns(lab, OUTSIDE), [among(lab), among(lab)]
    sets = [f'security.allow_from=["{guests or places[0].host}"]', dns.setting]
    there = Exchange(lab, domain=THERE, place=places[1], sets=sets)
    service, name = SERVICES[transport]
    dns.naptr(THERE, 10, service, name)
    if dead_first:
        dns.address(f"sip1.{THERE}", OUTSIDE)
        dns.srv(name, f"sip1.{THERE}", Silent(lab, OUTSIDE).port, 0)
    dns.address(f"sip2.{THERE}", there.host)
    dns.srv(name, f"sip2.{THERE}", there.port_for(transport), 5)
    dns.address(HERE, places[0].host)
    dns.start()
    bob = there.add("bob")
    there.start()
    sets = [dns.setting] + ([f"sip.peer_ca={there.authority}"] if trusted else [])
    here = Exchange(lab, domain=HERE, place=places[0], sets=sets)
    alice = here.add("alice")
    here.start()
    return phone(lab, here, alice, "caller"), phone(lab, there, bob, "callee")


def phone(lab, exchange, account, role):
    """A phone beside its exchange."""
    return Offhook(lab, exchange, account, role, place=exchange.place)


CALLS = [
    ("alice of one domain calls bob of another over UDP", "udp", False),
    ("alice of one domain calls bob of another over TLS", "tls", False),
    ("the second server of a domain is called when the first is dead over UDP", "udp", True),
    ("the second server of a domain is called when the first is dead over TLS", "tls", True),
]


@each(CALLS, seconds=90)
def both_hear_each_other(lab, transport, dead_first):
    converse(*offices(lab, transport, dead_first))


@case()
def a_domain_that_may_call_in_is_known_by_the_addresses_of_its_servers(lab):
    converse(*offices(lab, guests=HERE))


@case()
def a_domain_that_may_not_call_in_is_asked_for_credentials(lab):
    caller, callee = offices(lab, guests="c.test")
    refused(caller, callee.account.address, 407, "")


def refused(caller, target, code, words):
    found = result(caller.dial(target))
    check(found["code"] == code and words in found["reason"], f"wanted {code} and {words!r}, got {found}")


@case()
def a_domain_whose_certificate_leads_to_nobody_we_trust_is_not_called(lab):
    caller, callee = offices(lab, "tls", trusted=False)
    refused(caller, callee.account.address, 480, "cannot be reached")


@case()
def what_the_dns_does_not_know_is_told(lab):
    caller, _ = offices(lab)
    refused(caller, "sip:bob@nowhere.test", 404, "the DNS knows no such name")


@case()
def a_dns_that_never_answers_delays_no_local_call(lab):
    exchange = Exchange(lab, place=among(lab), sets=[Silent(lab, OUTSIDE).setting, "dns.timeout=29s"])
    alice, bob, carol = exchange.add("alice"), exchange.add("bob"), exchange.add("carol")
    exchange.start()
    waiting = phone(lab, exchange, carol, "caller").begin("sip:x@nowhere.test")
    until(lambda: "call started" in exchange.process.said(), 15, "the call to the other domain reached the exchange")
    callee = phone(lab, exchange, bob, "callee")
    callee.answer()
    found = result(phone(lab, exchange, alice, "caller").dial(bob.address, "--duration", "1s"))
    check(found["code"] == 200, f"the local call: {found}")
    check(waiting.ended() is None, f"did not wait for the DNS: {waiting.said()}")


@case()
def a_stranger_is_not_let_in_and_not_relayed(lab):
    _, callee = offices(lab)
    stranger = Offhook(lab, None, None, "caller", place=among(lab))
    server = "%s:%d" % callee.exchange.server
    for target, code in ((f"sip:bob@{server}", 407), (f"sip:x@{HERE}", 403)):
        process = stranger.dial(target, *(["--server", server] if code == 403 else []))
        found = result(process)
        check(found["code"] == code, f"{target}: wanted {code}, got {found}")


ENUM = """
[numbers]
country = "DE"

[[route]]
name = "enum"
match = "+*"
to = {{ enum = "{tree}" }}

[[route]]
name = "rest"
match = "+*"
to = {{ reject = 604, reason = "Nobody knows this number" }}
"""


@case(seconds=90)
def a_number_that_the_dns_knows_is_called_at_its_domain_and_another_goes_by_the_next_route(lab):
    dns, places = Dns(lab, OUTSIDE), [among(lab), among(lab)]
    dns.enum("+49301234567", f"!^.*$!sip:bob@{THERE}!")
    dns.enum("+49301234568", "!^.*$!mailto:bob@b.test!")
    here = Exchange(lab, domain=HERE, place=places[0], sets=[dns.setting])
    there = Exchange(lab, domain=THERE, place=places[1], sets=[f'security.allow_from=["{here.host}"]'])
    service, name = SERVICES["udp"]
    dns.naptr(THERE, 10, service, name)
    dns.address(f"sip.{THERE}", there.host)
    dns.srv(name, f"sip.{THERE}", there.port, 0)
    dns.start()
    with open(here.settings, "a") as settings:
        settings.write(ENUM.format(tree="e164.arpa"))
    alice, bob = here.add("alice"), there.add("bob")
    here.start()
    there.start()
    caller, callee = phone(lab, here, alice, "caller"), phone(lab, there, bob, "callee")
    for number in ("030-1234568", "030-1234569"):
        refused(caller, f"sip:{number}@{HERE}", 604, "Nobody knows this number")
    converse(caller, callee, target=f"sip:030-1234567@{HERE}")
