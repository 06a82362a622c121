"""One call, run inside a network namespace of its own: `call.py JSON`. Leaves the packets, what both heard and how the recordings
grew in the call's folder; what went wrong is on stderr and in the exit status."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True

from quality.codecs import RATES  # noqa: E402
from quality.network import ADDRESSES, CONDITIONS, SIDES, Cable, Place  # noqa: E402
from quality.phones import PHONES, PORT, End  # noqa: E402
from quality.speech import END  # noqa: E402

# Seconds of sound, from the first packets of both: the speech, and what a phone may be late.
TALK = END + 1.5
# Seconds by which the cable may be late; more is a machine that has other things to do.
LATE = 0.04


class Growth(threading.Thread):
    """Writes down when the recordings grow, from which the time follows at which a sample was heard. It does not look in step with
    anything that a phone does."""

    def __init__(self, files):
        super().__init__(daemon=True)
        self.files, self.going = files, True
        self.grown = {side: [(0.0, 0)] for side in files}

    def run(self):
        while self.going:
            time.sleep(random.uniform(0.002, 0.006))
            for side, file in self.files.items():
                try:
                    size = os.stat(file).st_size
                except OSError:
                    continue
                if size > self.grown[side][-1][1]:
                    self.grown[side].append((time.time(), size))


def main():
    """Calls, lets both talk, and ends everything that was started."""
    plan = json.loads(sys.argv[1])
    folder = Path(plan["folder"])
    processes, places = [], {}
    heard = {side: folder / f"heard-{side}.wav" for side in SIDES}
    growth, cable = Growth(heard), None
    try:
        for side in SIDES:
            places[side] = Place(side)
        cable = Cable(CONDITIONS[plan["condition"]], plan["seed"])
        cable.start()
        growth.start()
        for side, target in (("b", None), ("a", f"sip:phone@{ADDRESSES['b']}:{PORT}")):
            (folder / side).mkdir()
            speech = Path(plan["speech"]) / f"{side}-{RATES[plan['codec']][0]}.wav"
            one = End(folder / side, ADDRESSES[side], plan["codec"], speech, heard[side], target, plan["offhook"], plan["player"])
            words = places[side].words(*PHONES[plan["phone"]](one))
            with open(folder / f"{side}.log", "wb") as log:
                processes.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder))
            wait(lambda place=places[side]: place.listens(PORT), 10, f"phone {side} does not listen")
        wait(lambda: all(cable.sound(side) > 5 for side in SIDES), 10, "no sound")
        time.sleep(TALK)
        if over := [process.args for process in processes if process.poll() is not None]:
            sys.exit(f"a phone has ended: {over}")
        growth.going = False
        cable.stop()
        cable.write(folder / "packets")
        (folder / "growth.json").write_text(json.dumps(growth.grown))
        if cable.failed or cable.late > LATE:
            sys.exit(f"the cable: {cable.failed or f'{1000 * cable.late:.0f} ms late'}")
    finally:
        # The caller hangs up while the other still listens. Some phones wait for longer than is worth it: what counts is written.
        for process in reversed(processes):
            process.terminate()
            end(process)
        if cable:
            cable.stop()
        for place in places.values():
            place.close()


def end(process, seconds=1):
    """Waits for a process a little, and then no longer."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait(done, seconds, otherwise):
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            sys.exit(otherwise)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
