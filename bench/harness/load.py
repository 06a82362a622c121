"""Runs `offhook load` against an exchange and looks at the exchange when the load says so."""

import itertools
import json
import subprocess
import time
from dataclasses import dataclass, field

from .peers import DOMAIN, PASSWORD
from .process import Failed, cpu, machine_busy, tree


@dataclass
class Look:
    """The exchange at a moment."""

    at: float
    cpu: float
    load_cpu: float
    busy: float
    pss: int = 0
    told: dict = field(default_factory=dict)


@dataclass
class Run:
    """A load that ended."""

    result: dict
    looks: dict

    def cpu(self, begin="start", end="end"):
        """Processor seconds of the exchange between two marks."""
        return self.looks[end].cpu - self.looks[begin].cpu

    def cores(self, begin="start", end="end"):
        """Processors in use between two marks: of the exchange, of the load, of everybody else."""
        one, two = self.looks[begin], self.looks[end]
        seconds = max(two.at - one.at, 1e-6)
        ours, load = two.cpu - one.cpu, two.load_cpu - one.load_cpu
        others = max(two.busy - one.busy - ours - load, 0)
        return {"exchange": round(ours / seconds, 3), "load": round(load / seconds, 3),
                "others": round(others / seconds, 3)}

    @property
    def bad_share(self):
        """Failures and retransmissions for each unit."""
        got = self.result
        bad = got["failed"] + got["retransmitted"] + got["answers_retransmitted"] + got["skipped"]
        return bad / max(got["started"], 1)


# At these the memory is read too, which takes longer.
WEIGHED = {"start", "all_up", "watch", "end"}
# Every process of a run of the benchmark has ports of its own, so the last command is kept for the report.
COMMANDS = {}
# Numbers the loads of calls.
LOADS = itertools.count()


def load(exchange, flags, what, binary, until=None, weigh=True):
    """Runs a load; `until`: the mark at which it is cut off, since the rest would be waiting."""
    command = [str(binary), "load", *map(str, flags), "--server", f"127.0.0.1:{exchange.port}", "--marks", "--json",
               "--max-failures", "100%"]
    COMMANDS[what] = " ".join(command).replace(str(binary), "offhook")
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, start_new_session=True)
    looks, noise = {}, []
    try:
        for line in child.stderr:
            if not line.startswith('{"') or '"mark"' not in line:
                noise.append(line)
                continue
            told = json.loads(line)
            mark = told["mark"]
            looks[mark] = look(exchange, child.pid, told, weigh and mark in WEIGHED)
            if mark == until:
                child.kill()
                break
        text = child.stdout.read()
        child.wait(30)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    exchange.check()
    if until:
        return Run(told, looks)
    if not text.strip():
        raise Failed(f"load {what}: {''.join(noise)[-400:]}")
    result = json.loads(text)
    if "started" not in result:
        raise Failed(f"load {what}: {result.get('reason')}")
    return Run(result, looks)


def look(exchange, load_pid, told, weigh):
    """Reads the clocks first and the memory after them, for that takes time."""
    pids = exchange.pids
    seen = Look(time.monotonic(), cpu(pids), cpu(tree(load_pid)), machine_busy()[0], told=told)
    if weigh:
        seen.pss = exchange.pss()
    return seen


def registrations(count, rate, users=None, user="u", digest=False):
    """Flags of a load of registrations. Kamailio knows MD5 only: the same for both."""
    flags = [f"sip:{DOMAIN}", "--account", f"sip:{user}@{DOMAIN}", "--users", users or count, "--registrations", count,
             "--rate", f"{rate}/s"]
    return flags + (["--password", PASSWORD, "--digest", "md5"] if digest else [])


def calls(count, rate, *more, callees=100):
    """Flags of a load of calls. Each load has callees of its own: to an account that registered in an earlier one, a call
    would be forked to the contact of then, where nobody is."""
    return [f"sip:b{next(LOADS)}x@{DOMAIN}", "--callees", callees, "--account", f"sip:u@{DOMAIN}", "--users", 1000, "--calls", count,
            "--rate", f"{rate}/s", *more]
