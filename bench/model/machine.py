"""What machines carry: the work of a user in the busy hour against processors, ports and memory."""

import math
import random
from dataclasses import dataclass

from .constants import COME_IN

MICRO, GIB = 1e-6, 2**30
# Ports, and sockets, of a relayed call with one stream: RTP and RTCP on both sides.
PORTS = 4
# What stays of a call or registration after its end: 64 T1 (RFC 3261 §17). A call has four transactions.
LINGER, TRANSACTIONS = 32, 4
# Datagrams of a call, received and sent; the challenge of a call has two more that come in: INVITE and ACK.
DATAGRAMS, CHALLENGE_IN = 13, 2


@dataclass
class Scenario:
    """How users behave, and what the program may use."""

    title: str
    relayed: bool = False
    nat: bool = False
    # Threads and addresses of media; None: as many as it takes.
    media: int | None = 1


SCENARIOS = [
    Scenario("Direct media, registrations renewed each hour"),
    Scenario("All calls relayed, one media thread, media ports of one address", relayed=True),
    Scenario("All calls relayed, media threads and addresses without limit", relayed=True, media=None),
    Scenario("Direct media, registrations renewed each minute, keep-alives", nat=True),
    Scenario("Behind NAT: all relayed, renewed each minute, media without limit", relayed=True, nat=True, media=None),
]


@dataclass
class Carried:
    """What machines carry together; `shards` and `media` are threads of one machine."""

    shards: int
    media: int
    users: float
    limit: str
    calls: float = 0
    held: float = 0
    registrations: float = 0
    packets: float = 0
    memory: float = 0
    sockets: float = 0
    megabits: float = 0


