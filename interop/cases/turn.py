"""TURN with coturn's client: the relay takes data both ways, and nobody where it must not."""

import json
import re
import urllib.request

from harness.cases import case, each
from harness.conversation import converse
from harness.exchange import Exchange
from harness.failure import check, until
from harness.network import OUTSIDE, Place
from harness.phones.baresip import Baresip
from harness.wire import LOOPBACK

SETTINGS = """
[turn]
listen = "{host}:{port}"
tls = "{host}:{tls}"
ports = "{first}-{last}"
allow_peers = [{allowed}]
"""
MESSAGES = 20


class Relay:
    """An exchange with a TURN server, an account, and its credentials."""

    host = OUTSIDE

    def __init__(self, lab, allowed=(), anchor="auto"):
        self.lab, self.exchange, self.port = lab, Exchange(lab, anchor, host=OUTSIDE), lab.port()
        self.tls = lab.port()
        first = lab.port(40)
        named = ", ".join(f'"{network}"' for network in allowed)
        with open(self.exchange.settings, "a", encoding="utf-8") as file:
            file.write(SETTINGS.format(host=OUTSIDE, port=self.port, tls=self.tls, first=first, last=first + 39, allowed=named))
        self.account = self.exchange.add("alice")
        self.exchange.start()
        told = self.exchange.command("device", "turn", self.account.address, "--json")
        self.credentials = json.loads(told)

    def measures(self):
        """What `/metrics` says."""
        url = json.loads((self.exchange.data / "offhook.run").read_text())["url"]
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def prove_carried(self):
        """Fails unless two-way sound of some seconds went through it."""
        carried = re.search(r"^offhook_turn_relayed_bytes_total (\d+)$", self.measures(), re.MULTILINE)
        # Three seconds of G.711 both ways.
        check(carried and int(carried[1]) > 48_000, f"relayed: {carried and carried[1]}")

    def echo(self):
        """A peer that sends back what it gets; returns its port."""
        port = self.lab.port()
        peer = self.lab.run("peer", [self.lab.tool("turnutils_peer"), "-L", OUTSIDE, "-p", str(port)])
        until(lambda: "socket" in peer.said() or is_bound(port), 10, "the peer listens")
        return port

    def client(self, peer, port, *flags):
        """coturn's client, until it ends; returns what it said."""
        words = ["-e", peer, "-r", str(port), "-p", str(self.tls if "-S" in flags else self.port), "-n", str(MESSAGES), "-m", "1", "-l", "160",
                 "-u", self.credentials["username"], "-w", self.credentials["password"]]
        process = self.lab.run("client", [self.lab.tool("turnutils_uclient"), "-v", *flags, *words, OUTSIDE])
        process.wait(40)
        return process.said()


def is_bound(port):
    """Whether someone on this machine has the UDP port."""
    with open("/proc/net/udp", encoding="ascii") as table:
        return any(line.split()[1].endswith(f":{port:04X}") for line in list(table)[1:])


@each([("channels over UDP carry everything", ()), ("indications over UDP carry everything", ("-s",)),
       ("channels over TCP carry everything", ("-t",)), ("indications over TCP carry everything", ("-t", "-s")),
       ("channels over TLS carry everything", ("-t", "-S")), ("indications over TLS carry everything", ("-t", "-S", "-s")),
       ("one allocation without RTCP carries everything", ("-c",))])
def relayed(lab, flags):
    relay = Relay(lab, [f"{OUTSIDE}/32"])
    said = relay.client(OUTSIDE, relay.echo(), *flags)
    lost = re.findall(r"Total lost packets (\d+)", said)
    sent = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", said)
    check(lost and lost[-1] == "0", f"lost: {lost}\n{said[-2000:]}")
    check(sent and sent[-1][0] == sent[-1][1] and int(sent[-1][0]) >= MESSAGES, f"sent and received: {sent[-1:]}")


@each([("a peer on loopback is refused", LOOPBACK), ("a private peer is refused", "10.1.2.3"),
       ("another port of the exchange is refused", OUTSIDE)])
def refused(lab, peer):
    relay = Relay(lab)
    said = relay.client(peer, relay.exchange.port, "-c")
    check("403" in said and "Forbidden" in said, said[-2000:])
    check("tot_recv_msgs=0" in said or "tot_recv_msgs" not in said, said[-2000:])


@case()
def wrong_credentials_get_nothing(lab):
    relay = Relay(lab)
    relay.credentials["password"] = "wrong"
    said = relay.client(OUTSIDE, relay.exchange.port, "-c")
    check("401" in said or "Unauthenticated" in said or "Cannot complete Allocation" in said, said[-2000:])


@case()
def a_phone_talks_through_the_relay_to_the_media_of_the_exchange(lab):
    relay = Relay(lab, anchor="always")
    bob = relay.exchange.add("bob")
    behind = Baresip(lab, relay.exchange, relay.account, "caller", place=Place(OUTSIDE), turn=relay)
    converse(behind, Baresip(lab, relay.exchange, bob, "callee", place=Place(OUTSIDE)))
    relay.prove_carried()
