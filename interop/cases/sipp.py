"""SIPp: each step of a call as the RFCs say it, in good and bad order."""

import socket

from harness.cases import case, each
from harness.exchange import DOMAIN, Account, Exchange
from harness.failure import check
from harness.sipp import Callee, Caller, Sipp
from harness.wire import LOOPBACK, FirstCopyLost, Peer, authorization

BOB = f"sip:bob@{DOMAIN}"


def ready(lab, *users, sets=()):
    """A running exchange and these accounts."""
    exchange = Exchange(lab, sets=sets)
    accounts = [exchange.add(user) for user in users]
    return exchange.start(), *accounts


def call(lab, caller, callee, **link):
    """Binds the callee, runs both sides, and returns them when both went through."""
    exchange, alice, bob = ready(lab, "alice", "bob")
    answering = Sipp(lab, exchange, callee, bob, **link)
    exchange.bind(bob, answering.contact)
    calling = Sipp(lab, exchange, caller, alice, **link)
    calling.done()
    answering.done()
    return calling, answering


@case()
def register_with_digest_binds_the_contact(lab):
    exchange, alice = ready(lab, "alice")
    scenario = Caller("register", "alice").register().receive(response=401, auth="true").register(credentials=True)
    phone = Sipp(lab, exchange, scenario.receive(response=200), alice)
    phone.done()
    check(exchange.bindings(alice) == [phone.contact], f"bound: {exchange.bindings(alice)}")


@each([("a wrong password is refused", "alice"), ("an account that is not there is refused", "mallory")])
def refused_registration(lab, user):
    exchange, alice = ready(lab, "alice")
    scenario = Caller("refused", user).register().receive(response=401, auth="true").register(credentials=True)
    Sipp(lab, exchange, scenario.receive(response=401), Account(user, "wrong-Secret-1")).done()
    check(not exchange.bindings(alice), "a wrong password bound a contact")


@case()
def bad_credentials_do_not_tell_whether_the_account_exists(lab):
    exchange, _ = ready(lab, "alice")
    shapes = [shape_of_refusals(exchange, user) for user in ("alice", "mallory")]
    check(shapes[0] == shapes[1], f"known: {shapes[0]}, unknown: {shapes[1]}")


def shape_of_refusals(exchange, user):
    """Status and header field names of the challenge and of the answer to bad credentials."""
    address, uri, fields = f"sip:{user}@{DOMAIN}", f"sip:{DOMAIN}", (f"Contact: <sip:x@{LOOPBACK}:9>",)
    with Peer(exchange.server) as peer:
        first = peer.ask(peer.request("REGISTER", uri, address, to=address, fields=fields))
        challenge = next(value for value in first.all("WWW-Authenticate") if "sha-" not in value.lower())
        value = authorization(challenge, "REGISTER", uri, user, "wrong-Secret-1")
        second = peer.ask(peer.request("REGISTER", uri, address, to=address, fields=(*fields, f"Authorization: {value}")))
    return [(answer.start, [name for name, _ in answer.fields]) for answer in (first, second)]


@case()
def a_call_with_credentials_is_answered_and_ended(lab):
    caller = Caller("call", "alice", BOB).invite_with_credentials().answered().pause(500).bye()
    call(lab, caller, Callee("answer").invited().answer().bye())


@case()
def a_ringing_call_can_be_cancelled(lab):
    caller = Caller("cancel", "alice", BOB).invite_with_credentials().receive(response=100, optional="true")
    caller.receive(response=180).cancel().refused(487)
    call(lab, caller, Callee("ring").invited().respond("180 Ringing").cancelled())


@case()
def a_busy_callee_is_reported_as_busy(lab):
    caller = Caller("busy", "alice", BOB).invite_with_credentials().refused(486)
    call(lab, caller, Callee("busy").invited().refuse("486 Busy Here"))


@case()
def a_caller_gives_up_after_its_ring_timeout(lab):
    caller = Caller("no answer", "alice", BOB).invite_with_credentials().receive(response=100, optional="true")
    caller.receive(response=180).pause(6000).cancel().refused(487)
    call(lab, caller, Callee("ring").invited().respond("180 Ringing").cancelled())