class Model:
    """The constants, as work and memory."""

    def __init__(self, constants):
        self.of = {name: one.value for name, one in constants.items()}

    def challenge(self):
        """Microseconds: what a challenge and the check of its answer add to a request."""
        return max(self.of["regauth"] - self.of["reg"], 0) * self.of["challenged"]

    def ack(self):
        """Microseconds of the ACK to a 407: one datagram."""
        return self.of["call"] / DATAGRAMS * self.of["challenged"]

    def call(self, shards):
        """Microseconds of a call, challenged as the default settings have it."""
        come_in = COME_IN + CHALLENGE_IN * self.of["challenged"]
        return self.of["call"] + self.challenge() + self.ack() + come_in * self.misplaced(shards) * self.of["handover"]

    def registration(self, shards):
        """Microseconds of a registration: both its requests, and what the other shards are told."""
        handed = 2 * self.misplaced(shards) * self.of["handover"]
        return self.of["regauth"] + handed + (shards - 1) * self.of["delta"]

    @staticmethod
    def misplaced(shards):
        """The share of messages that come to a thread which does not own them."""
        return (shards - 1) / shards

    def rates(self, users, scenario):
        """Calls, registrations and keep-alives a second."""
        of = self.of
        refresh = of["nat_refresh"] if scenario.nat else of["refresh"]
        return users * of["erlang"] / of["talk"], users / refresh, users / of["nat_keepalive"] if scenario.nat else 0

    def signalling(self, users, scenario, shards, legs=1.0):
        """Processors that the busiest signal thread takes. `legs`: machines that a call passes, on average."""
        calls, registrations, keepalives = self.rates(users, scenario)
        even = calls * legs * self.call(shards) + keepalives * self.of["keepalive"]
        return MICRO * (even + registrations * self.registration(shards) * busiest(users, shards)) / shards

    def media(self, users, scenario, legs=1.0):
        """Processors that the relay takes."""
        return MICRO * users * self.of["erlang"] * legs * self.of["packets"] * self.of["rtp"] if scenario.relayed else 0.0

    def memory(self, users, scenario, shards, legs=1.0):
        """Octets, those of the kernel's sockets included."""
        of = self.of
        calls, registrations, _ = self.rates(users, scenario)
        held = users * of["erlang"] * legs
        call = of["relayed_bytes"] + PORTS * of["socket_bytes"] if scenario.relayed else of["held_bytes"]
        lingering = LINGER * (calls * legs + 2 * registrations / TRANSACTIONS) * of["transaction_bytes"]
        directory = users * shards * (of["binding_bytes"] + of["account_bytes"])
        return of["idle_mb"] * 2**20 + directory + held * call + lingering

    def limits(self, scenario, cores, shards, media, legs):
        """For each resource a function of the users: which part of what may be used they take."""
        of = self.of
        found = {"memory": lambda users: self.memory(users, scenario, shards, legs) / (of["load"] * cores * of["core_gib"] * GIB)}
        if cores == 1:
            found["processor"] = lambda users: (
                self.signalling(users, scenario, 1, legs) + self.media(users, scenario, legs)) / of["load"]
            return found | self.ports(scenario, legs)
        found["signalling"] = lambda users: self.signalling(users, scenario, shards, legs) / of["load"]
        if scenario.relayed:
            found["media"] = lambda users: self.media(users, scenario, legs) / (media * of["load"])
        return found | self.ports(scenario, legs)

    def ports(self, scenario, legs):
        """The limit that one address is."""
        if not scenario.relayed or scenario.media is None:
            return {}
        return {"ports": lambda users: users * self.of["erlang"] * legs * PORTS / (self.of["load"] * self.of["ports_usable"])}

    def most_registrations(self):
        """A second, with any number of shards: each has to take over all of them. None: no limit."""
        return self.of["load"] / (MICRO * self.of["delta"]) if self.of["delta"] else None

    def most_of_one_peer(self):
        """Datagrams a second that one thread can receive and hand on."""
        return self.of["load"] / (MICRO * (self.of["keepalive"] + self.of["handover"] / 2))

    def machine(self, scenario, cores, legs=1.0):
        """What one machine carries with the best division of its processors."""
        best = None
        for shards in range(1, max(cores, 2)):
            media = max(cores - shards, 1) if scenario.media is None else scenario.media
            limits = self.limits(scenario, cores, shards, media, legs)
            users, limit = min((most(part), name) for name, part in limits.items())
            # Not for next to nothing: fewer shards need less memory.
            if best is None or users > best.users * 1.001:
                best = Carried(shards, media if scenario.relayed else 0, users, limit)
        return self.filled(best, scenario, legs)

    def cluster(self, scenario, machines, cores, across):
        """Independent machines with the accounts divided between them. `across`: anyone calls anyone, so that most calls
        pass two machines; else calls stay with their machine."""
        legs = 1 + (machines - 1) / machines if across else 1.0
        one = self.machine(scenario, cores, legs)
        for name in ("users", "calls", "held", "registrations", "packets", "memory", "sockets", "megabits"):
            setattr(one, name, getattr(one, name) * machines / busiest(one.users * machines, machines))
        return one

    def filled(self, carried, scenario, legs):
        """The same with what these users bring with them. A call that passes two machines is still one."""
        users, of = carried.users, self.of
        carried.calls, carried.registrations, _ = self.rates(users, scenario)
        carried.held = users * of["erlang"]
        carried.memory = self.memory(users, scenario, carried.shards, legs)
        if scenario.relayed:
            carried.packets = carried.held * legs * of["packets"]
            carried.sockets = carried.held * legs * PORTS
            carried.megabits = carried.packets * of["packet_bytes"] * 8 / 1e6
        return carried


def most(part):
    """The greatest number of users of which `part` is at most 1."""
    low, high = 0.0, 1e12
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if part(middle) <= 1 else (low, middle)
    return low


# By shards: the greatest of so many normal deviates, on average.
GREATEST = {}


def busiest(accounts, shards):
    """What the shard with most accounts has, in means: accounts come to shards by chance (binomial, here as normal)."""
    if shards <= 1 or accounts <= 0:
        return 1.0
    if shards not in GREATEST:
        rng = random.Random(shards)
        GREATEST[shards] = sum(max(rng.gauss(0, 1) for _ in range(shards)) for _ in range(400)) / 400
    mean = accounts / shards
    return 1 + GREATEST[shards] * math.sqrt(mean * (1 - 1 / shards)) / mean


def even_shards(model):
    """From how many shards on the others' copies cost as much as the registration itself. None: they cost nothing."""
    return 1 + (model.of["regauth"] + 2 * model.of["handover"]) / model.of["delta"] if model.of["delta"] else None
