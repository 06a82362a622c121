"""How cost grows: with bindings, calls that are held, bad input and threads; and what a packet costs at least."""

import json
import socket
import subprocess

from .load import calls, load, registrations
from .peers import DOMAIN
from .process import Failed

MICRO = 1e6
BINDINGS = (1_000, 100_000, 1_000_000)
HELD = (100, 5_000, 20_000)
# What a thread costs is asked of Offhook alone; where it has no such key, the row is passed over.
THREADS_KEY = "sip.threads"
# How often two ways are compared in turn within a round.
ALTERNATIONS = 2


def bindings(sizes):
    """Registrations and calls while the table holds so many bindings."""
    def row(kind, folder, binary):
        curve = []
        for size in sizes:
            with kind(folder, "plain", memory=4096 if size > 100_000 else 1024) as exchange:
                load(exchange, registrations(1000, 1000, user="w"), "warm", binary, weigh=False)
                before = exchange.pss()
                filled = load(exchange, registrations(size, 10_000), f"fill {size}", binary, weigh=False).result
                held = exchange.pss()
                # The lesser of two: in one, the exchange may still write down the bindings that it acknowledged before.
                flags = registrations(4000, 2000, users=size)
                renewed = [load(exchange, flags, f"renew {size}", binary, weigh=False) for _ in range(2)]
                called = [load(exchange, calls(3000, 1000), f"call among {size}", binary, weigh=False) for _ in range(2)]
                curve.append({"bindings": filled["completed"], "reg": min(map(per_unit, renewed)),
                              "call": min(map(per_unit, called)),
                              "bytes": (held - before) / max(filled["completed"], 1)})
        first, last = curve[0], curve[-1]
        return {"growth_reg": last["reg"] / first["reg"], "growth_call": last["call"] / first["call"],
                "growth_most": last["bindings"], "growth": curve}
    return row


def held_calls(kind, folder, binary):
    """Calls while so many others are up, and the memory of those."""
    curve, up = [], 0
    with kind(folder, "plain") as exchange:
        load(exchange, calls(1000, 1000), "warm", binary, weigh=False)
        before = exchange.pss()
        for size in HELD:
            # The load is cut off while its calls are up: they stay.
            more = load(exchange, calls(size - up, 2000, "--held", "--settle", "34s"), f"hold {size}", binary,
                        until="watch")
            up += more.result["answered"]
            held = exchange.pss()
            called = load(exchange, calls(4000, 1000), f"call beside {size}", binary, weigh=False)
            curve.append({"held": up, "call": per_unit(called), "bytes": (held - before) / max(up, 1)})
    return {"held_growth_call": curve[-1]["call"] / curve[0]["call"], "held_20000_bytes": curve[-1]["bytes"],
            "held_growth": curve}


def bad_input(kind, folder, binary):
    """The same calls without and with nonsense, repetitions, connections that never finish a message, and some that ask
    and never read."""
    clean, dirty = [], []
    with kind(folder, "streams") as exchange:
        load(exchange, calls(1000, 1000), "warm", binary, weigh=False)
        for _ in range(ALTERNATIONS):
            clean.append(load(exchange, calls(2000, 1000), "clean", binary, weigh=False))
            dirty.append(with_nonsense(exchange, binary))
    return {"dirty_cost": least(dirty) / least(clean), "dirty_failed": sum(run.result["failed"] for run in dirty)}


def with_nonsense(exchange, binary):
    """Calls beside all of that."""
    halves = [socket.create_connection((DOMAIN, exchange.port), 5) for _ in range(50)]
    try:
        for half in halves[:30]:
            half.sendall(b"INVITE sip:b@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/T")
        for reader in halves[30:]:
            ask_much(reader, exchange.port)
        # Six datagrams of a call come in: sixty pieces of nonsense for a hundred calls are a tenth.
        return load(exchange, calls(2000, 1000, "--garbage", "60%", "--repeats", "10%"), "dirty", binary, weigh=False)
    finally:
        for half in halves:
            half.close()


def options(port):
    """A request that is answered at once."""
    return (f"OPTIONS sip:{DOMAIN}:{port} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKtcp\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:tcp@{DOMAIN}>;tag=t\r\nTo: <sip:{DOMAIN}>\r\nCall-ID: tcp\r\n"
            "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n").encode()


def ask_much(connection, port):
    """Asks for more than the connection holds, and reads none of the answers."""
    connection.settimeout(0.2)
    try:
        for number in range(400):
            connection.sendall(options(port).replace(b"z9hG4bKtcp", b"z9hG4bKslow%d" % number))
    except OSError:
        # Nobody takes more from one who does not read, or it has been cut off.
        pass


def threads(kind, folder, binary):
    """The same calls with one signal thread and with two; Offhook only."""
    if kind.name != "Offhook":
        return {}
    if not known(binary, THREADS_KEY):
        print(f"  passed over: this version has no key {THREADS_KEY}, so one thread cannot be compared with two")
        return {}
    runs = {1: [], 2: []}
    for _ in range(ALTERNATIONS):
        for count, done in runs.items():
            with kind(folder, "plain", sets=(f"{THREADS_KEY}={count}",)) as exchange:
                load(exchange, calls(1000, 1000), "warm", binary, weigh=False)
                done.append(load(exchange, calls(2000, 1000), f"threads {count}", binary, weigh=False))
    one, two = map(least, runs.values())
    return {"threads": two / one, "threads_1": one, "threads_2": two}


def known(binary, path):
    """Whether the configuration has a key."""
    asked = subprocess.run([binary, "config", "schema"], capture_output=True, text=True, check=True)
    place = json.loads(asked.stdout)
    for word in path.split("."):
        place = place.get("properties", {}).get(word)
        if place is None:
            return False
    return True


def floor(binary, calls_up, seconds=2):
    """Microseconds that the system takes to pass a packet on, with as many sockets and packets as so many calls have."""
    # Two streams for a call, fifty packets a second each.
    return example(binary, "relay_floor", 2 * calls_up, 100 * calls_up, seconds)


def codecs(binary, calls_up=50, seconds=2):
    """Microseconds that the codecs take for a packet between Opus and PCMU, in as many calls and at the pace of the row."""
    return example(binary, "codecs", seconds, calls_up)


def example(binary, name, *words):
    """What a program that measures by itself prints as `us`."""
    program = binary.parent / "examples" / name
    if not program.exists():
        raise Failed(f"{program} is not there: `make bench` builds it")
    ran = subprocess.run([str(program), *map(str, words)], capture_output=True, text=True, timeout=30)
    if ran.returncode:
        raise Failed(ran.stderr)
    return json.loads(ran.stdout)["us"]


def least(runs):
    """The least of what a unit cost in several: what else the machine does only adds to it."""
    return min(map(per_unit, runs))


def per_unit(run):
    """Microseconds of the exchange for each unit that was completed."""
    return run.cpu() * MICRO / max(run.result["completed"], 1)
