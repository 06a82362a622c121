"""The figures of the model: measured where there is a measurement, else assumed; each knows where it comes from."""

import json
import statistics
from dataclasses import dataclass


@dataclass
class Constant:
    """A figure. `source` begins with measured, derived, assumed, or given."""

    title: str
    unit: str
    value: float
    source: str = "assumed"


# Whatever follows "assumed" is where the value without a measurement comes from.
ASSUMED = {
    "reg": Constant("REGISTER without challenge", "µs", 30, "assumed: bench/README.md"),
    "regauth": Constant("REGISTER, challenge, REGISTER again", "µs", 60),
    "call": Constant("call forwarded, without challenge", "µs", 160, "assumed: bench/README.md"),
    "rtp": Constant("RTP packet relayed", "µs", 6.5, "assumed: bench/README.md"),
    "binding_bytes": Constant("memory of a binding, in each shard", "B", 1500, "assumed: docs/decisions/0013"),
    "held_bytes": Constant("memory of a forwarded call that is up", "B", 2000, "assumed: docs/decisions/0013"),
    "relayed_bytes": Constant("memory of a relayed call that is up", "B", 12500),
    "idle_mb": Constant("memory of the program with nothing to do", "MiB", 13),
    "keepalive": Constant("datagram received that asks for nothing: a keep-alive", "µs", 2),
    # A call costs an eighth to a quarter more with two threads; half of its six messages are handed over.
    "handover": Constant("message handed to another thread, wake-up included", "µs", 10, "derived: docs/decisions/0014"),
    "delta": Constant("change of a binding told to one other shard", "µs", 1),
    "account_bytes": Constant("memory of an account, in each shard", "B", 500),
    "transaction_bytes": Constant("memory of a call's transactions, for 32 s", "B", 3000, "assumed: docs/decisions/0013"),
    "socket_bytes": Constant("memory of the kernel for a socket", "B", 2500),
    "core_gib": Constant("memory of the machine for each core", "GiB", 4),
    "erlang": Constant("calls that a user makes, in the busy hour", "Erlang", 0.1),
    "challenged": Constant("share of calls that are challenged", "", 1, "assumed: the default settings"),
    "talk": Constant("a call lasts", "s", 180),
    "ring": Constant("a phone rings", "s", 8),
    "refresh": Constant("a registration is renewed after", "s", 3600),
    "nat_refresh": Constant("… behind NAT", "s", 60),
    "nat_keepalive": Constant("a phone behind NAT sends a keep-alive each", "s", 25),
    "packets": Constant("RTP packets of a relayed call, both directions", "/s", 100),
    "packet_bytes": Constant("RTP packet on the wire: PCMU, 20 ms, Ethernet", "B", 238),
    "ports_usable": Constant("UDP ports of one address for media", "", 64512, "assumed: 1024–65535"),
    "load": Constant("headroom: the busiest thread is in use at most", "", 0.7),
}

# Under these names the benchmark has them; the first that is there.
MEASURED = {
    "reg": ("reg",), "regauth": ("regauth",), "call": ("call",), "rtp": ("rtp400", "rtp100"),
    "binding_bytes": ("binding_bytes",), "held_bytes": ("held_bytes",), "relayed_bytes": ("rtp400_bytes", "rtp100_bytes"),
    "idle_mb": ("idle_mb",),
}
# Messages that come in for a call: INVITE, 180, 200, ACK, BYE, 200.
COME_IN = 6
# With two threads half of the messages come to the wrong one.
MISPLACED_OF_TWO = 0.5


def read(folder):
    """The results of the benchmark, the newest first: name of the file, and what is in it."""
    return [(file.name, json.loads(file.read_text())) for file in sorted(folder.glob("[0-9]*.json"), reverse=True)]


def constants(results, given):
    """All of them, by name: assumed, then measured (the newest file that has the figure), then `given` (name=value)."""
    found = {name: Constant(one.title, one.unit, one.value, one.source) for name, one in ASSUMED.items()}
    for name, keys in MEASURED.items():
        measured = newest(results, keys)
        if measured:
            value, key, file = measured
            found[name].value, found[name].source = value, f"measured: `{key}`, {file}"
    registrations(found, results)
    derive(found, results)
    for word in given:
        name, _, value = word.partition("=")
        if name not in found:
            raise SystemExit(f"no such constant: {name}; there are {', '.join(found)}")
        try:
            found[name].value, found[name].source = float(value), "given"
        except ValueError:
            raise SystemExit(f"{word}: a constant is a number") from None
    return found


def newest(results, keys):
    """The median of a figure of Offhook, its key and its file, from the newest file that has it."""
    for file, result in results:
        figures = result["figures"].get("Offhook", {})
        for key in keys:
            if figures.get(key):
                return statistics.median(figures[key]), key, file
    return None


def registrations(found, results):
    """What a challenge adds is the difference of two figures, so both have to be of one run."""
    reg, proven = (newest(results, MEASURED[name]) for name in ("reg", "regauth"))
    if not proven:
        found["regauth"].value, found["regauth"].source = 2 * found["reg"].value, "derived: twice the REGISTER"
    elif not reg or reg[2] != proven[2]:
        found["reg"].value, found["reg"].source = found["regauth"].value / 2, "derived: half of it with a challenge"


def derive(found, results):
    """What the rows `threads` and `max` tell, if they were measured."""
    one, two = newest(results, ("threads_1",)), newest(results, ("threads_2",))
    if one and two and one[2] == two[2]:
        more = (two[0] - one[0]) / (COME_IN * MISPLACED_OF_TWO)
        if more > 0.1:
            found["handover"].value = more
            found["handover"].source = f"derived: `threads`, {two[2]}"
    call = newest(results, MEASURED["call"])
    for file, result in results:
        if call and file < call[2]:
            return
        busy = [step for round_ in result["rounds"] if round_["exchange"] == "Offhook" and round_.get("max")
                for step in round_.get("max_steps", []) if not step["bad"] and step["rate"] <= round_["max"]]
        if busy:
            # A thread that is busy wakes up less often for a call; the headroom leaves it so busy. Steps in which a call
            # failed took longer than the calls that they offered.
            wanted = 0.7 * max(step["rate"] for step in busy)
            near = min(abs(step["rate"] - wanted) for step in busy)
            cost = [1e6 * step["exchange"] / step["rate"] for step in busy if abs(step["rate"] - wanted) <= near]
            found["call"].value = statistics.median(cost)
            found["call"].source = f"measured: `max` at seven tenths, {file}"
            return
