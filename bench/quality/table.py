"""The tables of a run."""

import json
import statistics

from .codecs import NAMES
from .network import CONDITIONS
from .phones import PHONES

# The best that any phone had reached when the goal was set, with another speech, by condition; and how much better than that is
# wanted.
BEST = {
    "pcmu": (4.15, 3.89, 3.57, 2.93, 2.63, 1.92, 3.05, 4.15, 4.02),
    "opus": (4.21, 3.85, 3.77, 3.71, 3.18, 2.46, 2.89, 3.88, 3.52),
    "g722": (3.51, 2.95, 2.58, 1.90, 1.47, 1.19),
}
BETTER = 0.2
# Milliseconds from mouth to ear on a clean network.
SOONEST = 55


def page(lines, troubles):
    """Both tables and what went wrong, as Markdown."""
    conditions = [name for name in CONDITIONS if any(line["condition"] == name for line in lines)]
    calls = len(lines) // 2
    out = ["## Voice quality", "",
           "PESQ (P.862 for PCMU, P.862.2 for Opus and G.722: two scales) of made-up speech in English and Mandarin, both "
           f"ways, each phone with another of its kind over the same losses; medians over {calls} calls in all. The goal is the "
           f"best that any phone had reached when it was set, with another speech, and {BETTER}. The package of pjsua2 has no "
           "Opus.", "",
           *table(lines, conditions, "pesq", 2, goals), "",
           f"From mouth to ear, in ms. The goal on a clean network is at most {SOONEST}.", "",
           *table(lines, conditions, "delay_ms", 0, lambda *_: None), ""]
    if troubles:
        out += ["Calls that were made again or left out:", "", *(f"- {trouble}" for trouble in troubles), ""]
    return "\n".join(out)


def data(lines, date):
    """The same for programs: all values, a line for each direction of a call."""
    rows = ",\n".join(f" {json.dumps(line)}" for line in lines)
    return f'{{"date": "{date}", "directions": [\n{rows}\n]}}\n'


def goals(codec, conditions):
    """The line of what is wanted."""
    best = dict(zip(CONDITIONS, BEST[codec], strict=False))
    return [f"{best[name] + BETTER:.2f}" if name in best else "–" for name in conditions]


def table(lines, conditions, key, digits, wanted):
    """A line for each codec and phone."""
    out = ["| codec | phone | " + " | ".join(CONDITIONS[name].title for name in conditions) + " |",
           "|---|---|" + "--:|" * len(conditions)]
    for codec in NAMES:
        shown = False
        for phone in PHONES:
            cells = [middle(lines, key, codec, phone, name) for name in conditions]
            if any(cell is not None for cell in cells):
                texts = ["–" if cell is None else f"{cell:.{digits}f}" for cell in cells]
                out.append(f"| {NAMES[codec]} | {phone} | " + " | ".join(texts) + " |")
                shown = True
        if shown and (goal := wanted(codec, conditions)):
            out.append(f"| {NAMES[codec]} | *goal* | " + " | ".join(goal) + " |")
    return out


def middle(lines, key, codec, phone, condition):
    """The median over calls, directions and passages."""
    values = [value for line in lines
              if (line["codec"], line["phone"], line["condition"]) == (codec, phone, condition) for value in line[key]]
    return statistics.median(values) if values else None
