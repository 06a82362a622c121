#!/usr/bin/env python3
"""Real phones against the exchange:  interop/run.py [-k PATTERN] [--bin PATH] [--list] [--here]

Runs every case by itself in a network namespace that has only loopback, prints a line for each, keeps the
folders of those that failed, and ends with a status other than 0 when one did.

Phones that are not ours have races of their own. Up to two cases of a whole run that failed are run once more, and both
outcomes are printed: a case that fails twice, or a third that fails, fails the run."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or HERE.parent / "target").absolute()
INSIDE = "INTEROP_INSIDE_NAMESPACE"
# So many failures may be a phone's; in a run of less than this many cases every failure counts.
FORGIVEN, WHOLE = 2, 20
# A default route, although nothing leaves: some phones do not register while they find no way out.
ENTER = ("ip link set lo up && ip addr add 198.18.0.1/32 dev lo && "
         "ip route add default dev lo src 198.18.0.1 && exec \"$@\"")


def main():
    arguments = parse()
    enter(arguments)
    sys.path.insert(0, str(HERE))
    sys.dont_write_bytecode = True
    import cases  # noqa: F401  fills the list
    from harness.cases import CASES

    wanted = [case for case in CASES if arguments.k.replace("_", " ") in case.name]
    if arguments.list:
        print("\n".join(case.name for case in wanted))
        return 0
    binary = Path(arguments.bin).absolute()
    if not os.access(binary, os.X_OK):
        print(f"{binary} is not there: build it (make interop) or name it (--bin)", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGALRM, too_long)
    folder = Path(tempfile.mkdtemp(prefix="offhook-interop-"))
    failed = [case for number, case in enumerate(wanted, 1) if not run(case, folder / f"{number:02}", binary)]
    if len(failed) <= FORGIVEN and len(wanted) >= WHOLE:
        again = [case for number, case in enumerate(failed, 1) if not run(case, folder / f"again-{number}", binary)]
        if failed:
            print(f"{len(failed) - len(again)} of {len(failed)} that failed held the second time")
        failed = again
    failed = len(failed)
    if failed:
        print(f"logs: {folder}")
    else:
        shutil.rmtree(folder)
    # Nothing chosen proves nothing.
    print(f"{len(wanted) - failed} passed, {failed} failed", flush=True)
    return 1 if failed or not wanted else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("-k", metavar="PATTERN", default="", help="only cases whose name holds this text")
    parser.add_argument("--bin", metavar="PATH", help="the program (default: $OFFHOOK_BIN, or the debug build)",
                        default=os.environ.get("OFFHOOK_BIN") or str(TARGET / "debug" / "offhook"))
    parser.add_argument("--list", action="store_true", help="print the names and run nothing")
    parser.add_argument("--here", action="store_true", help="on this machine's own loopback, without a namespace")
    return parser.parse_args()


def enter(arguments):
    """Goes on in the Python environment of the phones, inside a namespace; returns only when already there."""
    if os.environ.get(INSIDE):
        return
    python = TARGET / "venv" / "bin" / "python"
    if not python.exists():
        sys.exit(f"{python} is not there: scripts/install.sh interop")
    os.environ[INSIDE] = "1"
    command = [str(python), str(HERE / "run.py"), *sys.argv[1:]]
    if not arguments.here and not arguments.list:
        unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
        if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode:
            sys.exit("this machine allows no network namespace; --here runs on its own loopback instead")
        command = [*unshare, "sh", "-c", ENTER, "sh", *command]
    sys.stdout.flush()
    os.execvp(command[0], command)


def run(case, folder, binary):
    """Proves one case within its time, prints its line, and tells whether it held."""
    from harness.lab import Lab

    lab, began = Lab(folder, binary), time.monotonic()
    try:
        signal.alarm(case.seconds)
        case.prove(lab)
        why = None
    except Exception as error:  # a mistake of the harness is a failure too
        why = explain(error)
    finally:
        signal.alarm(0)
        troubles = lab.close()
    why = why or "; ".join(troubles)
    print(f"{'FAILED' if why else 'ok':6} {case.name} ({time.monotonic() - began:.1f} s)", flush=True)
    if why:
        print(f"       {why}\n       logs: {folder}\n{last_lines(folder)}", flush=True)
    else:
        shutil.rmtree(folder)
    return not why


def explain(error):
    from harness.failure import Failure

    if isinstance(error, Failure):
        return str(error)
    return "".join(traceback.format_exception(error)).strip().replace("\n", "\n       ")


def last_lines(folder, count=6):
    """The end of every log of a failed case."""
    shown = []
    for path in sorted([*folder.glob("*.err"), *folder.glob("*.out"), *folder.glob("*.errors")]):
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
        shown += [f"       | {path.name}: {line[:200]}" for line in lines[-count:]]
    return "\n".join(shown)


def too_long(*_):
    from harness.failure import Failure

    raise Failure("took longer than its time")


def interrupted(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
