#!/usr/bin/env python3
"""Measures Offhook beside Kamailio and rtpengine on this machine:  bench/run.py --offhook FILE [--only reg,call]

Each row runs Kamailio and Offhook in turn, A B A B …; the figures are medians of the rounds. The row `quality` is about phones.
"""

import argparse
import datetime
import json
import signal
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import report
from harness.curve import pictures
from harness.growth import codecs, floor
from harness.peers import Kamailio, Offhook
from harness.process import Failed
from harness.rows import FOUND, ROWS, overload
from quality import measure, table

EXCHANGES = (Kamailio, Offhook)
# How phones sound: in a whole run a short form of it, all of it when it is chosen.
QUALITY = "quality"
LAST_OF_MAIN = "memory"


class Bench:
    """What has been measured so far."""

    def __init__(self, options, folder):
        self.options, self.folder = options, Path(folder)
        self.figures = {kind.name: {} for kind in EXCHANGES}
        self.failures, self.rounds, self.seconds = [], [], {}
        self.voices, self.voice_troubles = [], []
        today = datetime.date.today().isoformat()
        results = Path(options.results)
        self.figures["Offhook"].update(report.parsed(results / f"parse-{today}.md"))
        for file in sorted(results.glob("[0-9]*.json"), reverse=True):
            for name, figures in json.loads(file.read_text())["figures"].items():
                if figures.get("max"):
                    FOUND.setdefault(name, int(statistics.median(figures["max"]) / 1.25))

    def one(self, name, kind, row, *more):
        """Runs a row once; a failure costs this figure and no other."""
        try:
            found = row(kind, self.folder / kind.name, self.options.offhook, *more)
        except (Failed, OSError, KeyError, TypeError) as error:
            words = " ".join(str(error).split())
            self.failures.append(f"{name}, {kind.name}: {type(error).__name__} {words}"[:300])
            print(f"  failed: {self.failures[-1]}", flush=True)
            return
        self.rounds.append({"row": name, "exchange": kind.name, **found})
        for key, value in found.items():
            if isinstance(value, (int, float)):
                self.figures[kind.name].setdefault(key, []).append(value)
        told = {key: value for key, value in found.items() if isinstance(value, (int, float))}
        print(f"  {kind.name}: " + ", ".join(f"{key} {report.short(value)}" for key, value in told.items()), flush=True)

    def row(self, name):
        """All rounds of a row."""
        row, begun = ROWS[name], time.monotonic()
        for number in range(min(row.rounds or self.options.rounds, self.options.rounds)):
            print(f"{name}, round {number + 1}", flush=True)
            with ThreadPoolExecutor(len(EXCHANGES) if row.together else 1) as pool:
                kinds = (Offhook,) if row.ours_alone else EXCHANGES
                list(pool.map(lambda kind: self.one(name, kind, row.run), kinds))
            if name.startswith("rtp"):
                self.alone("Floor", name, lambda: floor(self.options.offhook, int(name.removeprefix("rtp"))))
            if name == "opus":
                self.alone("Codecs", name, lambda: codecs(self.options.offhook))
        if name == "max":
            self.overload()
        self.seconds[name] = time.monotonic() - begun
        print(f"  {self.seconds[name]:.0f} s", flush=True)

    def alone(self, who, name, measure):
        """What the least takes that could be done, in the same round as the relay that is compared with it."""
        try:
            found = measure()
        except (Failed, OSError, ValueError) as error:
            self.failures.append(f"{who}: {error}")
            return
        self.figures.setdefault(who, {}).setdefault(name, []).append(found)
        print(f"  {who}: {found:.3g}", flush=True)

    def overload(self):
        """Needs to know the highest rates, so it comes after them, once."""
        print("overload", flush=True)
        for kind in EXCHANGES:
            best = self.figures[kind.name].get("max")
            if best:
                self.one("overload", kind, overload, int(statistics.median(best)))

    def quality(self, whole):
        """How phones sound over a bad network; a round is a seed of it."""
        print(QUALITY, flush=True)
        begun, seeds = time.monotonic(), self.options.rounds if whole else None
        try:
            self.voices, self.voice_troubles = measure.measured(self.options.offhook, self.folder / QUALITY, seeds)
        except (Failed, OSError, ValueError) as error:
            self.failures.append(f"{QUALITY}: {type(error).__name__} {error}"[:300])
            print(f"  failed: {self.failures[-1]}", flush=True)
        self.seconds[QUALITY] = time.monotonic() - begun

    def half(self):
        """Prints what there is: the main lines of a whole run, of which the rest takes as long again."""
        print("\n" + "\n".join(report.table(self.figures)) + "\n", flush=True)

    def write(self):
        """The pages and the data, into the folder of results."""
        now = datetime.datetime.now().strftime("%Y-%m-%d-%H%M")
        folder = Path(self.options.results)
        folder.mkdir(parents=True, exist_ok=True)
        if list(self.seconds) == [QUALITY]:
            self.write_quality(folder, now)
            return
        page = report.page(self.figures, now, self.failures, self.seconds)
        if self.voices:
            page += "\n" + table.page(self.voices, self.voice_troubles)
        (folder / f"{now}.md").write_text(page)
        (folder / f"{now}.json").write_text(report.data(self.figures, now, self.failures, self.rounds) + "\n")
        for name, picture in pictures(self.rounds).items():
            (folder / f"{now}-{name}.svg").write_text(picture)
        print(f"\n{page}\nwritten to {folder}/{now}.md")

    def write_quality(self, folder, now):
        """A page of its own, when nothing else was measured."""
        page = "\n".join([f"# Voice quality beside pjsua2 and baresip, {now}", "",
                          table.page(self.voices, self.failures + self.voice_troubles), *report.machine(), "",
                          f"Seconds: {self.seconds[QUALITY]:.0f}.", ""])
        (folder / f"{QUALITY}-{now}.md").write_text(page)
        (folder / f"{QUALITY}-{now}.json").write_text(table.data(self.voices, now))
        print(f"\n{page}\nwritten to {folder}/{QUALITY}-{now}.md")


def main():
    """Reads the flags and runs the rows."""
    # So that every exchange is ended when we are.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offhook", required=True, type=Path, help="the release build")
    parser.add_argument("--results", default=Path(__file__).parent / "results")
    parser.add_argument("--only", default="", help=f"rows, with commas: {', '.join([*ROWS, QUALITY])}")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.offhook = options.offhook.resolve()
    Offhook.binary = options.offhook
    chosen = [name for name in options.only.split(",") if name]
    names = chosen or [*(name for name, row in ROWS.items() if row.default), QUALITY]
    if unknown := [name for name in names if name not in (*ROWS, QUALITY)]:
        parser.error(f"no such rows: {', '.join(unknown)}; there are {', '.join([*ROWS, QUALITY])}")
    with tempfile.TemporaryDirectory(prefix="offhook-bench-") as folder:
        bench = Bench(options, folder)
        try:
            for name in names:
                if name == QUALITY:
                    bench.quality(whole=bool(chosen))
                else:
                    bench.row(name)
                if name == LAST_OF_MAIN and not chosen:
                    bench.half()
        finally:
            bench.write()


if __name__ == "__main__":
    main()
