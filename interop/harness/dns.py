"""A DNS server with records of its own: dnsmasq; and one that never answers."""

import secrets
import socket
import struct

from .failure import until
from .wire import LOOPBACK

SRV = 33


class Dns:
    """Records are given before `start`."""

    def __init__(self, lab, host=LOOPBACK):
        self.lab, self.host, self.port, self.records = lab, host, lab.port(), []

    @property
    def setting(self):
        """The key by which an exchange asks this server."""
        return f"dns.servers={self.host}:{self.port}"

    def naptr(self, domain, order, service, replacement):
        self.records.append(f"--naptr-record={domain},{order},50,s,{service},,{replacement}")

    def enum(self, number, expression, tree="e164.arpa", order=10):
        """Where a number (+49…) is, as a substitution expression."""
        name = ".".join(reversed(number.lstrip("+"))) + f".{tree}"
        self.records.append(f"--naptr-record={name},{order},50,u,E2U+sip,{expression}")

    def srv(self, service, target, port, priority):
        self.records.append(f"--srv-host={service},{target},{port},{priority},10")

    def address(self, name, ip):
        self.records.append(f"--host-record={name},{ip}")

    def start(self):
        words = ["--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file=", "--user=root",
                 "--bind-interfaces", f"--listen-address={self.host}", f"--port={self.port}", "--local=/test/"]
        self.lab.run("dnsmasq", [self.lab.tool("dnsmasq"), *words, *self.records])
        until(lambda: answers(self.host, self.port), 10, "dnsmasq answers")
        return self


def answers(host, port):
    """Whether a server says anything at all."""
    query = struct.pack("!6H", secrets.randbelow(65536), 0x100, 1, 0, 0, 0) + b"\4some\4test\0" + struct.pack("!2H", SRV, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.3)
        try:
            asking.sendto(query, (host, port))
            return bool(asking.recv(512))
        except OSError:
            return False


class Silent:
    """A port that takes datagrams and says nothing."""

    def __init__(self, lab, host=LOOPBACK):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.host, self.port = self.socket.getsockname()
        lab.keep(self)

    @property
    def setting(self):
        return f"dns.servers={self.host}:{self.port}"

    def stop(self):
        self.socket.close()
