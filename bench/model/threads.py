"""Signal threads as queues: each a single server, first come, first served, a batch at a time.

Time is a ring: what would come after its end comes at its beginning. So each call has all its messages within a few
seconds of simulation, although it talks for minutes, and there is neither a warm-up nor an end.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

# Of the cost of a call without challenge, by datagrams received and sent: INVITE brings forth 100 and INVITE.
PARTS = {"INVITE": 3 / 13, "180": 2 / 13, "200": 2 / 13, "ACK": 2 / 13, "BYE": 2 / 13, "200 BYE": 2 / 13}
# The set-up waits for these.
SET_UP = ("challenged", "INVITE", "180")
# Seconds, on average: until the callee's phone says that it rings; a way through the network and back.
PHONE, ROUND_TRIP = 0.1, 0.03
# As the server: datagrams that one system call brings.
BATCH = 64


@dataclass(slots=True)
class Message:
    """A datagram: what it costs, where the kernel puts it, whose it is."""

    at: float
    cost: float
    socket: int
    owner: int
    # The call whose set-up waits for it.
    call: int = -1
    # Facts that the other shards are told when it was handled.
    facts: int = 0
    ready: float = 0.0


@dataclass(slots=True)
class Thread:
    """A signal thread."""

    number: int
    waiting: deque = field(default_factory=deque)
    handed: deque = field(default_factory=deque)
    busy: bool = False
    known: int = 0
    worked: float = 0.0


def traffic(seconds, calls, registrations, shards, cost, seed):
    """Messages of so many calls and registrations a second, in order, and how many calls there are. `cost`: seconds of a
    call, of a challenge, of the ACK to it, of one of the two REGISTERs; and how long phones ring and talk."""
    rng = random.Random(seed)
    parts = {what: cost["call"] * part for what, part in PARTS.items()}
    parts |= {"challenged": cost["challenge"], "ACK 407": cost["ack"]}
    found, number, at = [], 0, rng.expovariate(calls) if calls else seconds
    while at < seconds:
        caller, callee, owner = (rng.randrange(shards) for _ in range(3))
        asked = at + (ROUND_TRIP if cost["challenge"] else 0)
        ringing = asked + rng.expovariate(1 / PHONE)
        answered = ringing + rng.expovariate(1 / cost["ring"])
        hung_up = answered + rng.expovariate(1 / cost["talk"])
        times = {"INVITE": (asked, caller), "180": (ringing, callee), "200": (answered, callee),
                 "ACK": (answered + ROUND_TRIP, caller), "BYE": (hung_up, caller), "200 BYE": (hung_up + ROUND_TRIP, callee)}
        if cost["challenge"]:
            times |= {"challenged": (at, caller), "ACK 407": (asked, caller)}
        for what, (when, socket) in times.items():
            call = number if what in SET_UP else -1
            found.append(Message(when % seconds, rng.expovariate(1 / parts[what]), socket, owner, call))
        number += 1
        at += rng.expovariate(calls)
    at = rng.expovariate(registrations) if registrations else seconds
    while at < seconds:
        socket, owner = rng.randrange(shards), rng.randrange(shards)
        for when, facts in ((at, 0), (at + ROUND_TRIP, 1)):
            found.append(Message(when % seconds, rng.expovariate(1 / cost["register"]), socket, owner, facts=facts))
        at += rng.expovariate(registrations)
    found.sort(key=lambda message: message.at)
    return found, number


def run(messages, shards, handover, delta, batch=BATCH):
    """Handles all messages; each knows then when it left (`ready`). `handover`, `delta`: seconds, half of it at each end.
    Returns how much of their time the threads worked."""
    threads = [Thread(number) for number in range(shards)]
    # Facts told so far: what one shard tells the others is work for itself and for each of them.
    told, order, events, last = 0, 0, [], 0.0

    def begin(thread, now):
        """Takes what is there, and what others told before it."""
        nonlocal told, order, last
        thread.busy, own = True, []
        work = (told - thread.known) * delta / 2
        thread.known = told
        while thread.waiting and len(own) < batch:
            message = thread.waiting.popleft()
            if message.owner == thread.number:
                own.append(message)
            else:
                work += handover / 2
                order += 1
                heapq.heappush(events, (now + work, order, message.owner, message))
        while thread.handed and len(own) < batch:
            own.append(thread.handed.popleft())
            work += handover / 2
        for message in own:
            work += message.cost
            if message.facts and shards > 1:
                work += (shards - 1) * delta / 2
                told += message.facts
                # Its own copy is up to date.
                thread.known += message.facts
        for message in own:
            # All of a batch leaves when the batch is done.
            message.ready = now + work
        thread.worked += work
        order += 1
        last = now + work
        heapq.heappush(events, (last, order, thread.number, None))

    coming = iter(messages)
    following = next(coming, None)
    while following or events:
        if following and (not events or following.at <= events[0][0]):
            now, thread = following.at, threads[following.socket]
            thread.waiting.append(following)
            following = next(coming, None)
        else:
            now, _, number, message = heapq.heappop(events)
            thread = threads[number]
            if message:
                thread.handed.append(message)
            else:
                thread.busy = False
        if not thread.busy and (thread.waiting or thread.handed):
            begin(thread, now)
    return sum(thread.worked for thread in threads) / shards / max(last, 1e-9)


def set_up_delays(messages, calls):
    """What the exchange adds between INVITE and 180 for each call, sorted: each on its way through it."""
    added = [0.0] * calls
    for message in messages:
        if message.call >= 0:
            added[message.call] += message.ready - message.at
    return sorted(added)


def share_of(values, part):
    """A percentile of sorted values."""
    return values[min(int(part * len(values)), len(values) - 1)] if values else 0.0


def mean_wait(load, exponential, count=120_000, seed=1):
    """The mean wait of one thread without batches, in mean service times: to be compared with the formulas."""
    rng = random.Random(seed)
    at, messages = 0.0, []
    for _ in range(count):
        at += rng.expovariate(load)
        messages.append(Message(at, rng.expovariate(1) if exponential else 1.0, 0, 0))
    run(messages, 1, 0, 0, batch=1)
    return sum(message.ready - message.at - message.cost for message in messages) / count
