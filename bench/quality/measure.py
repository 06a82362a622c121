"""Makes the calls, several at a time, and scores them when they are over."""

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from harness.process import Failed

from .codecs import RATES
from .network import CONDITIONS
from .phones import PHONES, UNABLE

HERE = Path(__file__).parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parents[1] / "target").absolute()
# numpy, pesq, av and pjsua2 (scripts/install.sh bench).
PYTHON = TARGET / "quality" / "bin" / "python"
# So many calls at the same time for a processor: then nobody waits for it yet.
FOR_A_PROCESSOR = 4
# A sender whose packets are further apart than this, in ms, at the 99th percentile had to wait for the processor: its call says
# nothing about the phones, and is made again, so often.
QUIET, AGAIN = 26, 2
# In a whole run of the benchmark, only this; a minute.
SHORT = (("pcmu",), ("clean", "loss5"), 1)


def measured(binary, folder, seeds=None):
    """A line for each direction of each call, and what went wrong. Without a number of seeds, the short form."""
    codecs, conditions, seeds = (tuple(RATES), tuple(CONDITIONS), seeds) if seeds else SHORT
    for file in (PYTHON, "/usr/bin/baresip", "/usr/bin/espeak-ng"):
        if not Path(file).exists():
            raise Failed(f"{file} is not there: scripts/install.sh bench")
    speech, player = folder / "speech", folder / "player.so"
    speech.mkdir(parents=True)
    python("from quality.speech import make; from pathlib import Path; import sys; make(Path(sys.argv[1]))", speech)
    run("cc", "-shared", "-fPIC", "-O2", "-pthread", "-o", player, HERE / "player.c")
    common = {"speech": str(speech), "player": str(player), "offhook": str(binary)}
    plans = [{"phone": phone, "codec": codec, "condition": condition, "seed": seed, **common}
             for seed, condition, codec, phone in product(range(1, seeds + 1), conditions, codecs, PHONES)
             if (phone, codec) not in UNABLE]
    good, troubles, most = [], [], FOR_A_PROCESSOR * os.cpu_count()
    for attempt in range(AGAIN + 1):
        begun = time.monotonic()
        with ThreadPoolExecutor(most) as pool:
            calls = list(pool.map(lambda plan: call(plan, folder, attempt), plans))
        print(f"  {len(plans)} calls, {time.monotonic() - begun:.0f} s", flush=True)
        scores = scored(calls, speech)
        print(f"  scored, {time.monotonic() - begun:.0f} s", flush=True)
        left = []
        for plan, lines in zip(plans, scores, strict=True):
            why = next((line["error"] for line in lines if "error" in line), None)
            if not why and (gap := max(line["gap_ms"] for line in lines)) > QUIET:
                why = f"packets left {gap:.0f} ms apart"
            if why:
                left.append(plan)
                troubles.append(f"{plan['phone']}, {plan['codec']}, {plan['condition']}, seed {plan['seed']}: {why}")
            else:
                good += lines
        if not left:
            break
        plans, most = left, max(1, most // 2)
    return good, troubles


def call(plan, folder, attempt):
    """Makes a call; its folder."""
    place = folder / "-".join(str(plan[key]) for key in ("phone", "codec", "condition", "seed")) / str(attempt)
    place.mkdir(parents=True)
    (place / "plan.json").write_text(json.dumps(plan))
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    words = [*unshare, str(PYTHON), str(HERE / "call.py"), json.dumps({**plan, "folder": str(place)})]
    done = subprocess.run(words, capture_output=True, text=True, cwd=place)
    if done.returncode:
        (place / "failed").write_text(" ".join(done.stderr.split())[-300:] or f"status {done.returncode}")
    return place


def scored(places, speech):
    """The lines of each call."""
    whole = [place for place in places if not (place / "failed").exists()]
    count = os.cpu_count()
    with ThreadPoolExecutor(count) as pool:
        # A process for each processor: to start one takes as long as to score a call.
        lines = [line for part in pool.map(lambda part: score(part, speech), (whole[at::count] for at in range(count)))
                 for line in part]
    found = {place: [] for place in places}
    for line in lines:
        found[Path(line.pop("call"))].append(line)
    for place, its in found.items():
        if not its:
            why = place / "failed"
            its.append({"error": why.read_text() if why.exists() else "not scored"})
    return list(found.values())


def score(places, speech):
    """The lines of some calls."""
    done = subprocess.run([PYTHON, HERE / "score.py", speech, *places], capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"scores: {done.stderr.strip()[-300:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def python(program, *words):
    """Runs a line in the Python that has what scores need."""
    run(PYTHON, "-B", "-c", program, *words, cwd=HERE.parent)


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    if done.returncode:
        raise Failed(f"{words[0]}: {done.stderr.strip()[-400:]}")
