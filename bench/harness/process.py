"""Starts a program, reads what it costs out of /proc, and ends it."""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Something that should have worked did not; the part is given up, the others go on."""


class Process:
    """A program in a session of its own, with all that it starts."""

    def __init__(self, command, folder, name, **options):
        self.command = [str(word) for word in command]
        self.log = Path(folder) / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True, **options)

    @property
    def words(self):
        """The command as one would type it."""
        return shlex.join(self.command)

    def check(self):
        """Fails if the program has ended."""
        if self.child.poll() is not None:
            raise Failed(f"{self.command[0]} ended with {self.child.returncode}: {self.last_words()}")

    def last_words(self):
        """The end of its log."""
        return self.log.read_text(errors="replace")[-600:].strip()

    def stop(self):
        """Asks it to end, and ends what is left of it, each process by its number."""
        family = tree(self.child.pid)
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(8)
        except subprocess.TimeoutExpired:
            for pid in family:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.child.wait(5)


def read(path):
    """A file of /proc; empty if the process is gone."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def tree(root):
    """A process and all its descendants."""
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        for thread in threads(pid):
            todo += map(int, read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def threads(pid):
    """The numbers of its threads."""
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def cpu(pids):
    """Processor seconds, user and system. `stat` also knows threads that are gone, but rounds to 10 ms; `schedstat` has
    nanoseconds, but of living threads only: the larger one is right."""
    total = 0.0
    for pid in pids:
        fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if not fields:
            continue
        rounded = (int(fields[11]) + int(fields[12])) / TICKS
        exact = sum(int((read(f"/proc/{pid}/task/{thread}/schedstat") or "0").split()[0]) for thread in threads(pid))
        total += max(rounded, exact / 1e9)
    return total


def pss(pids):
    """Bytes of memory, shared pages divided among those who share them."""
    total = 0
    for pid in pids:
        for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def wakeups(pids):
    """How often the threads went to sleep of their own accord."""
    total = 0
    for pid in pids:
        for thread in threads(pid):
            for line in read(f"/proc/{pid}/task/{thread}/status").splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
    return total


def machine_busy():
    """Processor seconds of the whole machine, and those the hypervisor took."""
    fields = [int(field) for field in read("/proc/stat").split("\n")[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / TICKS, fields[7] / TICKS


def port_is_free(port):
    """Whether nobody has a UDP or TCP socket on a port. A program that is left over would share the load silently."""
    wanted = f":{port:04X}"
    for table in ("udp", "udp6"):
        for line in read(f"/proc/net/{table}").splitlines()[1:]:
            if line.split()[1].endswith(wanted):
                return False
    for table in ("tcp", "tcp6"):
        for line in read(f"/proc/net/{table}").splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == "0A":
                return False
    return True


def wait_until_free(ports):
    """Fails if one of the ports is still taken after a while."""
    until = time.monotonic() + 5
    while taken := [port for port in ports if not port_is_free(port)]:
        if time.monotonic() > until:
            raise Failed(f"ports {taken} are taken: is something left over?")
        time.sleep(0.05)
