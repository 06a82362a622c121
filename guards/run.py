#!/usr/bin/env python3
"""Counts the instructions of hot paths and compares them with limits:  guards/run.py [-k PATTERN] [--write] [--top PATH]

Counts, not times: they do not depend on what else the machine does. Each path is performed many times by the example
`hot_paths` of `crates/sim` under callgrind, which counts only inside its function `measured`."""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parent / "target").absolute()
LIMITS = HERE / "limits.toml"
# More than this above its limit, a path has become worse; as much below, the limit should follow it down.
MARGIN = 0.10


def main():
    arguments = parse()
    program = TARGET / "debug" / "examples" / "hot_paths"
    if platform.machine() != "x86_64":
        print(f"guards: skipped, the limits are for x86_64 and this is {platform.machine()}")
        return 0
    if not shutil.which("valgrind"):
        print("guards: valgrind is not there: scripts/install.sh test", file=sys.stderr)
        return 2
    if arguments.top:
        return show(program, arguments.top)
    limits = tomllib.loads(LIMITS.read_text())
    names = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    wanted = [name for name in names if arguments.k in name]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(wanted, pool.map(lambda name: count(program, name), wanted)))
    if arguments.write:
        write({**limits["paths"], **counts} if arguments.k else counts)
        print(f"written to {LIMITS}")
        return 0
    return verdict(counts, limits, names)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("-k", metavar="PATTERN", default="", help="only paths whose name holds this text")
    parser.add_argument("--write", action="store_true", help="make what is counted now the limits")
    parser.add_argument("--top", metavar="PATH", help="where the instructions of this path are")
    return parser.parse_args()


def count(program, name):
    """Instructions for one performance of a path."""
    with tempfile.TemporaryDirectory() as folder:
        performed, total = callgrind(program, name, Path(folder) / "out")
    return round(total / performed)


def callgrind(program, name, out):
    """How often the path was performed, and the instructions of all of them."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=*measured*",
               program, name]
    ran = subprocess.run(command, capture_output=True, text=True)
    collected = re.search(r"Collected : (\d+)", ran.stderr)
    if ran.returncode or not collected or not int(collected[1]):
        sys.exit(f"guards: {name} did not work:\n{ran.stderr[-2000:]}")
    return int(ran.stdout), int(collected[1])


def verdict(counts, limits, names):
    """Prints a line for each path; 1 if one is above its limit or has none. Another compiler than that of the limits
    makes other code: then a count above its limit is told, but nobody's fault."""
    bad, known = False, limits["compiler"] == compiler()
    print(f"{'instructions of':22}{'now':>10}{'limit':>10}")
    for name, now in counts.items():
        limit = limits["paths"].get(name)
        if limit is None:
            word, bad = "has no limit: guards/run.py --write", True
        elif now > limit * (1 + MARGIN):
            word, bad = f"worse by {now / limit - 1:.0%}: guards/run.py --top {name}", bad or known
        elif now < limit * (1 - MARGIN):
            word = f"better by {1 - now / limit:.0%}: lower the limit with guards/run.py --write"
        else:
            word = ""
        print(f"{name:22}{now:10}{limit or '–':>10}  {word}".rstrip())
    for name in limits["paths"].keys() - set(names):
        print(f"{name} has a limit, but there is no such path")
        bad = True
    if not known:
        print(f"The limits are those of {limits['compiler']}, this is {compiler()}: what is worse is only told.")
    return 1 if bad else 0


def write(counts):
    """Makes these the limits."""
    lines = ["# Instructions for one performance of each hot path, in the dev profile (guards/README.md).",
             f'compiler = "{compiler()}"', "", "[paths]", *(f"{name} = {number}" for name, number in counts.items())]
    LIMITS.write_text("\n".join(lines) + "\n")


def compiler():
    """Its version, without the date."""
    return " ".join(subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split()[:2])


def show(program, name):
    """The functions that a path spends its instructions in."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        callgrind(program, name, out)
        return subprocess.run(["callgrind_annotate", "--threshold=80", "--auto=no", out]).returncode


if __name__ == "__main__":
    sys.exit(main())
