"""What is measured: each row runs one exchange once and returns figures by name."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier

from . import growth
from .growth import MICRO, options, per_unit
from .load import calls, load, registrations
from .peers import DOMAIN
from .process import Failed

# Transactions are kept for up to 64 T1 = 32 s (RFC 3261 §17): memory of what stays is read after that.
SETTLE = 34
# Seconds of nothing.
IDLE = 3
# Seconds: longer than what a search that only looks for a moment may borrow from queues and tables.
SUSTAINED = 12
# A step of the search for the highest rate is good below this share of failures and retransmissions.
BAD = 0.001


def plain_registrations(kind, folder, binary):
    """REGISTER of 100,000 accounts."""
    with kind(folder, "plain") as exchange:
        load(exchange, registrations(1000, 1000, user="w"), "warm", binary, weigh=False)
        run = load(exchange, registrations(100_000, 8000), "reg", binary, weigh=False)
    return {"reg": per_unit(run), "reg_bad": run.bad_share}


def proven_registrations(kind, folder, binary):
    """REGISTER, challenge, REGISTER again."""
    with kind(folder, "digest", accounts=10_000) as exchange:
        run = load(exchange, registrations(8_000, 2000, digest=True), "regauth", binary, weigh=False)
    return {"regauth": per_unit(run), "regauth_bad": run.bad_share}


def forwarded_calls(kind, folder, binary):
    """Calls at a rate that both carry."""
    with kind(folder, "plain") as exchange:
        load(exchange, calls(1000, 1000), "warm", binary, weigh=False)
        run = load(exchange, calls(4000, 1000), "call", binary, weigh=False)
    return {"call": per_unit(run), "call_bad": run.bad_share,
            "call_180_p99": run.result["latency_ms"]["invite_180"]["p99"]}


# Calls a second where the search begins if nothing is known, and where it does otherwise: a step below what was found before.
FIRST, FOUND = 2500, {}
# A call that takes longer was not carried.
PATIENCE = ("--patience", "2s")


def highest_rate(kind, folder, binary):
    """Raises the rate by a quarter until calls fail; then half of the best, for the latency."""
    rate, best, steps = FOUND.get(kind.name, FIRST), None, []
    with kind(folder, "plain") as exchange:
        load(exchange, calls(1000, 1000), "warm", binary, weigh=False)
        misses = 0
        while misses < 2:
            run = load(exchange, calls(rate * 3, rate, *PATIENCE), "max", binary, weigh=False)
            good = run.bad_share < BAD and run.result["rate"] > 0.97 * rate
            steps.append({"rate": rate, "bad": run.bad_share, **run.cores()})
            # A rate that failed gets a second chance: others use the machine too.
            misses = 0 if good else misses + 1
            if misses == 2 and best is None and rate > 200:
                # A busy or small machine: begin lower.
                misses, rate = 0, int(rate / 1.25**2)
            if good:
                best, rate = rate, int(rate * 1.25)
            time.sleep(0.5)
    if best is None:
        raise Failed(f"no rate was carried: {steps}")
    FOUND[kind.name] = int(best / 1.25)
    with kind(folder, "plain") as exchange:
        load(exchange, calls(1000, 1000), "warm", binary, weigh=False)
        half = load(exchange, calls(best // 2 * 3, best // 2), "half", binary, weigh=False)
    return {"max": best, "half_180_p99": half.result["latency_ms"]["invite_180"]["p99"], "max_steps": steps}


def overload(kind, folder, binary, best):
    """Two and three times the highest rate for four seconds, then half of it. The highest rate is one that is carried for
    longer than a step of the search."""
    while True:
        # A new one each time: what was too much for the one before is not all forgotten.
        with kind(folder, "plain") as exchange:
            load(exchange, calls(1000, 1000), "warm", binary, weigh=False)
            run = load(exchange, calls(best * SUSTAINED, best, *PATIENCE), "sustained", binary, weigh=False)
        if run.bad_share < 10 * BAD or best < 100:
            break
        best = int(best / 1.25)
    found = {"sustained": best}
    for times in (2, 3):
        with kind(folder, "plain") as exchange:
            load(exchange, calls(1000, 1000), "warm", binary, weigh=False)
            flags = calls(best * times * 4, best * times, "--after", f"{best // 2}/s", "--after-for", "4s",
                          "--patience", "10s")
            result = load(exchange, flags, f"over{times}", binary, weigh=False).result
        # Calls set up in time in a second of the overload, against what it carries without.
        found[f"over{times}"] = result["in_time"] / max(result["offering_s"], 4) / best
        found[f"over{times}_recovered"] = result["recovered_after_s"]
    return found


# A caller that hides has its calls bridged: they have two dialogs with the exchange.
HIDES = ("--header", "Privacy: user")


def memory(kind, folder, binary):
    """Bytes of a binding, of a forwarded call that is up and of a bridged one, each in an exchange of its own at the same
    time: what they wait for is long. They share the pages of the program, so each lives from before the first is weighed
    until the last has been."""
    rows = [memory_of_bindings, memory_of_calls]
    rows += [memory_of_bridged_calls] if kind.name == "Offhook" else []
    meet = Barrier(len(rows), timeout=180).wait
    with ThreadPoolExecutor(len(rows)) as pool:
        tasks = [pool.submit(row, kind.beside(number), f"{folder}-{number}", binary, meet)
                 for number, row in enumerate(rows)]
        return {key: value for task in tasks for key, value in task.result().items()}


def memory_of_bindings(kind, folder, binary, meet):
    """Bytes of a binding, and the processor time that a registration still cost after its answer."""
    with kind(folder, "plain") as exchange:
        load(exchange, registrations(1000, 1000, user="w"), "warm", binary, weigh=False)
        meet()
        before = exchange.pss()
        run = load(exchange, registrations(100_000, 8000), "bindings", binary, weigh=False)
        answered = exchange.cpu()
        time.sleep(SETTLE)
        found = {"reg_later": (exchange.cpu() - answered) * MICRO / max(run.result["completed"], 1),
                 "binding_bytes": (exchange.pss() - before) / max(run.result["completed"], 1)}
        meet()
        return found


def memory_of_calls(kind, folder, binary, meet, *more, key="held_bytes"):
    """Bytes of a call that is up."""
    with kind(folder, "plain") as exchange:
        load(exchange, calls(200, 200, *more), "warm", binary, weigh=False)
        flags = calls(5000, 500, *more, "--held", "--settle", f"{SETTLE}s")
        meet()
        held = load(exchange, flags, key, binary, until="watch")
        meet()
        return {key: grown(held)}


def memory_of_bridged_calls(kind, folder, binary, meet):
    """The same of a call that is bridged."""
    return memory_of_calls(kind, folder, binary, meet, *HIDES, key="bridged_bytes")


def bridged_calls(kind, folder, binary):
    """The processor time of a bridged call beside that of a forwarded one, and the highest rate that is carried beside the
    forwarded one. Only this program bridges; each figure is compared with its own."""
    found = {}
    for name, more in (("plain", ()), ("bridged", HIDES)):
        with kind(folder, "plain") as exchange:
            load(exchange, calls(1000, 1000, *more), "warm", binary, weigh=False)
            run = load(exchange, calls(5000, 1000, *more), f"{name}call", binary, weigh=False)
        found[name], found[f"{name}_bad"] = per_unit(run), run.bad_share
        found[f"{name}_max"] = carried(kind, folder, binary, more)
    return {"bridged_call": found["bridged"] / found["plain"], "bridged_max": found["bridged_max"] / found["plain_max"],
            "bridged_us": found["bridged"], "bridged_bad": found["bridged_bad"]}


def carried(kind, folder, binary, more):
    """The highest rate, in steps of a quarter, at which no calls fail for three seconds."""
    rate, best = FOUND.get(kind.name, FIRST), 0
    while True:
        with kind(folder, "plain") as exchange:
            load(exchange, calls(1000, 1000, *more), "warm", binary, weigh=False)
            run = load(exchange, calls(rate * 3, rate, *PATIENCE, *more), "carried", binary, weigh=False)
        if run.bad_share >= BAD or run.result["rate"] <= 0.97 * rate:
            if best or rate < 100:
                return best or rate
            rate //= 2
        else:
            best, rate = rate, int(rate * 1.25)


def relayed_sound(count):
    """Both directions of `count` calls, 50 packets a second each."""
    def row(kind, folder, binary):
        with kind(folder, "media") as exchange:
            flags = calls(count, count, "--held", "--rtp", "--settle", "1s", "--watch", "2s")
            run = load(exchange, flags, f"rtp{count}", binary)
        sound = run.result["rtp"]
        return {f"rtp{count}": run.cpu("watch", "watched") * MICRO / max(sound["received"], 1),
                f"rtp{count}_loss": sound["lost"] / max(sound["sent"], 1),
                f"rtp{count}_p99_ms": sound["delay_ms"]["p99"], f"rtp{count}_bytes": grown(run)}
    return row


def bridged_sound(need, count):
    """Both directions of `count` calls whose callers do not speak as the callees do."""
    def row(kind, folder, binary):
        with kind(folder, need) as exchange:
            flags = calls(count, count, "--held", "--rtp", "--speech", need, "--settle", "1s", "--watch", "2s")
            run = load(exchange, flags, need, binary)
        sound = run.result["rtp"]
        return {need: run.cpu("watch", "watched") * MICRO / max(sound["received"], 1),
                f"{need}_loss": sound["lost"] / max(sound["sent"], 1)}
    return row


def conference(kind, folder, binary, speakers=100):
    """All in one room: each is decoded, and hears the loudest others, encoded for it alone."""
    with kind(folder, "plain", sets=["services.conference.rooms=3000", f"services.conference.most={speakers}"]) as exchange:
        flags = [f"sip:3000@{DOMAIN}", "--account", f"sip:u@{DOMAIN}", "--users", speakers, "--calls", speakers,
                 "--rate", "50/s", "--held", "--rtp", "--settle", "4s", "--watch", "6s"]
        run = load(exchange, flags, "conference", binary)
    sound, seconds = run.result["rtp"], run.looks["watched"].at - run.looks["watch"].at
    if sound["received"] < 0.9 * sound["sent"]:
        raise Failed(f"not all speakers hear the room: {sound}")
    return {"conference": run.cpu("watch", "watched") * 1000 / seconds / speakers,
            "conference_heard": sound["received"] / max(sound["sent"], 1)}


def start_and_idle(kind, folder, _binary):
    """From the start of the program to the first answer; then nothing to do."""
    with kind(folder, "plain") as exchange:
        time.sleep(1)
        before, pss = exchange.wakeups(), exchange.pss()
        time.sleep(IDLE)
        return {"start": exchange.start_seconds * 1000, "idle_mb": pss / 2**20,
                "idle_wakeups": (exchange.wakeups() - before) / IDLE}


def connections(kind, folder, _binary, idle=2000, halves=100):
    """Idle TCP connections, some of them within a message; then a new one asks."""
    opened = []
    with kind(folder, "streams") as exchange:
        before, begun = exchange.pss(), time.monotonic()
        try:
            for number in range(idle + halves):
                # An exchange may limit the connections of one address.
                source = (f"127.0.1.{number % 16 + 1}", 0)
                opened.append(socket.create_connection((DOMAIN, exchange.port), 5, source))
                if number >= idle:
                    opened[-1].sendall(b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/T")
            connected = time.monotonic() - begun
            asked = time.monotonic()
            with socket.create_connection((DOMAIN, exchange.port), 5) as asker:
                asker.sendall(options(exchange.port))
                if not asker.recv(4096).startswith(b"SIP/2.0 200"):
                    raise Failed("a new connection is not served")
            served = time.monotonic() - asked
            time.sleep(1)
            return {"tcp_connect": connected * 1000, "tcp_served": served * 1000,
                    "tcp_bytes": (exchange.pss() - before) / (idle + halves)}
        finally:
            for connection in opened:
                connection.close()


def grown(run):
    """Bytes for each call that is up."""
    up = run.looks["watch"]
    return (up.pss - run.looks["start"].pss) / max(up.told["answered"], 1)


@dataclass
class Row:
    """A row: what runs an exchange once, and how often."""

    run: Callable
    # None: as often as asked for.
    rounds: int | None = None
    # Both exchanges at the same time: only for what does not depend on the processor.
    together: bool = False
    # Whether it is part of a whole run; else it has to be chosen.
    default: bool = True
    # Whether only Offhook does it.
    ours_alone: bool = False


# By the name that ONLY chooses. A whole run prints its table once after `memory`: what comes before are its main lines.
ROWS = {
    "start": Row(start_and_idle),
    "call": Row(forwarded_calls),
    "reg": Row(plain_registrations),
    "regauth": Row(proven_registrations),
    "rtp100": Row(relayed_sound(100)),
    "rtp400": Row(relayed_sound(400)),
    "max": Row(highest_rate),
    # Memory hardly varies between rounds, and takes long to settle.
    "memory": Row(memory, rounds=1, together=True),
    "sdes": Row(bridged_sound("sdes", 100)),
    "dtls": Row(bridged_sound("dtls", 100)),
    "opus": Row(bridged_sound("opus", 50)),
    "conference": Row(conference, rounds=1, ours_alone=True),
    "tcp": Row(connections),
    "bridged": Row(bridged_calls, rounds=1, ours_alone=True),
    "bad": Row(growth.bad_input, rounds=1),
    "threads": Row(growth.threads),
    "growth": Row(growth.bindings(growth.BINDINGS[:2]), rounds=1),
    # Minutes each: not in a whole run.
    "million": Row(growth.bindings(growth.BINDINGS), rounds=1, default=False),
    "held": Row(growth.held_calls, rounds=1, default=False),
}
