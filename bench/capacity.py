#!/usr/bin/env python3
"""What a machine carries, and several, by the figures of the newest benchmark:  bench/capacity.py [--set name=value]

Prints tables in Markdown; docs/guide/capacity.md explains them and has them at its end (--into replaces them there).
"""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from model import threads
from model.constants import constants, newest, read
from model.machine import GIB, MICRO, SCENARIOS, Model, even_shards

CORES = (1, 2, 8, 64)
# Machines, and processors of each.
CLUSTERS = ((4, 64), (16, 64))
SHARDS = (1, 2, 4, 8, 16, 32, 64, 128)
LOADS = (0.5, 0.7, 0.8, 0.9)
# Shards whose queues are simulated, and calls for each of them.
QUEUES, CALLS = (1, 4, 32), 12_000
# For what is only assumed: what the tables would be with these.
DOUBTS = {"handover": (3, 20), "delta": (0.3, 3), "binding_bytes": (500, 3000), "challenged": (0,)}
# The widest difference between simulation and formula.
TOLERANCE = 0.05

# What is after it in a page, --into replaces.
MARK = "<!-- bench/capacity.py -->"


def main():
    """Reads the flags, computes, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", default=Path(__file__).parent / "results", type=Path, help="where the measurements are")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a constant; the table names them")
    parser.add_argument("--cores", type=int, action="append", help="a machine with so many processors; may be repeated")
    parser.add_argument("--json", action="store_true", help="the same for programs")
    parser.add_argument("--into", type=Path, metavar="FILE", help="put the tables after the mark in this file")
    parser.add_argument("--check", action="store_true", help="compare the queues with formulas; status 1 if they differ")
    options = parser.parse_args()
    if options.check:
        sys.exit(check())
    results = read(options.results)
    known = constants(results, options.set)
    model = Model(known)
    found = {"carried": carried(model, options.cores or CORES), "shards": by_shards(model), "delays": delays(model),
             "doubts": doubts(known), "even_shards": even_shards(model), "beside": beside(known, results)}
    if options.json:
        print(json.dumps({"constants": {name: asdict(one) for name, one in known.items()}, **found}, indent=1,
                         ensure_ascii=False))
        return
    page = "\n".join([*constants_table(known), *carried_tables(found), *shards_table(model, found), *delays_table(found),
                      *doubts_table(found), *beside_table(found)])
    if not options.into:
        print(page)
        return
    before, mark, _ = options.into.read_text().partition(MARK)
    if not mark:
        sys.exit(f"{options.into} has no line {MARK}")
    options.into.write_text(f"{before}{MARK}\n\n{page}\n")


def carried(model, cores):
    """For each scenario, what each machine and each cluster carries."""
    found = {}
    for scenario in SCENARIOS:
        rows = found[scenario.title] = {}
        for count in cores:
            rows[f"{count} core{'s' if count > 1 else ''}"] = asdict(model.machine(scenario, count))
        for machines, count in CLUSTERS:
            for across in (False, True):
                name = f"{machines} × {count}, calls {'across' if across else 'within'}"
                rows[name] = asdict(model.cluster(scenario, machines, count, across))
    return found


def by_shards(model):
    """How calls and registrations grow with shards, each alone, and what the copies of the directory cost."""
    of, found = model.of, {}
    for shards in SHARDS:
        registration, call = model.registration(shards), model.call(shards)
        found[shards] = {
            "calls": shards * of["load"] / (MICRO * call), "handed": 1 - model.call(1) / call,
            "registrations": shards * of["load"] / (MICRO * registration),
            "told": (shards - 1) * of["delta"] / registration,
            "million": 1e6 * shards * (of["binding_bytes"] + of["account_bytes"]),
        }
    return found


def delays(model):
    """What the queues add between INVITE and 180, at some loads, with registrations renewed each hour."""
    return [delay(model, shards, load) for shards in QUEUES for load in LOADS]


def delay(model, shards, load):
    """The same for so many shards and this load."""
    of = model.of
    calls, registrations, _ = model.rates(1, SCENARIOS[0])
    cost = {"call": MICRO * of["call"], "challenge": MICRO * model.challenge(), "ack": MICRO * model.ack(),
            "register": MICRO * of["regauth"] / 2, "ring": of["ring"], "talk": of["talk"]}
    user = MICRO * (calls * model.call(shards) + registrations * model.registration(shards))
    rate = load * shards / user * calls
    messages, count = threads.traffic(CALLS / rate, rate, rate * registrations / calls, shards, cost, seed=shards)
    used = threads.run(messages, shards, MICRO * of["handover"], MICRO * of["delta"])
    added = threads.set_up_delays(messages, count)
    return {"shards": shards, "load": load, "used": used, "calls": rate,
            **{f"p{part}": 1000 * threads.share_of(added, part / 100) for part in (50, 99)}}


def doubts(known):
    """Users of 64 cores if an assumed figure were another."""
    cases = {"as above": {}}
    cases |= {f"{name} = {value:g}": {name: value} for name, values in DOUBTS.items() for value in values}
    found = {}
    for title, changed in cases.items():
        model = Model({name: replace(one, value=changed.get(name, one.value)) for name, one in known.items()})
        found[title] = [model.machine(scenario, 64).users for scenario in SCENARIOS]
    return found


def beside(known, results):
    """What was measured of the whole, and what the model says of that: one shard, no challenge."""
    model, found = Model(known | {"challenged": replace(known["challenged"], value=0)}), []
    for keys, unit in ((("sustained", "max"), "calls/s"), (("half_180_p99",), "ms, p99 of INVITE to 180 at half of that")):
        measured = newest(results, keys)
        if measured:
            says = 1 / (MICRO * model.call(1)) if unit == "calls/s" else delay(model, 1, 0.5)["p99"]
            found.append({"unit": unit, "measured": measured[0], "from": f"`{measured[1]}`, {measured[2]}", "model": says})
    return found


def check():
    """Waiting times of one thread without batches against M/M/1 and M/D/1; 1 if one of them is wrong."""
    wrong = 0
    print("| queue | load | simulated | formula | difference |\n|---|--:|--:|--:|--:|")
    for load in (0.5, 0.7, 0.8):
        for name, exponential in (("M/M/1", True), ("M/D/1", False)):
            exact = load / (1 - load) / (1 if exponential else 2)
            simulated = threads.mean_wait(load, exponential)
            off = simulated / exact - 1
            wrong += abs(off) > TOLERANCE
            print(f"| {name} | {load:.0%} | {simulated:.3f} | {exact:.3f} | {off:+.1%} |")
    print("\nWaiting times are in mean service times. " + ("They differ too much." if wrong else "They agree."))
    return 1 if wrong else 0


def constants_table(known):
    """What went in."""
    out = ["### A. What goes in", "", "| name | | value | from |", "|---|---|--:|---|"]
    return out + [f"| `{name}` | {one.title} | {number(one.value)} {one.unit} | {one.source} |".replace("  ", " ")
                  for name, one in known.items()]


def carried_tables(found):
    """A table for each scenario."""
    out = []
    for letter, (title, rows) in zip("BCDEF", found["carried"].items(), strict=True):
        out += ["", f"### {letter}. {title}", "",
                "| | threads | users | limit | calls/s | held | registr./s | RTP/s | Mbit/s | memory | sockets |",
                "|---|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|"]
        for name, row in rows.items():
            of_threads = f"{row['shards']} + {row['media']}" if row["media"] else str(row["shards"])
            cells = [name, of_threads, short(row["users"]), row["limit"],
                     *(short(row[key]) for key in ("calls", "held", "registrations", "packets", "megabits")),
                     size(row["memory"]), short(row["sockets"])]
            out.append(f"| {' | '.join(cells)} |")
    return out


def shards_table(model, found):
    """How it grows with shards."""
    out = ["", "### G. Signal threads, either with calls alone or with registrations alone", "",
           "| shards | calls/s | of it handing over | registrations/s | of it telling others | directory of 1 M users |",
           "|--:|--:|--:|--:|--:|--:|"]
    for shards, row in found["shards"].items():
        out.append(f"| {shards} | {short(row['calls'])} | {row['handed']:.0%} | {short(row['registrations'])} "
                   f"| {row['told']:.0%} | {size(row['million'])} |")
    even, most, one_peer = found["even_shards"], model.most_registrations(), model.most_of_one_peer()
    if even:
        out += ["", f"Telling the other shards costs as much as the registration itself at {short(even)} shards; no number of",
                f"shards registers more than {short(most)} a second."]
    return out + ["", "All datagrams of one peer, such as a trunk or a load balancer with one address and port, come to one",
                  f"thread, which hands on at most {short(one_peer)} of them a second."]


def delays_table(found):
    """What the queues add."""
    out = ["", "### H. What the exchange adds between INVITE and 180, the challenge included", "",
           "| shards | load | calls/s | p50 | p99 |", "|--:|--:|--:|--:|--:|"]
    return out + [f"| {row['shards']} | {row['load']:.0%} | {short(row['calls'])} | {row['p50']:.2f} ms | {row['p99']:.2f} ms |"
                  for row in found["delays"]]


def doubts_table(found):
    """What the assumed figures weigh."""
    out = ["", "### I. Users of 64 cores, if what is assumed were otherwise", "",
           "| | B | C | D | E | F |", "|---|--:|--:|--:|--:|--:|"]
    return out + [f"| {title} | {' | '.join(map(short, users))} |" for title, users in found["doubts"].items()]


def beside_table(found):
    """Whether to believe it."""
    if not found["beside"]:
        return []
    return ["", "### J. Beside what was measured: one shard, all of its thread, no challenge", "",
            "| | measured | model | from |", "|---|--:|--:|---|",
            *(f"| {row['unit']} | {short(row['measured'])} | {short(row['model'])} | {row['from']} |" for row in found["beside"])]


def number(value):
    """A constant."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def size(octets):
    """Memory."""
    return f"{number(octets / GIB)} GiB" if octets >= GIB else f"{number(octets / 2**20)} MiB"


def short(value):
    """Two digits are more than a model knows; the third is there so that lines can be compared."""
    if value == 0:
        return "–"
    for limit, unit in ((1e6, " M"), (1e3, " k")):
        if value >= limit * 0.9995:
            return f"{number(value / limit)}{unit}"
    return number(value)


if __name__ == "__main__":
    main()
