"""Where a phone is: beside the exchange, or in a namespace of its own, behind routers that translate addresses."""

import ctypes
import itertools
import os
import socket
import subprocess
import threading
import time

from .failure import Failure, check, until
from .wire import LOOPBACK

# An address of the case's own namespace that is not loopback: the exchange, as the world sees it.
OUTSIDE = "198.18.0.1"
NEW_NETWORK = 0x40000000
# Never the same twice in a run: the system takes its time to clear away what a case has left.
NUMBERS = itertools.count()


class Place:
    """A place in the namespace of the case itself."""

    def __init__(self, host=LOOPBACK):
        self.host = host

    def words(self, argv):
        """What runs a program there."""
        return argv

    def connect(self, port):
        """A connection to a port of the place's loopback."""
        return socket.create_connection((LOOPBACK, port), 1)


class Namespace(Place):
    """A network of its own, which lives as long as a process in it."""

    def __init__(self, lab, name):
        super().__init__(None)
        # Those in which it may have an address.
        self.networks = []
        process = lab.run(name, [lab.tool("unshare"), "--net", lab.tool("sleep"), "infinity"])
        self.pid = process.child.pid
        own = os.stat("/proc/self/ns/net").st_ino
        until(lambda: os.stat(f"/proc/{self.pid}/ns/net").st_ino != own, 10, f"the namespace {name}")
        self.run("ip link set lo up")

    def words(self, argv):
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *argv]

    def run(self, *lines):
        """Runs shell commands there."""
        for line in lines:
            shell(*self.words(["sh", "-c", line]))

    def connect(self, port):
        made = []

        def enter():
            # A thread may be elsewhere than its process, and a socket stays where it was made.
            libc = ctypes.CDLL(None, use_errno=True)
            with open(f"/proc/{self.pid}/ns/net", "rb") as place:
                if libc.setns(place.fileno(), NEW_NETWORK):
                    made.append(OSError(ctypes.get_errno(), "setns"))
                    return
            try:
                made.append(socket.create_connection((LOOPBACK, port), 1))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def move(self, seconds_without):
        """Its address goes away; after a while it has one of another network."""
        self.run("ip addr flush dev net0 scope global")
        time.sleep(seconds_without)
        self.settle(self.networks[1])

    def settle(self, network):
        """Takes the second address of a network, whose first is the way out."""
        self.host = f"{network}.2"
        self.run(f"ip addr add {self.host}/24 dev net0", f"ip route add default via {network}.1")


def behind(lab, routers):
    """A place behind so many routers, the outermost of which is on a link to the exchange. Each gives what it sends on
    its own address and a random port, another towards each peer: a symmetric NAT."""
    number = next(NUMBERS)
    check(number < 100 and routers < 3, "too many networks")
    inner = None
    for level in range(routers + 1):
        name = f"place{number}-{level}"
        outer, inner = inner, Namespace(lab, name)
        # Public, where there is a second to move to; then the provider's, then the home's.
        networks = [[f"198.51.{100 + number}", f"203.0.{100 + number}"], [f"100.64.{number}"],
                    [f"192.168.{number}"]][level]
        join(outer, inner, f"v{number}-{level}", networks)
        inner.networks = networks
        inner.settle(networks[0])
        if level < routers:
            inner.run("echo 1 > /proc/sys/net/ipv4/ip_forward",
                      f"{lab.tool('iptables')} -w -t nat -A POSTROUTING -o net0 -j MASQUERADE --random")
    return inner


def among(lab):
    """A place among others of its kind, each in a network of its own: the case's namespace is the router between them."""
    place = behind(lab, 0)
    shell("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    return place


def join(outer, inner, name, networks):
    """A cable between two namespaces, or between the case's own and one; the inner end is called `net0`."""
    shell("ip", "link", "add", name, "type", "veth", "peer", "name", "net0", "netns", str(inner.pid))
    if outer:
        shell("ip", "link", "set", name, "netns", str(outer.pid))
    words = outer.words if outer else lambda argv: argv
    shell(*words(["ip", "link", "set", name, "up"]))
    for network in networks:
        shell(*words(["ip", "addr", "add", f"{network}.1/24", "dev", name]))
    inner.run("ip link set net0 up")


def shell(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
