"""The table of a run, as a page and as data."""

import json
import platform
import statistics
import subprocess
from dataclasses import dataclass

from .load import COMMANDS
from .peers import versions
from .process import read


@dataclass
class Line:
    """A line of the table. `bar` and `goal` are for the ratio to the peer, or for the figure itself if `own`."""

    key: str
    title: str
    unit: str
    bar: float | None = None
    goal: float | None = None
    own: bool = False
    more_is_better: bool = False
    peer: str = "Kamailio"


TABLE = [
    Line("reg", "REGISTER, 100,000 accounts, 8,000/s", "µs", 0.5, 0.2),
    Line("reg_later", "… and later, to write it down", "µs"),
    Line("regauth", "REGISTER with challenge (MD5), 2,000/s", "µs", 0.5, 0.25),
    Line("call", "Call forwarded, 1,000/s", "µs", 0.4, 0.15),
    Line("max", "Highest call rate", "/s", 1.5, 3, more_is_better=True),
    Line("bridged_call", "Cost of a bridged call against our own forwarded one, 1,000/s", "×", 2, 1.5, own=True),
    Line("bridged_max", "Highest rate of bridged calls against our own of forwarded ones", "×", 0.5, 0.6, own=True,
         more_is_better=True),
    Line("bridged_bytes", "Memory of a bridged call, 5,000 held, without media", "B", 20_000, 10_000, own=True),
    Line("rtp100", "RTP relayed, 100 calls, per packet", "µs", 0.5, 0.3),
    Line("rtp400", "RTP relayed, 400 calls, per packet", "µs", 0.5, 0.3),
    Line("rtp100", "… against a bare receive and send, 200 sockets", "µs", 1.3, 1.0, peer="Floor"),
    Line("rtp400", "… against a bare receive and send, 800 sockets", "µs", 1.3, 1.0, peer="Floor"),
    Line("sdes", "SRTP (SDES) to RTP and back, 100 calls, per packet", "µs", 0.5, 0.3),
    Line("dtls", "SRTP (DTLS) to RTP and back, 100 calls, per packet", "µs", 0.5, 0.3),
    Line("opus", "Opus to PCMU and back, 50 calls, per packet", "µs", 1, 0.5),
    Line("opus", "… against what the codecs alone take", "µs", 1.3, 1.1, peer="Codecs"),
    Line("conference", "A speaker among 100 in a conference, in a second", "ms", own=True),
    Line("binding_bytes", "Memory of a binding", "B", 600, 300, own=True),
    Line("held_bytes", "Memory of a held call, 5,000 held", "B", 3000, 1000, own=True),
    Line("rtp400_bytes", "Memory of a relayed call, 400 held", "B", 12000, 4000, own=True),
    Line("half_180_p99", "INVITE to 180, p99, at half the own highest rate", "ms", 1, 0.5),
    Line("sustained", "Highest call rate carried for 12 s", "/s", 1.5, 3, more_is_better=True),
    Line("over2", "In time at 2 × the highest rate, share of it", "", 0.8, 0.95, own=True, more_is_better=True),
    Line("over3", "In time at 3 × the highest rate, share of it", "", 0.8, 0.95, own=True, more_is_better=True),
    Line("over2_recovered", "Recovered after 2 ×", "s", 3, 1, own=True),
    Line("over3_recovered", "Recovered after 3 ×", "s", 3, 1, own=True),
    Line("start", "Start to first answer", "ms", 300, 50, own=True),
    Line("idle_mb", "Memory when idle", "MiB", 40, 15, own=True),
    Line("idle_wakeups", "Context switches a second when idle", "", 20, 5, own=True),
    Line("tcp_connect", "2,000 idle and 100 half-sent connections made", "ms", 1000, 500, own=True),
    Line("tcp_served", "… and a new one answered", "ms", 10, 5, own=True),
    Line("tcp_bytes", "… memory of each", "B", 8192, 4096, own=True),
    Line("parse", "Parse an INVITE with SDP, read six headers", "µs", 1.5, 0.5, own=True),
    Line("forward", "Parse it, forward it: edit and print", "µs", 2, 0.8, own=True),
    Line("dirty_cost", "Cost of a good call beside 10 % of bad input", "×", 1.2, 1.05, own=True),
    Line("dirty_failed", "… good calls lost, of 4,000", "", 0, 0, own=True),
    Line("growth_reg", "Cost of a registration, most bindings against 1,000", "×", 1.2, 1.1, own=True),
    Line("growth_call", "Cost of a call, most bindings against 1,000", "×", 1.2, 1.1, own=True),
    Line("held_growth_call", "Cost of a call, 20,000 held against 100", "×", 1.2, 1.1, own=True),
    Line("held_20000_bytes", "Memory of a held call, 20,000 held", "B", 3000, 1000, own=True),
    Line("threads", "Cost of a call, two signal threads against one", "×", 1.1, 1.0, own=True),
]