@case(seconds=90)
def a_phone_that_says_nothing_ends_in_408(lab):
    exchange, alice, bob = ready(lab, "alice", "bob")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((LOOPBACK, 0))
        exchange.bind(bob, f"sip:bob@{LOOPBACK}:{silent.getsockname()[1]}")
        # Timer B: 64 times T1 is 32 seconds.
        caller = Caller("silence", "alice", BOB).invite_with_credentials().refused(408)
        Sipp(lab, exchange, caller, alice, seconds=45).done()
        check(b"INVITE" in silent.recv(65535), "the phone was never asked")


@case(seconds=90)
def a_call_survives_the_loss_of_every_first_copy(lab):
    losses = []

    def lossy():
        losses.append(FirstCopyLost())
        return losses[-1]

    exchange, alice, bob = ready(lab, "alice", "bob")
    callee = Callee("answer").invited().answer().bye().linger(6000)
    answering = Sipp(lab, exchange, callee, bob, change=lossy(), seconds=40)
    exchange.bind(bob, answering.contact)
    # The pause is longer than the last retransmission of the 200 whose ACK was lost.
    caller = Caller("call", "alice", BOB).invite_with_credentials().answered().pause(9000).bye()
    calling = Sipp(lab, exchange, caller, alice, change=lossy(), seconds=40)
    calling.done()
    answering.done()
    for side, lost in zip(("callee", "caller"), losses):
        for kind in ("INVITE", "SIP/2.0 200 OK", "ACK", "BYE"):
            check(any(line.startswith(kind) for line in lost.lost), f"no {kind} was lost at the {side}: {lost.lost}")


REFUSED = [
    ("no hop left gives 483", BOB, ("Max-Forwards: 0",), False, 483),
    ("an unknown number gives 404", f"sip:9999@{DOMAIN}", (), True, 404),
    ("a known account without a phone gives 480", BOB, (), True, 480),
    ("an account is not relayed to another domain where that is turned off", "sip:victim@elsewhere.example", (), True, 403),
]


@each(REFUSED)
def refused_call(lab, target, fields, credentials, code):
    exchange, alice, _ = ready(lab, "alice", "bob", sets=["sip.other_domains=refuse"])
    caller = Caller("refused", "alice", target)
    caller = caller.invite_with_credentials() if credentials else caller.invite(fields=fields)
    Sipp(lab, exchange, caller.refused(code), alice).done()


@case()
def options_to_the_exchange_is_answered(lab):
    exchange, alice = ready(lab, "alice")
    scenario = Caller("options", "alice").ask("OPTIONS", f"sip:{DOMAIN}").receive(response=200)
    Sipp(lab, exchange, scenario, alice).done()


FORGED = [
    ("a stranger's Route is not followed", "", "Route: <sip:{trap};lr>"),
    ("a To tag opens no way to elsewhere", ";tag=forged", "Subject: in a dialog"),
    ("a To tag with a Route opens no way to elsewhere", ";tag=forged", "Route: <sip:{server};lr>, <sip:{trap};lr>"),
]


@each(FORGED)
def nothing_reaches_the_trap(lab, to_tag, field):
    exchange, _ = ready(lab, "alice")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trap, Peer(exchange.server) as peer:
        trap.bind((LOOPBACK, 0))
        trap.settimeout(1)
        address = "%s:%d" % trap.getsockname()
        uri, field = f"sip:victim@{address}", field.format(trap=address, server="%s:%d" % exchange.server)
        for method in ("INVITE", "BYE", "MESSAGE", "ACK"):
            request = peer.request(method, uri, f"sip:alice@{DOMAIN}", fields=(field,))
            peer.send(request.replace(f"To: <{uri}>".encode(), f"To: <{uri}>{to_tag}".encode()))
        try:
            arrived = trap.recv(65535)
        except TimeoutError:
            arrived = b""
        check(not arrived, f"relayed: {arrived[:80]!r}")
