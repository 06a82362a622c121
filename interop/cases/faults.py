"""What may go wrong while the exchange runs."""

import re
import time
from pathlib import Path

from harness.cases import case, each
from harness.conversation import converse
from harness.exchange import DOMAIN, Exchange
from harness.failure import check
from harness.phones.baresip import Baresip
from harness.wire import LOOPBACK, Peer, options

TORTURE = Path(__file__).resolve().parents[2] / "crates" / "sip" / "tests" / "torture"
# RFC 4475 has 49 messages, RFC 5118 has 12.
AT_LEAST = 61


class KilledAfterRegistration(Baresip):
    """A phone that does not notice that its exchange died right after it was registered."""

    def start(self):
        super().start()
        self.exchange.kill()
        self.exchange.start()


@case()
def a_registered_phone_can_be_called_after_kill_9(lab):
    exchange = Exchange(lab)
    alice, bob = exchange.add("alice"), exchange.add("bob")
    exchange.start()
    # An hour: it will not register again by itself in this test.
    callee = KilledAfterRegistration(lab, exchange, bob, "callee", registers=3600)
    converse(Baresip(lab, exchange, alice, "caller"), callee)


@case()
def registrations_of_the_last_moment_outlive_kill_9(lab):
    exchange = Exchange(lab)
    accounts = [exchange.add(f"phone{number}") for number in range(5)]
    exchange.start()
    for number, account in enumerate(accounts):
        exchange.bind(account, f"sip:{account.user}@{LOOPBACK}:{9000 + number}")
    exchange.kill()
    exchange.start()
    gone = [account.user for account in accounts if not exchange.bindings(account)]
    check(not gone, f"lost: {gone}")


@each([("torture messages over UDP leave it answering", "udp"), ("torture messages over TCP leave it answering", "tcp")],
      seconds=180)
def alive_after_torture(lab, transport):
    exchange = Exchange(lab)
    exchange.add("alice")
    exchange.start()
    files = sorted(TORTURE.rglob("*.dat"))
    check(len(files) >= AT_LEAST, f"{len(files)} torture messages in {TORTURE}")
    for file in files:
        with Peer(exchange.server, transport) as peer:
            for data in (file.read_bytes(), addressed_to(peer, file.read_bytes())):
                try:
                    peer.send(data)
                except OSError:
                    pass  # a stream that it closed, as it may
            peer.receive(0.05)
        for alive in ("udp", "tcp"):
            check(options(exchange.server, f"sip:{DOMAIN}", alive, 3) == 200, f"no answer over {alive} after {file.name}")
    check(exchange.process.ended() is None, "the exchange ended")


def addressed_to(peer, data):
    """The message with the top Via naming this socket, so that an answer would come back."""
    if data.startswith(b"SIP/"):
        return data
    via = rb"(?im)^((?:via|v)[ \t]*:[ \t\r\n]*SIP[ \t]*/[ \t]*2\.0[ \t\r\n]*/[ \t\r\n]*)[A-Za-z]+([ \t\r\n]+)(\[[^\]]*\]|[^ ;:\r\n,]+)(:\d+)?"
    sent_by = f"{LOOPBACK}:{peer.port}".encode()
    transport = peer.transport.upper().encode()
    return re.sub(via, lambda found: found[1] + transport + found[2] + sent_by, data, count=1)


GARBAGE = [b"\0" * 1000, b"\r\n" * 500, b"INVITE " + b"x" * 60000, b"\x80\x80\x01\x02" * 40, b"GET / HTTP/1.1\r\n\r\n",
           b"INVITE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 8000 + b"\r\n"]


@each([("garbage over UDP leaves it answering", "udp"), ("garbage over TCP leaves it answering", "tcp")])
def alive_after_garbage(lab, transport):
    exchange = Exchange(lab)
    exchange.add("alice")
    exchange.start()
    for data in GARBAGE:
        with Peer(exchange.server, transport) as peer:
            try:
                peer.send(data)
            except OSError:
                pass  # a stream that it closed, as it may
            peer.receive(0.1)
    check(options(exchange.server, f"sip:{DOMAIN}") == 200, "no answer to OPTIONS")


@case()
def a_taken_port_is_named(lab):
    exchange = Exchange(lab)
    exchange.add("alice")
    exchange.start()
    second = lab.run("second", exchange.serve_command())
    status = second.wait(15)
    check(status != 0 and str(exchange.port) in second.said(), f"ended with {status}: {second.said()[-400:]}")


@case()
def half_a_message_on_a_stream_holds_nobody_up(lab):
    exchange = Exchange(lab)
    exchange.add("alice")
    exchange.start()
    peers = [Peer(exchange.server, "tcp") for _ in range(20)]
    for peer in peers:
        peer.send(b"OPTIONS sip:example.test SIP/2.0\r\nVia: SIP/2.0/TCP")
    time.sleep(0.5)
    check(options(exchange.server, f"sip:{DOMAIN}", "tcp") == 200, "no answer to OPTIONS")
    for peer in peers:
        peer.socket.close()