def page(figures, date, failures, seconds):
    """The whole page. `figures`: name of the exchange, then key, then a value for each round; `seconds`: what each row took."""
    out = [f"# Offhook beside Kamailio and rtpengine, {date}", "",
           "Medians of the rounds, in brackets the smallest and the largest. Processor time is that of the whole process "
           "tree; memory is PSS.", "",
           *table(figures), ""]
    troubles = [f"- {trouble}" for trouble in failures + bad_shares(figures)]
    if troubles:
        out += ["What did not go as it should:", "", *troubles, ""]
    took = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
    out += machine() + ["", f"Seconds: {sum(seconds.values()):.0f} for all rows ({took}).", "", "The loads, as last run:", "", "```", *COMMANDS.values(), "```"]
    return "\n".join(out) + "\n"


def table(figures):
    """The lines of what was measured, with a head."""
    return ["| | Kamailio, with rtpengine for RTP | Offhook | ratio | bar | goal | |", "|---|--:|--:|--:|--:|--:|---|",
            *(row for line in TABLE if (row := table_row(line, figures)))]


def table_row(line, figures):
    """A line, or nothing if it was not measured."""
    theirs, ours = (figures.get(name, {}).get(line.key) for name in (line.peer, "Offhook"))
    if not ours and (not theirs or line.peer != "Kamailio"):
        return None
    ratio = statistics.median(ours) / statistics.median(theirs) if ours and theirs and statistics.median(theirs) else None
    compared = (statistics.median(ours) if line.own else ratio) if ours else None
    sign, verdict = ("≥" if line.more_is_better else "≤"), ""
    if compared is not None and line.bar is not None:
        holds = (lambda limit: compared >= limit) if line.more_is_better else (lambda limit: compared <= limit)
        verdict = "goal" if holds(line.goal) else "bar" if holds(line.bar) else "**below the bar**"
    of = f" {line.unit}".rstrip() if line.own else " ×"
    limits = ["–" if limit is None else f"{sign} {limit:g}{of}" for limit in (line.bar, line.goal)]
    cells = [line.title, figure(theirs, line.unit), figure(ours, line.unit), f"{ratio:.2f}" if ratio else "–", *limits,
             verdict]
    return f"| {' | '.join(cells)} |"


def parsed(page):
    """The median of our crate in two tables of the parse benchmark, in µs; nothing if it was not measured today."""
    found, key = {}, None
    headings = {"## Parse, and typed": "parse", "## Parse, and forward": "forward"}
    for line in page.read_text().splitlines() if page.exists() else []:
        if line.startswith("## "):
            key = next((key for heading, key in headings.items() if line.startswith(heading)), None)
        elif key and line.startswith("| offhook-sip"):
            found[key] = [float(line.split("|")[2]) / 1000]
    return found


def figure(values, unit):
    """Median and spread."""
    if not values:
        return "–"
    middle = f"{short(statistics.median(values))} {unit}".rstrip()
    return middle if len(values) == 1 else f"{middle} ({short(min(values))}–{short(max(values))})"


def short(value):
    """Three digits are all that can be believed."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def bad_shares(figures):
    """A cost is worth nothing if the work was not done: say so."""
    return [f"{name}: {key} is {max(values):.2%} in the worst round" for name, found in figures.items()
            for key, values in found.items() if key.endswith(("_bad", "_loss")) and max(values) > 0.001]


def machine():
    """Where and what."""
    model = next((line.partition(":")[2].strip() for line in read("/proc/cpuinfo").splitlines()
                  if line.startswith("model name")), "?")
    cores = read("/proc/cpuinfo").count("processor\t")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    peers = ", ".join(f"{name} {version}" for name, version in versions().items())
    return [f"Machine: {cores} × {model}, Linux {platform.release()}, load averages at the end "
            f"{' '.join(read('/proc/loadavg').split()[:3])}.", "", f"Versions: Offhook {commit}, {peers}."]


def data(figures, date, failures, rounds):
    """The same for programs."""
    return json.dumps({"date": date, "figures": figures, "failures": failures, "rounds": rounds, "commands": COMMANDS,
                       "machine": [line for line in machine() if line]}, indent=1, ensure_ascii=False)
